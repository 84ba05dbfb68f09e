//! Queries that are refused: what is said, and of which place.

use observe_promql::parse;

#[test]
fn errors_within_strings_numbers_and_durations() {
    let wanted = r#"in subquery or range selector, expected number, duration, step(), or range()"#;
    let step = format!(r#"1:7: parse error: unexpected "]" {wanted}"#);
    let operator = format!("1:3: parse error: unexpected <op:*> {wanted}");
    let table = [
        ("'a\\", "1:1: parse error: escape sequence not terminated"),
        (r"'\x4'", "1:1: parse error: illegal character U+0027 ''' in escape sequence"),
        (r"'\777'", "1:1: parse error: escape sequence is an invalid Unicode code point"),
        (r"'\ud800'", "1:1: parse error: escape sequence is an invalid Unicode code point"),
        (r"'\U00110000'", "1:1: parse error: escape sequence is an invalid Unicode code point"),
        ("`open", "1:1: parse error: unterminated raw string"),
        ("'\u{fffd}'", "1:1: parse error: invalid UTF-8 rune"),
        ("`\u{fffd}`", "1:1: parse error: invalid UTF-8 rune"),
        ("a{!b}", "1:3: parse error: unexpected character after '!' inside braces: 'b'"),
        ("a{'b'!\"c\"}", "1:6: parse error: unexpected character after '!' inside braces: '\"'"),
        ("a !'b'", "1:3: parse error: unexpected character after '!': '\\''"),
        ("a{{", "1:3: parse error: unexpected left brace '{'"),
        ("a{$", "1:3: parse error: unexpected character inside braces: '$'"),
        ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
        ("a]", "1:2: parse error: unexpected right bracket ']'"),
        ("a[", "1:3: parse error: unexpected end of input in duration expression"),
        ("a[:5m]", "1:4: parse error: unexpected colon before duration in duration expression"),
        ("a[5m:1m:]", "1:8: parse error: unexpected colon ':'"),
        ("a[5m::]", "1:6: parse error: unexpected colon ':'"),
        ("a[5m[", "1:5: parse error: unexpected left bracket '['"),
        ("a[$]", "1:3: parse error: unexpected character in duration expression: '$'"),
        ("a[5m x]", "1:6: parse error: unexpected character: 'x', expected ':'"),
        ("1e1_", r#"1:1: parse error: bad number or duration syntax: "1e1_""#),
        ("1.2.3", r#"1:1: parse error: bad number or duration syntax: "1.2.""#),
        ("1e1e1", r#"1:1: parse error: bad number or duration syntax: "1e1e""#),
        ("5m3", r#"1:1: parse error: bad number or duration syntax: "5m3""#),
        ("5mx", r#"1:1: parse error: bad number or duration syntax: "5mx""#),
        ("1e999", r#"1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range"#),
        ("a[1m / 0]", "1:6: parse error: division by zero"),
        ("a[1m % 0]", "1:6: parse error: modulo by zero"),
        ("a[1e10]", "1:3: parse error: duration out of range"),
        ("a[step]", &step),
        ("a[*]", &operator),
        ("a @ -Inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf"),
        (
            "1 @ 5",
            "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("a[1m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
        ("(a) smoothed", "1:1: parse error: smoothed modifier not implemented"),
        ("a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
    ];
    for (input, expected) in table {
        assert_eq!(parse(input).expect_err(input).to_string(), expected, "{input}");
    }
    let far = parse("a @ 1e300").unwrap_err().to_string();
    assert!(far.starts_with("1:1: parse error: timestamp out of bounds for @ modifier: 10000000000000000"), "{far}");
    assert!(far.ends_with(".000000"), "{far}");
}

#[test]
fn errors_of_calls_and_grouping() {
    let table = [
        ("label_join()", r#"1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 0"#),
        ("round(a, 1, 2)", r#"1:1: parse error: expected at most 2 argument(s) in call to "round", got 3"#),
        ("info()", r#"1:1: parse error: expected at least 1 argument(s) in call to "info", got 0"#),
        ("info(a, 1)", r#"1:1: parse error: expected type instant vector in call to function "info", got scalar"#),
        ("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"),
        ("info(a, -b)", "1:9: parse error: expected label selectors only"),
        ("a and fill(0) b", "1:1: parse error: filling in missing series not allowed for set operators"),
        ("a + fill(0) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"),
        ("sum by ('') (a)", "1:9: parse error: invalid label name for grouping: \"\""),
        ("sum by (1) (a)", r#"1:9: parse error: unexpected number "1" in grouping opts, expected label"#),
        ("sum by (b c) (a)", r#"1:11: parse error: unexpected identifier "c" in grouping opts, expected "," or ")""#),
        ("a + fill('x') b", r#"1:10: parse error: unexpected string "'x'""#),
        ("(a + sum", "1:9: parse error: unclosed left parenthesis"),
        ("a bool", "1:3: parse error: unexpected <bool>"),
        ("a sum", "1:3: parse error: unexpected <aggr:sum>"),
        ("a 5m", r#"1:3: parse error: unexpected duration "5m""#),
        ("a 'a long text'", r#"1:3: parse error: unexpected string "'a long te"..."#),
        ("a b:c", r#"1:3: parse error: unexpected metric identifier "b:c""#),
        ("a start", r#"1:3: parse error: unexpected "start""#),
    ];
    for (input, expected) in table {
        assert_eq!(parse(input).expect_err(input).to_string(), expected, "{input}");
    }
    assert!(parse(&format!("a{}", "[1m:]".repeat(9))).unwrap_err().to_string().contains("too many ranges in a row"));
    let chain = vec!["1m"; 102].join("+");
    let error = parse(&format!("a[{chain}]")).unwrap_err().to_string();
    assert!(error.ends_with("the duration has more than 100 parts"), "{error}");
}

#[test]
fn what_would_take_too_long_or_too_much_is_refused_at_once() {
    for (open, close) in [("(", ")"), ("-", ""), ("sum(", ")"), ("a + (", ")"), ("abs(", ")")] {
        let text = open.repeat(10_000) + "a" + &close.repeat(10_000);
        let error = parse(&text).expect_err("10,000 levels").to_string();
        assert!(error.contains("parse error: "), "{error:.200}");
    }
    // Programs that would grow beyond all measure are not compiled; what is compiled matches in linear time.
    for pattern in ["((a{1000}){1000}){1000}", "(.{1,1000}){1,1000}", "(\\\\pL{500}){500}"] {
        let error = parse(&format!("a{{b=~\"{pattern}\"}}")).expect_err(pattern).to_string();
        assert!(error.contains("parse error: "), "{error:.200}");
    }
    let slow = parse("a{b=~\"(x+x+)+y\"}").expect("backtracking alone would make it slow");
    let [selector] = observe_promql::selectors(&slow)[..] else { panic!("one selector was wanted") };
    // By backtracking this would not end in a lifetime.
    assert!(!selector.matchers.iter().any(|m| m.name == "b" && m.matches(&"x".repeat(50_000))));
}
