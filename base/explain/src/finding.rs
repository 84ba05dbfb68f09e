//! What a check found in texts: rules, findings with their places and edits, and the same findings for a person ([`text`]), a program ([`json`]) and a code
//! host ([`sarif()`]). Does not know what is checked; it finds nothing itself.
//!
//! A room that checks keeps a catalogue of [`Rule`]s, makes [`Finding`]s that point into it, and lends both with each text:
//!
//! ```text
//! let lines = Lines::of(&yaml);                                   // places: bytes to lines and columns
//! let finding = Finding::new(&RULES[3], span, lines.point(&yaml, span.start), "`memory` is not limited");
//! let finding = Finding { about: Some(About { kind: "resource", name: "Deployment/cart".into() }), ..finding };
//! let file = File { path: "deploy.yaml", text: Some(&yaml), findings: &[finding], beyond: 0, ignored: 0 };
//! text(&[file], color)  |  json(&[file])  |  sarif("apm manifest check", version, &RULES, &[file])
//! ```
//!
//! [`chosen`] and [`apply`] make the edits of findings. A finding that somebody allows keeps its place in the list, with [`Suppressed`]: it is counted as ignored, a code host shows it as closed, and
//! [`Counts`] do not have it.

mod edit;
mod sarif;
mod text;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Lines, Point, Severity, Span};

pub use edit::{Edit, Fix, Safety, apply, chosen};
pub use sarif::sarif;
pub use text::text;

/// One rule of a catalogue. `'static` for our own ones; borrowed from a report for those of other people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule<'a> {
    /// `AD0001`.
    pub id: &'a str,
    /// `syntax-error`; empty where others made the rule: then its title is all that is known.
    pub name: &'a str,
    pub severity: Severity,
    /// `security`: a tag at a code host.
    pub area: &'a str,
    /// What other tools call it.
    pub also: Vec<&'a str>,
    pub title: &'a str,
    pub why: &'a str,
    pub fix: &'a str,
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// A comment in the text itself says so; else an option or a setting.
    pub in_source: bool,
    pub reason: String,
}

/// The thing that a finding is about, where it has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// `package`, `resource`: SARIF's word for the kind of a logical location.
    pub kind: &'static str,
    /// `openssl`, `Deployment/cart`.
    pub name: String,
}

/// One thing that is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    pub rule: &'a Rule<'a>,
    /// The rule's, or less where it matters less.
    pub severity: Severity,
    pub span: Span,
    /// Where the span starts.
    pub at: Point,
    /// One sentence about this place.
    pub what: String,
    pub fix: Option<Fix>,
    pub about: Option<About>,
    pub suppressed: Option<Suppressed>,
}

impl<'a> Finding<'a> {
    /// As severe as its rule, without a fix.
    pub fn new(rule: &'a Rule<'a>, span: Span, at: Point, what: impl Into<String>) -> Self {
        let what = what.into();
        Finding { rule, severity: rule.severity, span, at, what, fix: None, about: None, suppressed: None }
    }
}

/// One file and what was found in it.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    pub path: &'a str,
    /// `None` where it is no text: spans then say nothing.
    pub text: Option<&'a str>,
    pub findings: &'a [Finding<'a>],
    /// Found and ignored, and not in the list.
    pub ignored: usize,
    /// Found and not listed: too many.
    pub beyond: usize,
}

/// How many of each severity, without those that are suppressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub critical: usize,
    pub high: usize,
    pub warning: usize,
    pub info: usize,
}

impl Counts {
    pub fn of(severities: impl IntoIterator<Item = Severity>) -> Self {
        let mut counts = Counts::default();
        for severity in severities {
            match severity {
                Severity::Critical => counts.critical += 1,
                Severity::High => counts.high += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Info => counts.info += 1,
            }
        }
        counts
    }

    pub fn of_files(files: &[File]) -> Self {
        let found = files.iter().flat_map(|file| file.findings).filter(|finding| finding.suppressed.is_none());
        Counts::of(found.map(|finding| finding.severity))
    }
}

/// `1 high, 2 info`; `nothing found`.
impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [self.critical, self.high, self.warning, self.info].into_iter().zip(Severity::WORST_FIRST);
        let parts: Vec<String> = all
            .filter(|(count, _)| *count > 0)
            .map(|(count, severity)| format!("{count} {}", severity.name()))
            .collect();
        f.write_str(&if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") })
    }
}

/// One object: `files` with their `findings`, and `counts`. Offsets are bytes; lines and columns count from 1.
pub fn json(files: &[File]) -> Value {
    let one = |finding: &Finding, end: Point| {
        let mut value = json!({
            "rule": finding.rule.id,
            "name": finding.rule.name,
            "severity": finding.severity,
            "also": finding.rule.also,
            "line": finding.at.line,
            "column": finding.at.column,
            "end_line": end.line,
            "end_column": end.column,
            "span": finding.span,
            "title": finding.rule.title,
            "message": finding.what,
            "why": finding.rule.why,
            "fix": finding.rule.fix,
            "edit": finding.fix,
        });
        if let Some(about) = &finding.about {
            value["about"] = json!(about);
        }
        if let Some(suppressed) = &finding.suppressed {
            value["suppressed"] = json!(suppressed);
        }
        value
    };
    let file = |file: &File| {
        let text = file.text.unwrap_or_default();
        let lines = Lines::of(text);
        let findings: Vec<Value> =
            file.findings.iter().map(|finding| one(finding, lines.point(text, finding.span.end))).collect();
        json!({ "path": file.path, "findings": findings, "ignored": ignored(file), "not_listed": file.beyond })
    };
    let listed: Vec<Value> = files.iter().map(file).collect();
    json!({ "version": 1, "files": listed, "counts": Counts::of_files(files) })
}

/// Those in the list and those that are not.
fn ignored(file: &File) -> usize {
    file.ignored + file.findings.iter().filter(|finding| finding.suppressed.is_some()).count()
}

#[cfg(test)]
mod tests;
