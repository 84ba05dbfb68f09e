//! Rules about the form of the file: what the builder refuses or warns of, and what misleads a reader.

use std::collections::HashMap;

use super::{Context, Step};
use crate::finding::{Edit, Findings};
use crate::stage::Role;
use crate::syntax::{Instruction, ItemKind, KEYWORDS, Kind};

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for problem in &context.file.problems {
        found.add("AD0001", problem.span, problem.what.clone());
    }
    if context.stages.list.is_empty() {
        let start = base_explain::Span::new(0, 0);
        found.add("AD0001", start, "there is no FROM, so nothing is built");
    }
    for (step, outer) in context.steps.iter().zip(&context.file.instructions) {
        syntax(outer, found);
        if step.triggered {
            syntax(step.it, found);
        }
        if step.stage.is_none() && !matches!(outer.kind, Kind::Arg | Kind::From | Kind::Unknown) {
            found.add("AD0002", outer.keyword.span, format!("{} stands before the first FROM", outer.kind.name()));
        }
        for empty in &outer.empty_continuations {
            let edit = Edit::new(*empty, "");
            found
                .add("AD0005", *empty, "this empty line continues an instruction")
                .safe("remove the empty line", vec![edit]);
        }
        if outer.broken_exec || step.it.broken_exec {
            broken_exec(step.it, found);
        }
        if outer.kind == Kind::Onbuild
            && matches!(step.it.kind, Kind::From | Kind::Maintainer | Kind::Onbuild)
            && step.triggered
        {
            found.add("AD0016", step.it.keyword.span, format!("ONBUILD {} is refused", step.it.kind.name()));
        }
        if outer.kind == Kind::Maintainer {
            maintainer(outer, found);
        }
        if step.it.is_legacy_pair() && step.it.words.len() > 1 {
            legacy_pair(step, context, found);
        }
    }
    casing(context, found);
    stages(context, found);
    several(context, found);
    descriptions(context, found);
}

/// Flags that each instruction takes.
fn flags_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::From => &["platform"],
        Kind::Add => &["keep-git-dir", "checksum", "chown", "chmod", "link", "exclude", "unpack"],
        Kind::Copy => &["from", "chown", "chmod", "link", "parents", "exclude"],
        Kind::Run => &["mount", "network", "security", "device"],
        Kind::Healthcheck => &["interval", "timeout", "start-period", "start-interval", "retries"],
        _ => &[],
    }
}

fn syntax(it: &Instruction, found: &mut Findings) {
    let name = it.kind.name();
    if it.kind == Kind::Unknown {
        let upper = it.keyword.raw.to_uppercase();
        let hint = match base_explain::nearest(&upper, KEYWORDS.iter().map(|(name, _)| *name)) {
            Some(near) => format!("; did you mean {near}?"),
            None => String::new(),
        };
        let shown: String = it.keyword.raw.chars().take(40).collect();
        found.add("AD0001", it.keyword.span, format!("there is no instruction `{shown}`{hint}"));
        return;
    }
    let known = flags_of(it.kind);
    for flag in &it.flags {
        if !flag.name.is_empty() && !known.contains(&flag.name.as_str()) {
            let what = format!("{name} has no flag `--{}`", flag.name.chars().take(40).collect::<String>());
            found.add("AD0001", flag.span, what);
        }
    }
    let words = it.exec.as_ref().map_or(it.words.len(), Vec::len);
    let what = match it.kind {
        Kind::Cmd | Kind::Entrypoint if it.exec.is_some() => return,
        _ if it.rest.is_empty() => "needs an argument".to_owned(),
        Kind::From if words != 1 && !(words == 3 && is_as(it)) => {
            "takes an image, and perhaps `AS name` after it".to_owned()
        }
        Kind::From if it.words.get(2).is_some_and(|word| !is_stage_name(&word.value)) => {
            "has a stage name that does not begin with a letter, or has other signs than letters, digits, `-`, `_` and `.`".to_owned()
        }
        Kind::Add | Kind::Copy if words < 2 => "needs a source and a destination".to_owned(),
        Kind::Shell if it.exec.is_none() => "takes a JSON array only".to_owned(),
        Kind::Healthcheck => match it.words.first().map(|word| word.value.to_uppercase()).as_deref() {
            Some("NONE") if it.words.len() == 1 => return,
            Some("CMD") if it.words.len() > 1 => return,
            _ => "takes NONE, or CMD and a command".to_owned(),
        },
        Kind::Env | Kind::Label if it.is_legacy_pair() && words < 2 => "needs a value".to_owned(),
        Kind::Env | Kind::Label if !it.is_legacy_pair() => match it.words.iter().find(|word| !word.raw.contains('=')) {
            Some(word) => format!("has a word without `=`: `{}`", word.raw.chars().take(40).collect::<String>()),
            None => return,
        },
        _ => return,
    };
    found.add("AD0001", it.keyword.span.to(it.rest_span()), format!("{name} {what}"));
}

fn is_as(it: &Instruction) -> bool {
    it.words.get(1).is_some_and(|word| word.raw.eq_ignore_ascii_case("as"))
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn broken_exec(it: &Instruction, found: &mut Findings) {
    let span = match it.kind {
        Kind::Healthcheck => it.words.get(1).map_or(it.rest_span(), |word| word.span.to(it.rest_span())),
        _ => it.rest_span(),
    };
    let text = it.logical.span(it.rest.clone());
    let raw = it.rest_text();
    let added = found.add("AD0018", span, format!("this {} is no JSON array of strings", it.kind.name()));
    let straight: String =
        raw.chars().map(|c| if matches!(c, '\'' | '\u{201c}' | '\u{201d}') { '"' } else { c }).collect();
    let is_json = serde_json::from_str::<Vec<String>>(&straight).is_ok();
    // On one line only: the span of a joined text holds more than the text.
    if is_json && text.end - text.start == raw.len() && !raw.contains('"') {
        added.suggest("use double quotes", vec![Edit::new(text, straight)]);
    }
}

fn maintainer(it: &Instruction, found: &mut Findings) {
    let value = it.rest_text().trim_matches(['"', '\'']);
    let added = found.add("AD0011", it.keyword.span, "MAINTAINER is deprecated");
    if !value.is_empty() && !value.contains(['"', '\\', '$', '`']) {
        let with = format!("LABEL org.opencontainers.image.authors=\"{value}\"");
        added.suggest("write a label", vec![Edit::new(it.span, with)]);
    }
}

/// `ENV a b c` is `ENV a="b c"`. Both take quotes away and replace variables, so the value stays the same as long as the
/// quotes that are added are the only ones.
fn legacy_pair(step: &Step<'_>, context: &Context<'_>, found: &mut Findings) {
    let it = step.it;
    let Some((key, Some(value))) = it.pairs().into_iter().next() else { return };
    let added = found.add("AD0012", key.span.to(value.span), format!("{} has no `=`", it.kind.name()));
    let whole = key.span.to(value.span);
    let on_one_line = whole.of(context.file.text).len() == value.range.end - key.range.start;
    if !on_one_line || key.raw.contains(['"', '\'', '$', context.file.escape]) {
        return;
    }
    let plain = !value.raw.contains(['"', '\'', '\\', '`']);
    let quoted = value.raw.len() >= 2
        && value.raw.starts_with('"')
        && value.raw.ends_with('"')
        && !value.raw.contains(['\'', '\\', '`'])
        && value.raw.matches('"').count() == 2;
    let with = if quoted || plain && !value.raw.contains(char::is_whitespace) {
        value.raw.clone()
    } else if plain {
        format!("\"{}\"", value.raw)
    } else {
        return;
    };
    let gap = base_explain::Span::new(key.span.end, value.span.end);
    added.safe_unless(step.triggered, format!("write `{}=…`", key.raw), vec![Edit::new(gap, format!("={with}"))]);
}

fn casing(context: &Context<'_>, found: &mut Findings) {
    let mut keywords = Vec::new();
    for (step, outer) in context.steps.iter().zip(&context.file.instructions) {
        keywords.push((&outer.keyword, false));
        if step.triggered {
            keywords.push((&step.it.keyword, true));
        }
    }
    keywords.retain(|(word, _)| Kind::of(&word.raw) != Kind::Unknown);
    let upper = keywords.iter().filter(|(word, _)| word.raw.chars().all(char::is_uppercase)).count();
    let lower = keywords.iter().filter(|(word, _)| word.raw.chars().all(char::is_lowercase)).count();
    let to_lower = lower > upper;
    for (word, triggered) in keywords {
        let with = if to_lower { word.raw.to_lowercase() } else { word.raw.to_uppercase() };
        if with != word.raw && word.span.end - word.span.start == word.raw.len() {
            let what = format!("`{}` among {} ones", word.raw, if to_lower { "lower case" } else { "upper case" });
            let edit = Edit::new(word.span, with.clone());
            found.add("AD0006", word.span, what).safe_unless(triggered, format!("write `{with}`"), vec![edit]);
        }
    }
    // What AS should look like follows what FROM will look like.
    for it in context.file.instructions.iter().filter(|it| it.kind == Kind::From && is_as(it)) {
        let Some(word) = it.words.get(1) else { continue };
        let from_lower = it.keyword.raw.chars().all(char::is_lowercase);
        let from_upper = it.keyword.raw.chars().all(char::is_uppercase);
        let want_lower = if from_lower || from_upper { from_lower } else { to_lower };
        let fits = word.raw.chars().all(if want_lower { char::is_lowercase } else { char::is_uppercase });
        if !fits && word.span.end - word.span.start == 2 {
            // An edit of FROM above decides for both.
            let with = if to_lower { "as" } else { "AS" };
            let edit = Edit::new(word.span, with);
            found
                .add("AD0007", word.span, format!("`{}` after `{}`", word.raw, it.keyword.raw))
                .safe(format!("write `{with}`"), vec![edit]);
        }
    }
}

fn stages(context: &Context<'_>, found: &mut Findings) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for stage in &context.stages.list {
        if stage.role == Role::Unused
            && !context.stages.unknown_target
            && let Some(from) = context.file.instructions.get(stage.from)
        {
            let name = stage
                .name
                .as_ref()
                .map_or_else(|| format!("stage {}", stage.index), |word| format!("`{}`", word.value));
            found.add("AD0019", from.head_span(), format!("nothing in this build uses {name}"));
        }
        let Some(word) = &stage.name else { continue };
        let lower = word.value.to_lowercase();
        if lower != word.value
            && is_stage_name(&word.value)
            && word.raw == word.value
            && word.span.end - word.span.start == word.raw.len()
        {
            let edit = Edit::new(word.span, lower.clone());
            found
                .add("AD0008", word.span, format!("`{}` has capital letters", word.value))
                .safe(format!("write `{lower}`"), vec![edit]);
        }
        if matches!(lower.as_str(), "scratch" | "context") {
            found.add("AD0010", word.span, format!("`{lower}` is reserved"));
        }
        if let Some(before) = seen.insert(lower.clone(), stage.index) {
            found.add("AD0009", word.span, format!("stage {before} is called `{lower}` already"));
        }
    }
}

fn several(context: &Context<'_>, found: &mut Findings) {
    for (id, kind) in [("AD0013", Kind::Cmd), ("AD0014", Kind::Entrypoint), ("AD0015", Kind::Healthcheck)] {
        for stage in &context.stages.list {
            let steps: Vec<&Step<'_>> =
                context.of(stage).iter().filter(|step| step.is(kind) && !step.triggered).collect();
            let Some((_, lost)) = steps.split_last() else { continue };
            for step in lost {
                let what = format!("a later {} of this stage replaces this one", kind.name());
                found.add(id, step.it.keyword.span, what);
            }
        }
    }
}

/// A comment right above FROM … AS, or ARG, that does not begin with the name.
fn descriptions(context: &Context<'_>, found: &mut Findings) {
    let text = context.file.text;
    let mut block = None;
    for item in &context.file.items {
        let at = match item.kind {
            ItemKind::Comment => {
                block = block.or(Some(item.span));
                continue;
            }
            ItemKind::Instruction(at) => at,
            _ => {
                block = None;
                continue;
            }
        };
        let (Some(span), Some(it)) = (block.take(), context.file.instructions.get(at)) else { continue };
        let name = match it.kind {
            Kind::From if is_as(it) => it.words.get(2).map(|word| word.value.clone()),
            Kind::Arg => it.pairs().first().map(|(key, _)| key.value.clone()),
            _ => None,
        };
        let Some(name) = name else { continue };
        // A block of comments is the description as a whole; its first line counts, unless a pragma is among them.
        let whole = text.get(span.start..item.span.start).unwrap_or("");
        let first = whole.lines().next().unwrap_or("");
        let words = first.trim().trim_start_matches('#').trim();
        let begins = words.split_whitespace().next().is_some_and(|word| word == name);
        if !words.is_empty() && !begins && !whole.lines().any(crate::pragma::is_pragma) {
            let line = base_explain::Span::new(span.start, span.start + first.trim_end().len());
            found.add("AD0017", line, format!("this comment is no description of `{name}`"));
        }
    }
}
