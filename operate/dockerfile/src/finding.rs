//! What a check finds, and the edits that would mend it. Does not know the rules.

use serde::Serialize;

use crate::rule::{Rule, Severity, rule};
use crate::shell::Command;
use crate::span::{Point, Span};

/// Findings beyond this number are only counted.
pub const FINDINGS_MAX: usize = 500;

/// Replaces the bytes of a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    pub span: Span,
    pub with: String,
}

impl Edit {
    pub fn new(span: Span, with: impl Into<String>) -> Self {
        Edit { span, with: with.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// The built image is the same: its files, its settings, its history of variables.
    Safe,
    /// It does what the rule asks for, and may change the image.
    Suggested,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    pub safety: Safety,
    /// In words: "write `COPY`".
    pub what: String,
    pub edits: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static Rule,
    /// The rule's, or less where it matters less.
    pub severity: Severity,
    pub span: Span,
    pub at: Point,
    /// One sentence about this place.
    pub what: String,
    pub fix: Option<Fix>,
}

/// Where rules put what they find.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    beyond: usize,
}

impl Findings {
    /// Adds a finding; the answer takes its fix. An id that the catalogue lacks is found by the tests of each rule.
    pub(crate) fn add(&mut self, id: &str, span: Span, what: impl Into<String>) -> Added<'_> {
        let Some(rule) = rule(id) else { return Added(None) };
        // Twice as many as are shown, as ignored ones go away later.
        if self.list.len() >= FINDINGS_MAX * 2 {
            self.beyond += 1;
            return Added(None);
        }
        let at = Point { line: 1, column: 1 };
        self.list.push(Finding { rule, severity: rule.severity, span, at, what: what.into(), fix: None });
        Added(self.list.last_mut())
    }

    pub(crate) fn into_list(self) -> (Vec<Finding>, usize) {
        (self.list, self.beyond)
    }
}

/// A finding that was just added.
pub(crate) struct Added<'a>(Option<&'a mut Finding>);

impl Added<'_> {
    fn fix(self, safety: Safety, what: impl Into<String>, edits: Vec<Edit>) -> Self {
        let Added(mut finding) = self;
        if let Some(finding) = &mut finding {
            finding.fix = Some(Fix { safety, what: what.into(), edits });
        }
        Added(finding)
    }

    pub(crate) fn safe(self, what: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fix(Safety::Safe, what, edits)
    }

    /// Safe, but for what ONBUILD keeps: the image holds its text as it is written.
    pub(crate) fn safe_unless(self, triggered: bool, what: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fix(if triggered { Safety::Suggested } else { Safety::Safe }, what, edits)
    }

    pub(crate) fn suggest(self, what: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fix(Safety::Suggested, what, edits)
    }

    /// As [`Added::suggest`], where the command's words can be edited.
    pub(crate) fn suggest_in(self, command: &Command, what: impl Into<String>, edits: Vec<Edit>) -> Self {
        if command.exact { self.suggest(what, edits) } else { self }
    }

    /// At most this bad.
    pub(crate) fn at_most(self, severity: Severity) -> Self {
        let Added(mut finding) = self;
        if let Some(finding) = &mut finding {
            finding.severity = finding.severity.min(severity);
        }
        Added(finding)
    }
}
