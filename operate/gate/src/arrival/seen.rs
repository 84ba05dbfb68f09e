//! The answers about new pods, by signal: what came first, and of which pod. It draws no conclusion.

use super::{Arrival, Instance, REQUESTS, Signal, id};
use crate::evidence::{Answer, Evidence};

/// The first of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) at_ms: i64,
}

enum Look {
    Came(Came),
    NotYet,
    Unknown(String),
}

pub(super) struct Seen<'a> {
    instances: &'a [&'a Instance],
    looks: Vec<(Signal, Look)>,
    /// That the pods counted.
    pub(super) requests: f64,
}

impl<'a> Seen<'a> {
    pub(super) fn of(arrival: &Arrival, instances: &'a [&'a Instance], evidence: &Evidence) -> Seen<'a> {
        let look = |signal: &Signal| {
            let ids = match signal {
                Signal::Traces => (0..instances.len()).map(|at| id(Signal::Traces, at)).collect(),
                other => vec![id(*other, 0)],
            };
            (*signal, first(&ids, evidence))
        };
        let requests = match evidence.get(REQUESTS) {
            Some(Answer::Series(series)) => {
                let values = series.iter().flat_map(|one| one.points.iter().map(|(_, value)| *value));
                values.filter(|value| value.is_finite()).fold(0.0, f64::max)
            }
            _ => 0.0,
        };
        Seen { instances, looks: arrival.signals.iter().map(look).collect(), requests }
    }

    pub(super) fn came(&self) -> impl Iterator<Item = (Signal, Came)> {
        self.looks.iter().filter_map(|(signal, look)| match look {
            Look::Came(came) => Some((*signal, *came)),
            _ => None,
        })
    }

    pub(super) fn any(&self) -> bool {
        self.came().next().is_some()
    }

    pub(super) fn missing(&self) -> Vec<Signal> {
        let there: Vec<Signal> = self.came().map(|(signal, _)| signal).collect();
        self.looks.iter().map(|(signal, _)| *signal).filter(|signal| !there.contains(signal)).collect()
    }

    /// The first that nobody could say.
    pub(super) fn unknown(&self) -> Option<(Signal, &str)> {
        self.looks.iter().find_map(|(signal, look)| match look {
            Look::Unknown(reason) => Some((*signal, reason.as_str())),
            _ => None,
        })
    }

    /// Whether the way is proved: a sample came, or, where none is expected, anything.
    pub(super) fn is_proved(&self) -> bool {
        let expects = self.looks.iter().any(|(signal, _)| *signal == Signal::Metrics);
        self.came().any(|(signal, _)| !expects || signal == Signal::Metrics)
    }

    /// When the last of the firsts came.
    pub(super) fn last_ms(&self) -> Option<i64> {
        self.came().map(|(_, came)| came.at_ms).max()
    }

    /// `pod cart-1` or `pod cart-1 and 2 more`.
    pub(super) fn pods(&self) -> String {
        match self.instances {
            [] => "no pod".to_owned(),
            [one] => format!("pod {}", one.pod),
            [one, rest @ ..] => format!("pod {} and {} more", one.pod, rest.len()),
        }
    }

    /// `the first sample came 12 s after the pod began, the first span 9 s after`.
    pub(super) fn told(&self) -> String {
        let begun_ms = self.instances.iter().map(|one| one.begun_ms).min().unwrap_or_default();
        let parts: Vec<String> = self
            .came()
            .enumerate()
            .map(|(at, (signal, came))| match at {
                0 => format!("the first {} came {} it began", signal.one(), came.after(begun_ms)),
                _ => format!("the first {} {}", signal.one(), came.after(begun_ms)),
            })
            .collect();
        parts.join(", ")
    }
}

fn first(ids: &[String], evidence: &Evidence) -> Look {
    let mut first: Option<i64> = None;
    let mut unknown = None;
    for id in ids {
        let at_ms = match evidence.get(id) {
            Some(Answer::Series(series)) => {
                let points = series.iter().flat_map(|one| one.points.iter());
                points.filter(|(_, value)| value.is_finite()).map(|(at_ms, _)| *at_ms).min()
            }
            Some(Answer::Lines { lines, .. }) => lines.iter().map(|line| line.time_ms).min(),
            Some(Answer::Failed { reason }) => {
                unknown.get_or_insert_with(|| reason.clone());
                None
            }
            Some(Answer::Checked { .. }) | None => {
                unknown.get_or_insert_with(|| "it was not asked".to_owned());
                None
            }
        };
        first = match (first, at_ms) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    match (first, unknown) {
        (Some(at_ms), _) => Look::Came(Came { at_ms }),
        (None, Some(reason)) => Look::Unknown(reason),
        (None, None) => Look::NotYet,
    }
}
