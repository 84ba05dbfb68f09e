//! Answers that no server should give: nothing panics, and nothing bad passes for fine.

use super::story::{RELEASED_MS, Story};
use crate::{Answer, Evidence, Line, Outcome, Series, judge, questions};

/// Numbers that break careless arithmetic.
const ODD: [f64; 10] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, -0.0, 1e308, f64::MIN_POSITIVE, 1.0, 1e-300];

#[test]
fn odd_numbers_times_and_labels() {
    let mut story = Story::default();
    story.subject.new.containers = vec!["c".into()];
    let mut state = 1u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..400 {
        let now_ms = RELEASED_MS + 5000 * (round % 70);
        let mut evidence = story.evidence(now_ms);
        for (id, answer) in &mut evidence {
            if draw(3) > 0 {
                continue;
            }
            let Answer::Series(series) = answer else {
                *answer = Answer::Lines {
                    lines: vec![Line { time_ms: i64::MAX, text: "\"".repeat(500) }; 3],
                    truncated: true,
                };
                continue;
            };
            for one in series.iter_mut() {
                match draw(5) {
                    0 => one.points.iter_mut().for_each(|point| point.1 = ODD[draw(ODD.len())]),
                    1 => one.points.reverse(),
                    2 => one.points.iter_mut().for_each(|point| point.0 = [i64::MIN, 0, i64::MAX][draw(3)]),
                    3 => drop(one.labels.insert("le".into(), ["", "x", "-1", "NaN", "Inf", "0"][draw(6)].into())),
                    _ => one.points.truncate(draw(3)),
                }
            }
            if id.ends_with("new") && draw(4) == 0 {
                series.extend(vec![Series::default(); 3]);
            }
        }
        let verdict = judge(&story.subject, &story.settings, &evidence, now_ms);
        assert!(!verdict.render().is_empty());
        assert!(verdict.score.is_none_or(|score| (0.0..=100.0).contains(&score)), "{verdict:?}");
    }
}

#[test]
fn odd_clocks_and_releases() {
    for (released_ms, now_ms) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX), (i64::MAX, 0), (5, 5)] {
        let mut story = Story::default();
        story.subject.released_ms = released_ms;
        for question in questions(&story.subject, &story.settings, now_ms) {
            assert!(question.start_ms <= question.end_ms, "{question:?}");
        }
        let verdict = judge(&story.subject, &story.settings, &Evidence::new(), now_ms);
        assert_ne!(verdict.outcome, Outcome::Pass);
    }
}
