//! A scan held against a limit: it passes, it fails, or nothing is known, in one sentence. What nobody looked at never passes.

use base_explain::Severity;
use serde::Serialize;

use crate::finding::{Finding, Scan};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "sentence", rename_all = "lowercase")]
pub enum Verdict {
    Pass(String),
    Fail(String),
    /// Nobody looked, or there was nothing to compare.
    Unknown(String),
}

impl Verdict {
    pub fn sentence(&self) -> &str {
        match self {
            Verdict::Pass(sentence) | Verdict::Fail(sentence) | Verdict::Unknown(sentence) => sentence,
        }
    }
}

impl Scan {
    /// Its worst finding is named, so that a person need not open the report to know what is wrong.
    pub fn verdict(&self, limit: Severity) -> Verdict {
        let image = &self.image;
        let bad: Vec<&Finding> = self.counted().filter(|finding| finding.severity >= limit).collect();
        let accepted = match self.findings.len() - self.counted().count() {
            0 => String::new(),
            ignored => format!("; {ignored} are ignored by the settings"),
        };
        let word =
            if limit == Severity::Critical { "critical".to_owned() } else { format!("{} or worse", limit.name()) };
        if let Some(worst) = bad.iter().max_by(|a, b| a.severity.cmp(&b.severity).then_with(|| b.cmp(a))) {
            let Finding { id, severity, package, version, .. } = worst;
            let fixed =
                worst.fixed.as_ref().map_or("no version is fixed yet".to_owned(), |to| format!("fixed in {to}"));
            let count = match bad.len() {
                1 => format!("1 finding is {word}"),
                count => format!("{count} findings are {word}"),
            };
            return Verdict::Fail(format!(
                "{image} has {id} ({}) in {package} {version}, {fixed}: {count}, by {}{accepted}; {}",
                severity.name(),
                self.by,
                self.verdict_on_base()
            ));
        }
        if self.is_blind {
            return Verdict::Unknown(format!("{image} is not judged: {}", self.unknown.join("; ")));
        }
        let lesser = match self.counted().count() {
            0 => String::new(),
            count => format!(", {count} lesser"),
        };
        let packages = self.packages.map(|count| format!(" in {count} packages")).unwrap_or_default();
        let unseen = match self.unknown.as_slice() {
            [] => String::new(),
            unknown => format!("; unknown: {}", unknown.join("; ")),
        };
        Verdict::Pass(format!("nothing{packages} of {image} is {word}{lesser}, by {}{accepted}{unseen}", self.by))
    }
}
