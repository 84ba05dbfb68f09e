//! What each stage makes of a line, and which stages cannot be.

use base_signal::{LabelArena, LogEntry};
use observe_source::fake::FakeLogs;
use observe_source::{Direction, LogWrite};

use super::lines::SHOP;
use super::{Ask, S, lines, store};
use crate::Data;

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
