//! Texts made to hang, crash or bloat whoever evaluates them: each ends soon with an error, or with an answer.

use proptest::prelude::*;

use super::{LIMITS, answer, env, variables};
use crate::Program;

fn check(text: &str, expect: &str) {
    let answer = answer(text);
    assert!(answer.contains(expect), "{}: {answer}", text.chars().take(80).collect::<String>());
}

#[test]
fn what_costs_too_much_is_stopped() {
    let list = format!("[{}]", (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    check(&format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c >= 0)))"), "over the limit of 1000000");
    check("lists.range(1000000000000).size() > 0", "over the limit");
    check("lists.range(100000).all(a, lists.range(100000).all(b, true))", "over the limit");
    let doubled = (0..60).fold("'aaaaaaaaaa'".to_owned(), |text, _| format!("[{text}].map(x, x + x)[0]"));
    check(&doubled, "over the limit");
    check(
        "lists.range(5000).map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').join().replace('', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb').size() > 0",
        "over the limit",
    );
    check("lists.range(3000).distinct().size() > 0", "over the limit");
}

#[test]
fn what_is_too_deep_or_too_long_is_named() {
    check(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000)), "beyond a limit: nested deeper than 100");
    check(&format!("{}{}", "[".repeat(5000), "]".repeat(5000)), "beyond a limit");
    check(&vec!["1"; 20_000].join("+"), "beyond a limit");
    check(&format!("self{}", ".a".repeat(20_000)), "beyond a limit");
    check(&format!("true{}", " ? true : true".repeat(7000)), "beyond a limit");
    check(&"x".repeat(200_000), "bytes of text; 100000 are taken");
    // Neither of these nests.
    check(&format!("{}true", "!".repeat(50_000)), "true");
    check(&vec!["true"; 10_000].join("&&"), "true");
}

#[test]
fn patterns_are_linear_and_bounded() {
    let evil = format!("'{}!'.matches('^(a+)+$')", "a".repeat(10_000));
    check(&evil, "false");
    check("'a'.matches('((((a{1,100}){1,100}){1,100}){1,100})')", "beyond what is compiled here");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever stands there, there is an answer, and the place of an error is in the text.
    #[test]
    fn any_text_has_an_answer(words in prop::collection::vec(prop::sample::select(WORDS), 1..14)) {
        let text = words.concat();
        let (kind, value) = variables();
        if let Ok(program) = Program::compile(&text, &env(), &[("self", kind)], LIMITS) {
            let _ = program.evaluate(&[("self", value)], &mut 10_000);
        }
    }
}

const WORDS: &[&str] = &[
    "self",
    ".",
    "name",
    ".name",
    ".tags",
    ".map",
    "[",
    "]",
    "0",
    "(",
    ")",
    "{",
    "}",
    ":",
    ",",
    "'a'",
    "\"",
    "'",
    "\\",
    "1",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "<",
    " in ",
    "&&",
    "||",
    "!",
    "?",
    ".?",
    "[?",
    ".all(x, ",
    ".map(x, ",
    "x",
    ".filter(x,",
    "has(",
    ".matches(",
    "'['",
    ".size()",
    "size(",
    "1.5",
    "2u",
    "null",
    "true",
    "é",
    "`",
    ".format([",
    "])",
    "'%'",
    "9223372036854775807",
    ".substring(",
    ".optMap(x, ",
    "optional.of(",
    ".split('')",
    ".sortBy(x, ",
    "timestamp(",
    "duration('1h')",
    "type(",
    "b'\\xff'",
    "r'",
    "// c\n",
];
