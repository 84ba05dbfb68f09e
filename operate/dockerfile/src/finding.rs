//! Where rules put what they find, and the edits that would mend it. Does not know the rules.

pub(crate) use base_explain::finding::Edit;
use base_explain::finding::{Fix, Safety};
use base_explain::{Point, Severity, Span};

use crate::rule::rule;
use crate::shell::Command;

/// Findings beyond this number are only counted.
pub const FINDINGS_MAX: usize = 500;

pub type Finding = base_explain::finding::Finding<'static>;

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
        self.list.push(Finding::new(rule, span, at, what));
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
