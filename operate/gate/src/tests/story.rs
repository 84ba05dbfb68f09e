//! Evidence of a service without any noise, so that a test says in one line what is different.

use std::collections::BTreeMap;

use crate::{Answer, Evidence, Language, Line, Outcome, Series, Settings, Side, Subject, Verdict, judge, questions};

pub(super) const RELEASED_MS: i64 = 1_790_676_000_000;

/// What requests were like in one period.
#[derive(Clone, Copy)]
pub(super) struct Traffic {
    pub(super) per_second: f64,
    pub(super) errors: f64,
    /// 95th percentile in seconds; latency is a power law.
    pub(super) p95_s: f64,
}

pub(super) const USUAL: Traffic = Traffic { per_second: 20.0, errors: 0.005, p95_s: 0.2 };

pub(super) struct Story {
    pub(super) subject: Subject,
    pub(super) settings: Settings,
    pub(super) before: Traffic,
    pub(super) old: Traffic,
    pub(super) new: Traffic,
    /// From when on, after the release, it is as `new`; before that as `before`.
    pub(super) from_ms: i64,
    pub(super) lines: Vec<&'static str>,
    /// Answers that replace those of the story.
    pub(super) instead: Evidence,
}

impl Default for Story {
    fn default() -> Self {
        let side = |version: &str| Side { version: Some(version.into()), ..Side::default() };
        Story {
            subject: Subject {
                service: "cart".into(),
                environment: "prod".into(),
                new: side("2.0"),
                old: side("1.9"),
                released_ms: RELEASED_MS,
                ..Subject::default()
            },
            settings: Settings::default(),
            before: USUAL,
            old: USUAL,
            new: USUAL,
            from_ms: 0,
            lines: Vec::new(),
            instead: Evidence::new(),
        }
    }
}

impl Story {
    pub(super) fn evidence(&self, now_ms: i64) -> Evidence {
        let mut evidence = Evidence::new();
        for question in questions(&self.subject, &self.settings, now_ms) {
            let (family, period) = question.id.rsplit_once('.').unwrap();
            let at = |at_ms: i64| match period {
                "new" | "all" if at_ms - RELEASED_MS > self.from_ms => self.new,
                "old" => self.old,
                _ => self.before,
            };
            let series = |label: &str, value: &str, of: &dyn Fn(Traffic) -> f64| Series {
                labels: BTreeMap::from([(label.to_owned(), value.to_owned())]),
                points: (question.start_ms..=question.end_ms)
                    .step_by(question.step_ms.max(1) as usize)
                    .map(|at_ms| (at_ms, of(at(at_ms))))
                    .collect(),
            };
            let answer = match (family, question.language) {
                ("calls", _) => Answer::Series(vec![
                    series("status_code", "STATUS_CODE_UNSET", &|t| t.per_second * (1.0 - t.errors)),
                    series("status_code", "STATUS_CODE_ERROR", &|t| t.per_second * t.errors),
                ]),
                ("latency", _) => {
                    let bounds = (0..14).map(|n| 0.002 * f64::from(1u32 << n)).chain([f64::INFINITY]);
                    let below = |t: Traffic, bound: f64| {
                        let above = 0.05 * (t.p95_s / bound).powi(2);
                        t.per_second * (1.0 - above.min(1.0))
                    };
                    let name = |bound: f64| if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
                    Answer::Series(bounds.map(|bound| series("le", &name(bound), &|t| below(t, bound))).collect())
                }
                ("lines", Language::Logql) => {
                    let line = |text: &&str| Line { time_ms: question.end_ms, text: (*text).into() };
                    let lines = if period == "new" { self.lines.iter().map(line).collect() } else { Vec::new() };
                    Answer::Lines { lines, truncated: false }
                }
                _ => Answer::Series(Vec::new()),
            };
            evidence.insert(question.id, answer);
        }
        evidence.extend(self.instead.clone());
        evidence
    }

    /// The first verdict of as many looks as the verdicts ask for, and after how many seconds it came.
    pub(super) fn judge(&self) -> (i64, Verdict) {
        let mut after_ms = 5000;
        loop {
            let now_ms = RELEASED_MS + after_ms;
            let verdict = judge(&self.subject, &self.settings, &self.evidence(now_ms), now_ms);
            assert_eq!(verdict.again_ms.is_some(), verdict.outcome == Outcome::Continue);
            match verdict.again_ms {
                Some(again_ms) => after_ms += again_ms,
                None => return (after_ms / 1000, verdict),
            }
        }
    }
}
