//! What a Prometheus and a Loki that watched a case would answer. Knows the questions' ids, not their text.

use std::collections::BTreeMap;

use super::latency::{BUCKETS, bound};
use super::random::Random;
use super::scrape::Row;
use super::{Case, DAY_MS, RELEASED_MS, Track};
use crate::ask::{Language, Question};
use crate::evidence::{Answer, Evidence, Line, Series};

/// More lines tell nothing more.
const LINES_MAX: usize = 100;

impl Case {
    /// Answers what is asked; answers about the past that are there already are kept.
    pub fn answer(&self, questions: &[Question], evidence: &mut Evidence) {
        for question in questions {
            let (family, period) = question.id.rsplit_once('.').unwrap_or((&question.id, ""));
            let is_past = period == "before" || period.starts_with("day");
            if is_past && evidence.contains_key(&question.id) {
                continue;
            }
            let answer = match (family, question.language) {
                ("calls" | "latency", _) => self.spans(question, family == "calls", period),
                (_, Language::Logql) => self.lines(question, period),
                ("cpu" | "memory" | "host_cpu" | "host_memory" | "restarts", _) => self.resources(question, family),
                _ => Answer::Series(Vec::new()),
            };
            evidence.insert(question.id.clone(), answer);
        }
    }

    fn spans(&self, question: &Question, calls: bool, period: &str) -> Answer {
        let tracks: &[Track] = match period {
            "new" if self.subject.side_by_side => &[Track::New],
            "old" => &[Track::Old],
            "day1" => &[Track::Day(1)],
            "day7" => &[Track::Day(7)],
            _ => &[Track::Old, Track::New],
        };
        let range_ms = question.step_ms + self.settings.interval.as_millis() as i64;
        let mut rows = Vec::new();
        for at_ms in steps(question) {
            let counters = tracks.iter().filter_map(|track| self.tracks.get(track)).flatten();
            let rates: Vec<Row> = counters.filter_map(|one| one.rate(at_ms, range_ms)).collect();
            if !rates.is_empty() {
                let mut sum = Row::default();
                rates.iter().for_each(|rate| sum.add(rate, 1.0));
                rows.push((at_ms, sum));
            }
        }
        let series = |label: &str, value: &str, of: &dyn Fn(&Row) -> f64| Series {
            labels: BTreeMap::from([(label.to_owned(), value.to_owned())]),
            points: rows.iter().map(|(at_ms, row)| (*at_ms, of(row))).collect(),
        };
        if rows.is_empty() {
            return Answer::Series(Vec::new());
        }
        if calls {
            let mut found = vec![series("status_code", "STATUS_CODE_UNSET", &|row| row.fine)];
            // A status that never came has no series.
            if rows.iter().any(|(_, row)| row.failed > 0.0) {
                found.push(series("status_code", "STATUS_CODE_ERROR", &|row| row.failed));
            }
            return Answer::Series(found);
        }
        let up_to = |bucket: usize| move |row: &Row| row.buckets.iter().take(bucket + 1).sum::<f64>();
        let mut found: Vec<Series> =
            (0..BUCKETS).map(|bucket| series("le", &bound(bucket).to_string(), &up_to(bucket))).collect();
        found.push(series("le", "+Inf", &up_to(BUCKETS)));
        Answer::Series(found)
    }

    fn resources(&self, question: &Question, family: &str) -> Answer {
        let salt = family.bytes().map(u64::from).sum::<u64>();
        let usual = Random::new(self.seed ^ salt).between(0.2, 0.7);
        let mut random = Random::new(self.seed ^ salt ^ question.start_ms as u64);
        let mut value = |at_ms: i64| match family {
            "restarts" => {
                if at_ms - RELEASED_MS < question.step_ms && at_ms > RELEASED_MS {
                    1.0
                } else {
                    0.0
                }
            }
            _ => usual + 0.03 * random.normal(),
        };
        let points = steps(question).map(|at_ms| (at_ms, value(at_ms))).collect();
        Answer::Series(vec![Series { labels: BTreeMap::new(), points }])
    }

    fn lines(&self, question: &Question, period: &str) -> Answer {
        let minutes = (question.end_ms - question.start_ms) as f64 / 60_000.0;
        let (old, new) = self.words.errors_per_minute;
        let mut random = Random::new(self.seed ^ 77);
        let count = random.poisson(minutes * if period == "new" { new } else { old });
        let lines = (0..question.limit.min(count as usize).min(LINES_MAX)).map(|i| {
            let number = random.below(100_000);
            let own = period == "new" && self.words.own_text && random.chance(0.8);
            let text = match (own, random.below(3)) {
                (true, _) => format!("ERROR order {number}: no such column \"discount_{number}\""),
                (_, 0) => format!("ERROR payment {number} timed out after {}ms", random.below(3000)),
                (_, 1) => format!("WARN error from 10.0.0.{}: connection reset", random.below(255)),
                _ => format!("ERROR request {number:x} failed: upstream said 503"),
            };
            Line { time_ms: question.end_ms - i as i64, text }
        });
        Answer::Lines { lines: lines.collect(), truncated: false }
    }

    /// How far back the telemetry of the oldest day goes.
    pub fn known_days(&self) -> usize {
        self.tracks.keys().filter(|track| matches!(track, Track::Day(_))).count()
    }
}

fn steps(question: &Question) -> impl Iterator<Item = i64> {
    let (start, step) = (question.start_ms, question.step_ms.max(1));
    debug_assert!(start > RELEASED_MS - 30 * DAY_MS);
    (0..=(question.end_ms - start) / step).map(move |n| start + n * step)
}
