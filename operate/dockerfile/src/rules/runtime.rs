//! Rules about the running container: ports, health, signals, what is process 1.

use super::{Context, Step};
use crate::finding::{Edit, Findings};
use crate::shell::is_shell;
use crate::stage::Base;
use crate::syntax::{Kind, Word};

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for step in context.steps.iter().filter(|step| step.is(Kind::Expose) && step.is_built()) {
        for word in &step.it.words {
            port(word, step.triggered, found);
        }
    }
    health(context, found);
    command(context, found);
    if let Some(step) = context.last(Kind::Stopsignal)
        && let Some(word) = step.it.words.first()
        && matches!(word.value.to_uppercase().as_str(), "SIGKILL" | "KILL" | "9" | "SIGSTOP" | "STOP" | "19")
    {
        found.add("AD0707", word.span, format!("{} cannot be handled", word.value));
    }
    volumes(context, found);
}

fn port(word: &Word, triggered: bool, found: &mut Findings) {
    let text = word.value.as_str();
    if text.contains('$') {
        return;
    }
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol)),
        None => (text, None),
    };
    if ports.contains(':') || ports.contains('.') {
        found.add("AD0703", word.span, format!("`{text}` is more than a port of the container"));
        return;
    }
    for part in ports.split('-') {
        match part.parse::<u64>() {
            Ok(number) if number > 65_535 => {
                found.add("AD0701", word.span, format!("{number} is above 65535"));
                return;
            }
            Ok(_) => {}
            Err(_) => {
                found.add("AD0703", word.span, format!("`{text}` is no port"));
                return;
            }
        }
    }
    let Some(protocol) = protocol else { return };
    let lower = protocol.to_lowercase();
    if !matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        found.add("AD0703", word.span, format!("`{protocol}` is none of tcp, udp and sctp"));
    } else if lower != protocol {
        let added = found.add("AD0702", word.span, format!("`{protocol}` in capital letters"));
        if word.raw == word.value && word.span.end - word.span.start == word.raw.len() {
            added.safe_unless(triggered, "write it in lower case", vec![Edit::new(word.span, text.to_lowercase())]);
        }
    }
}

fn health(context: &Context<'_>, found: &mut Findings) {
    let Some(target) = context.stages.target() else { return };
    if context.last(Kind::Healthcheck).is_none()
        && let Some(from) = context.file.instructions.get(target.from)
    {
        found.add("AD0704", from.head_span(), "the stage that ships has no HEALTHCHECK");
    }
}

fn command(context: &Context<'_>, found: &mut Findings) {
    let entry = context.last(Kind::Entrypoint);
    let cmd = context.last(Kind::Cmd);
    if let (Some(entry), Some(cmd)) = (entry, cmd)
        && entry.it.exec.is_none()
        && !entry.it.rest.is_empty()
        && !entry.it.broken_exec
    {
        found.add("AD0705", cmd.it.keyword.span, "the shell-form ENTRYPOINT drops this CMD");
    }
    if let Some(step) = entry.or(cmd) {
        process_one(step, found);
    }
    let Some(target) = context.stages.target() else { return };
    if entry.is_none()
        && cmd.is_none()
        && context.stages.root(target) == Base::Scratch
        && let Some(from) = context.file.instructions.get(target.from)
    {
        found.add("AD0709", from.head_span(), "`scratch` has no command, and neither has this stage");
    }
}

fn process_one(step: &Step<'_>, found: &mut Findings) {
    let Some(exec) = &step.it.exec else { return };
    let words: Vec<&str> = exec.iter().map(|word| word.value.as_str()).collect();
    let program = words.first().map_or("", |word| crate::shell::base_name(word));
    let by_text = words.iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'));
    if let Some(script) = by_text.and_then(|at| exec.get(at + 1)).filter(|_| is_shell(program)) {
        // The last command counts: `cd /app && exec server`.
        let last = step.commands.iter().rfind(|command| command.after == crate::shell::Join::Edge || command.nested);
        let by_exec = script.value.contains("exec ");
        let several = script.value.contains(['|', ';']) || script.value.contains("&&");
        if !by_exec {
            let added = found.add("AD0706", script.span, format!("`{program}` is process 1"));
            if !several && last.is_some_and(|command| command.assignments.is_empty()) && script.raw.starts_with('"') {
                let at = base_explain::Span::new(script.span.start + 1, script.span.start + 1);
                added.suggest("start it by `exec`", vec![Edit::new(at, "exec ")]);
            }
        }
    }
    let second = words.get(1).copied().unwrap_or("");
    if matches!(program, "npm" | "yarn" | "pnpm")
        && matches!(second, "start" | "run" | "serve" | "dev" | "exec")
        && let (Some(first), Some(last)) = (exec.first(), exec.last())
    {
        found.add("AD0708", first.span.to(last.span), format!("`{program} {second}` is process 1"));
    }
}

fn volumes(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let mut declared: Vec<String> = Vec::new();
        for step in context.of(stage).iter().filter(|step| step.ships() && !step.triggered) {
            match step.it.kind {
                Kind::Volume => {
                    let words = step.it.exec.as_ref().unwrap_or(&step.it.words);
                    declared.extend(
                        words
                            .iter()
                            .map(|word| word.value.trim_end_matches('/').to_owned())
                            .filter(|path| path.starts_with('/'))
                            .take(64),
                    );
                }
                Kind::Run => {
                    let under = |text: &str| {
                        declared
                            .iter()
                            .find(|path| {
                                text.strip_prefix(path.as_str())
                                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                            })
                            .cloned()
                    };
                    for command in &step.commands {
                        let writes = matches!(
                            command.program(),
                            "chown" | "chmod" | "mkdir" | "cp" | "mv" | "touch" | "install" | "tee"
                        );
                        let word = command
                            .operands()
                            .filter(|_| writes)
                            .find_map(|word| under(&word.text).map(|path| (word.span, path)));
                        let redirected =
                            command.writes.iter().find_map(|path| under(path)).map(|path| (command.span(), path));
                        if let Some((span, path)) = word.or(redirected) {
                            found.add("AD0710", span, format!("`{path}` is a volume already"));
                        }
                    }
                }
                Kind::Copy | Kind::Add => {
                    let words = step.it.exec.as_ref().unwrap_or(&step.it.words);
                    if let Some(last) = words.last() {
                        let path = last.value.trim_end_matches('/');
                        if declared.iter().any(|volume| {
                            path == volume
                                || path.strip_prefix(volume.as_str()).is_some_and(|rest| rest.starts_with('/'))
                        }) {
                            found.add("AD0710", last.span, format!("`{}` is in a volume already", last.value));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
