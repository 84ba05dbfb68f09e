//! What a person allows: comments `# apm ignore=AK0201,latest-tag reason="…"` for the line they stand on or for what follows them, `# apm ignore-file=…`
//! for the whole file, and kube-linter's annotations `ignore-check.kube-linter.io/NAME` and `kube-linter.io/ignore-all` for their object. Does not know
//! what the rules look for.

use base_explain::Span;
use base_explain::finding::Suppressed;
use lib_yaml_edit::Dialect;

use super::catalogue::{LintRule, lint_named};
use super::found::{Found, LintFinding};
use crate::object::Object;
use crate::validate::At;

/// What one comment or annotation allows, and where.
#[derive(Debug, Clone)]
pub(crate) struct Ignore {
    /// Empty for all.
    rules: Vec<&'static LintRule>,
    over: Span,
    reason: String,
}

impl Ignore {
    pub(crate) fn covers(&self, finding: &LintFinding) -> bool {
        let inside = self.over.start <= finding.span.start && finding.span.start < self.over.end;
        // An ignore does not excuse itself.
        let of_ignores = matches!(finding.rule.id, "AK0002" | "AK0003");
        inside && (self.rules.is_empty() && !of_ignores || self.rules.iter().any(|rule| rule.id == finding.rule.id))
    }

    pub(crate) fn suppressed(&self) -> Suppressed {
        Suppressed { in_source: true, reason: self.reason.clone() }
    }
}

const COMMENT: &str = "# apm ignore";

/// All of a file's comments. The objects are those of this file, with their numbers.
pub(crate) fn comments(text: &str, objects: &[(usize, &Object)], found: &mut Found<'_>) -> Vec<Ignore> {
    let mut ignores = Vec::new();
    // Most files have none: a look for the word is all that they cost.
    if !text.contains(COMMENT) {
        return ignores;
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(sign) = line.find(COMMENT) else { continue };
        let before = line.get(..sign).unwrap_or("");
        let comment = line.get(sign..).unwrap_or("").trim_end();
        if !before.is_empty() && !before.ends_with([' ', '\t']) {
            continue;
        }
        let body = comment.trim_start_matches("# apm ");
        let (whole, list) = match (body.strip_prefix("ignore-file="), body.strip_prefix("ignore=")) {
            (Some(list), _) => (true, list),
            (_, Some(list)) => (false, list),
            _ => continue,
        };
        if let Some((number, _)) = objects.iter().rev().find(|(_, object)| (object.node.start as usize) <= start) {
            found.about(*number);
        }
        let over = match (whole, before.trim().is_empty()) {
            (true, _) => Span::new(0, text.len() + 1),
            (false, true) => following(text, at),
            (false, false) => Span::new(start, at),
        };
        let from = start + sign + comment.len() - list.len();
        ignores.push(read(list, from, Span::new(start + sign, start + sign + comment.len()), over, found));
    }
    ignores
}

/// `AK0201,latest-tag reason="…"`, which begins at this byte.
fn read(list: &str, from: usize, comment: Span, over: Span, found: &mut Found<'_>) -> Ignore {
    let (names, reason) = list.split_once(" reason=").unwrap_or((list, ""));
    let reason = reason.trim().trim_matches('"').trim().to_owned();
    if reason.is_empty() {
        found.add_at("AK0002", comment, "no reason is given");
    }
    let mut rules = Vec::new();
    for name in names.split([',', ' ']).filter(|name| !name.is_empty()) {
        let known: Vec<_> = lint_named(name).collect();
        if known.is_empty() {
            let at = from + (name.as_ptr() as usize - list.as_ptr() as usize);
            found.add_at("AK0003", Span::new(at, at + name.len()), format!("there is no rule `{name}`"));
        }
        rules.extend(known);
    }
    // Only wrong names: nothing is allowed, and not everything.
    let over = if rules.is_empty() { Span::new(0, 0) } else { over };
    Ignore { rules, over, reason }
}

/// What stands below a comment that ends here: the next key or item with all that is in it; before the first key of a document, the document.
fn following(text: &str, from: usize) -> Span {
    let lines = |from: usize| {
        let mut at = from;
        text.get(from..).unwrap_or("").split_inclusive('\n').map(move |line| {
            let start = at;
            at += line.len();
            (start, line)
        })
    };
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let Some((start, first)) = lines(from).find(|(_, line)| says(line)) else { return Span::new(from, from) };
    let before = text.get(..start).unwrap_or("").lines().rev().find(|line| says(line));
    let opens = before.is_none_or(|line| line.starts_with("---"));
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let depth = indent(first);
    let is_item = first.trim_start().starts_with('-');
    let ends = |line: &str| match opens && depth == 0 {
        true => line.starts_with("---"),
        // The items of a list may stand as deep as its key.
        false => {
            says(line)
                && (indent(line) < depth || indent(line) == depth && (is_item || !line.trim_start().starts_with('-')))
        }
    };
    let end = lines(start).skip(1).find(|(_, line)| ends(line)).map_or(text.len() + 1, |(at, _)| at);
    Span::new(start, end)
}

/// kube-linter's annotations of one object.
pub(crate) fn annotations(number: usize, object: &Object, found: &mut Found<'_>) -> Vec<Ignore> {
    let root = At::root(&object.node);
    let metadata = root.get("metadata");
    let annotations = metadata.get("annotations");
    let over = Span::new(object.node.start as usize, object.node.end as usize + 1);
    let mut ignores = Vec::new();
    for (key, value) in annotations.pairs() {
        let all = key == "kube-linter.io/ignore-all";
        let Some(name) = key.strip_prefix("ignore-check.kube-linter.io/").or(all.then_some("")) else { continue };
        let reason = match value.node.and_then(|node| node.word(Dialect::Kubectl)) {
            Some(lib_yaml_edit::Word::Text(text)) => text.trim().to_owned(),
            _ => String::new(),
        };
        found.about(number);
        if reason.is_empty() {
            found.add("AK0002", &value, "no reason is given");
        }
        let rules: Vec<_> = lint_named(name).collect();
        // Checks that a person made for kube-linter have other names; they are none of ours.
        if all || !rules.is_empty() {
            ignores.push(Ignore { rules, over, reason });
        }
    }
    ignores
}
