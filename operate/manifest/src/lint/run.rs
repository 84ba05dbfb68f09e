//! A whole check: texts in, findings out, file by file.

use std::sync::Arc;

use base_explain::finding::{self, Finding};
use base_explain::{Lines, Span};

use super::catalogue::{is_on, lint_rules, number};
use super::found::{Found, LintFinding, Raw};
use super::view::View;
use super::{ignore, mend, rules};
use crate::object::{File, Limits, Object, ReadError, read};
use crate::validate::{MINOR_NEWEST, MINOR_OLDEST, Target, Verdict, validate};

/// Findings of one file beyond this number are only counted.
pub const FINDINGS_MAX: usize = 1_000;

/// What the check is told besides the texts.
#[derive(Debug, Clone, Default)]
pub struct LintOptions {
    /// Of the API, as 34 of 1.34.
    pub minor: u8,
    /// Also those that are looked for only when asked.
    pub all: bool,
    /// Only these, by id; empty for those that are on. What cannot be read is always found.
    pub rules: Vec<&'static str>,
    /// Not these, by id.
    pub skip: Vec<&'static str>,
    /// With the bytes of each edit: they take as long as all the rest.
    pub edits: bool,
}

/// One text and its objects.
#[derive(Debug, Clone)]
struct Sheet {
    name: Arc<str>,
    text: String,
    objects: std::ops::Range<usize>,
    fault: Option<ReadError>,
}

/// Texts that are checked together.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    sheets: Vec<Sheet>,
    objects: Vec<Object>,
}

impl Manifests {
    /// Adds a text. One that cannot be read is a finding of the check.
    pub fn add(&mut self, name: &str, text: String, limits: &Limits) {
        let file = read(name, &text, limits);
        self.add_read(name, text, file);
    }

    /// Adds a text that was read already, by [`crate::look`].
    pub fn add_read(&mut self, name: &str, text: String, file: Result<File, ReadError>) {
        let from = self.objects.len();
        let fault = file.map(|file| self.objects.extend(file.objects)).err();
        self.sheets.push(Sheet { name: name.into(), text, objects: from..self.objects.len(), fault });
    }

    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The texts with their names, as [`check`] answers them.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sheets.iter().map(|sheet| (&*sheet.name, sheet.text.as_str()))
    }

    /// As the forms of an answer want it: each text with what was found in it.
    pub fn lend<'a>(&'a self, checked: &'a [Checked]) -> Vec<finding::File<'a>> {
        let one = |(sheet, checked): (&'a Sheet, &'a Checked)| finding::File {
            path: &sheet.name,
            text: Some(&sheet.text),
            findings: &checked.findings,
            ignored: 0,
            beyond: checked.beyond,
        };
        self.sheets.iter().zip(checked).map(one).collect()
    }
}

/// What was found in one text, in its order.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// With those that are suppressed.
    pub findings: Vec<LintFinding>,
    /// Found, and not listed: more than [`FINDINGS_MAX`].
    pub beyond: usize,
    /// What could not be told, in words.
    pub not_checked: Vec<String>,
}

/// Checks all texts; the answers are in their order. The same texts and options give the same answer.
pub fn check(manifests: &Manifests, options: &LintOptions) -> Vec<Checked> {
    let minor = options.minor.clamp(MINOR_OLDEST, MINOR_NEWEST);
    let wanted: Vec<bool> = lint_rules()
        .iter()
        .map(|rule| {
            let on =
                if options.rules.is_empty() { options.all || is_on(rule) } else { options.rules.contains(&rule.id) };
            on && !options.skip.contains(&rule.id)
        })
        .collect();
    let objects = manifests.objects.as_slice();
    let mut found = Found::new(&wanted, objects);
    let view = View::of(objects, minor);
    rules::all(&view, objects, &mut found);
    let verdicts = validate(objects, &Target { minor });
    let mut ignores = Vec::with_capacity(manifests.sheets.len());
    for sheet in &manifests.sheets {
        let mine: Vec<(usize, &Object)> =
            sheet.objects.clone().filter_map(|number| Some((number, objects.get(number)?))).collect();
        let mut list = ignore::comments(&sheet.text, &mine, &mut found);
        for (number, object) in mine {
            list.extend(ignore::annotations(number, object, &mut found));
        }
        ignores.push(list);
    }
    let mut by_sheet: Vec<Vec<Raw>> = manifests.sheets.iter().map(|_| Vec::new()).collect();
    for raw in found.list {
        let at = manifests.sheets.partition_point(|sheet| sheet.objects.end <= raw.object);
        if let Some(list) = by_sheet.get_mut(at) {
            list.push(raw);
        }
    }
    let parts = manifests.sheets.iter().zip(by_sheet).zip(ignores);
    parts
        .map(|((sheet, mut raw), ignores)| {
            let mut not_checked = Vec::new();
            for number in sheet.objects.clone() {
                let Some(verdict) = verdicts.get(number) else { continue };
                raw.extend(of_verdict(verdict, &sheet.text, number, minor, &wanted));
                not_checked.extend(verdict.not_checked.iter().map(|what| format!("{}: {what}", verdict.identity)));
            }
            raw.extend(of_fault(sheet));
            let (mut findings, beyond) = finish(sheet, raw, objects, options);
            for finding in &mut findings {
                finding.suppressed =
                    ignores.iter().find(|ignore| ignore.covers(finding)).map(ignore::Ignore::suppressed);
            }
            Checked { findings, beyond, not_checked }
        })
        .collect()
}

/// In the text's order, at most so many, with their lines.
fn finish(sheet: &Sheet, mut raw: Vec<Raw>, objects: &[Object], options: &LintOptions) -> (Vec<LintFinding>, usize) {
    raw.sort_by(|a, b| {
        let key = |raw: &Raw| (raw.finding.span.start, raw.finding.rule.id, raw.finding.span.end);
        key(a).cmp(&key(b))
    });
    raw.dedup_by(|a, b| {
        let (a, b) = (&a.finding, &b.finding);
        a.span == b.span && a.rule.id == b.rule.id && a.what == b.what
    });
    let beyond = raw.len().saturating_sub(FINDINGS_MAX);
    if beyond > 0 {
        // The worst are kept, so that nobody is told that all is well.
        raw.sort_by_key(|raw| std::cmp::Reverse(raw.finding.severity));
        raw.truncate(FINDINGS_MAX);
        raw.sort_by_key(|raw| (raw.finding.span.start, raw.finding.rule.id));
    }
    if options.edits {
        mend::edits(&sheet.text, &mut raw, objects);
    }
    let lines = Lines::of(&sheet.text);
    let place = |raw: Raw| Finding { at: lines.point(&sheet.text, raw.finding.span.start), ..raw.finding };
    (raw.into_iter().map(place).collect(), beyond)
}

/// What validation says, in the form of all findings.
fn of_verdict<'a>(
    verdict: &'a Verdict,
    text: &'a str,
    object: usize,
    minor: u8,
    wanted: &'a [bool],
) -> impl Iterator<Item = Raw> + 'a {
    let id = &verdict.identity;
    let removed = rules::is_removed(&id.api_version, &id.kind, minor);
    let wants = |rule: &str| number(rule).is_some_and(|at| wanted.get(at) == Some(&true));
    // The rule of removed versions says the same, and since when.
    let said = move |rule: &str| rule == "kind/version" && removed && wants("AK0101");
    let told = verdict.told().into_iter().filter(move |told| wants(told.rule.id) && !said(told.rule.id));
    told.map(move |told| {
        let finding = Finding { span: first_line(text, told.span), ..told };
        Raw { finding, object, mend: None }
    })
}

/// A map or list is underlined where it begins.
fn first_line(text: &str, span: Span) -> Span {
    Span::new(span.start, span.of(text).find('\n').map_or(span.end, |n| span.start + n))
}

/// What could not be read.
fn of_fault(sheet: &Sheet) -> Option<Raw> {
    let error = sheet.fault.as_ref()?;
    let rule = number("AK0001").and_then(|at| lint_rules().get(at))?;
    let (line, column, what) = match error {
        ReadError::Fault { fault, .. } => (fault.line, fault.column, format!("{}; {}", fault.message, fault.hint)),
        ReadError::NoObject { line, column, what, hint, .. } => {
            (*line as usize, *column as usize, format!("{what}; {hint}"))
        }
    };
    let before: usize = sheet.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = sheet.text.get(before..).unwrap_or("");
    let inside = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    let start = (before + inside).min(sheet.text.len());
    let end = sheet.text.get(start..).and_then(|rest| rest.find('\n')).map_or(sheet.text.len(), |n| start + n);
    let finding = Finding::new(rule, Span::new(start, end), base_explain::Point { line, column }, what);
    Some(Raw { finding, object: 0, mend: None })
}
