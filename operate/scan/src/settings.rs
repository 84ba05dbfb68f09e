//! What a person settles about scans, alike for `apm docker scan` and for the step of a release: how bad is too bad, who looks, what is known and accepted. It
//! looks at no image.

use std::path::PathBuf;

use base_explain::Severity;
use serde::{Deserialize, Serialize};

use crate::finding::{Scan, severity};

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scanner {
    Trivy,
    Grype,
    Snyk,
    /// The package lists of the image.
    Packages,
}

impl Scanner {
    pub fn word(self) -> &'static str {
        match self {
            Scanner::Trivy => "trivy",
            Scanner::Grype => "grype",
            Scanner::Snyk => "snyk",
            Scanner::Packages => "packages",
        }
    }
}

/// What becomes of a release whose image nobody could look into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It is told, and the release goes on.
    #[default]
    Warn,
    /// A person is asked.
    Halt,
}

/// A weakness that is known and accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ignore {
    Id(String),
    Reasoned(Reasoned),
}

/// The same with a reason, and for one package only where it names one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// `CVE-…`, as the finding has it.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    pub reason: String,
}

/// Under `services.NAME.deploy.scan`; the flags of `apm docker scan` have the same names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ScanSettings {
    /// A finding as bad as this, or worse, is too bad.
    #[serde(deserialize_with = "named")]
    pub fail_on: Severity,
    /// Left out: the first one that is installed, or the package lists where there is a file of advisories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Scanner>,
    /// In the form of OSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisories: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Ignore>,
    /// What nobody has mended yet does not count.
    pub ignore_unfixed: bool,
    pub unknown: Unknown,
}

/// Our words, and those of scanners; any other is a mistake of spelling, not a severity.
fn named<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
    let word = String::deserialize(deserializer)?.to_ascii_lowercase();
    match word.as_str() {
        "info" | "warning" | "high" | "critical" | "low" | "medium" => Ok(severity(&word)),
        _ => Err(serde::de::Error::unknown_variant(&word, &["info", "warning", "high", "critical"])),
    }
}

impl Default for ScanSettings {
    fn default() -> ScanSettings {
        ScanSettings {
            fail_on: Severity::High,
            with: None,
            advisories: None,
            ignore: Vec::new(),
            ignore_unfixed: false,
            unknown: Unknown::Warn,
        }
    }
}

impl ScanSettings {
    /// The scan with what is accepted marked so.
    pub fn apply(&self, mut scan: Scan) -> Scan {
        for finding in &mut scan.findings {
            let accepted = self.ignore.iter().find_map(|ignore| match ignore {
                Ignore::Id(id) if *id == finding.id => Some("the settings say so"),
                Ignore::Reasoned(one)
                    if one.id == finding.id && one.package.as_ref().is_none_or(|name| *name == finding.package) =>
                {
                    Some(one.reason.as_str())
                }
                _ => None,
            });
            let unfixed = (self.ignore_unfixed && finding.fixed.is_none()).then_some("nobody has mended it yet");
            finding.ignored = accepted.or(unfixed).map(str::to_owned);
        }
        scan
    }

    /// The same by hand: the words before the image.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["apm", "docker", "scan", "--fail-on", self.fail_on.name()].map(str::to_owned).into();
        let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        if let Some(with) = self.with {
            add("--with", with.word().to_owned());
        }
        if let Some(path) = &self.advisories {
            add("--advisories", path.display().to_string());
        }
        for ignore in &self.ignore {
            match ignore {
                Ignore::Id(id) => add("--ignore", id.clone()),
                Ignore::Reasoned(Reasoned { id, package: None, .. }) => add("--ignore", id.clone()),
                Ignore::Reasoned(Reasoned { id, package: Some(package), .. }) => {
                    add("--ignore", format!("{id}={package}"))
                }
            }
        }
        if self.ignore_unfixed {
            words.push("--ignore-unfixed".to_owned());
        }
        words
    }
}
