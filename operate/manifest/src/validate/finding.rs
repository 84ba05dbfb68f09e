//! What a validation found, and the catalogue of what it can find. Does not know how it is found or shown.

use std::sync::Arc;

use serde::Serialize;

use super::at::At;
use crate::object::Identity;

/// Whether a server would refuse the object for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The server takes it, but it cannot work.
    Warning,
    /// The server refuses it.
    Error,
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub id: &'static str,
    pub title: &'static str,
    pub why: &'static str,
}

macro_rules! catalogue {
    ($($id:literal $title:literal $why:literal)*) => {
        /// All that can be found, by id.
        pub const RULES: &[Rule] = &[$(Rule { id: $id, title: $title, why: $why }),*];
    };
}

catalogue! {
    "custom/rule" "a rule of the custom resource fails" "the CustomResourceDefinition demands it"
    "custom/schema" "a custom resource breaks its schema" "the server checks objects against the schema of their CustomResourceDefinition"
    "custom/definition" "a CustomResourceDefinition is not one" "the server refuses definitions that contradict themselves"
    "field/duplicate" "two items of a list have the same key" "server-side apply merges such lists by these fields and refuses twins"
    "field/required" "a field is missing" "the server refuses the object without it"
    "field/type" "a value has the wrong type" "the server cannot decode it"
    "field/unknown" "a field that the API does not know" "servers refuse unknown fields, and older clients lose them without a word"
    "format/name" "a name breaks the rules of names" "names become DNS names, paths or labels, and must fit there"
    "format/quantity" "not a quantity" "quantities are a number and a suffix such as m, k, Mi or Gi"
    "format/value" "a value that the API does not take here" "the server allows only certain values"
    "kind/unknown" "a kind that the API does not have" "the server answers: no matches for kind"
    "kind/version" "a kind in a version that the API does not have" "versions come and go with releases of Kubernetes"
    "object/twice" "an object is here twice" "the second overwrites the first"
    "range/number" "a number out of its range" "the server checks the range"
    "relation/conflict" "fields that exclude each other" "only one of them can be meant"
    "relation/match" "two fields that must agree do not" "the one selects, limits or names the other"
    "relation/missing" "something named is not there" "a name refers to nothing"
    "relation/unique" "what must be unique is there twice" "the server tells them apart by it"
    "size/limit" "larger than the server takes" "the server bounds the size of objects"
}

/// The catalogue's entry.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// One thing that is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub rule: &'static str,
    pub severity: Severity,
    /// From 1; the column in characters.
    pub line: u32,
    pub column: u32,
    /// Bytes of the file's text.
    pub start: u32,
    pub end: u32,
    /// As `spec.containers[0].image`.
    pub path: String,
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// What a server would say of one object.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub identity: Identity,
    pub file: Arc<str>,
    pub line: u32,
    pub findings: Vec<Finding>,
    /// What could not be told, in words; nothing here is an error.
    pub not_checked: Vec<String>,
}

impl Verdict {
    /// No error was found; there may be warnings.
    pub fn accepts(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }
}

/// Findings beyond this number add nothing.
const FINDINGS_MAX: usize = 100;

/// Where rules put what they find.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) findings: Vec<Finding>,
    pub(crate) not_checked: Vec<String>,
    pub(crate) minor: u8,
    /// The target is newer than what is known here.
    pub(crate) newer: bool,
    /// The server does not look where the rules look now: what they find are warnings.
    pub(crate) lenient: bool,
}

impl Out {
    pub(crate) fn error(&mut self, at: &At<'_>, rule: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        let severity = if self.lenient { Severity::Warning } else { Severity::Error };
        self.add(at, severity, rule, what.into(), fix.into());
    }

    pub(crate) fn warn(&mut self, at: &At<'_>, rule: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(at, Severity::Warning, rule, what.into(), fix.into());
    }

    fn add(&mut self, at: &At<'_>, severity: Severity, rule: &'static str, what: String, fix: String) {
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let place = at.place();
        let (line, column, start, end) = (place.line, place.column, place.start, place.end);
        self.findings.push(Finding { rule, severity, line, column, start, end, path: at.path(), what, fix });
    }
}
