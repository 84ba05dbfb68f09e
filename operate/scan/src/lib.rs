//! What is known to be wrong with the packages of an image: reports of Trivy, Grype and Snyk read into one form, or the image's own package lists compared
//! with a file of advisories; a verdict against a limit; the answer as text, JSON or SARIF.
//!
//! What it does NOT know: engines, scanners as programs, networks, clocks. What was not looked at is said to be unknown, never fine.

mod advisory;
mod finding;
mod output;
mod packages;
mod report;
mod settings;
mod verdict;
mod version;

pub use advisory::{Advisories, BadAdvisories, compare};
pub use base_explain::Severity;
pub use finding::{Finding, Scan, severity};
pub use output::{json, sarif, text};
pub use packages::{Base, Ecosystem, Package, apk, base, dpkg};
pub use report::{BadReport, grype, snyk, trivy};
pub use settings::{Ignore, Reasoned, ScanSettings, Scanner, Unknown};
pub use verdict::Verdict;

#[cfg(test)]
mod tests;
