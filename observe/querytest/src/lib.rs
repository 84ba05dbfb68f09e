//! Query tests as a language: `load` some series, `eval` a query, `expect` an outcome. The form is the one that Prometheus
//! documents for its own tests (`promql/promqltest/README.md`), so a case reads the same to whoever knows either.
//!
//! Knows no query language: the caller brings one as a function from a source and a query to an [`Outcome`]. Only for tests.
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
//!   expect fail msg: 1:5: parse error: expected type instant vector in aggregation expression, got scalar
//! ```
//!
//! Besides `expect fail|warn|info|no_warn|no_info|ordered|string`, each with an optional `msg:` or `regex`-free text, a
//! bare number is a scalar. Values are compared to within 1e-13 of themselves: a wrong rule shows, a last bit does not.

mod compare;
mod script;
mod series;

use base_signal::{Labels, NativeHistogram};
use observe_source::fake::FakeMetrics;

pub use script::{Eval, When};
pub use series::{Loaded, parse_duration_ms, parse_series};

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

/// Runs a script; the error names each failed case by its line.
pub fn run(
    script: &str,
    evaluate: &mut dyn FnMut(&FakeMetrics, &Eval) -> Result<Outcome, String>,
) -> Result<usize, String> {
    let mut source = FakeMetrics::default();
    let mut failures = Vec::new();
    let mut cases = 0;
    for command in script::parse(script)? {
        match command {
            script::Command::Clear => source = FakeMetrics::default(),
            script::Command::Load(write) => source.append(&write),
            script::Command::Eval(eval) => {
                cases += 1;
                if let Err(why) = compare::check(&eval, evaluate(&source, &eval)) {
                    failures.push(format!("line {}: {}\n{why}", eval.line, eval.query));
                }
            }
        }
    }
    if failures.is_empty() { Ok(cases) } else { Err(failures.join("\n\n")) }
}

#[cfg(test)]
mod tests;
