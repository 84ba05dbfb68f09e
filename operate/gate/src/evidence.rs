//! The answers, by the id of their question. Knows neither who asked nor how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answers by question id. A question without an answer was not asked yet, or nobody could: unknown.
pub type Evidence = BTreeMap<String, Answer>;

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of a range query; empty when nothing matched.
    Series(Vec<Series>),
    Lines {
        lines: Vec<Line>,
        /// There were more than the limit let through.
        truncated: bool,
    },
    /// Of an HTTP or command check.
    Checked { ok: bool, said: String },
    /// It was asked and could not be answered.
    Failed { reason: String },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// Unix milliseconds and value, ascending; holes are missing points.
    pub points: Vec<(i64, f64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Unix milliseconds.
    pub time_ms: i64,
    pub text: String,
}

/// What an id's answer comes to for the judge.
pub(crate) enum Heard<'a> {
    Series(&'a [Series]),
    /// Failed, not asked, or of another kind than the question.
    Unknown(&'a str),
}

pub(crate) fn series<'a>(evidence: &'a Evidence, id: &str) -> Heard<'a> {
    match evidence.get(id) {
        Some(Answer::Series(series)) => Heard::Series(series),
        Some(Answer::Failed { reason }) => Heard::Unknown(reason),
        Some(_) => Heard::Unknown("the answer is no series"),
        None => Heard::Unknown("it was not asked"),
    }
}
