//! What is wrong with a configuration, with its place.

use base_explain::{Report, nearest};

use crate::Origin;

/// One finding. While a value is being read the place may still be missing; the nearest node that knows one adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    report: Box<Report>,
    placed: bool,
}

impl ConfigError {
    pub fn new(report: Report) -> Self {
        ConfigError { report: Box::new(report), placed: true }
    }

    pub fn report(&self) -> &Report {
        &self.report
    }

    pub(crate) fn unplaced(report: Report) -> Self {
        ConfigError { report: Box::new(report), placed: false }
    }

    pub(crate) fn place(self, origin: &Origin) -> Self {
        if self.placed {
            return self;
        }
        ConfigError::new(origin.on(*self.report))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.report.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl serde::de::Error for ConfigError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        ConfigError::unplaced(Report::new(message.to_string()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        unknown("key", field, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        unknown("value", variant, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        ConfigError::unplaced(Report::new(format!("the key `{field}` is missing")).hint(format!("add `{field}: …`")))
    }

    fn invalid_type(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        ConfigError::unplaced(Report::new(format!("{expected} is wanted here, not {unexpected}")))
    }

    fn invalid_value(unexpected: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        ConfigError::unplaced(Report::new(format!("{expected} is wanted here, not {unexpected}")))
    }
}

pub(crate) fn unknown(what: &str, word: &str, expected: &[&str]) -> ConfigError {
    let report = Report::new(format!("unknown {what} `{word}`"));
    ConfigError::unplaced(match nearest(word, expected.iter().copied()) {
        Some(near) => report.hint(format!("did you mean `{near}`?")),
        None if expected.is_empty() => report,
        None => report.hint(format!("one of {} is known here", expected.join(", "))),
    })
}
