//! What a Prometheus and a Loki that watched a case would answer. Knows the questions' ids, not their text.

use std::collections::BTreeMap;

use super::latency::{BUCKETS, bound};
use super::random::Random;
use super::scrape::Row;
use super::{Case, DAY_MS, RELEASED_MS, Track};
use crate::ask::{Language, Question};
use crate::evidence::{Answer, Evidence, Line, Series};

/// A server hands out no more, whatever it is asked for.
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
        let is_new = period == "new";
        let mut random = Random::new(self.seed ^ question.end_ms as u64);
        let usual = random.poisson(minutes * self.words.usual);
        let world = random.poisson(minutes * if is_new { self.words.world.1 } else { self.words.world.0 });
        let own = if is_new { random.poisson(minutes * self.words.own) } else { 0.0 };
        let all = usual + world + own;
        let kept = all.min(question.limit.min(LINES_MAX) as f64);
        // Of all lines the newest: those of the last part of the time.
        let length_ms = (question.end_ms - question.start_ms) as f64 * kept / all.max(1.0);
        let lines = (0..kept as i64).map(|i| {
            let number = random.below(100_000);
            let which = random.between(0.0, all);
            let text = match random.below(3) {
                _ if which < own => format!("ERROR order {number}: no such column \"discount_{number}\""),
                _ if which < own + world => format!("ERROR inventory 10.0.0.{}: unavailable", random.below(255)),
                0 => format!("ERROR payment {number} timed out after {}ms", random.below(3000)),
                1 => format!("WARN error from 10.0.0.{}: connection reset", random.below(255)),
                _ => format!("ERROR request {number:x} failed: upstream said 503"),
            };
            Line { time_ms: question.end_ms - (length_ms * i as f64 / kept.max(1.0)) as i64, text }
        });
        Answer::Lines { lines: lines.collect(), truncated: all > kept && is_new }
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
