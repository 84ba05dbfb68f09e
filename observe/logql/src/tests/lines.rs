//! Which lines come back, with which labels.

use base_signal::{LabelArena, Labels, LogEntry, Matcher, RangeNs, TenantId};
use observe_source::fake::FakeLogs;
use observe_source::{Budget, Direction, LineHint, LogBatches, LogSource, LogWrite, SelectLogs, SourceError};
use proptest::prelude::*;
use recorded::Recorded;

use super::{Ask, S, lines, store};
use crate::{Answer, Data, QueryError};

pub(super) const SHOP: &str = r#"
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
