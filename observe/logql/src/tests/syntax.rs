//! What parses, what does not, and what is said about it.

use proptest::prelude::*;

use crate::parse;

/// The canonical spelling of a query, or the error.
fn check(query: &str, expect: &str) {
    let shown = match parse(query) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expect, "for {query}");
}

#[test]
fn reads_the_whole_language() {
    let table = [
        (r#"{app="shop"}"#, r#"{app="shop"}"#),
        ("{ app = `a\"b` , env!=\"x\",c=~\"d.*\", e!~\"f\" }", r#"{app="a\"b", env!="x", c=~"d.*", e!~"f"}"#),
        (
            r#"{a="b"}|="x"!="y"|~"z"!~"w"|>"<_> a <_>"!>"q""#,
            r#"{a="b"} |= "x" != "y" |~ "z" !~ "w" |> "<_> a <_>" !> "q""#,
        ),
        (r#"{a="b"} |= "x" or "y" or "z""#, r#"{a="b"} |= "x" or "y" or "z""#),
        (r#"{a="b"} |= ip("10.0.0.0/8")"#, r#"{a="b"} |= ip("10.0.0.0/8")"#),
        (r#"{a="b"} | json | logfmt --strict --keep-empty"#, r#"{a="b"} | json | logfmt --strict --keep-empty"#),
        (
            r#"{a="b"} | json x="y.z[0]", w | unpack | decolorize"#,
            r#"{a="b"} | json x="y.z[0]", w="w" | unpack | decolorize"#,
        ),
        (
            r#"{a="b"} | status >= 400 and d < 1m30s or s == 20MB"#,
            r#"{a="b"} | ((status>=400 and d<1m30s) or s==20000000B)"#,
        ),
        (r#"{a="b"} | x="1", y="2" z="3""#, r#"{a="b"} | ((x="1" and y="2") and z="3")"#),
        (r#"{a="b"} | (x="1" or y="2") and z!~"3""#, r#"{a="b"} | ((x="1" or y="2") and z!~"3")"#),
        (
            r#"{a="b"} | addr=ip("::1") | json="x" | unpack != "y""#,
            r#"{a="b"} | addr=ip("::1") | (json="x") | unpack != "y""#,
        ),
        (
            r#"{a="b"} | line_format "{{.x}}" | label_format y=x, z="{{.y}}""#,
            r#"{a="b"} | line_format "{{.x}}" | label_format y=x, z="{{.y}}""#,
        ),
        (r#"{a="b"} | drop x, y="z" | keep level, q=~"r""#, r#"{a="b"} | drop x, y="z" | keep level, q=~"r""#),
        (r#"{a="b"} | regexp "(?P<x>.)" | pattern "<x> <_>""#, r#"{a="b"} | regexp "(?P<x>.)" | pattern "<x> <_>""#),
        (r#"rate({a="b"}|="x"[5m])"#, r#"rate({a="b"} |= "x" [5m])"#),
        (r#"count_over_time({a="b"}[1d] offset 1h | json)"#, r#"count_over_time({a="b"} | json [24h] offset 1h)"#),
        (r#"count_over_time(({a="b"} | json)[90s])"#, r#"count_over_time({a="b"} | json [1m30s])"#),
        (
            r#"quantile_over_time(0.99, {a="b"} | json | unwrap duration(x) | __error__="" [1m]) by (host)"#,
            r#"quantile_over_time(0.99, {a="b"} | json | unwrap duration(x) | __error__="" [1m]) by (host)"#,
        ),
        (r#"sum(rate({a="b"}[1m])) by (x,y)"#, r#"sum by (x, y) (rate({a="b"} [1m]))"#),
        (r#"topk without(x)(5,rate({a="b"}[1m]))"#, r#"topk without (x) (5, rate({a="b"} [1m]))"#),
        ("vector(1)+vector(1)", "vector(1) + vector(1)"),
        ("1 + 2 * 3 ^ 2 ^ 2 > bool 4", "(1 + (2 * (3 ^ (2 ^ 2)))) > bool 4"),
        (
            r#"rate({a="b"}[1m]) / on (x) group_left (y) sum(rate({a="b"}[1m])) or vector(0)"#,
            r#"(rate({a="b"} [1m]) / on (x) group_left (y) sum(rate({a="b"} [1m]))) or vector(0)"#,
        ),
        (
            r#"label_replace(rate({a="b"}[1m]), "x", "$1", "a", "(.*)")"#,
            r#"label_replace(rate({a="b"} [1m]), "x", "$1", "a", "(.*)")"#,
        ),
        ("{a=\"b\"} # why\n |= `x`", r#"{a="b"} |= "x""#),
        ("-1 - +2", "-1 - 2"),
    ];
    for (query, expect) in table {
        check(query, expect);
        check(expect, expect);
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let table = [
        ("", "parse error at line 1, col 1: syntax error: unexpected $end"),
        (r#"{foo="bar""#, "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,"),
        (r#"{foo="bar"#, "parse error at line 1, col 6: literal not terminated"),
        (r#"{foo="bar", }"#, "parse error at line 1, col 13: syntax error: unexpected }, expecting IDENTIFIER"),
        (
            r#"{foo "bar"}"#,
            "parse error at line 1, col 6: syntax error: unexpected STRING, expecting = or =~ or !~ or !=",
        ),
        (r#"{foo="bar"} "foo""#, "parse error at line 1, col 13: syntax error: unexpected STRING"),
        (r#"{foo="bar"} foo"#, "parse error at line 1, col 13: syntax error: unexpected IDENTIFIER"),
        (r#"{foo="bar"} |~"#, "parse error at line 1, col 15: syntax error: unexpected $end, expecting STRING"),
        ("{é=\"b\"}", "parse error at line 1, col 2: syntax error: unexpected character 'é'"),
        (
            "{a=\"ü\"}\n  | by",
            "parse error at line 2, col 7: syntax error: unexpected $end, expecting = or =~ or !~ or != or == or > or >= or < or <=",
        ),
        (r#"unk({foo!~"bar"}[5m])"#, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (
            r#"rate({foo="bar"}[5minutes])"#,
            "parse error at line 1, col 18: unknown unit \"minutes\" in duration \"5minutes\"",
        ),
        (r#"rate({foo="bar"})"#, "parse error at line 1, col 17: syntax error: unexpected ), expecting RANGE"),
        (r#"rate({foo="bar"}[0s])"#, "parse error at line 1, col 18: duration must be greater than 0"),
        (r#"sum(3, rate({a="b"}[1m]))"#, "parse error at line 1, col 1: unsupported parameter for operation sum(3,"),
        (r#"topk(rate({a="b"}[1m]))"#, "parse error at line 1, col 1: parameter required for operation topk"),
        (r#"sum_over_time({a="b"}[1m])"#, "parse error : invalid aggregation sum_over_time without unwrap"),
        (r#"{a=~"("}"#, "parse error at line 1, col 5: error parsing regexp: unclosed group: `(`"),
        (
            r#"{a="b"} + 1"#,
            "parse error at line 1, col 1: unexpected type for left leg of binary operation (+): log expression",
        ),
        (
            "1 and vector(1)",
            "parse error at line 1, col 1: unexpected literal for left leg of logical/set binary operation (and)",
        ),
        ("1 + bool 2", "parse error at line 1, col 5: bool modifier can only be used on comparison operators"),
        (r#"{a="b"} | regexp ".""#, "parse error at line 1, col 18: at least one named capture must be supplied"),
        ("\"\\q\"", "parse error at line 1, col 2: invalid char escape"),
    ];
    for (query, expect) in table {
        check(query, expect);
    }
}

#[test]
fn deep_queries_are_refused_not_crashed_on() {
    let nested = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    check(&nested, "parse error at line 1, col 101: the query is nested deeper than 100 levels");
    let chained = format!("1{}", "+1".repeat(5_000));
    check(&chained, "parse error at line 1, col 202: more than 100 operators in a row");
    let filters = format!("{{a=\"b\"}} | {}x=\"1\"{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(parse(&filters).unwrap_err().to_string().contains("nested deeper"));
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just("x".to_owned()), "[a-z\"\\\\\n\t é`]{0,6}"]
        .prop_map(|t| format!("\"{}\"", t.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")))
}

fn name() -> impl Strategy<Value = String> + Clone {
    "(a|level|_x9|json|by|duration)"
}

fn label_filter() -> impl Strategy<Value = String> + Clone {
    let atom = prop_oneof![
        (name(), "(=|!=|=~|!~)", "[a-z]{0,4}").prop_map(|(n, op, v)| format!("{n}{op}\"{v}\"")),
        (name(), "(=|==|!=|>|>=|<|<=)", "(-?[0-9]{1,3}(\\.[0-9])?|[0-9]{1,3}(ms|s|h|KB|GiB))")
            .prop_map(|(n, op, v)| format!("{n} {op} {v}")),
    ];
    atom.prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), "( and | or |, | )", inner).prop_map(|(a, op, b)| format!("({a}{op}{b})"))
    })
}

fn stage() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        ("(\\|=|!=|\\|>|!>)", text(), proptest::option::of(text()))
            .prop_map(|(op, a, b)| format!("{op} {a}{}", b.map(|b| format!(" or {b}")).unwrap_or_default())),
        ("(\\|~|!~)", "[a-z.]{0,5}").prop_map(|(op, t)| format!("{op} `{t}`")),
        // `| json != 0` is a parser and a broken line filter: a label of that name needs brackets.
        label_filter().prop_map(|f| if f.starts_with("json") { format!("| ({f})") } else { format!("| {f}") }),
        "\\| (json|logfmt|logfmt --strict|unpack|decolorize|json a=\"b\\.c\", d|drop a, b=~\"x\"|keep level=~\"x\")",
        text().prop_map(|t| format!("| line_format {t}")),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let log = (text(), proptest::collection::vec(stage(), 0..4))
        .prop_map(|(value, stages)| format!("{{app={value}}} {}", stages.join(" ")));
    let range = (log.clone(), "(rate|count_over_time|bytes_rate)", "(5m|1h30m|90s|1500ms)")
        .prop_map(|(log, op, range)| format!("{op}({log} [{range}])"));
    let metric = prop_oneof![3 => range, 1 => Just("vector(2)".to_owned()), 1 => Just("-1.5".to_owned())];
    let metric = metric.prop_recursive(3, 10, 2, |inner| {
        prop_oneof![
            (inner.clone(), "(sum by \\(a\\) |max without \\(a, b\\) |avg|topk by \\(x\\) )").prop_map(|(of, op)| {
                let parameter = if op.starts_with("topk") { "3, " } else { "" };
                format!("{op}({parameter}{of})")
            }),
            (inner.clone(), "(\\+|-|\\*|/|%|\\^|>|>= bool|==)", inner)
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
        ]
    });
    prop_oneof![log, metric]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn printing_keeps_the_meaning(query in query()) {
        let parsed = parse(&query).unwrap_or_else(|e| panic!("{query}: {e}"));
        let printed = parsed.to_string();
        let again = parse(&printed).unwrap_or_else(|e| panic!("{query} became {printed}: {e}"));
        prop_assert_eq!(parsed, again, "{} became {}", query, printed);
    }

    #[test]
    fn no_text_crashes_the_parser(text in "[ -~\n{}\"|=~!()\\[\\]é]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.start <= error.end && text.is_char_boundary(error.start), "{:?}", error);
        }
    }
}
