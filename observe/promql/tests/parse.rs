//! The syntax as a user meets it: canonical texts, errors with their places, and the round trip on random trees.

use observe_promql::{parse, parse_selector};
use proptest::prelude::*;

/// `expect` is the canonical text, or for a refused query the error with its place.
#[track_caller]
fn check(input: &str, expect: &str) {
    match parse(input) {
        Ok(expr) => {
            let printed = expr.to_string();
            assert_eq!(printed, expect, "{input}");
            let again = parse(&printed).unwrap_or_else(|e| panic!("{printed} does not parse back: {e}"));
            assert_eq!(again.to_string(), printed, "{input}");
        }
        Err(error) => assert_eq!(error.to_string(), expect, "{input}"),
    }
}

#[test]
fn precedence_and_associativity() {
    check("1+2*3", "1 + 2 * 3");
    check("-a^2", "-a ^ 2");
    check("2^-1", "2 ^ -1");
    check("a or b and c", "a or b and c");
    check("a + on(x) b", "a + on (x) b");
    check("-1", "-1");
    check("- -1", "1");
    check("-(1)", "-(1)");
    check("a offset 5m + 1", "a offset 5m + 1");
    check("a offset -2 ^ 2", "a offset -2s ^ 2");
}

/// What binds to what shows in where the children begin and end.
#[track_caller]
fn check_sides(input: &str, left: &str, right: &str) {
    let expr = parse(input).unwrap_or_else(|e| panic!("{input}: {e}"));
    let children = expr.children();
    let text = |i: usize| &input[children[i].span.start..children[i].span.end];
    assert_eq!((text(0), text(1)), (left, right), "{input}");
}

#[test]
fn spans_show_what_binds_to_what() {
    check_sides("a + b * c", "a", "b * c");
    check_sides("a * b + c", "a * b", "c");
    check_sides("a - b - c", "a - b", "c");
    check_sides("a ^ b ^ c", "a", "b ^ c");
    check_sides("-a * b", "-a", "b");
    check_sides("a == b + c", "a", "b + c");
    check_sides("a and b or c unless d", "a and b", "c unless d");
    check_sides("a unless b and c", "a unless b", "c");
    check_sides("a % b atan2 c", "a % b", "c");
    check_sides("a > bool 1 + rate(b[5m] offset 1m)", "a", "1 + rate(b[5m] offset 1m)");
    check_sides("sum by (x) (a) / sum (b) without (y)", "sum by (x) (a)", "sum (b) without (y)");
}

#[test]
fn literals() {
    check("0x1F", "31");
    check("010", "8");
    check("1_000", "1000");
    check(".5e1", "5");
    check("1h30m", "1h30m");
    check("inf", "+Inf");
    check("-INF", "-Inf");
    check("nAn", "NaN");
    check("'it\\'s'", "\"it's\"");
    check("'open", "1:1: parse error: unterminated quoted string");
    check(r"`raw\n`", r#""raw\\n""#);
    check(r#""\x41\u00e9\n""#, r#""Aé\n""#);
}

#[test]
fn selectors() {
    check("a{b='c',d!='e',f=~'g',h!~'i'}", r#"a{b="c",d!="e",f=~"g",h!~"i"}"#);
    check(r#"{"my.metric", "l.b"="x"}"#, r#"{"l.b"="x",__name__="my.metric"}"#);
    check("{__name__='a'}", r#"{__name__="a"}"#);
    check("job:rate:5m{}", "job:rate:5m");
    check("sum", "sum");
    check("sum{a='b'} + by", r#"sum{a="b"} + by"#);
    check("start + end + offset", "start + end + offset");
    check("a[90]", "a[1m30s]");
    check("a[1h30m] offset -1h @ 5", "a[1h30m] @ 5.000 offset -1h");
    check("a @ start() offset 1w", "a @ start() offset 1w");
    check("a @ -1.5", "a @ -1.500");
    check("a[1h:5m] @ end()", "a[1h:5m] @ end()");
    check("rate(a[1m])[1h:]", "rate(a[1m])[1h:]");
    check("a[5m] smoothed", "a[5m] smoothed");
    check("a[step() * 2 + 1m:min_of(1m, range() / 10)]", "a[step() * 2 + 1m:min_of(1m, range() / 10)]");
    check("a offset (1h / 2)", "a offset (1h / 2)");
    check("a # a remark\n+ b", "a + b");
}

#[test]
fn aggregations_and_matching() {
    check("sum(a) by (b, c)", "sum by (b, c) (a)");
    check("SUM BY () (a)", "sum(a)");
    check("sum without () (a)", "sum without () (a)");
    check("topk(3, a) by ('x.y')", r#"topk by ("x.y") (3, a)"#);
    check("count_values('v', a)", r#"count_values("v", a)"#);
    check("a * on(x, y) group_left(z) b", "a * on (x, y) group_left (z) b");
    check("a * ignoring(x) group_right b", "a * ignoring (x) group_right () b");
    check("a > bool on() b", "a > bool on () b");
    check("a + fill(0) b", "a + fill (0) b");
    check("a + on(x) fill_left(-1) fill_right(2) b", "a + on (x) fill_left (-1) fill_right (2) b");
    check("a + on(by, on, bool) b", "a + on (by, on, bool) b");
}

#[test]
fn errors_point() {
    let table = [
        ("", "unknown position: parse error: no expression found in input"),
        ("# only a remark", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("a b", r#"1:3: parse error: unexpected identifier "b""#),
        ("(a", "1:3: parse error: unclosed left parenthesis"),
        ("a)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("a{", "1:3: parse error: unexpected end of input inside braces"),
        ("a{b}", r#"1:4: parse error: unexpected "}" in label matching, expected label matching operator"#),
        ("a{b=c}", r#"1:5: parse error: unexpected identifier "c" in label matching, expected string"#),
        ("a{b='c' d='e'}", r#"1:9: parse error: unexpected identifier "d" in label matching, expected "," or "}""#),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{a=~'.*'}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("a{__name__='b'}", r#"1:1: parse error: metric name must not be set twice: "a" or "b""#),
        ("a[5m", "1:5: parse error: unclosed left bracket"),
        (
            "a[]",
            r#"1:3: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#,
        ),
        ("a[-5m]", "1:3: parse error: duration must be greater than 0"),
        ("1[5m]", "1:2: parse error: ranges only allowed for vector selectors"),
        ("a[5m1h]", r#"1:3: parse error: not a valid duration string: "5m1h""#),
        ("a offset 5m [1m]", "1:13: parse error: no offset modifiers allowed before range"),
        ("a @ 1 [1m]", "1:7: parse error: no @ modifiers allowed before range"),
        ("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        (
            "1 offset 5m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("a @ b", r#"1:5: parse error: unexpected identifier "b" in @, expected timestamp"#),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "sum(a, b)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2",
        ),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("topk('x', a)", "1:6: parse error: expected type scalar in aggregation parameter, got string"),
        ("sum(a +)", r#"1:8: parse error: unexpected ")" in aggregation"#),
        ("sum by a (b)", r#"1:8: parse error: unexpected identifier "a" in grouping opts, expected "(""#),
        ("rate(a)", r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#),
        ("rate(a[5m], 1)", r#"1:1: parse error: expected 1 argument(s) in call to "rate", got 2"#),
        ("nope(a)", r#"1:1: parse error: unknown function with name "nope""#),
        ("time(1,)", "1:7: parse error: trailing commas not allowed in function call args"),
        ("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and a", r#"1:1: parse error: set operator "and" not allowed in binary scalar expression"#),
        ("a and on(x) group_left b", r#"1:1: parse error: no grouping allowed for "and" operation"#),
        ("a + on(x) group_left(x) b", r#"1:3: parse error: label "x" must not occur in ON and GROUP clause at once"#),
        ("a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("'a' + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
        (
            "-'a'",
            r#"1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string""#,
        ),
        ("a[5m][1h:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
        ("a\n  + $", "2:5: parse error: unexpected character: '$'"),
        ("a{b=~'('}", "1:3: parse error: error parsing regexp: "),
        ("a !~ b", "1:3: parse error: unexpected character after '!': '~'"),
        (r#""\q""#, "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ("1e", "1:1: parse error: bad number or duration syntax: \"1e\""),
        ("5x", "1:1: parse error: bad number or duration syntax: \"5\""),
    ];
    for (input, expected) in table {
        let error = parse(input).expect_err(input).to_string();
        // How a broken pattern is told belongs to whoever compiles patterns.
        let told = if expected.ends_with("regexp: ") { error.get(..expected.len()).unwrap_or(&error) } else { &error };
        assert_eq!(told, expected, "{input}");
    }
}

#[test]
fn more_that_is_printed_as_it_was_meant() {
    check("a[5m] anchored", "a[5m] anchored");
    check("a anchored offset 5m", "a anchored offset 5m");
    check("a offset -(1m + 2m)", "a offset -(1m + 2m)");
    check("a offset +5m", "a offset 5m");
    check("a offset 0s", "a");
    check("a offset 0s offset 5m", "a offset 5m");
    check("a[.5]", "a[500ms]");
    check("a[((5m))]", "a[(5m)]");
    check("a >= b >/ c", "a >= b >/ c");
    check("info(a, {b='c'})", r#"info(a, {b="c"})"#);
    check("sum by (b,) (a)", "sum by (b) (a)");
    check("a{b='c',}", r#"a{b="c"}"#);
    check(r"'\a\b\f\n\r\t\v\\\''", r#""\a\b\f\n\r\t\v\\'""#);
    check(r"'\U0001f600\101'", "\"😀A\"");
    check("0x_1f + 1_0.5", "31 + 10.5");
    check("+a", "+a");
}

#[test]
fn what_a_query_reads() {
    let check = |query: &str, expect: &[&str]| {
        let expr = parse(query).unwrap();
        let names: Vec<_> = observe_promql::selectors(&expr).into_iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, expect, "{query}");
    };
    check("1 + time()", &[]);
    check("a", &["a"]);
    check("-(a) / on(x) sum by (y) (rate(b[5m]))", &["a", "b"]);
    check("max_over_time((c + d)[1h:])", &["c", "d"]);
    check("topk(scalar(k), histogram_quantile(0.9, e))", &["k", "e"]);
}

#[test]
fn positions_are_of_the_wrong_part() {
    let error = parse("sum(\n  foo{bar=1}\n)").unwrap_err();
    assert_eq!((error.line, error.column, error.span.start), (2, 11, 15));
}

#[test]
fn depth_is_limited_and_nothing_overflows() {
    for deep in ["(".repeat(100_000), "-".repeat(100_000), "1+".repeat(100_000) + "1", "a[1m:]".repeat(5000)] {
        assert!(parse(&deep).is_err());
    }
    assert!(parse(&format!("a[{}1m]", "(".repeat(100_000))).is_err());
    assert!(parse(&vec!["a"; 200].join(" or ")).is_ok());
}

#[test]
fn a_selector_alone() {
    assert_eq!(parse_selector(r#"up{job="x"}"#).unwrap().len(), 2);
    assert_eq!(parse_selector("{}").unwrap().len(), 0);
    assert!(parse_selector("up + 1").is_err());
    assert!(parse_selector("rate(up[5m])").is_err());
}

fn arb_query() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("a".to_owned()),
        Just("{b=\"c\"}".to_owned()),
        Just("sum".to_owned()),
        Just("a{b!~\"x.*\"} offset 5m".to_owned()),
        Just("a @ 12.5".to_owned()),
        Just("{\"x.y\"} @ end() offset -1h30m".to_owned()),
    ];
    selector.prop_recursive(5, 40, 3, |inner| {
        let duration = prop_oneof![
            Just("5m".to_owned()),
            Just("90s".to_owned()),
            Just("1h + step() * 2".to_owned()),
            Just("max_of(1m, (range() - 1s))".to_owned()),
        ];
        let number = prop_oneof![
            Just("1".to_owned()),
            Just("-2.5".to_owned()),
            Just("5m".to_owned()),
            // Not `+Inf`: before a power its sign is read as an operator, as in Prometheus.
            Just("NaN".to_owned()),
            Just("time()".to_owned()),
            Just("2 ^ -1 ^ 2".to_owned()),
        ];
        let op = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("^"),
            Just("atan2"),
            Just("=="),
            Just("> bool"),
            Just("and"),
            Just("or"),
            Just("unless on (x)"),
            Just("+ on (x) group_left (y)"),
            Just("/ ignoring () group_right ()"),
            Just("- fill (1)"),
            Just("!= on () fill_left (2)"),
        ];
        let arithmetic = prop_oneof![Just("+"), Just("-"), Just("^"), Just("<="), Just("% ")];
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), arithmetic, number.clone()).prop_map(|(a, op, n)| format!("{a} {op} {n}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("sum without (x) ({a})")),
            (number, inner.clone()).prop_map(|(n, a)| format!("topk by (x, \"y.z\") ({n}, {a})")),
            (inner.clone(), duration.clone()).prop_map(|(a, d)| format!("max_over_time(({a})[{d}:])")),
            (inner, duration).prop_map(|(a, d)| format!("rate(({a})[{d}:30s] offset 1m @ start())")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_parses_back_to_the_same(query in arb_query()) {
        let Ok(expr) = parse(&query) else { return Ok(()) };
        let printed = expr.to_string();
        let again = parse(&printed).map_err(|e| TestCaseError::fail(format!("{query} -> {printed}: {e}")))?;
        prop_assert_eq!(without_spans(&again), without_spans(&expr), "{} -> {}", query, printed);
    }

    #[test]
    fn no_text_brings_the_parser_down(text in "[a-z0-9 (){}\\[\\]\"'`\\\\,.:=!~<>@+*/^%#-]{0,40}") {
        let _ = parse(&text);
    }
}

/// The tree's shape: its debug text without places.
fn without_spans(expr: &observe_promql::Expr) -> String {
    let text = format!("{expr:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Span {") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').map_or(rest.len(), |i| at + i + 1);
        rest = &rest[end..];
    }
    out + rest
}
