//! Rules about ARG and ENV: what is used undefined, defined unused, or replaced by mistake.

use std::collections::HashSet;

use super::Context;
use crate::expand::{Scope, Use, expand};
use crate::finding::Findings;
use crate::stage::{Base, PLATFORM_ARGUMENTS, PREDEFINED_ARGUMENTS, declare};
use crate::syntax::{Instruction, Kind, Word};
use base_explain::Span;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    undefined(context, found);
    unused(context, found);
    for step in context.steps.iter().filter(|step| step.is(Kind::Env) && step.is_built()) {
        for (key, value) in step.it.pairs() {
            let Some(value) = value else { continue };
            if key.value == "PATH"
                && step.ships()
                && !value.raw.contains("PATH")
                && !matches!(step.stage.map(|stage| &stage.base), Some(Base::Scratch))
            {
                found.add("AD0604", key.span.to(value.span), "the old PATH is lost");
            }
            if key.value == "DEBIAN_FRONTEND" && step.ships() {
                found.add("AD0605", key.span, "DEBIAN_FRONTEND is set for good");
            }
        }
        self_reference(context, step.it, found);
    }
}

/// A use's place in the file; the whole word where the word goes over several lines.
fn place(word: &Word, one: &Use, it: &Instruction) -> Span {
    it.logical.span(word.range.start + one.start..word.range.start + one.end)
}

/// The words of an instruction in which docker replaces variables.
fn expanded_words(it: &Instruction) -> Vec<Word> {
    match it.kind {
        Kind::Add
        | Kind::Copy
        | Kind::Env
        | Kind::Expose
        | Kind::Label
        | Kind::Stopsignal
        | Kind::User
        | Kind::Volume
        | Kind::Workdir
        | Kind::Arg => it.exec.clone().unwrap_or_else(|| it.words.clone()),
        _ => Vec::new(),
    }
}

fn undefined(context: &Context<'_>, found: &mut Findings) {
    let escape = context.file.escape;
    for stage in &context.stages.list {
        // What an image of elsewhere sets by ENV is not known; PATH it always has.
        let mut scope = match stage.base {
            Base::Stage(index) => context.stages.list.get(index).map(|stage| stage.scope.clone()).unwrap_or_default(),
            _ => Scope::default(),
        };
        let from_scratch = context.stages.root(stage) == Base::Scratch;
        for step in context.of(stage).iter().skip(1) {
            if step.triggered || !step.is_built() {
                continue;
            }
            let own: HashSet<String> = match step.it.kind {
                Kind::Env => step.it.pairs().into_iter().map(|(key, _)| key.value).collect(),
                _ => HashSet::new(),
            };
            for word in expanded_words(step.it) {
                for one in expand(&word.raw, &scope, escape).uses {
                    let name = one.name.as_str();
                    let known = one.has_default
                        || scope.has(name)
                        || PREDEFINED_ARGUMENTS.contains(&name)
                        || !from_scratch && matches!(name, "PATH" | "HOME" | "HOSTNAME" | "PWD");
                    // `LD_LIBRARY_PATH=/x:$LD_LIBRARY_PATH` extends what may be there.
                    let extends = !from_scratch && own.contains(name);
                    if known || extends {
                        continue;
                    }
                    let what = if context.stages.global.has(name) {
                        format!("`{name}` is declared above the first FROM, which a stage does not see")
                    } else {
                        match base_explain::nearest(name, scope.names()).filter(|near| *near != name) {
                            Some(near) => format!("nothing defines `{name}`; did you mean `{near}`?"),
                            None => format!("nothing in this file defines `{name}`"),
                        }
                    };
                    found.add("AD0601", place(&word, &one, step.it), what);
                }
            }
            declare(step.it, &mut scope, Some(&context.stages.global), escape);
        }
    }
}

fn self_reference(context: &Context<'_>, it: &Instruction, found: &mut Findings) {
    let pairs = it.pairs();
    let names: HashSet<&str> = pairs.iter().map(|(key, _)| key.value.as_str()).collect();
    if pairs.len() < 2 {
        return;
    }
    let scope = Scope::default();
    let mut set_before = HashSet::new();
    for (key, value) in &pairs {
        if let Some(value) = value {
            for one in expand(&value.raw, &scope, context.file.escape).uses {
                let other = one.name.as_str();
                // Its own name extends the old value, which is fine.
                if names.contains(other) && other != key.value && set_before.contains(other) {
                    found.add("AD0602", place(value, &one, it), format!("`{other}` has its old value here"));
                }
            }
        }
        set_before.insert(key.value.as_str());
    }
}

fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(name)) {
        let start = from + at;
        let end = start + name.len();
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(end..).and_then(|text| text.chars().next());
        if !is_part(before) && !is_part(after) {
            return true;
        }
        from = end;
    }
    false
}

/// Programs read arguments from their environment, so only a stage that has no RUN after the ARG can be sure.
fn unused(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let steps = context.of(stage);
        for (at, step) in
            steps.iter().enumerate().filter(|(_, step)| step.is(Kind::Arg) && !step.triggered && step.is_built())
        {
            for (key, _) in step.it.pairs() {
                let name = key.value.as_str();
                if name.is_empty()
                    || PREDEFINED_ARGUMENTS.contains(&name)
                    || name.starts_with("BUILDKIT_")
                    || name == "SOURCE_DATE_EPOCH"
                {
                    continue;
                }
                let heirs = context.stages.list.iter().filter(|other| {
                    other.index > stage.index && context.stages.chain(other).any(|one| one.index == stage.index)
                });
                let later = steps.iter().skip(at + 1).chain(heirs.flat_map(|other| context.of(other)));
                let mut used = false;
                for other in later {
                    used |= other.is(Kind::Run) && !PLATFORM_ARGUMENTS.contains(&name)
                        || mentions(&other.it.logical.text, name)
                        || other.it.heredocs.iter().any(|heredoc| mentions(heredoc.body.of(context.file.text), name));
                    if used {
                        break;
                    }
                }
                if !used {
                    found.add("AD0603", key.span, format!("nothing below uses `{name}`"));
                }
            }
        }
    }
}
