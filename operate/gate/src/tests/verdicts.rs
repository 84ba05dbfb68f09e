//! Stories and their verdicts.

use super::golden;
use super::story::{RELEASED_MS, Story, Traffic, USUAL};
use crate::{Answer, Evidence, Mark, Metric, Outcome, Series, Side, UserCheck};

#[track_caller]
fn check(story: &Story, outcome: Outcome, within_s: i64) {
    let (after_s, verdict) = story.judge();
    assert!(verdict.outcome == outcome && after_s <= within_s, "after {after_s} s: {}", verdict.render());
}

#[test]
fn as_people_read_them() {
    let (_, passed) = Story::default().judge();
    assert_eq!(passed.outcome, Outcome::Pass);
    golden("verdict_pass", &passed.render());

    let broken = Traffic { errors: 0.2, ..USUAL };
    let texts = ["ERROR no such column \"a1\"", "ERROR no such column \"b2\"", "ERROR no such column \"c3\""];
    let (after_s, failed) = Story { new: broken, lines: texts.into(), ..Story::default() }.judge();
    assert!(failed.outcome == Outcome::Fail && after_s <= 20, "{after_s} s");
    golden("verdict_fail", &failed.render());

    let mut beside = Story { new: Traffic { p95_s: 0.5, ..USUAL }, ..Story::default() };
    beside.subject.side_by_side = true;
    let (_, failed) = beside.judge();
    golden("verdict_beside", &failed.render());

    let quiet = Traffic { per_second: 0.3, ..USUAL };
    let (_, open) = Story { before: quiet, new: quiet, ..Story::default() }.judge();
    assert_eq!(open.outcome, Outcome::Inconclusive);
    golden("verdict_inconclusive", &open.render());
}

#[test]
fn what_is_clearly_bad_is_aborted_early() {
    check(&Story { new: Traffic { errors: 0.5, ..USUAL }, ..Story::default() }, Outcome::Fail, 10);
    check(&Story { new: Traffic { errors: 0.05, ..USUAL }, ..Story::default() }, Outcome::Fail, 60);
    check(&Story { new: Traffic { p95_s: 0.8, ..USUAL }, ..Story::default() }, Outcome::Fail, 45);
    // It becomes bad in the middle of the bake.
    check(&Story { new: Traffic { errors: 0.5, ..USUAL }, from_ms: 150_000, ..Story::default() }, Outcome::Fail, 185);
    // Near the threshold it takes the whole bake.
    check(&Story { new: Traffic { errors: 0.026, ..USUAL }, ..Story::default() }, Outcome::Fail, 300);
    check(&Story { new: Traffic { p95_s: 0.27, ..USUAL }, ..Story::default() }, Outcome::Fail, 300);
}

#[test]
fn better_and_a_little_worse_pass() {
    check(&Story { new: Traffic { errors: 0.0, p95_s: 0.1, ..USUAL }, ..Story::default() }, Outcome::Pass, 300);
    check(&Story { new: Traffic { errors: 0.009, p95_s: 0.21, ..USUAL }, ..Story::default() }, Outcome::Pass, 300);
    check(&Story { new: Traffic { per_second: 60.0, ..USUAL }, ..Story::default() }, Outcome::Pass, 300);
    let mut lenient = Story { new: Traffic { p95_s: 0.5, ..USUAL }, ..Story::default() };
    lenient.settings.metrics = serde_json::from_str(
        r#"{"latency_p95": {"allowedIncrease": 2, "criticalIncrease": 3}, "latency_p50": {"weight": 0},
            "latency_p99": {"weight": 0}}"#,
    )
    .unwrap();
    check(&lenient, Outcome::Pass, 300);
}

#[test]
fn how_long_people_were_hurt() {
    let story = Story { new: Traffic { errors: 0.5, ..USUAL }, from_ms: 100_000, ..Story::default() };
    let (after_s, verdict) = story.judge();
    let since_s = (verdict.hurt_since_ms.unwrap() - RELEASED_MS) / 1000;
    assert!((90..=110).contains(&since_s), "{since_s}");
    assert_eq!(verdict.hurt_ms, (after_s - since_s) * 1000);
    assert_eq!(Story::default().judge().1.hurt_ms, 0);
}

/// One answer replaced: what is not known never passes.
#[test]
fn unknown_is_never_fine() {
    let failed = Answer::Failed { reason: "503 from prometheus:9090".into() };
    let nothing = Answer::Series(Vec::new());
    let check = |id: &str, answer: &Answer, expect: Outcome| {
        let instead = Evidence::from([(id.to_owned(), answer.clone())]);
        let (_, verdict) = Story { instead, ..Story::default() }.judge();
        assert_eq!(verdict.outcome, expect, "{id}: {}", verdict.render());
        verdict
    };
    let verdict = check("calls.new", &failed, Outcome::Inconclusive);
    assert!(verdict.sentence.contains("503 from prometheus"), "{}", verdict.sentence);
    assert_eq!(verdict.metric(Metric::ErrorRate).unwrap().outcome, Mark::Unknown);
    check("calls.before", &failed, Outcome::Inconclusive);
    check("latency.new", &failed, Outcome::Inconclusive);
    check("calls.new", &nothing, Outcome::Inconclusive);
    check("calls.before", &nothing, Outcome::Inconclusive);
    // Not critical: it is told, and stands in nobody's way.
    let verdict = check("lines.new", &failed, Outcome::Pass);
    assert!(verdict.notes.iter().any(|note| note.contains("log_errors is unknown")), "{:?}", verdict.notes);
    check("calls.day7", &failed, Outcome::Pass);
}

#[test]
fn little_traffic_can_fail_and_never_pass() {
    let quiet = |errors| Traffic { per_second: 0.5, errors, ..USUAL };
    let story = |errors| Story { before: quiet(0.005), new: quiet(errors), ..Story::default() };
    check(&story(0.005), Outcome::Inconclusive, 300);
    check(&story(1.0), Outcome::Fail, 60);
}

#[test]
fn traffic_that_vanishes_fails_and_one_that_halves_does_not() {
    check(&Story { new: Traffic { per_second: 0.2, ..USUAL }, ..Story::default() }, Outcome::Fail, 200);
    check(&Story { new: Traffic { per_second: 9.0, ..USUAL }, ..Story::default() }, Outcome::Pass, 300);
}

#[test]
fn versions_that_cannot_be_told_apart_are_judged_together() {
    let mut story = Story { new: Traffic { errors: 0.2, ..USUAL }, ..Story::default() };
    story.subject.side_by_side = true;
    for id in ["calls.new", "calls.old", "latency.new", "latency.old"] {
        story.instead.insert(id.into(), Answer::Series(Vec::new()));
    }
    let told = |story: &Story| {
        let (_, verdict) = story.judge();
        assert_eq!(verdict.outcome, Outcome::Fail, "{}", verdict.render());
        assert!(verdict.notes.iter().any(|note| note.contains("`service_version`")), "{:?}", verdict.notes);
    };
    told(&story);
    // Nor when nobody says by what: the same series on both sides must not look like two versions that are alike.
    story.instead.clear();
    (story.subject.new, story.subject.old) = (Side::default(), Side::default());
    story.old = story.new;
    told(&story);
}

fn points(value: f64) -> Answer {
    let points = (1..=30).map(|i| (RELEASED_MS + i * 10_000, value)).collect();
    Answer::Series(vec![Series { points, ..Series::default() }])
}

#[test]
fn own_checks() {
    let promql = |max| UserCheck { name: "queue".into(), promql: Some("q".into()), max, ..UserCheck::default() };
    let http = |critical| UserCheck { http: Some("/healthz".into()), critical, ..UserCheck::default() };
    let check = |check: UserCheck, answer: Option<Answer>, expect: Outcome| {
        let mut story = Story::default();
        let id = check.id();
        story.subject.checks = vec![check];
        let id = if answer.as_ref().is_some_and(|a| matches!(a, Answer::Series(_))) { format!("{id}.new") } else { id };
        story.instead.extend(answer.map(|answer| (id, answer)));
        let (_, verdict) = story.judge();
        assert_eq!(verdict.outcome, expect, "{}", verdict.render());
        verdict.sentence
    };
    let checked = |ok| Some(Answer::Checked { ok, said: "status 500".into() });
    check(promql(Some(5.0)), Some(points(4.0)), Outcome::Pass);
    check(promql(Some(5.0)), Some(points(6.0)), Outcome::Fail);
    check(promql(Some(5.0)), Some(points(f64::NAN)), Outcome::Inconclusive);
    check(http(true), checked(true), Outcome::Pass);
    check(http(true), checked(false), Outcome::Fail);
    check(http(true), None, Outcome::Inconclusive);
    // One failing check of weight 1 is all of its layer: without being critical it still keeps the score down.
    let sentence = check(http(false), checked(false), Outcome::Fail);
    assert!(sentence.contains("its score is 0 of 100, 50 are needed: "), "what is worse is named: {sentence}");
}

/// Points that lie around a value, so that a rank test has ranks.
fn around(value: f64) -> Answer {
    let points =
        (1..=30).map(|i| (RELEASED_MS + i * 10_000, value * (1.0 + f64::from(i as u8 % 7) / 1000.0))).collect();
    Answer::Series(vec![Series { points, ..Series::default() }])
}

#[test]
fn an_expression_without_bounds_is_held_against_its_past() {
    let check = |direction, old: Option<Answer>, new: f64, expect: Outcome| {
        let check = UserCheck { promql: Some("q".into()), direction, ..UserCheck::default() };
        let id = check.id();
        let mut story = Story::default();
        story.subject.checks = vec![check];
        story.instead.insert(format!("{id}.new"), around(new));
        story.instead.extend(old.map(|old| (format!("{id}.before"), old)));
        let (_, verdict) = story.judge();
        assert_eq!(verdict.outcome, expect, "{direction:?} to {new}: {}", verdict.render());
        verdict.render()
    };
    use crate::Direction::{Decrease, Either, Increase};
    let of = |value| Some(around(value));
    // By 20 % it may differ.
    check(Increase, of(10.0), 11.5, Outcome::Pass);
    check(Increase, of(10.0), 13.0, Outcome::Fail);
    check(Increase, of(10.0), 2.0, Outcome::Pass);
    check(Decrease, of(10.0), 13.0, Outcome::Pass);
    check(Decrease, of(10.0), 7.0, Outcome::Fail);
    check(Either, of(10.0), 13.0, Outcome::Fail);
    check(Either, of(10.0), 7.0, Outcome::Fail);
    let told = check(Increase, Some(Answer::Series(Vec::new())), 13.0, Outcome::Inconclusive);
    assert!(told.contains("it has no past to be compared with"), "{told}");
    let told =
        check(Increase, Some(Answer::Failed { reason: "connection refused".into() }), 13.0, Outcome::Inconclusive);
    assert!(told.contains("connection refused"), "{told}");
}

#[test]
fn bounds_may_be_two_and_below() {
    let check = |(min, max): (Option<f64>, Option<f64>), value: f64, expect: Outcome, why: &str| {
        let check = UserCheck { promql: Some("q".into()), min, max, ..UserCheck::default() };
        let mut story = Story::default();
        story.instead.insert(format!("{}.new", check.id()), points(value));
        story.subject.checks = vec![check];
        let (_, verdict) = story.judge();
        assert_eq!(verdict.outcome, expect, "{}", verdict.render());
        assert!(verdict.render().contains(why), "{}", verdict.render());
    };
    check((Some(1.0), Some(5.0)), 3.0, Outcome::Pass, "passes");
    check((Some(1.0), Some(5.0)), 0.5, Outcome::Fail, "has to lie between 1 and 5");
    check((Some(1.0), None), 0.5, Outcome::Fail, "has to be 1 or more");
}

#[test]
fn restarts_and_full_memory() {
    let check = |metric: &str, answer: Answer, expect: Outcome| {
        let mut story = Story::default();
        story.subject.new = Side { containers: vec!["cart-2".into()], ..Side::default() };
        story.instead.insert(format!("{metric}.new"), answer);
        let (_, verdict) = story.judge();
        assert_eq!(verdict.outcome, expect, "{}", verdict.render());
    };
    check("restarts", points(0.0), Outcome::Pass);
    check("restarts", points(0.2), Outcome::Fail);
    check("memory", points(0.5), Outcome::Pass);
}

/// A service that was never seen before: the past is asked for and empty.
fn first(new: Traffic) -> Story {
    let mut story = Story { new, ..Story::default() };
    let asked = crate::questions(&story.subject, &story.settings, RELEASED_MS);
    let past = asked.into_iter().filter(|question| !question.id.ends_with(".new") && question.limit == 0);
    story.instead = past.map(|question| (question.id, Answer::Series(Vec::new()))).collect();
    story
}

#[test]
fn a_first_release_is_held_against_a_share_of_errors() {
    check(&first(USUAL), Outcome::Pass, 300);
    check(&first(Traffic { errors: 0.2, ..USUAL }), Outcome::Fail, 30);
    check(&first(Traffic { per_second: 0.3, ..USUAL }), Outcome::Inconclusive, 300);
    // Nobody calls it at all.
    check(&first(Traffic { per_second: 0.0, ..USUAL }), Outcome::Inconclusive, 300);
    // A past that could not be asked for is not an empty one.
    let mut story = first(USUAL);
    story.instead.insert("calls.before".into(), Answer::Failed { reason: "connection refused".into() });
    check(&story, Outcome::Inconclusive, 300);
    let (_, verdict) = first(USUAL).judge();
    assert!(verdict.sentence.contains("passes after 5m: error rate 0.50 %; over"), "{}", verdict.sentence);
}

#[test]
fn what_nobody_notices_fails_nothing() {
    let quick = |p95_s| Traffic { p95_s, ..USUAL };
    check(&Story { before: quick(0.002), new: quick(0.0045), ..Story::default() }, Outcome::Pass, 300);
    check(&Story { before: quick(0.012), new: quick(0.027), ..Story::default() }, Outcome::Fail, 300);
    let mut strict = Story { before: quick(0.002), new: quick(0.0045), ..Story::default() };
    strict.settings.fast_enough = std::time::Duration::ZERO;
    check(&strict, Outcome::Fail, 300);
}

/// The release before it was undone a minute ago, and its errors are this one's past.
#[test]
fn no_errors_pass_after_a_past_full_of_them() {
    let mut story = Story { new: Traffic { errors: 0.0, ..USUAL }, ..Story::default() };
    // Ten seconds of errors in the minute that is all there is.
    let points = |of: fn(bool) -> f64| {
        (0..7).map(|n| (RELEASED_MS - 60_000 + n * 10_000, of(n == 2))).collect::<Vec<(i64, f64)>>()
    };
    let series = |code: &str, points| Series { labels: [("status_code".to_owned(), code.to_owned())].into(), points };
    let errors = series("STATUS_CODE_ERROR", points(|burst| if burst { 16.0 } else { 0.0 }));
    let fine = series("STATUS_CODE_UNSET", points(|burst| if burst { 4.0 } else { 20.0 }));
    story.instead.insert("calls.before".into(), Answer::Series(vec![fine, errors]));
    for day in ["calls.day1", "calls.day7"] {
        story.instead.insert(day.into(), Answer::Series(Vec::new()));
    }
    let (_, verdict) = story.judge();
    let errors = verdict.metrics.iter().find(|metric| metric.name == "error_rate").expect("it is judged");
    assert_eq!(errors.outcome, Mark::Pass, "{}", verdict.render());
}
