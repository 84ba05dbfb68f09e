//! Findings as a person reads them: the line underlined, why, what to do; then one line with their number.

use super::{Counts, File, Finding, Safety, ignored};
use crate::{Lines, Severity};

/// Lines longer than this are cut around the place.
const LINE_CHARS_MAX: usize = 160;

/// All findings, then one line with their number. Colours are ANSI's. What is suppressed is only counted.
pub fn text(files: &[File], color: bool) -> String {
    let mut out = String::new();
    let paint = |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    for file in files {
        let text = file.text.unwrap_or_default();
        let lines = Lines::of(text);
        for finding in file.findings.iter().filter(|finding| finding.suppressed.is_none()) {
            one(&mut out, file, &lines, finding, &paint);
        }
    }
    let plural = if files.len() == 1 { "file" } else { "files" };
    out.push_str(&format!("{} {plural}: {}", files.len(), Counts::of_files(files)));
    let (ignored, beyond): (usize, usize) =
        files.iter().fold((0, 0), |sum, file| (sum.0 + ignored(file), sum.1 + file.beyond));
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
    let pad = " ".repeat(at.line.to_string().len());
    let about = finding.about.as_ref().map(|about| format!(" ({})", about.name)).unwrap_or_default();
    let arrow = paint("1;34", "-->");
    match file.text {
        Some(text) => {
            out.push_str(&format!("{pad}{arrow} {}:{}:{}{about}\n", file.path, at.line, at.column));
            snippet(out, text, lines, finding, &pad, &|text| paint("1;34", text), &|text| paint(code, text));
        }
        None => out.push_str(&format!("{pad}{arrow} {}{about}\n", file.path)),
    }
    for (word, what) in [("why", rule.why), ("fix", rule.fix)] {
        if !what.is_empty() {
            out.push_str(&format!("{pad} = {word}: {what}\n"));
        }
    }
    if let Some(fix) = &finding.fix {
        let how = match fix.safety {
            Safety::Safe => "--fix",
            Safety::Suggested => "--fix=suggested",
        };
        out.push_str(&format!("{pad} = `{how}` will {}\n", fix.what));
    }
    out.push('\n');
}

type Paint<'a> = &'a dyn Fn(&str) -> String;

fn snippet(out: &mut String, text: &str, lines: &Lines, finding: &Finding, pad: &str, frame: Paint, mark: Paint) {
    let at = finding.at;
    let line = lines.line(text, at.line);
    let before = at.column.saturating_sub(1);
    let length = finding.span.of(text).chars().take_while(|c| *c != '\n' && *c != '\r').count().max(1);
    let skip = if line.chars().count() > LINE_CHARS_MAX { before.saturating_sub(LINE_CHARS_MAX / 4) } else { 0 };
    let shown: String =
        line.chars().skip(skip).take(LINE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let carets = "^".repeat(length.min(LINE_CHARS_MAX));
    let bar = frame("|");
    out.push_str(&format!("{pad} {bar}\n{} {bar} {shown}\n", frame(&at.line.to_string())));
    out.push_str(&format!("{pad} {bar} {}{}\n", " ".repeat(before.saturating_sub(skip)), mark(&carets)));
}
