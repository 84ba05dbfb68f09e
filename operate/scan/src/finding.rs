//! A finding and a whole scan. Does not know where they came from.

use base_explain::Severity;
use serde::Serialize;

use crate::packages::Base;

/// From the words of scanners and advisories. What nobody rated is taken for high: it may be anything.
pub fn severity(word: &str) -> Severity {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "warning" | "medium" | "moderate" => Severity::Warning,
        "low" | "negligible" | "unimportant" | "info" => Severity::Info,
        _ => Severity::High,
    }
}

/// One known weakness of one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// `CVE-…`, `DSA-…`, `GHSA-…`
    pub id: String,
    pub severity: Severity,
    pub package: String,
    pub version: String,
    /// The first version without it, where there is one.
    pub fixed: Option<String>,
    pub title: String,
    /// It came with the operating system of the base image, not with the program.
    pub of_base: bool,
    /// Why it does not count, where somebody accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

/// What a scan gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scan {
    pub image: String,
    /// `trivy`, `grype`, `snyk`, `packages`.
    pub by: String,
    pub base: Option<Base>,
    /// Packages that were looked at; `None` where the scanner does not say.
    pub packages: Option<usize>,
    pub findings: Vec<Finding>,
    /// What was not looked at, in words.
    pub unknown: Vec<String>,
    /// Nothing was compared with anything: that nothing was found says nothing.
    pub is_blind: bool,
}

impl Scan {
    /// Worst first, each once.
    pub fn tidy(mut self) -> Scan {
        self.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
        self.findings.dedup_by(|a, b| a.id == b.id && a.package == b.package && a.version == b.version);
        self
    }

    /// Whether anything is as bad as the limit, or worse.
    pub fn fails(&self, limit: Severity) -> bool {
        self.counted().any(|finding| finding.severity >= limit)
    }

    /// Those that nobody accepted.
    pub fn counted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.ignored.is_none())
    }

    /// One sentence about the base image.
    pub fn verdict_on_base(&self) -> String {
        let name = self.base.as_ref().map_or("an unknown system", |base| base.name.as_str());
        let of_base: Vec<&Finding> = self.counted().filter(|finding| finding.of_base).collect();
        let mended = of_base.iter().filter(|finding| finding.fixed.is_some()).count();
        match (of_base.len(), mended) {
            (0, _) if !self.unknown.is_empty() => {
                format!("the base image ({name}) is not judged: {}", self.unknown.join("; "))
            }
            (0, _) => format!("the base image ({name}) has no known weakness in what was looked at"),
            (all, 0) => {
                format!("the base image ({name}) brings {all}, none of them mended yet: another base may have fewer")
            }
            (all, some) => format!(
                "the base image ({name}) brings {all}, {some} of them mended: a newer build of it, or an upgrade of its packages, has fewer"
            ),
        }
    }
}
