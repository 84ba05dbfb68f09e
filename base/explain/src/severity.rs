//! How bad something is: the four words, and what code hosts make of them. Does not know what it is that is bad.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    High,
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Severity {
    pub const WORST_FIRST: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Warning, Severity::Info];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// By its name, exactly.
    pub fn of(name: &str) -> Option<Severity> {
        Severity::WORST_FIRST.into_iter().find(|severity| severity.name() == name)
    }

    /// SARIF's `level`: `error`, `warning`, `note`.
    pub fn level(self) -> &'static str {
        match self {
            Severity::Critical | Severity::High => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        }
    }

    /// The number by which code hosts sort, 0 to 10 (`security-severity`).
    pub fn score(self) -> &'static str {
        match self {
            Severity::Critical => "9.5",
            Severity::High => "7.5",
            Severity::Warning => "5.0",
            Severity::Info => "1.0",
        }
    }
}
