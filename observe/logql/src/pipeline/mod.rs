//! The stages of a query, compiled once and run for every line. Knows nothing of time, steps or where lines come from.

mod filter;
mod hint;
mod ip;
mod json;
mod logfmt;
mod pattern;
mod row;

use std::borrow::Cow;

use base_signal::Pattern;

pub(crate) use filter::{compare, passes};
pub(crate) use hint::{hints, wanted_names};
pub(crate) use row::{ERROR, Row};

use crate::syntax::{Extract, FormatValue, LabelFilter, Pick, Span, Stage, StageKind};
use filter::LineTest;
use json::Step;
use pattern::LinePattern;

/// A stage that cannot be run: not built yet, or wrong in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) start: usize,
    pub(crate) why: String,
}

pub(crate) struct Pipeline {
    stages: Vec<Run>,
}

enum Run {
    Line(LineTest),
    Label(LabelFilter),
    Json,
    JsonPaths(Vec<(String, Vec<Step>)>),
    Logfmt { strict: bool, keep_empty: bool, only: Vec<Extract> },
    Regexp(Pattern),
    Form(LinePattern),
    Unpack,
    Rename(Vec<(String, String)>),
    Decolorize,
    Drop(Vec<Pick>),
    Keep(Vec<Pick>),
}

impl Pipeline {
    pub(crate) fn new(stages: &[Stage]) -> Result<Self, Refused> {
        let stages = stages.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Pipeline { stages })
    }

    /// Whether the line passes all stages; they may change it and its labels.
    pub(crate) fn run(&self, row: &mut Row<'_>) -> bool {
        self.stages.iter().all(|stage| step(stage, row))
    }
}

pub(crate) fn not_yet(span: Span, what: &str) -> Refused {
    Refused {
        start: span.start,
        why: format!("{what} cannot be evaluated yet; leave it out, or do that step in the client"),
    }
}

fn compile(stage: &Stage) -> Result<Run, Refused> {
    let wrong = |why: String| Refused { start: stage.span.start, why };
    Ok(match &stage.kind {
        StageKind::Line(filter) => Run::Line(LineTest::new(filter).map_err(wrong)?),
        StageKind::Label(filter) => match filter::wrong(filter) {
            Some(why) => return Err(wrong(why)),
            None => Run::Label(filter.clone()),
        },
        StageKind::Json(extracts) if extracts.is_empty() => Run::Json,
        StageKind::Json(extracts) => {
            let path = |e: &Extract| {
                let path = json::path(&e.expression);
                path.map(|p| (e.name.clone(), p))
                    .ok_or_else(|| wrong(format!("cannot parse expression [{}]", e.expression)))
            };
            Run::JsonPaths(extracts.iter().map(path).collect::<Result<_, _>>()?)
        }
        StageKind::Logfmt { strict, keep_empty, extracts } => {
            Run::Logfmt { strict: *strict, keep_empty: *keep_empty, only: extracts.clone() }
        }
        StageKind::Regexp(text) => Run::Regexp(Pattern::unanchored(text).map_err(|e| wrong(e.to_string()))?),
        StageKind::Pattern(text) => {
            let form = LinePattern::new(text).map_err(|why| wrong(why.to_owned()))?;
            if !form.has_names() {
                return Err(wrong("at least one capture is required".to_owned()));
            }
            Run::Form(form)
        }
        StageKind::Unpack => Run::Unpack,
        StageKind::LineFormat(_) => return Err(not_yet(stage.span, "line_format")),
        StageKind::LabelFormat(formats) => {
            let rename = |(name, value): &(String, FormatValue)| match value {
                FormatValue::Label(from) => Ok((name.clone(), from.clone())),
                FormatValue::Template(_) => Err(not_yet(stage.span, "label_format with a template")),
            };
            Run::Rename(formats.iter().map(rename).collect::<Result<_, _>>()?)
        }
        StageKind::Decolorize => Run::Decolorize,
        StageKind::Drop(picks) => Run::Drop(picks.clone()),
        StageKind::Keep(picks) => Run::Keep(picks.clone()),
    })
}

fn step(stage: &Run, row: &mut Row<'_>) -> bool {
    match stage {
        Run::Line(test) => return test.passes(&row.line),
        Run::Label(filter) => return passes(filter, row),
        Run::Json => with_line(row, json_all),
        Run::JsonPaths(paths) => with_line(row, |line, row| json_paths(line, paths, row)),
        Run::Logfmt { strict, keep_empty, only } => {
            with_line(row, |line, row| logfmt_all(line, *strict, *keep_empty, only, row));
        }
        Run::Regexp(pattern) => with_line(row, |line, row| regexp(line, pattern, row)),
        Run::Form(form) => with_line(row, |line, row| {
            form.captures(line, &mut |name, value| row.set_parsed(Cow::Owned(name.to_owned()), owned(value)));
        }),
        Run::Unpack => unpack(row),
        Run::Rename(names) => {
            for (name, from) in names {
                let value = row.get(from).to_owned();
                if !value.is_empty() {
                    row.set(name, value);
                    row.remove(from);
                }
            }
        }
        Run::Decolorize => {
            if row.line.contains('\u{1b}') {
                row.line = Cow::Owned(without_colours(&row.line));
            }
        }
        Run::Drop(picks) => {
            for pick in picks {
                match pick {
                    Pick::Name(name) => row.remove(name),
                    Pick::Match(matcher) if matcher.matches(row.get(&matcher.name)) => row.remove(&matcher.name),
                    Pick::Match(_) => {}
                }
            }
        }
        Run::Keep(picks) => row.keep_only(|name, value| {
            picks.iter().any(|pick| match pick {
                Pick::Name(wanted) => wanted == name,
                Pick::Match(matcher) => matcher.name == name && matcher.matches(value),
            })
        }),
    }
    true
}

/// Lends the line to a parser that writes labels of the same row.
fn with_line(row: &mut Row<'_>, parse: impl FnOnce(&str, &mut Row<'_>)) {
    let line = std::mem::take(&mut row.line);
    parse(&line, row);
    row.line = line;
}

fn owned<'b>(text: &str) -> Cow<'b, str> {
    Cow::Owned(text.to_owned())
}

fn json_all(line: &str, row: &mut Row<'_>) {
    let outcome = json::flatten(line, &mut |path, value| row.set_parsed(Cow::Owned(label_name(path)), owned(&value)));
    if let Err(error) = outcome {
        row.fail("JSONParserErr", error.0);
    }
}

fn json_paths(line: &str, paths: &[(String, Vec<Step>)], row: &mut Row<'_>) {
    for (name, path) in paths {
        match json::find(line, path) {
            Ok(Some(value)) => row.set_parsed(Cow::Owned(name.clone()), owned(&value)),
            Ok(None) => {}
            Err(error) => row.fail("JSONParserErr", error.0),
        }
    }
}

fn logfmt_all(line: &str, strict: bool, keep_empty: bool, only: &[Extract], row: &mut Row<'_>) {
    let outcome = logfmt::pairs(line, strict, &mut |key, value| {
        if value.is_empty() && !keep_empty {
            return;
        }
        if only.is_empty() {
            row.set_parsed(Cow::Owned(label_name(key)), owned(&value));
        }
        for extract in only.iter().filter(|e| e.expression == key) {
            row.set_parsed(Cow::Owned(extract.name.clone()), owned(&value));
        }
    });
    if let Err(error) = outcome {
        row.fail("LogfmtParserErr", error.0);
    }
}

fn regexp(line: &str, pattern: &Pattern, row: &mut Row<'_>) {
    let regex = pattern.regex();
    let Some(captures) = regex.captures(line) else { return };
    for name in regex.capture_names().flatten() {
        if let Some(found) = captures.name(name) {
            row.set_parsed(Cow::Owned(label_name(name)), owned(found.as_str()));
        }
    }
}

/// Promtail's packed lines: a flat object whose `_entry` is the line.
fn unpack(row: &mut Row<'_>) {
    let mut entry = None;
    with_line(row, |line, row| {
        let outcome = json::flatten(line, &mut |path, value| match path {
            "_entry" => entry = Some(value.to_string()),
            _ => row.set_parsed(Cow::Owned(label_name(path)), owned(&value)),
        });
        if let Err(error) = outcome {
            row.fail("JSONParserErr", error.0);
        }
    });
    if let Some(entry) = entry {
        row.line = Cow::Owned(entry);
    }
}

/// Without ANSI control sequences.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = match after.strip_prefix('[') {
            Some(sequence) => {
                let end = sequence.find(|c: char| ('@'..='~').contains(&c));
                end.map_or("", |i| &sequence[i + 1..])
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// A name as a label may have it: other characters become `_`, and a leading digit gets one before it.
fn label_name(path: &str) -> String {
    let mut name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
