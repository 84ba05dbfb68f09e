//! promtool's unit tests of rules: <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>. Series are loaded, groups evaluated
//! through time, and alerts and expressions compared with what is expected. It opens no file: texts are handed in.

mod bench;
mod expect;
mod file;
mod run;

pub use file::TestFile;

/// A rule file that tests name.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'t> {
    /// As errors name it.
    pub path: &'t str,
    pub file: &'t crate::RuleFile,
}

/// What became of a file of tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Expectations that were met.
    pub passed: usize,
    pub failures: Vec<Failure>,
}

/// An expectation that was missed, or a test that could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// From 1.
    pub line: usize,
    /// The test's name; empty if it has none.
    pub test: String,
    /// Of what: `alert Down at 5m`, `up == 0 at 1m`.
    pub about: String,
    pub want: String,
    pub got: String,
}

#[cfg(test)]
pub(crate) use bench::Bench;

#[cfg(test)]
mod tests;
