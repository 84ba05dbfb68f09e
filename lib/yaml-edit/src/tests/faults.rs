//! What is refused and where, and what words mean. It edits nothing.

use super::*;

/// What is wrong, and where.
fn check(text: &str, kind: FaultKind, line: usize, column: usize) {
    let limits = Limits { bytes_max: 1 << 20, depth_max: 20, copies_max: 1000 };
    let fault = parse(text, &limits).map(|documents| format!("{documents:?}")).expect_err(text);
    assert_eq!((fault.kind, fault.line, fault.column), (kind, line, column), "{text:?}: {fault}");
}

#[test]
fn faults_are_named_with_their_place() {
    check("a: 1\nb:\n\tc: 2\n", FaultKind::Tab, 3, 1);
    check("a: b\n\tc: d", FaultKind::Tab, 2, 1);
    check("a: 1\nb: 2\na: 3\n", FaultKind::Duplicate, 3, 1);
    check("{\"a\": 1, \"a\": 2}", FaultKind::Duplicate, 1, 10);
    check("a:\n  - b: \"x\n", FaultKind::Truncated, 2, 8);
    check("{\"a\": [1, 2\n", FaultKind::Truncated, 2, 1);
    check("a:\n  b\n c: d\n", FaultKind::Syntax, 3, 3);
    check("? [a, b]\n: c\n", FaultKind::Key, 1, 3);
    check(&"[".repeat(100), FaultKind::TooDeep, 1, 22);
    check(&"- ".repeat(10_000), FaultKind::TooDeep, 1, 43);
    check(&format!("a: {}", "x".repeat(2 << 20)), FaultKind::TooLarge, 1, 1);
    let many: String = (0..40).map(|n| format!("k{n}: {n}\n")).collect();
    check(&format!("{many}k7: 1\n"), FaultKind::Duplicate, 41, 1);
}

#[test]
fn both_places_of_a_duplicate_are_told() {
    let fault = parse("x:\n  a: 1\n  a: 2\n", &Limits::default()).expect_err("twice");
    assert_eq!(fault.other, Some((2, 3)));
    assert_eq!(fault.to_string(), "3:3: the key `a` is here twice; it stands at 2:3 already");
}

#[test]
fn an_alias_bomb_ends_at_its_budget() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let of = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![of; 9].join(", ")));
    }
    let fault = parse(&bomb, &Limits::default()).expect_err("a bomb");
    assert_eq!(fault.kind, FaultKind::Aliases);
    // Anchors within anchors are copies as well.
    let nested = format!("{}x{}", "&a [".repeat(90).replace("&a", "&a1"), "]".repeat(90));
    assert!(parse(&nested, &Limits { copies_max: 100, ..Limits::default() }).is_err());
}

#[test]
fn aliases_and_merges_are_followed() {
    let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nsame: *b\n";
    let documents = parse(text, &Limits::default()).expect("it reads");
    let data: serde_json::Value = documents[0].root.data(Dialect::Core).into();
    assert_eq!(data, json!({"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}));
}

#[test]
fn words_mean_what_each_reader_takes_them_for() {
    let check = |text: &str, core: serde_json::Value, kubectl: serde_json::Value| {
        let node = &parse(text, &Limits::default()).expect(text)[0].root;
        let (a, b): (serde_json::Value, serde_json::Value) =
            (node.data(Dialect::Core).into(), node.data(Dialect::Kubectl).into());
        assert_eq!((a, b), (core, kubectl), "{text}");
    };
    check("yes", json!("yes"), json!(true));
    check("'yes'", json!("yes"), json!("yes"));
    check("off", json!("off"), json!(false));
    check("0644", json!(644), json!(420));
    check("0o644", json!(420), json!(420));
    check("0x1F", json!(31), json!(31));
    check("1_000", json!("1_000"), json!(1000));
    check("08", json!(8), json!(8.0));
    check("-0x10", json!("-0x10"), json!(-16));
    check("1e3", json!(1000.0), json!(1000.0));
    check("1.5.2", json!("1.5.2"), json!("1.5.2"));
    check("~", json!(null), json!(null));
    check("!!str 12", json!("12"), json!("12"));
    check("2001-01-01", json!("2001-01-01"), json!("2001-01-01"));
    check("100m", json!("100m"), json!("100m"));
}

#[test]
fn places_are_lines_and_columns_of_values() {
    let text = "---\na: é\nb:\n- x: [1, \"q\"]\n---\n# second\nc: |\n  text\n";
    let documents = parse(text, &Limits::default()).expect("it reads");
    let at = |document: usize, p: &str| {
        let node = documents[document].root.at(&path(p)).expect(p);
        (node.line, node.column, &text[node.span()])
    };
    assert_eq!(at(0, "a"), (2, 4, "é"));
    assert_eq!(at(0, "b.0.x"), (4, 6, "[1, \"q\"]"));
    assert_eq!(at(0, "b.0.x.1"), (4, 10, "\"q\""));
    assert_eq!(at(1, "c").2, "|\n  text");
    assert_eq!(documents[1].line, 7);
}
