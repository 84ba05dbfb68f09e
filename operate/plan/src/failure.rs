//! An error of the world, classed, so that the executor knows whether to try again and a person knows what to do. It is a value that
//! travels through journal, API and page; it knows no error type of any connector. The catalogue for people is docs/guides/errors.md.

use std::fmt;

use base_explain::Severity;
use serde::{Deserialize, Serialize};

/// What kind of trouble it is; the kind decides whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// We are not who we say, or said nothing: token missing, wrong or expired.
    Auth,
    /// We are known and not allowed.
    Permission,
    NotFound,
    /// Somebody else holds, uses or changed it.
    Conflict,
    /// The remote asks us to slow down.
    Throttled,
    /// It may work a moment later: connection refused, timeout, 5xx.
    Transient,
    /// What we asked for cannot be: bad value, missing file, a refusal with a reason.
    Invalid,
    Unknown,
}

impl Class {
    pub const ALL: [Class; 8] = [
        Class::Auth,
        Class::Permission,
        Class::NotFound,
        Class::Conflict,
        Class::Throttled,
        Class::Transient,
        Class::Invalid,
        Class::Unknown,
    ];

    /// Whether the same request may succeed later with nothing changed on our side.
    ///
    /// An unknown error is tried again: each act is idempotent, so the cost is time, while giving up costs a rollback.
    pub fn is_retryable(self) -> bool {
        matches!(self, Class::Throttled | Class::Transient | Class::Unknown)
    }

    pub fn word(self) -> &'static str {
        match self {
            Class::Auth => "auth",
            Class::Permission => "permission",
            Class::NotFound => "not-found",
            Class::Conflict => "conflict",
            Class::Throttled => "throttled",
            Class::Transient => "transient",
            Class::Invalid => "invalid",
            Class::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// What went wrong, in a form that can be stored, sent and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: Class,
    /// A stable word of the catalogue: `docker.image-missing`, `lease.lost`.
    pub code: String,
    pub severity: Severity,
    /// One sentence without its causes.
    pub message: String,
    /// From the nearest to the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What a person can do now.
    pub next: String,
    /// The remote's own wish, as Retry-After gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure of severity high with no causes.
    pub fn new(class: Class, code: &str, message: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure {
            class,
            code: code.to_owned(),
            severity: Severity::High,
            message: message.into(),
            causes: Vec::new(),
            next: next.into(),
            retry_after_ms: None,
        }
    }

    /// The same with the chain of causes of an error under it.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    pub fn retry_after_ms(mut self, wait_ms: Option<u64>) -> Failure {
        self.retry_after_ms = wait_ms;
        self
    }

    pub fn severity(mut self, severity: Severity) -> Failure {
        self.severity = severity;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} [{}]", self.message, self.code)?;
        for cause in &self.causes {
            write!(out, ": {cause}")?;
        }
        Ok(())
    }
}
