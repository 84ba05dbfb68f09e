//! What a script says of an engine that errs: each failed case by its line, with what was wanted and what came.

use base_signal::Labels;

use super::*;

/// Runs a script against an engine that always answers the same.
fn answered(script: &str, answer: Result<Answered, String>) -> Result<usize, String> {
    let outcome = |value| Outcome { value, warnings: vec!["look out".into()], infos: Vec::new() };
    run(script, &mut |_, _| answer.clone().map(outcome))
}

#[track_caller]
fn check(script: &str, answer: Answered, expect: &str) {
    let told = match answered(script, Ok(answer)) {
        Ok(cases) => format!("{cases} right"),
        Err(why) => why,
    };
    assert_eq!(told, expect, "{script}");
}

fn up(value: f64) -> (Labels, Point) {
    (Labels::from_pairs([("__name__", "up")]), Point::Float(value))
}

fn histogram(text: &str) -> Point {
    match parse_series(&format!("x {text}")).unwrap().values.remove(0) {
        Some(point @ Point::Histogram(_)) => point,
        other => panic!("{other:?}"),
    }
}

#[test]
fn right_answers_are_counted() {
    check("eval instant at 0 1\n  1", Answered::Scalar(1.0), "1 right");
    check("eval instant at 0 1\n  NaN", Answered::Scalar(f64::NAN), "1 right");
    // The last bit does not matter, a wrong rule shows.
    check("eval instant at 0 1\n  0.3", Answered::Scalar(0.1 + 0.2), "1 right");
    check("eval instant at 0 'a'\n  expect string \"a\"", Answered::String("a".into()), "1 right");
    check("eval instant at 0 up\n  up 1\n  expect warn msg: look", Answered::Vector(vec![up(1.0)]), "1 right");
    check("eval instant at 0 up\n  expect no_info\n  up 1", Answered::Vector(vec![up(1.0)]), "1 right");
    check("eval instant at 0 none", Answered::Nothing, "1 right");
    let native = vec![(Labels::from_pairs([("__name__", "h")]), histogram("{{count:1 buckets:[1]}}"))];
    check("eval instant at 0 h\n  h {{count:1 buckets:[1]}}", Answered::Vector(native), "1 right");
    let rows = vec![(Labels::empty(), vec![(0, Point::Float(1.0)), (60_000, Point::Float(2.0))])];
    check("# why\nclear\n\neval range from 0 to 1m step 1m x\n  {} 1 2\n", Answered::Matrix(rows), "1 right");
}

#[test]
fn wrong_answers_are_told_with_their_line() {
    check("\neval instant at 0 1\n  2", Answered::Scalar(1.0), "line 2: 1\n  wanted: Some(2.0)\n  got:    Scalar(1.0)");
    check(
        "eval instant at 0 'a'\n  expect string \"b\"",
        Answered::String("a".into()),
        "line 1: 'a'\n  wanted: Some(\"b\")\n  got:    String(\"a\")",
    );
    let wrong = "line 1: up\n  wanted: {__name__=\"up\"} 2.0@0\n  got:    {__name__=\"up\"} 1.0";
    check("eval instant at 0 up\n  up 2", Answered::Vector(vec![up(1.0)]), wrong);
    let rows = vec![(Labels::empty(), vec![(0, Point::Float(1.0))])];
    let wrong = "line 1: x\n  wanted: {} 1.0@60000\n  got:    {} 1.0@0";
    check("eval range from 0 to 1m step 1m x\n  {} _ 1", Answered::Matrix(rows), wrong);
    check(
        "eval instant at 0 up\n  up 1",
        Answered::Nothing,
        "line 1: up\n  wanted: {__name__=\"up\"} 1.0@0\n  got:    Nothing",
    );
    // A float is not a histogram, whatever its count; more than was wanted is wrong too.
    let native = vec![(Labels::from_pairs([("__name__", "up")]), histogram("{{count:1 buckets:[1]}}"))];
    let told = answered("eval instant at 0 up\n  up 1", Ok(Answered::Vector(native))).unwrap_err();
    assert!(told.contains("got:    {__name__=\"up\"} NativeHistogram"), "{told}");
    assert!(answered("eval instant at 0 up", Ok(Answered::Vector(vec![up(1.0)]))).is_err());
    assert!(answered("eval instant at 0 up\n  up 1\n  up 1", Ok(Answered::Vector(vec![up(1.0)]))).is_err());
    // A number was wanted and a vector came.
    assert!(answered("eval instant at 0 up\n  1", Ok(Answered::Vector(Vec::new()))).is_err());
}

#[test]
fn order_counts_only_where_it_is_wanted() {
    let of = |name: &str| (Labels::from_pairs([("__name__", name)]), Point::Float(1.0));
    let answer = Answered::Vector(vec![of("b"), of("a")]);
    check("eval instant at 0 x\n  a 1\n  b 1", answer.clone(), "1 right");
    assert!(answered("eval instant at 0 x\n  expect ordered\n  a 1\n  b 1", Ok(answer)).is_err());
}

#[test]
fn remarks_and_errors_are_compared_by_their_words() {
    let vector = || Answered::Vector(vec![up(1.0)]);
    check(
        "eval instant at 0 up\n  up 1\n  expect no_warn",
        vector(),
        "line 1: up\n  wanted no warning, got: [\"look out\"]",
    );
    check(
        "eval instant at 0 up\n  up 1\n  expect info msg: careful",
        vector(),
        "line 1: up\n  wanted info: careful\n  got: []",
    );
    let fails = "eval instant at 0 up\n  expect fail msg: too much";
    assert_eq!(answered(fails, Err("it is too much".into())), Ok(1));
    assert_eq!(
        answered(fails, Err("other".into())).unwrap_err(),
        "line 1: up\n  wanted error: too much\n  got error:    other"
    );
    check(fails, Answered::Scalar(1.0), "line 1: up\n  wanted error: too much\n  got: Scalar(1.0)");
    assert_eq!(answered("eval instant at 0 up", Err("other".into())).unwrap_err(), "line 1: up\n  failed: other");
    // Every failed case is told.
    let two = answered("eval instant at 0 a\neval instant at 0 b", Err("no".into())).unwrap_err();
    assert_eq!(two, "line 1: a\n  failed: no\n\nline 2: b\n  failed: no");
}

#[test]
fn scripts_that_cannot_be_read_name_the_line() {
    let table = [
        ("  up 1", "line 1: `up 1` belongs to no command"),
        ("load 5m\n  up 1\nrun", "line 3: `run` is no command: clear, load or eval is wanted"),
        ("load soon", "line 1: `soon` is not a duration"),
        ("load 5m\n  up 1\n   \n  up x", "line 1: line 4: `x` is not a value"),
        ("eval sometime at 0 up", "line 1: `sometime`: instant or range is wanted"),
        ("eval range from 0 to x step 1m up", "line 1: `x` is not a duration"),
        ("eval instant at 0 up\n  expect luck", "line 1: line 2: `expect luck` is not known"),
        ("load 1m\n  up{a=\"b} 1", "line 1: line 2: a value that is no string in series `up{a=\"b} 1`"),
        ("load 1m\n  up{\"a} 1", "line 1: line 2: an open string in series `up{\"a} 1`"),
        ("load 1m\n  up{a", "line 1: line 2: a label without a value in series `up{a`"),
        ("load 1m\n  up 1+x3", "line 1: line 2: `1+x3` is not a value"),
        ("load 1m\n  up _y", "line 1: line 2: `_y` is not a value"),
        ("load 1m\n  h {{count:1", "line 1: line 2: an open histogram in ` {{count:1`"),
        ("load 1m\n  h {{count:1}}y", "line 1: line 2: `{{count:1}}y` is not a value"),
        ("load 1m\n  h {{colour:1}}", "line 1: line 2: `colour` in histogram `colour:1`"),
        ("load 1m\n  h {{sum:x}}", "line 1: line 2: `x` in histogram `sum:x`"),
        ("load 1m\n  h {{1}}", "line 1: line 2: `1` in histogram `1`"),
        ("load 1m\n  h {{buckets:[1 x]}}", "line 1: line 2: `x` in histogram `buckets:[1 x]`"),
        (
            "load 1m\n  h {{schema:0}}+{{schema:1}}x2",
            "line 1: line 2: histograms of different layouts cannot be added here: `{{schema:0}}+{{schema:1}}x2`",
        ),
    ];
    for (script, expect) in table {
        assert_eq!(answered(script, Ok(Answered::Nothing)).unwrap_err(), expect, "{script}");
    }
}

#[test]
fn durations_with_every_unit() {
    let table =
        [("1y", 31_536_000_000), ("2w", 1_209_600_000), ("1d1h1m1s1ms", 90_061_001), ("-5m", -300_000), ("1.5", 1500)];
    for (text, expect) in table {
        assert_eq!(parse_duration_ms(text), Ok(expect), "{text}");
    }
    assert!(parse_duration_ms("5x").is_err() && parse_duration_ms("m").is_err());
}

#[test]
fn series_of_every_form() {
    let loaded = parse_series(
        r#"{"my.metric",a="x\n\t\"y"} stale {{count:3 sum:3 buckets:[3] counter_reset_hint:reset}}-{{count:1 sum:1 buckets:[1]}}x1"#,
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.labels.get("a"), Some("x\n\t\"y"));
    let counts: Vec<_> = loaded
        .values
        .iter()
        .map(|v| match v {
            Some(Point::Histogram(h)) => h.count(),
            _ => -1.0,
        })
        .collect();
    assert_eq!(counts, [-1.0, 3.0, 2.0]);
    let hints = ["reset", "not_reset", "gauge", "unknown"].map(|hint| {
        match histogram(&format!("{{{{counter_reset_hint:{hint}}}}}")) {
            Point::Histogram(h) => format!("{:?}", h.counter_reset),
            Point::Float(_) => String::new(),
        }
    });
    assert_eq!(hints, ["Reset", "NoReset", "Gauge", "Unknown"]);
}
