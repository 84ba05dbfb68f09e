//! The answer as a person, a program or a code host reads it: text with the line underlined, JSON, SARIF 2.1.0 (OASIS).
//! Prints nothing itself.

use serde_json::{Value, json};

use crate::check::{Checked, Counts};
use crate::finding::Finding;
use crate::rule::Severity;
use crate::span::Lines;

/// One file and what was found in it.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub text: String,
    pub checked: Checked,
}

/// Lines longer than this are cut around the place.
const LINE_CHARS_MAX: usize = 160;

/// All findings, then one line with their number. Colours are ANSI's.
pub fn text(files: &[File], color: bool) -> String {
    let mut out = String::new();
    let paint = |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut counts = Counts::default();
    let (mut ignored, mut beyond) = (0, 0);
    for file in files {
        let lines = Lines::of(&file.text);
        ignored += file.checked.ignored;
        beyond += file.checked.beyond;
        for finding in &file.checked.findings {
            counts.add(finding.severity);
            one(&mut out, file, &lines, finding, &paint);
        }
    }
    let mut parts = Vec::new();
    for (count, name) in
        [(counts.critical, "critical"), (counts.high, "high"), (counts.warning, "warning"), (counts.info, "info")]
    {
        if count > 0 {
            parts.push(format!("{count} {name}"));
        }
    }
    let found = if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") };
    let plural = if files.len() == 1 { "file" } else { "files" };
    out.push_str(&format!("{} {plural}: {found}", files.len()));
    if ignored > 0 {
        out.push_str(&format!("; {ignored} ignored"));
    }
    if beyond > 0 {
        out.push_str(&format!("; {beyond} more not shown"));
    }
    out.push('\n');
    out
}

fn one(out: &mut String, file: &File, lines: &Lines, finding: &Finding, paint: &dyn Fn(&str, &str) -> String) {
    let code = match finding.severity {
        Severity::Critical | Severity::High => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let rule = finding.rule;
    let head = paint(code, &format!("{}[{}]", finding.severity.name(), rule.id));
    out.push_str(&format!("{head}: {}: {}\n", rule.title, finding.what));
    let at = finding.at;
    let gutter = at.line.to_string().len();
    let pad = " ".repeat(gutter);
    out.push_str(&format!("{pad}{} {}:{}:{}\n", paint("1;34", "-->"), file.path, at.line, at.column));
    let line = lines.line(&file.text, at.line);
    let before = at.column - 1;
    let length = finding.span.of(&file.text).chars().take_while(|c| *c != '\n' && *c != '\r').count().max(1);
    let skip = if line.chars().count() > LINE_CHARS_MAX { before.saturating_sub(LINE_CHARS_MAX / 4) } else { 0 };
    let shown: String =
        line.chars().skip(skip).take(LINE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let carets = "^".repeat(length.min(LINE_CHARS_MAX));
    let bar = paint("1;34", "|");
    out.push_str(&format!("{pad} {bar}\n{} {bar} {shown}\n", paint("1;34", &at.line.to_string())));
    out.push_str(&format!("{pad} {bar} {}{}\n", " ".repeat(before - skip.min(before)), paint(code, &carets)));
    out.push_str(&format!("{pad} = why: {}\n{pad} = fix: {}\n", rule.why, rule.fix));
    if let Some(fix) = &finding.fix {
        let how = match fix.safety {
            crate::finding::Safety::Safe => "--fix",
            crate::finding::Safety::Suggested => "--fix=suggested",
        };
        out.push_str(&format!("{pad} = `{how}` will {}\n", fix.what));
    }
    out.push('\n');
}

/// One object: `files` with their `findings`, and `counts`. Offsets are bytes; lines and columns count from 1.
pub fn json(files: &[File]) -> Value {
    let mut counts = Counts::default();
    let listed: Vec<Value> = files
        .iter()
        .map(|file| {
            let lines = Lines::of(&file.text);
            let findings: Vec<Value> = file
                .checked
                .findings
                .iter()
                .map(|finding| {
                    counts.add(finding.severity);
                    let end = lines.point(&file.text, finding.span.end);
                    json!({
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
                    })
                })
                .collect();
            json!({ "path": file.path, "findings": findings, "ignored": file.checked.ignored, "not_listed": file.checked.beyond })
        })
        .collect();
    json!({ "version": 1, "files": listed, "counts": counts })
}

/// A SARIF log with one run. Columns count code points, as `columnKind` says.
pub fn sarif(files: &[File], version: &str) -> Value {
    let rules: Vec<Value> = crate::rule::rules()
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.name,
                "shortDescription": { "text": rule.title },
                "fullDescription": { "text": rule.why },
                "help": { "text": rule.fix },
                "defaultConfiguration": { "level": level(rule.severity) },
                "properties": { "tags": [rule.area], "also": rule.also, "security-severity": score(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            let lines = Lines::of(&file.text);
            file.checked.findings.iter().map(move |finding| result(file, &lines, finding)).collect::<Vec<_>>()
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "apm docker check", "semanticVersion": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// Code hosts sort by this number, 0 to 10.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "7.5",
        Severity::Warning => "5.0",
        Severity::Info => "1.0",
    }
}

fn region(lines: &Lines, text: &str, span: crate::span::Span) -> Value {
    let (start, end) = (lines.point(text, span.start), lines.point(text, span.end));
    json!({ "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column })
}

fn result(file: &File, lines: &Lines, finding: &Finding) -> Value {
    let artifact = json!({ "uri": uri(&file.path) });
    let index = crate::rule::rules().iter().position(|rule| rule.id == finding.rule.id);
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{}: {}. {}", finding.rule.title, finding.what, finding.rule.fix) },
        "locations": [{ "physicalLocation": { "artifactLocation": artifact, "region": region(lines, &file.text, finding.span) } }],
    });
    if let (Some(fix), Some(object)) = (&finding.fix, result.as_object_mut()) {
        let replacements: Vec<Value> = fix
            .edits
            .iter()
            .map(|edit| json!({ "deletedRegion": region(lines, &file.text, edit.span), "insertedContent": { "text": edit.with } }))
            .collect();
        let changes = json!([{ "artifactLocation": artifact, "replacements": replacements }]);
        object.insert("fixes".to_owned(), json!([{ "description": { "text": fix.what }, "artifactChanges": changes }]));
    }
    result
}

/// A path as a URI reference: `/` between parts, what a URI cannot hold escaped.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
