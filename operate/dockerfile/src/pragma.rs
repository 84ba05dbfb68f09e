//! Comments that ignore findings: `# apm ignore=AD0401,AD0415 reason="…"` for the next instruction, `# apm ignore-file=…`
//! for the whole file, and hadolint's `# hadolint ignore=DL3008` and `# hadolint global ignore=DL3008`, and the rules that
//! BuildKit's `# check=skip=…` names. Does not know what the rules look for.

use crate::finding::{Finding, Findings};
use crate::rule::{Rule, named};
use crate::syntax::{Dockerfile, ItemKind};
use base_explain::Span;

/// What one comment ignores, and where.
#[derive(Debug, Clone)]
pub(crate) struct Ignore {
    rules: Vec<&'static Rule>,
    over: Span,
}

/// What a comment says, if it is a pragma.
struct Said<'a> {
    names: Vec<&'a str>,
    names_at: usize,
    whole_file: bool,
    reason: Option<&'a str>,
    /// BuildKit's own names are its own business: neither a reason nor a name of ours is asked for.
    foreign: bool,
}

pub(crate) fn is_pragma(comment: &str) -> bool {
    said(comment).is_some()
}

fn said(comment: &str) -> Option<Said<'_>> {
    let body = comment.trim().trim_start_matches('#').trim_start();
    let (foreign, body) = match body.strip_prefix("apm ") {
        Some(rest) => (false, rest.trim_start()),
        None => (true, body.strip_prefix("hadolint ")?.trim_start()),
    };
    let (whole, body) = match body.strip_prefix("global ") {
        Some(rest) if foreign => (true, rest.trim_start()),
        _ => (false, body),
    };
    let (whole_file, list) = match body.strip_prefix("ignore-file=") {
        Some(rest) if !foreign => (true, rest),
        _ => (whole, body.strip_prefix("ignore=")?),
    };
    let end =
        list.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ',' | ' ' | '-' | '_'))).unwrap_or(list.len());
    let (list_part, tail) = list.split_at(end);
    // `reason` itself is a word of letters: it ends the list.
    let (list_part, tail) = match list_part.find(" reason") {
        Some(at) => list.split_at(at),
        None => (list_part, tail),
    };
    let reason = tail
        .trim()
        .strip_prefix("reason=")
        .map(|text| text.trim().trim_matches('"').trim())
        .filter(|text| !text.is_empty());
    // hadolint has no such word: whatever stands after the list, or after another `#`, is the reason.
    let reason =
        reason.or(Some(tail.trim().trim_start_matches(['#', ':', ' '])).filter(|text| foreign && !text.is_empty()));
    let names = list_part.split([',', ' ']).filter(|name| !name.is_empty()).collect();
    let names_at = list_part.as_ptr() as usize - comment.as_ptr() as usize;
    Some(Said { names, names_at, whole_file, reason, foreign })
}

/// Reads all pragmas; what is wrong with them is a finding itself.
pub(crate) fn read(file: &Dockerfile<'_>, found: &mut Findings) -> Vec<Ignore> {
    let mut ignores = Vec::new();
    let whole = Span::new(0, file.text.len());
    for directive in file.directives.iter().filter(|directive| directive.name == "check") {
        let skip = directive.value.split(';').find_map(|part| part.trim().strip_prefix("skip="));
        let names: Vec<&str> = skip.unwrap_or("").split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let rules = names.iter().flat_map(|name| named(name)).collect();
        // `all` is all of BuildKit's checks, not of ours.
        let all_of_buildkit = names.contains(&"all");
        let rules = if all_of_buildkit {
            crate::rule::rules().iter().filter(|rule| is_buildkit(rule)).collect()
        } else {
            rules
        };
        ignores.push(Ignore { rules, over: whole });
    }
    let mut open: Vec<Ignore> = Vec::new();
    for item in &file.items {
        match item.kind {
            ItemKind::Comment => {
                let text = item.span.of(file.text);
                let Some(said) = said(text) else { continue };
                let line = Span::new(item.span.start, item.span.start + text.trim_end().len());
                let mut rules = Vec::new();
                for name in &said.names {
                    let known: Vec<_> = named(name).collect();
                    // hadolint also ignores what ShellCheck finds, which is none of ours.
                    let elsewhere = said.foreign && (name.starts_with("SC") || name.starts_with("DL"));
                    if known.is_empty() && !elsewhere {
                        let at = item.span.start + said.names_at;
                        let inside = text.get(said.names_at..).and_then(|rest| rest.find(name)).unwrap_or(0);
                        found.add(
                            "AD0004",
                            Span::new(at + inside, at + inside + name.len()),
                            format!("there is no rule `{name}`"),
                        );
                    }
                    rules.extend(known);
                }
                if said.reason.is_none() {
                    found.add("AD0003", line, "no reason is given");
                }
                let ignore = Ignore { rules, over: whole };
                if said.whole_file { ignores.push(ignore) } else { open.push(ignore) }
            }
            ItemKind::Instruction(at) => {
                let span = file.instructions.get(at).map_or(item.span, |it| it.span);
                ignores.extend(open.drain(..).map(|ignore| Ignore { over: span, ..ignore }));
            }
            ItemKind::Blank | ItemKind::Directive => {}
        }
    }
    ignores
}

fn is_buildkit(rule: &Rule) -> bool {
    rule.also.iter().any(|also| !also.starts_with("DL"))
}

impl Ignore {
    pub(crate) fn covers(&self, finding: &Finding) -> bool {
        let inside = self.over.start <= finding.span.start && finding.span.start <= self.over.end;
        inside && self.rules.iter().any(|rule| rule.id == finding.rule.id)
    }
}
