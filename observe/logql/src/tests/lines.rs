//! Which lines come back, with which labels.

use base_signal::{LabelArena, Labels, LogEntry, Matcher, RangeNs, TenantId};
use observe_source::fake::FakeLogs;
use observe_source::{Budget, Direction, LineHint, LogBatches, LogSource, LogWrite, SelectLogs, SourceError};
use proptest::prelude::*;
use recorded::Recorded;

use super::{Ask, S, lines, store};
use crate::{Answer, Data, QueryError};

const SHOP: &str = r#"
    app=shop env=prod | 10 | level=info msg="cart filled" status=200 took=12ms size=2KB | trace_id=aa user=ann
    app=shop env=prod | 20 | level=error msg="card refused" status=402 took=1.5s size=3MB | trace_id=bb
    app=shop env=dev  | 30 | {"level":"warn","req":{"path":"/pay","ms":31.50},"tags":["a"],"none":null,"ok":true,"app":"x"}
    app=mail env=prod | 40 | plain error text 10.0.0.1
    app=mail env=prod | 50 | status=abc level=info
"#;

fn check(query: &str, expect: &[&str]) {
    let found = lines(&store(SHOP), query);
    let times: Vec<_> = found.iter().map(|l| l.split(' ').next().unwrap_or_default()).collect();
    assert!(times == expect || found == expect, "{query}: wanted {expect:?}, got {found:?}");
}

#[test]
fn filters() {
    check(r#"{app="shop"}"#, &["10", "20", "30"]);
    check(r#"{app=~"s.*|m.*", env!="dev"}"#, &["10", "20", "40", "50"]);
    check(r#"{app=~".+", env!~"pro.+"}"#, &["30"]);
    check(r#"{app=~".+"} |= "error""#, &["20", "40"]);
    check(r#"{app=~".+"} |= "error" != "card""#, &["40"]);
    check(r#"{app=~".+"} |= "filled" or "plain""#, &["10", "40"]);
    check(r#"{app=~".+"} != "filled" or "plain""#, &["20", "30", "50"]);
    check(r#"{app=~".+"} |~ "c[a]r[dt]""#, &["10", "20"]);
    check(r#"{app=~".+"} !~ "level|plain""#, &[]);
    check(r#"{app=~".+"} |> "plain <_> text <_>""#, &["40"]);
    check(r#"{app=~".+"} |= ip("10.0.0.0/24")"#, &["40"]);
    check(r#"{app="mail"} != ip("10.0.0.0-10.0.0.9")"#, &["50"]);
    check(r#"{app="mail"} | pattern "<_> text <from>" | from=ip("10.0.0.1")"#, &["40"]);
    check(r#"{app="mail"} | pattern "<_> text <from>" | from!=ip("10.0.0.1")"#, &[]);
    check(
        r#"{app="mail"} |= ip("10.0.0")"#,
        &[
            r#"parse error at line 1, col 14: ip: invalid pattern "10.0.0", an address, a network like 10.0.0.0/8 or a range like 10.0.0.1-10.0.0.9 is wanted"#,
        ],
    );
    check(r#"{app=~".+"} !> "<_>level=<_>""#, &["10", "20", "30", "40"]);
}

#[test]
fn label_filters_read_metadata_and_parsed_labels() {
    check(r#"{app="shop"} | trace_id="bb""#, &["20"]);
    check(r#"{app="shop"} | trace_id!="""#, &["10", "20"]);
    check(r#"{app="shop"} | trace_id=~"a+|x" | user="ann""#, &["10"]);
    check(r#"{app="shop"} | env="dev""#, &["30"]);
    check(r#"{app="shop"} | level="error""#, &[]);
    check(r#"{app="shop"} | logfmt | level="error""#, &["20"]);
    check(r#"{app=~".+"} | logfmt | status >= 400"#, &["20", "50"]);
    check(r#"{app=~".+"} | logfmt | status >= 400 | __error__="""#, &["20"]);
    check(r#"{app="shop"} | logfmt | took > 1s"#, &["20"]);
    check(r#"{app="shop"} | logfmt | took <= 12ms or size > 2MB"#, &["10", "20"]);
    check(r#"{app="shop"} | logfmt | size = 2KB and status != 201"#, &["10"]);
    check(r#"{app="shop"} | json | __error__="" | req_ms > 31"#, &["30"]);
    check(r#"{app="shop"} | json | __error__="JSONParserErr""#, &["10", "20"]);
    check(r#"{app="shop"} | json path="req.path", tag="tags[0]" | path="/pay" | tag="a""#, &["30"]);
    check(r#"{app="mail"} | regexp "(?P<first>\\w+) error" | first="plain""#, &["40"]);
    check(r#"{app="mail"} | pattern "plain <what> text <ip>" | what="error" | ip="10.0.0.1""#, &["40"]);
}

#[test]
fn refused_by_name() {
    check(
        r#"{app="shop"} | line_format "{{.x}}""#,
        &[
            "parse error at line 1, col 14: line_format cannot be evaluated yet; leave it out, or do that step in the client",
        ],
    );
    check(
        r#"{app=~".*"}"#,
        &[
            "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
        ],
    );
    check(
        "{}",
        &[
            "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
        ],
    );
    let ask = Ask::new();
    let too_many = ask.range(&store(SHOP), r#"{app="shop"}"#, 5_001, Direction::Forward).unwrap_err();
    assert_eq!(
        too_many.to_string(),
        "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)"
    );
    let instant = ask.instant(&store(SHOP), r#"{app="shop"}"#, 10).unwrap_err();
    assert!(instant.to_string().starts_with("log queries are not supported as an instant query type"));
    ask.cancel.cancel();
    let cancelled = ask.range(&store(SHOP), r#"{app="shop"}"#, 10, Direction::Forward);
    assert_eq!(cancelled.unwrap_err(), QueryError::Source(SourceError::Cancelled));
}

/// Merged labels, stream labels, metadata and parsed labels of the only entry.
fn check_labels(query: &str, merged: &str, stream: &str, metadata: &[(&str, &str)], parsed: &[(&str, &str)]) {
    let answer = Ask::new().range(&store(SHOP), query, 10, Direction::Forward).unwrap();
    let Data::Streams(streams) = answer.data else { panic!("{query}: no streams") };
    let [only] = streams.as_slice() else { panic!("{query}: {streams:?}") };
    let pairs = |p: &[(String, String)]| p.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    let wanted = |p: &[(&str, &str)]| p.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
    assert_eq!((only.labels.to_string(), only.stream.to_string()), (merged.to_owned(), stream.to_owned()), "{query}");
    assert_eq!(pairs(&only.entries[0].structured_metadata), wanted(metadata), "{query}");
    assert_eq!(pairs(&only.entries[0].parsed), wanted(parsed), "{query}");
}

#[test]
fn labels_of_three_origins() {
    let prod = r#"{app="shop", env="prod"}"#;
    check_labels(
        r#"{app="shop"} |= "filled""#,
        r#"{app="shop", env="prod", trace_id="aa", user="ann"}"#,
        prod,
        &[("trace_id", "aa"), ("user", "ann")],
        &[],
    );
    check_labels(
        r#"{app="shop"} |= "refused" | logfmt status, what="msg""#,
        r#"{app="shop", env="prod", status="402", trace_id="bb", what="card refused"}"#,
        prod,
        &[("trace_id", "bb")],
        &[("status", "402"), ("what", "card refused")],
    );
    check_labels(
        r#"{env="dev"} | json"#,
        r#"{app="shop", app_extracted="x", env="dev", level="warn", ok="true", req_ms="31.50", req_path="/pay"}"#,
        r#"{app="shop", env="dev"}"#,
        &[],
        &[("app_extracted", "x"), ("level", "warn"), ("ok", "true"), ("req_ms", "31.50"), ("req_path", "/pay")],
    );
    check_labels(
        r#"{app="shop"} |= "filled" | drop env, user, trace_id="zz""#,
        r#"{app="shop", trace_id="aa"}"#,
        r#"{app="shop"}"#,
        &[("trace_id", "aa")],
        &[],
    );
    check_labels(
        r#"{app="shop"} |= "filled" | keep env, user=~"a.+""#,
        r#"{env="prod", user="ann"}"#,
        r#"{env="prod"}"#,
        &[("user", "ann")],
        &[],
    );
    check_labels(
        r#"{app="shop"} |= "filled" | drop trace_id, user | label_format where=env"#,
        r#"{app="shop", where="prod"}"#,
        r#"{app="shop"}"#,
        &[],
        &[("where", "prod")],
    );
}

#[test]
fn a_label_of_the_line_goes_before_metadata_of_its_name() {
    let logs = store("app=a | 1 | user=bob | user=ann trace_id=x");
    let ask = |stage: &str| {
        let answer = Ask::new().range(&logs, &format!("{{app=\"a\"}} {stage}"), 10, Direction::Forward).unwrap();
        let Data::Streams(streams) = answer.data else { panic!("no lines") };
        let shown = |s: &crate::StreamResult| {
            let of = |pairs: &[(String, String)]| pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
            format!("{} {:?} {:?}", s.labels, of(&s.entries[0].structured_metadata), of(&s.entries[0].parsed))
        };
        streams.iter().map(shown).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(ask(""), r#"{app="a", trace_id="x", user="ann"} ["trace_id=x", "user=ann"] []"#);
    assert_eq!(ask("| logfmt"), r#"{app="a", trace_id="x", user="bob"} ["trace_id=x"] ["user=bob"]"#);
    assert_eq!(ask(r#"| logfmt | user="ann""#), "");
}

#[test]
fn the_limit_counts_over_all_streams_in_the_direction_asked() {
    let ask = Ask::new();
    for (direction, expect) in [(Direction::Forward, vec![10, 20]), (Direction::Backward, vec![40, 50])] {
        let answer = ask.range(&store(SHOP), r#"{env="prod"}"#, 2, direction).unwrap();
        let Data::Streams(streams) = &answer.data else { panic!("no streams") };
        let mut times: Vec<_> = streams.iter().flat_map(|s| &s.entries).map(|e| e.time_ns / S).collect();
        times.sort_unstable();
        assert_eq!(times, expect);
        assert_eq!((answer.statistics.lines, answer.statistics.lines_returned), (2, 2));
        assert!(answer.statistics.bytes > 20);
    }
}

#[test]
fn the_end_is_excluded_as_in_loki() {
    let logs = store("app=a | 0 | first\n app=a | 99.999999999 | last\n app=a | 100 | beyond");
    assert_eq!(lines(&logs, r#"{app="a"}"#), ["0 first", "99 last"]);
}

#[test]
fn a_query_over_its_share_fails_with_its_cost() {
    let rows: String = (0..2_000).map(|i| format!("app=a | {} | {}\n", i % 90, "x".repeat(200))).collect();
    let mut ask = Ask::new();
    ask.budget = Budget::new(100_000);
    let error = ask.range(&store(&rows), r#"{app="a"}"#, 5_000, Direction::Forward).unwrap_err();
    assert!(matches!(error, QueryError::Source(SourceError::Budget { limit_bytes: 100_000, .. })), "{error:?}");
    assert_eq!(ask.budget.used_bytes(), 0, "all given back");
}

/// One line through one stage: the parsed labels as text, or the error's name and what it says.
fn parsed(line: &str, stage: &str) -> String {
    let mut logs = FakeLogs::default();
    let mut streams = LabelArena::default();
    streams.push(&mut vec![("app", "a")]);
    let entry = LogEntry { stream: 0, time_ns: S, line: line.to_owned(), metadata: Vec::new() };
    logs.append(&LogWrite { streams, entries: vec![entry] });
    let answer = Ask::new().range(&logs, &format!("{{app=\"a\"}} {stage}"), 10, Direction::Forward);
    let Data::Streams(streams) = answer.unwrap_or_else(|e| panic!("{stage}: {e}")).data else { panic!("no lines") };
    let Some(entry) = streams.first().and_then(|s| s.entries.first()) else { return "left out".to_owned() };
    entry.parsed.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check_parsed(line: &str, stage: &str, expect: &str) {
    assert_eq!(parsed(line, stage), expect, "{line} {stage}");
}

#[test]
fn json_of_every_kind() {
    let bad = |why: &str| format!("__error__=JSONParserErr __error_details__={why}");
    check_parsed(r#"{"a":"x","b":1.50,"c":true,"d":null,"e":[1,{"f":2}],"g":{}}"#, "| json", "a=x b=1.50 c=true");
    check_parsed(r#"{ "a" : { "b" : { "c-d" : "x" } } , "1" : 2 }"#, "| json", "_1=2 a_b_c_d=x");
    check_parsed("{}", "| json", "");
    // Escapes; a pair of surrogates is one character, a lone one has none.
    let escapes = r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","b":"x\ud83dy","c":"\ud83d\u0041","é\n":"k"}"#;
    check_parsed(escapes, "| json", "__=k a=\"\\/\u{8}\u{c}\n\r\té😀 b=x\u{fffd}y c=\u{fffd}A");
    // What came before the damage stays.
    let damage = [
        (r#"{"a":1,"b"}"#, "expected : after a member's name"),
        (r#"{"a":1 "b":2}"#, "expected , or } after a member"),
        (r#"{"a":1,b:2}"#, "expected a string"),
        (r#"{"a":1,"b":x}"#, "expected a value"),
        (r#"{"a":1,"b":[1 2]}"#, "expected , or ] after an item"),
        (r#"{"a":1,"b":"x"#, "a string has no end"),
        (r#"{"a":1,"b":"x\"#, "a string has no end"),
        (r#"{"a":1,"b":"x\n"#, "a string has no end"),
        (r#"{"a":1,"b":"\q"}"#, "unknown escape in a string"),
        (r#"{"a":1,"b":"\u00g0"}"#, "broken \\u escape in a string"),
        (r#"{"a":1} x"#, "text after the JSON object"),
    ];
    for (line, why) in damage {
        check_parsed(line, "| json", &format!("{} a=1", bad(why)));
    }
    check_parsed("[1]", "| json", &bad("expected a JSON object"));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(70), "}".repeat(70));
    check_parsed(&objects, "| json", &bad("objects are nested too deep"));
    let arrays = format!(r#"{{"a":{}{}}}"#, "[".repeat(70), "]".repeat(70));
    check_parsed(&arrays, "| json", &bad("values are nested too deep"));
}

#[test]
fn json_by_path() {
    let line = r#"{"a":{"b":[10,{"c d":"x\ty"},[],{"e":null}]},"f":"","g":-1e3,"h":{"i":[1, 2]}, "j k":"l"}"#;
    let table = [
        (r#"x="a.b[0]""#, "x=10"),
        (r#"x="a.b[1][\"c d\"]""#, "x=x\ty"),
        (r#"x="[\"j k\"]""#, "x=l"),
        (r#"x="a.b[2]""#, "x=[]"),
        (r#"x="a.b[2][0]""#, ""),
        (r#"x="a.b[9]""#, ""),
        (r#"x="a.b[3].e""#, ""),
        (r#"x="a.b.c""#, ""),
        (r#"x="f""#, ""),
        (r#"x="f.g""#, ""),
        (r#"x="g", y="h", z="none""#, r#"x=-1e3 y={"i":[1, 2]}"#),
        (r#"g"#, "g=-1e3"),
    ];
    for (extract, expect) in table {
        check_parsed(line, &format!("| json {extract}"), expect);
    }
    check_parsed("{}", r#"| json x="a""#, "");
    check_parsed("plain text", r#"| json x="a""#, "__error__=JSONParserErr __error_details__=expected a JSON value");
    check_parsed(r#"{"a":"#, r#"| json x="a""#, "__error__=JSONParserErr __error_details__=expected a value");
    for path in ["a.", "a..b", "[x]", "[1", "[\"a", "", "a[0]b"] {
        let found = lines(&store(SHOP), &format!("{{app=\"shop\"}} | json x=`{path}`"));
        assert_eq!(found, [format!("parse error at line 1, col 14: cannot parse expression [{path}]")]);
    }
}

#[test]
fn logfmt_of_every_kind() {
    check_parsed(r#"a=1 b="x y" c= d e="""#, "| logfmt", "a=1 b=x y");
    check_parsed(r#"a="\"\\\n\r\t\u00e9\uzzzz\/" a=2"#, "| logfmt", "a=\"\\\n\r\té\u{fffd}/");
    check_parsed("a=1 =2 b\"c d=3", "| logfmt", "a=1 d=3");
    check_parsed(r#"a=1 b="open"#, "| logfmt", "a=1");
    let strict = |why: &str| format!("__error__=LogfmtParserErr __error_details__={why} a=1");
    check_parsed("a=1 =2", "| logfmt --strict", &strict("unexpected '='"));
    check_parsed("a=1 b\"c", "| logfmt --strict", &strict("unexpected '\"'"));
    check_parsed(r#"a=1 b="open"#, "| logfmt --strict", &strict("a quoted value has no end"));
    check_parsed("a=1 b=c=d", "| logfmt --strict", &strict("unexpected '=' or '\"' in a value"));
}

#[test]
fn the_other_stages_on_a_line() {
    check_parsed(r#"{"_entry":"the line","pod":"x"}"#, "| unpack", "pod=x");
    assert_eq!(
        lines(&store(r#"app=a | 1 | {"_entry":"the line","pod":"x"}"#), r#"{app="a"} | unpack"#),
        ["1 the line"]
    );
    check_parsed("no", "| unpack", "__error__=JSONParserErr __error_details__=expected a JSON object");
    check_parsed("GET /a 200", r#"| pattern "<method> <_> <status>""#, "method=GET status=200");
    check_parsed("GET", r#"| pattern "<method> <status>""#, "");
    check_parsed("ab", r#"| regexp "(?P<x>a)(?P<y>z)?""#, "x=a");
    check_parsed("ab", r#"| regexp "(?P<x>z)""#, "");
    check_parsed(r#"{"a":"1"}"#, "| json | label_format b=a", "b=1");
}

#[test]
fn filters_of_every_kind_on_labels() {
    let line = "n=5 d=1500ms s=2KiB ip=10.1.2.3 t=x";
    let keeps = |filter: &str| parsed(line, &format!("| logfmt | {filter}")) != "left out";
    for filter in [
        "n==5",
        "n!=4",
        "n>4",
        "n>=5",
        "n<6",
        "n<=5",
        "d=1.5s",
        "d!=1s",
        "d>=1s500ms",
        "s=2048B",
        "s>2KB",
        "s<=2KiB",
        r#"ip=ip("10.1.0.0/16")"#,
        r#"ip!=ip("10.2.0.0/16")"#,
        r#"t=~"x|y""#,
        r#"t!~"y""#,
        "n=5 and d>1s",
        "n=4 or s>1B",
        "n=5, d>1s",
        r#"none="""#,
    ] {
        assert!(keeps(filter), "{filter}");
    }
    for filter in [
        "n==4",
        "n!=5",
        "n>5",
        "n>=6",
        "n<5",
        "n<=4",
        "d=1s",
        "s<2KB",
        r#"ip!=ip("10.1.0.0/16")"#,
        r#"none=ip("10.0.0.0/8")"#,
        "none>1",
        "n=5 and d>2s",
        "n=4 or s<1B",
    ] {
        assert!(!keeps(filter), "{filter}");
    }
    // A value of another kind marks the line and lets it through; so do filters after a mark.
    let marked = parsed(line, "| logfmt | t>1 | n>9");
    assert!(marked.contains("__error__=LabelFilterErr") && marked.contains("of t is not of the kind"), "{marked}");
}

#[test]
fn stages_that_cannot_be() {
    let refused = |stage: &str, why: &str| {
        let found = lines(&store(SHOP), &format!("{{app=\"shop\"}} {stage}"));
        assert_eq!(found, [format!("parse error at line 1, col 14: {why}")], "{stage}");
    };
    refused(r#"| pattern "a b""#, "at least one capture is required");
    refused(r#"| pattern "<_> b""#, "at least one capture is required");
    refused(r#"| pattern "<a><b>""#, "found consecutive capture: there must be text between two captures");
    refused(r#"| pattern "<a> <a>""#, "duplicate capture name");
    let later = "cannot be evaluated yet; leave it out, or do that step in the client";
    refused(r#"| label_format a="{{.b}}""#, &format!("label_format with a template {later}"));
    refused(
        r#"| user=ip("x")"#,
        r#"ip: invalid pattern "x", an address, a network like 10.0.0.0/8 or a range like 10.0.0.1-10.0.0.9 is wanted"#,
    );
}

#[test]
fn a_range_without_time_or_limit_has_no_lines() {
    let (logs, ask) = (store(SHOP), Ask::new());
    let empty = |start: i64, end: i64, limit: usize| {
        let query =
            crate::Query { text: r#"{app="shop"}"#, tenant: &ask.tenant, budget: &ask.budget, cancel: &ask.cancel };
        crate::Engine::default().query_range(&logs, &query, start * S, end * S, 1000, limit, Direction::Forward)
    };
    assert_eq!(empty(10, 10, 5).unwrap().data, Data::default());
    assert_eq!(empty(10, 20, 0).unwrap().data, Data::default());
    let error = empty(20, 10, 5).unwrap_err();
    assert_eq!(error, QueryError::Invalid("end timestamp must not be before or equal to start time".into()));
}

/// A source that notes the hints it was given.
mod recorded {
    use super::*;
    use observe_source::fake::FakeLogs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    pub(super) struct Recorded {
        pub(super) logs: FakeLogs,
        pub(super) sender: mpsc::SyncSender<Vec<LineHint>>,
        pub(super) asked: AtomicUsize,
    }

    impl LogSource for Recorded {
        fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.sender.try_send(request.hints.to_vec()).unwrap();
            self.logs.select_logs(request)
        }

        fn streams(
            &self,
            tenant: &TenantId,
            matchers: &[Vec<Matcher>],
            range: RangeNs,
            budget: &Budget,
        ) -> Result<Vec<Labels>, SourceError> {
            self.logs.streams(tenant, matchers, range, budget)
        }
    }
}

#[test]
fn stores_are_told_what_they_may_skip_by() {
    let text = |t: &str| LineHint::Contains(t.to_owned());
    let pair = |name: &str, value: &str| LineHint::Metadata { name: name.into(), value: value.into() };
    let table = [
        (
            r#"{app="shop"} |= "a b" |= "c" or "d" != "e" |~ "f" |~ "g.""#,
            vec![text("a b"), text("c").clone(), text("f")],
        ),
        (r#"{app="shop"} | trace_id="aa" | json | user="x""#, vec![pair("trace_id", "aa")]),
        (r#"{app="shop"} | (trace_id="aa" and user="x") or user="y""#, vec![]),
        (r#"{app="shop"} | env="prod" | trace_id="aa""#, vec![pair("trace_id", "aa")]),
        (r#"{app="shop"} | unpack |= "x""#, vec![]),
        (r#"{app="shop"} |> "a<_>b""#, vec![text("a"), text("b")]),
    ];
    for (query, expect) in table {
        let expect: Vec<_> = expect.into_iter().filter(|h| *h != text("c")).collect();
        let (sender, receiver) = std::sync::mpsc::sync_channel(4);
        let source = Recorded { logs: store(SHOP), sender, asked: Default::default() };
        let ask = Ask::new();
        let asked = crate::Query { text: query, tenant: &ask.tenant, budget: &ask.budget, cancel: &ask.cancel };
        let answer: Answer = crate::Engine::default()
            .query_range(&source, &asked, 0, 100 * S, 1000, 100, Direction::Backward)
            .unwrap_or_else(|e| panic!("{query}: {e}"));
        drop(answer);
        assert_eq!(receiver.try_recv().unwrap(), expect, "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever a line holds, stages answer or mark it with an error.
    #[test]
    fn no_line_crashes_a_stage(line in "[\\[\\]{}\":,=<> a-c0-9é.\\\\u\u{1b}-]{0,40}") {
        let mut logs = FakeLogs::default();
        let mut streams = LabelArena::default();
        streams.push(&mut vec![("app", "a")]);
        logs.append(&LogWrite { streams, entries: vec![LogEntry { stream: 0, time_ns: S, line, metadata: Vec::new() }] });
        for stages in [
            "| json", "| json x=\"a[0].b\", y=\"a\"", "| logfmt", "| logfmt --strict --keep-empty", "| unpack", "| decolorize",
            "| pattern \"<a>=<b> <_>,<c>\"", "| regexp \"(?P<x>a+)(?P<y>.*)\"", "|> \"<_>a<_>\"", "| logfmt | a > 3 or b < 2s or c > 1KB",
        ] {
            let query = format!("{{app=\"a\"}} {stages}");
            let answer = Ask::new().range(&logs, &query, 10, Direction::Forward);
            prop_assert!(answer.is_ok(), "{query}: {answer:?}");
        }
    }
}
