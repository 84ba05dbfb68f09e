//! What is wrong with a configuration, with its place.

use std::fmt::Display;

use base_explain::{Report, nearest};
use serde::de::{Expected, Unexpected};

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

impl Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.report.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl serde::de::Error for ConfigError {
    fn custom<T: Display>(message: T) -> Self {
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

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong(unexpected, expected)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        wrong(unexpected, expected)
    }
}

fn wrong(unexpected: Unexpected<'_>, expected: &dyn Expected) -> ConfigError {
    let (wanted, found) = (wanted(&expected.to_string()), found(unexpected));
    ConfigError::unplaced(Report::new(format!("{wanted} is wanted here, not {found}")))
}

/// serde says what it expects in Rust's words: `usize`, `struct ScrapeConfig`. A person's for them.
fn wanted(expected: &str) -> String {
    let range = |min: &dyn Display, max: &dyn Display| format!("a whole number from {min} to {max}");
    let from_zero = || "a whole number, 0 or more,".to_owned();
    match expected {
        "u8" => range(&0, &u8::MAX),
        "u16" => range(&0, &u16::MAX),
        "u32" => range(&0, &u32::MAX),
        "u64" | "u128" | "usize" => from_zero(),
        "i8" => range(&i8::MIN, &i8::MAX),
        "i16" => range(&i16::MIN, &i16::MAX),
        "i32" => range(&i32::MIN, &i32::MAX),
        "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected.starts_with("struct ") => "a map of keys".to_owned(),
        "a map" => "a map of keys".to_owned(),
        _ if expected.starts_with("enum ") => "a word".to_owned(),
        // A room's own visitor speaks for itself.
        _ => expected.to_owned(),
    }
}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map of keys".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        other => other.to_string(),
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
