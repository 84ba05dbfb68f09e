//! Query tests as a language: `load` some series, `eval` a query, `expect` an outcome. The form is the one that Prometheus
//! documents for its own tests (`promql/promqltest/README.md`), whole, so a case reads the same to whoever knows either;
//! `apm test query` runs such files for users, and our own engine is tested by them.
//!
//! Knows no query language: the caller brings one as a [`Language`].
//!
//! ```text
//! load 5m
//!   requests_total{job="api"} 0+10x4 _ stale
//!
//! eval instant at 10m rate(requests_total[10m])
//!   expect no_warn
//!   {job="api"} 0.03333333333333333
//!
//! eval range from 0 to 10m step 5m requests_total > 5
//!   requests_total{job="api"} _ 10 20
//!
//! eval instant at 0 sum(1)
//!   expect fail regex: expected type instant vector
//! ```
//!
//! Stricter than the form asks for: a parse error may be expected like any other failure, and a result that is written
//! down but not there fails in every mode. An instant query is asked again as one step of a range, and with every
//! selector pinned to the moment by `@` at other moments; all must agree.

mod compare;
mod convert;
mod histogram;
mod script;
mod series;

use base_signal::{Labels, NativeHistogram};
use observe_source::fake::FakeMetrics;

pub use histogram::{show as show_histogram, stored_hint};
pub use script::{Eval, ScriptError, When};
pub use series::{Item, Loaded, parse_duration_ms, parse_series};

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    Float(f64),
    Histogram(NativeHistogram),
}

/// What a query came to, in a form that every language can give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub value: Answered,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answered {
    #[default]
    Nothing,
    Scalar(f64),
    String(String),
    Vector(Vec<(Labels, Point)>),
    /// Points with their times in Unix milliseconds.
    Matrix(Vec<(Labels, Vec<(i64, Point)>)>),
}

/// A query language under test.
pub trait Language {
    /// The answer to a query over the loaded series, or its error in words.
    fn evaluate(&self, source: &FakeMetrics, query: &str, when: When) -> Result<Outcome, String>;

    /// The query with every selector pinned to `time_ms`, so that it must come to the same at any other moment; `None` when
    /// it depends on the moment all the same.
    fn pinned(&self, query: &str, time_ms: i64) -> Option<String>;
}

/// How a script is judged.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// By how much a value may miss the expected one, in parts of it.
    pub tolerance: f64,
}

impl Settings {
    /// What Prometheus allows its own tests.
    pub const PROMETHEUS: Settings = Settings { tolerance: 1e-6 };
    /// Enough for sums in another order, far less than any wrong rule.
    pub const EXACT: Settings = Settings { tolerance: 1e-13 };
}

/// What became of a script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub passed: usize,
    pub failures: Vec<Failure>,
}

/// A case that did not come out as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From 1.
    pub line: usize,
    pub query: String,
    /// What was expected, in the words of the form.
    pub want: String,
    pub got: String,
}

/// Runs a script to its end, whatever fails on the way. An error means that the script is not one.
pub fn run(script: &str, settings: Settings, language: &dyn Language) -> Result<Report, ScriptError> {
    let mut source = FakeMetrics::default();
    let mut report = Report::default();
    for command in script::parse(script)? {
        match command {
            script::Command::Clear => source = FakeMetrics::default(),
            script::Command::Load(write) => source.append(&write),
            script::Command::Eval(eval) => match compare::judge(&eval, settings, &source, language) {
                Ok(()) => report.passed += 1,
                Err(missed) => report.failures.push(Failure {
                    line: eval.line,
                    query: missed.query.unwrap_or(eval.query),
                    want: missed.want,
                    got: missed.got,
                }),
            },
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
