//! What a script says of an engine that errs: each failed case by its line, with what was wanted and what came.

use base_signal::Labels;

use super::*;

/// A language that always answers the same.
struct Always(Result<Answered, String>);

impl Language for Always {
    fn evaluate(&self, _: &FakeMetrics, _: &str, when: When) -> Result<Outcome, String> {
        let value = match (self.0.clone()?, when) {
            // As a step of a range a vector is a matrix.
            (Answered::Vector(rows), When::Range { start_ms, step_ms, .. }) => {
                let row = |(labels, point)| (labels, vec![(start_ms + step_ms, point)]);
                let mut rows: Vec<_> = rows.into_iter().map(row).collect();
                rows.sort_by(|a, b| a.0.cmp(&b.0));
                Answered::Matrix(rows)
            }
            (value, _) => value,
        };
        Ok(Outcome { value, warnings: vec!["look out".into()], infos: Vec::new() })
    }

    fn pinned(&self, query: &str, time_ms: i64) -> Option<String> {
        (query == "pinned").then(|| format!("{query} @ {time_ms}"))
    }
}

/// What came of a script: how many cases were right, then each failure in a line, or why it is no script.
fn told(script: &str, answer: Result<Answered, String>) -> String {
    match run(script, Settings::EXACT, &Always(answer)) {
        Ok(report) => {
            let failure = |f: &Failure| format!("{} {}: want {}; got {}", f.line, f.query, f.want, f.got);
            let failures: Vec<_> = report.failures.iter().map(failure).collect();
            std::iter::once(format!("{} right", report.passed)).chain(failures).collect::<Vec<_>>().join("\n")
        }
        Err(why) => why.to_string(),
    }
}

#[track_caller]
fn check(script: &str, answer: Answered, expect: &str) {
    assert_eq!(told(script, Ok(answer)), expect, "{script}");
}

#[track_caller]
fn check_error(script: &str, error: &str, expect: &str) {
    assert_eq!(told(script, Err(error.to_owned())), expect, "{script}");
}

fn named(name: &str, value: f64) -> (Labels, Point) {
    (Labels::from_pairs([("__name__", name)]), Point::Float(value))
}

fn up(value: f64) -> Answered {
    Answered::Vector(vec![named("up", value)])
}

fn histogram(text: &str) -> Point {
    parse_series(&format!("x {text}")).unwrap().values.remove(0).unwrap().point
}

#[test]
fn right_answers_are_counted() {
    check("eval instant at 0 1\n  1", Answered::Scalar(1.0), "1 right");
    check("eval instant at 0 1\n  NaN", Answered::Scalar(f64::NAN), "1 right");
    check("eval instant at 0 1\n  0x10", Answered::Scalar(16.0), "1 right");
    // The last bit does not matter, a wrong rule shows.
    check("eval instant at 0 1\n  0.3", Answered::Scalar(0.1 + 0.2), "1 right");
    check("eval instant at 0 'a'\n  expect string `a`", Answered::String("a".into()), "1 right");
    check("eval instant at 0 up\n  up 1\n  expect warn msg: look out", up(1.0), "1 right");
    check("eval instant at 0 up\n  up 1\n  expect warn regex: ^look", up(1.0), "1 right");
    check("eval instant at 0 up\n  expect no_info\n  up 1", up(1.0), "1 right");
    check("eval_warn instant at 0 up\nup 1", up(1.0), "1 right");
    check("eval instant at 0 none", Answered::Nothing, "1 right");
    let native = vec![(Labels::from_pairs([("__name__", "h")]), histogram("{{count:1 buckets:[1]}}"))];
    check("eval instant at 0 h\n  h {{count:1 buckets:[1]}}", Answered::Vector(native), "1 right");
    let rows = vec![(Labels::empty(), vec![(0, Point::Float(1.0)), (60_000, Point::Float(2.0))])];
    check("# why\nclear\n\neval range from 0 to 1m step 1m x\n  {} 1 2\n", Answered::Matrix(rows.clone()), "1 right");
    let ranged = "eval instant at 1m x[2m]\n  expect range vector from 0s to 1m step 1m\n  {} 1 2";
    check(ranged, Answered::Matrix(rows), "1 right");
}

#[test]
fn wrong_answers_are_told_with_their_line() {
    check("\neval instant at 0 1\n  2", Answered::Scalar(1.0), "0 right\n2 1: want 2; got 1");
    check(
        "eval instant at 0 'a'\n  expect string \"b\"",
        Answered::String("a".into()),
        "0 right\n1 'a': want string Some(\"b\"); got string \"a\"",
    );
    let wrong = "0 right\n1 up: want {__name__=\"up\"} 2 @0ms; got {__name__=\"up\"} 1 @0ms";
    check("eval instant at 0 up\n  up 2", up(1.0), wrong);
    let rows = vec![(Labels::empty(), vec![(0, Point::Float(1.0))])];
    let wrong = "0 right\n1 x: want {} 1 @60000ms; got {} 1 @0ms";
    check("eval range from 0 to 1m step 1m x\n  {} _ 1", Answered::Matrix(rows), wrong);
    check(
        "eval instant at 0 up\n  up 1",
        Answered::Nothing,
        "0 right\n1 up: want {__name__=\"up\"} 1 @0ms; got nothing",
    );
    // A float is not a histogram, whatever its count; more than was wanted is wrong too.
    let native = vec![(Labels::from_pairs([("__name__", "up")]), histogram("{{count:1 buckets:[1]}}"))];
    check(
        "eval instant at 0 up\n  up 1",
        Answered::Vector(native.clone()),
        "0 right\n1 up: want {__name__=\"up\"} 1 @0ms; got {__name__=\"up\"} {{count:1 buckets:[1]}} @0ms",
    );
    check("eval instant at 0 up", up(1.0), "0 right\n1 up: want nothing; got {__name__=\"up\"} 1 @0ms");
    // What a histogram says of the one before it counts where it is written down.
    let hinted = told(
        "eval instant at 0 up\n  up {{count:1 buckets:[1] counter_reset_hint:gauge}}",
        Ok(Answered::Vector(native)),
    );
    assert!(hinted.starts_with("0 right"), "{hinted}");
    // A number was wanted and a vector came.
    check("eval instant at 0 up\n  1", up(1.0), "0 right\n1 up: want 1; got {__name__=\"up\"} 1 @0ms");
}

#[test]
fn order_counts_only_where_it_is_wanted() {
    let answer = Answered::Vector(vec![named("b", 1.0), named("a", 1.0)]);
    check("eval instant at 0 x\n  a 1\n  b 1", answer.clone(), "1 right");
    for head in ["eval instant at 0 x\n  expect ordered", "eval_ordered instant at 0 x"] {
        let told = told(&format!("{head}\n  a 1\n  b 1"), Ok(answer.clone()));
        assert!(told.starts_with("0 right"), "{told}");
    }
}

#[test]
fn remarks_and_errors_are_compared_by_their_words() {
    check(
        "eval instant at 0 up\n  up 1\n  expect no_warn",
        up(1.0),
        "0 right\n1 up: want no_warn; got warn msg: look out",
    );
    check(
        "eval instant at 0 up\n  up 1\n  expect info msg: careful",
        up(1.0),
        "0 right\n1 up: want info msg: careful; got no info",
    );
    // Whoever expects one warning expects no other.
    check(
        "eval instant at 0 up\n  up 1\n  expect warn msg: look",
        up(1.0),
        "0 right\n1 up: want warn msg: look; got warn msg: look out",
    );
    let fails = "eval instant at 0 up\n  expect fail msg: too much";
    check_error(fails, "too much", "1 right");
    check_error(fails, "it is too much", "0 right\n1 up: want fail msg: too much; got fail msg: it is too much");
    check(fails, up(1.0), "0 right\n1 up: want fail msg: too much; got {__name__=\"up\"} 1 @0ms");
    check_error("eval_fail instant at 0 up\n  expected_fail_message too much", "too much", "1 right");
    check_error(
        "eval_fail instant at 0 up\n  expected_fail_regexp ^much",
        "too much",
        "0 right\n1 up: want fail regex: ^much; got fail msg: too much",
    );
    // Every failed case is told.
    let two = "0 right\n1 a: want no failure; got fail msg: no\n3 b: want no failure; got fail msg: no";
    check_error("eval instant at 0 a\n\neval instant at 0 b", "no", two);
}

#[test]
fn an_instant_query_must_say_the_same_in_every_way_of_asking() {
    /// Right at the moment, wrong as a step of a range.
    struct Fickle;
    impl Language for Fickle {
        fn evaluate(&self, _: &FakeMetrics, _: &str, when: When) -> Result<Outcome, String> {
            let value = match when {
                When::Instant { .. } => up(1.0),
                When::Range { .. } => Answered::Matrix(Vec::new()),
            };
            Ok(Outcome { value, ..Outcome::default() })
        }
        fn pinned(&self, _: &str, _: i64) -> Option<String> {
            None
        }
    }
    let report = run("eval instant at 0 up\n  up 1", Settings::EXACT, &Fickle).unwrap();
    assert_eq!((report.passed, report.failures[0].query.as_str()), (0, "up as a step of a range"));
    // Pinned to its moment it is asked at others, where this language still answers.
    check("eval instant at 1m pinned\n  up 1", up(1.0), "1 right");
}

#[test]
fn scripts_that_cannot_be_read_name_the_line() {
    let table = [
        ("  up 1", "line 1: `up 1` is no command: clear, load or eval is wanted"),
        ("load 5m\n  up 1\n\nrun", "line 4: `run` is no command: clear, load or eval is wanted"),
        ("load soon", "line 1: `soon` is not a duration"),
        ("load 5m\n  up 1\n  up x", "line 3: `x` is not a value"),
        ("eval sometime at 0 up", "line 1: `sometime`: instant or range is wanted"),
        ("eval instant up", "line 1: `up` where `at` is wanted"),
        ("eval instant at 0", "line 1: no query"),
        ("eval range from 0 to x step 1m up", "line 1: `x` is not a duration"),
        ("eval instant at 0 up\n  expect luck", "line 2: `expect luck` is not known"),
        (
            "eval instant at 0 up\n  expect warn look",
            "line 2: `look` after `expect warn`: `msg:` or `regex:` is wanted",
        ),
        ("eval instant at 0 up\n  expect ordered msg: a", "line 2: `expect ordered` takes no text"),
        ("eval instant at 0 up\n  expect warn\n  expect no_warn", "line 1: warn and no_warn cannot both be expected"),
        ("eval instant at 0 up\n  expect fail\n  expect fail", "line 3: `expect fail` stands twice"),
        ("eval instant at 0 up\n  expect string a", "line 2: `expect string` wants a quoted string"),
        (
            "eval instant at 0 up\n  up 1 2",
            "line 2: an instant query gives one value a series; `expect range vector` tells of more",
        ),
        ("load 1m\n  up{a=\"b} 1", "line 2: a value that is no string in series `up{a=\"b} 1`"),
        ("load 1m\n  up{a", "line 2: a label without a value in series `up{a`"),
        ("load 1m\n  up 1+x3", "line 2: `1+x3` is not a value"),
        ("load 1m\n  up 1x99999999999", "line 2: `1x99999999999` is not a value"),
        ("load 1m\n  h {{count:1}}y", "line 2: `{{count:1}}y` is not a value"),
        ("load 1m\n  h {{colour:1}}", "line 2: `colour` in histogram `{{colour:1}}`"),
        ("load 1m\n  up@st 1m", "line 2: no line with samples follows this @st line"),
        ("load 1m\n  up@st 1m\n  down 1", "line 3: the @st line before this one is of another series"),
        (
            "load_with_nhcb 1m\n  h_bucket{le=\"1\"} 2\n  h_bucket{le=\"+Inf\"} 1",
            "line 1: {__name__=\"h\"}: bucket counts are not cumulative: 1 at le=inf after 2",
        ),
    ];
    for (script, expect) in table {
        check(script, Answered::Nothing, expect);
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
fn classic_histograms_become_native_ones_too() {
    let commands = script::parse(
        "load_with_nhcb 1m\n  h_bucket{le=\"1\"} 1 2\n  h_bucket{le=\"+Inf\"} 3 4\n  h_sum 7 8\n  up 1\n",
    );
    let Ok([script::Command::Load(write)]) = commands.as_deref() else { panic!("{commands:?}") };
    assert_eq!((write.samples.len(), write.histograms.len()), (7, 2));
    let (_, time_ms, second) = &write.histograms[1];
    assert_eq!(histogram::show(second), "{{schema:-53 count:4 sum:8 custom_values:[1] buckets:[2 2]}}");
    assert_eq!(*time_ms, 60_000);
}

#[test]
fn series_of_every_form() {
    let loaded = parse_series(
        r#"{"my.metric",a="x\n\t\"\x41\u00e9"} stale {{count:3 sum:3 buckets:[3] counter_reset_hint:reset}}-{{count:1 sum:1 buckets:[1]}}x1"#,
    );
    let loaded = loaded.unwrap();
    assert_eq!(loaded.labels.get("a"), Some("x\n\t\"Aé"));
    let counts = loaded.values.iter().flatten().map(|item| match &item.point {
        Point::Histogram(h) => h.count(),
        Point::Float(_) => -1.0,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [-1.0, 3.0, 2.0]);
    let hints = ["reset", "not_reset", "gauge", "unknown"].map(|hint| {
        match histogram(&format!("{{{{counter_reset_hint:{hint}}}}}")) {
            Point::Histogram(h) => format!("{:?}", h.counter_reset),
            Point::Float(_) => String::new(),
        }
    });
    assert_eq!(hints, ["Reset", "NoReset", "Gauge", "Unknown"]);
    let starts = series::parse_starts("a@st _ -1m 5s+1sx2").unwrap().unwrap();
    let offsets = starts.values.iter().map(|item| match item.as_ref().map(|item| &item.point) {
        Some(Point::Float(offset_ms)) => *offset_ms,
        _ => f64::INFINITY,
    });
    assert_eq!(offsets.collect::<Vec<_>>(), [f64::INFINITY, -60_000.0, 5000.0, 6000.0, 7000.0]);
}
