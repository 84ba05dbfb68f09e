//! Where rules put what they find, with the change that would mend it. Does not know the rules, and makes no change.

use base_explain::finding::{About, Finding, Fix, Safety};
use base_explain::{Point, Span};
use lib_yaml_edit::{Data, Node, Step};

use super::catalogue::{lint_rules, number};
use crate::object::Object;
use crate::validate::At;

pub type LintFinding = Finding<'static>;

/// A change of one object, by paths from its root.
#[derive(Debug, Clone)]
pub(crate) enum Mend {
    Set(Vec<Step>, Data),
    Remove(Vec<Step>),
    Rename(Vec<Step>, &'static str),
}

/// A finding on its way out.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) finding: LintFinding,
    /// Of the objects that are checked together.
    pub(crate) object: usize,
    pub(crate) mend: Option<Mend>,
}

/// Where rules put what they find.
pub(crate) struct Found<'o> {
    /// By the catalogue's numbers.
    wanted: &'o [bool],
    objects: &'o [Object],
    pub(crate) list: Vec<Raw>,
    current: usize,
}

impl<'o> Found<'o> {
    pub(crate) fn new(wanted: &'o [bool], objects: &'o [Object]) -> Self {
        Found { wanted, objects, list: Vec::new(), current: 0 }
    }

    /// What is added now is about this object.
    pub(crate) fn about(&mut self, object: usize) {
        self.current = object;
    }

    /// The same; the answer is the object before, to go back to.
    pub(crate) fn now_about(&mut self, object: usize) -> usize {
        std::mem::replace(&mut self.current, object)
    }

    /// Whether anybody wants to know.
    pub(crate) fn wants(&self, id: &str) -> bool {
        number(id).is_some_and(|at| self.wanted.get(at) == Some(&true))
    }

    /// Adds a finding; the answer takes its mend.
    pub(crate) fn add(&mut self, id: &str, at: &At<'_>, what: impl Into<String>) -> Added<'_> {
        self.add_at(id, place(at.place()), what)
    }

    pub(crate) fn add_at(&mut self, id: &str, span: Span, what: impl Into<String>) -> Added<'_> {
        let Some(rule) =
            number(id).filter(|at| self.wanted.get(*at) == Some(&true)).and_then(|at| lint_rules().get(at))
        else {
            return Added(None);
        };
        let name = self.objects.get(self.current).map(|object| object.identity.to_string()).unwrap_or_default();
        let finding = Finding {
            about: Some(About { kind: "resource", name }),
            ..Finding::new(rule, span, Point { line: 1, column: 1 }, what)
        };
        self.list.push(Raw { finding, object: self.current, mend: None });
        Added(self.list.last_mut())
    }
}

/// What to underline: a scalar itself, of a map or list where it begins.
pub(crate) fn place(node: &Node) -> Span {
    if let Some(pair) = node.pairs().first() {
        let end = if pair.node.text().is_some() { pair.node.end } else { pair.key_end };
        return Span::new(pair.key_start as usize, end as usize);
    }
    match node.items().first() {
        Some(first) => place(first),
        None => Span::new(node.start as usize, node.end as usize),
    }
}

/// A finding that was just added.
pub(crate) struct Added<'a>(Option<&'a mut Raw>);

impl Added<'_> {
    pub(crate) fn mend(self, safety: Safety, what: impl Into<String>, mend: Mend) {
        if let Some(raw) = self.0 {
            raw.finding.fix = Some(Fix { safety, what: what.into(), edits: Vec::new() });
            raw.mend = Some(mend);
        }
    }

    pub(crate) fn safe(self, what: impl Into<String>, mend: Mend) {
        self.mend(Safety::Safe, what, mend);
    }

    pub(crate) fn suggest(self, what: impl Into<String>, mend: Mend) {
        self.mend(Safety::Suggested, what, mend);
    }

    /// Suggests a value for a key of a map that is there or not.
    pub(crate) fn suggest_set(self, at: &At<'_>, value: impl Into<Data>) {
        let value = value.into();
        let steps = at.steps();
        let key = match steps.last() {
            Some(Step::Key(key)) => key.to_string(),
            _ => String::new(),
        };
        let shown = match &value {
            Data::Bool(value) => format!("write `{key}: {value}`"),
            Data::Number(value) => format!("write `{key}: {value}`"),
            Data::Text(value) => format!("write `{key}: {value}`"),
            _ => format!("write `{key}`"),
        };
        self.suggest(shown, Mend::Set(steps, value));
    }
}
