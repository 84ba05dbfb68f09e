//! Edits that mend what was found: which can be made together, and the text with them made. Does not decide which are safe: each finding says so.

use serde::Serialize;

use super::Finding;
use crate::Span;

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
    /// What comes of the text is the same.
    Safe,
    /// It does what the rule asks for, and may change what comes of the text.
    Suggested,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    pub safety: Safety,
    /// In words: "write `COPY`".
    pub what: String,
    pub edits: Vec<Edit>,
}

/// The edits that can be made together, by place; a finding whose edits touch another's waits for the next round.
pub fn chosen(findings: &[Finding<'_>], up_to: Safety) -> (Vec<Edit>, usize) {
    let mut edits: Vec<Edit> = Vec::new();
    let mut count = 0;
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.safety <= up_to) {
        let touches = |a: &Edit, b: &Edit| a.span.start <= b.span.end && b.span.start <= a.span.end;
        let clashes = fix.edits.iter().any(|new| edits.iter().any(|old| touches(new, old) && old != new));
        if clashes {
            continue;
        }
        count += 1;
        for edit in &fix.edits {
            if !edits.contains(edit) {
                edits.push(edit.clone());
            }
        }
    }
    edits.sort_by_key(|edit| edit.span);
    (edits, count)
}

/// The text with its edits made; they are sorted and do not overlap.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let Some(between) = text.get(at..edit.span.start) else { continue };
        out.push_str(between);
        out.push_str(&edit.with);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}
