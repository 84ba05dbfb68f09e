//! An answer that lacks something, or shows what is no longer fresh, says so: what is lacking, why, and who would have said it. It knows nobody
//! who answers.

use serde::{Deserialize, Serialize};

/// One thing that an answer lacks, or shows from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// `3 of 12 answers`, `the lines of shop-cart`.
    pub what: String,
    pub why: String,
    /// Who would have said it: `docker`, `prometheus`, `loki`, `alertmanager`, `registry`, `history`.
    pub source: String,
    /// How old what stands in its place is, milliseconds; `None`: nothing stands there.
    #[serde(default)]
    pub age_ms: Option<i64>,
}

impl Degraded {
    /// Nothing stands in its place.
    pub fn new(what: impl Into<String>, why: impl Into<String>, source: impl Into<String>) -> Degraded {
        Degraded { what: what.into(), why: why.into(), source: source.into(), age_ms: None }
    }
}

impl std::fmt::Display for Degraded {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.age_ms {
            None => write!(to, "degraded: {} of {} missing: {}", self.what, self.source, self.why),
            Some(age_ms) => {
                let age_s = age_ms / 1_000;
                write!(to, "degraded: {} of {} from {age_s} s ago: {}", self.what, self.source, self.why)
            }
        }
    }
}
