//! A file of advisories in the form of OSV (<https://ossf.github.io/osv-schema/>): one object, a list of them, or one a line; and the packages they
//! are about. Ranges of versions are read, lists of single versions as well.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde::Deserialize;

use base_explain::Severity;

use crate::finding::{Finding, severity};
use crate::packages::{Base, Ecosystem, Package};
pub use crate::version::compare;

#[derive(Debug, thiserror::Error)]
#[error("no advisories in the form of OSV: {0}")]
pub struct BadAdvisories(#[from] serde_json::Error);

#[derive(Debug, Clone, Deserialize)]
struct Advisory {
    id: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Specific {
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    urgency: Option<String>,
}

impl Specific {
    fn word(&self) -> Option<&str> {
        self.severity.as_deref().or(self.urgency.as_deref())
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Affected {
    package: Named,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    ecosystem_specific: Specific,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Debug, Clone, Deserialize)]
struct Named {
    /// `Debian:12`, `Alpine:v3.19`
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Range {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<Advisory>),
    One(Box<Advisory>),
}

/// All of a file, by the package's name.
#[derive(Debug, Clone, Default)]
pub struct Advisories {
    list: Vec<Advisory>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Advisories {
    pub fn read(text: &str) -> Result<Advisories, BadAdvisories> {
        let mut list = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<OneOrMore>() {
            match value? {
                OneOrMore::One(one) => list.push(*one),
                OneOrMore::More(more) => list.extend(more),
            }
        }
        list.retain(|one| one.withdrawn.is_none());
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, advisory) in list.iter().enumerate() {
            for affected in &advisory.affected {
                by_name.entry(affected.package.name.clone()).or_default().push(at);
            }
        }
        Ok(Advisories { list, by_name })
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What is known about these packages of this system.
    pub fn match_all(&self, ecosystem: Ecosystem, base: Option<&Base>, packages: &[Package]) -> Vec<Finding> {
        let mut found = Vec::new();
        for package in packages {
            let names = [(&package.source, &package.source_version), (&package.name, &package.version)];
            let same = package.source == package.name;
            for (name, version) in names.iter().take(if same { 1 } else { 2 }) {
                for advisory in self.by_name.get(*name).into_iter().flatten().filter_map(|at| self.list.get(*at)) {
                    found.extend(advisory.about(ecosystem, base, name, version).map(|(fixed, severity)| Finding {
                        id: advisory.name(),
                        severity,
                        package: package.name.clone(),
                        version: package.version.clone(),
                        fixed,
                        title: advisory.summary.clone(),
                        of_base: true,
                        ignored: None,
                    }));
                }
            }
        }
        found
    }
}

impl Advisory {
    /// The CVE people know it by.
    fn name(&self) -> String {
        let cve = self.aliases.iter().find(|alias| alias.starts_with("CVE-"));
        cve.filter(|_| !self.id.starts_with("CVE-")).unwrap_or(&self.id).clone()
    }

    fn about(
        &self,
        ecosystem: Ecosystem,
        base: Option<&Base>,
        name: &str,
        version: &str,
    ) -> Option<(Option<String>, Severity)> {
        let fits = |one: &&Affected| one.package.name == name && is_of(&one.package.ecosystem, ecosystem, base);
        self.affected.iter().filter(fits).find_map(|one| {
            let fixed = one.holds(ecosystem, version)?;
            let word = one.ecosystem_specific.word().or(one.database_specific.word()).or(self.database_specific.word());
            Some((fixed, severity(word.unwrap_or("unknown"))))
        })
    }
}

/// `Debian:12` is Debian 12's; `Debian` alone is any's.
fn is_of(text: &str, ecosystem: Ecosystem, base: Option<&Base>) -> bool {
    let (name, release) = text.split_once(':').unwrap_or((text, ""));
    let wanted = match ecosystem {
        Ecosystem::Debian => "debian",
        Ecosystem::Alpine => "alpine",
    };
    let release = release.trim_start_matches('v');
    let same = |base: &Base| base.version == release || base.version.starts_with(&format!("{release}."));
    name.eq_ignore_ascii_case(wanted) && (release.is_empty() || base.is_none_or(same))
}

impl Affected {
    /// Whether a version has it; the version that has it no more.
    fn holds(&self, ecosystem: Ecosystem, version: &str) -> Option<Option<String>> {
        let order = |other: &str| compare(ecosystem, version, other);
        for range in self.ranges.iter().filter(|range| range.kind != "GIT") {
            let mut inside = false;
            for event in &range.events {
                if let Some(introduced) = &event.introduced {
                    inside = introduced == "0" || order(introduced) != Ordering::Less;
                }
                if let Some(fixed) = &event.fixed
                    && inside
                {
                    if order(fixed) == Ordering::Less {
                        return Some(Some(fixed.clone()));
                    }
                    inside = false;
                }
                if let Some(last) = &event.last_affected
                    && inside
                {
                    if order(last) != Ordering::Greater {
                        return Some(None);
                    }
                    inside = false;
                }
            }
            if inside {
                return Some(None);
            }
        }
        self.versions.iter().any(|one| one == version).then_some(None)
    }
}
