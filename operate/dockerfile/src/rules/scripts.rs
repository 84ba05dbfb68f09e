//! Rules about the scripts of RUN, the shell they run in, and the working folder.

use super::{Context, Step};
use crate::finding::{Edit, Findings};
use crate::shell::{Command, Join, is_shell};
use crate::syntax::{Instruction, Kind};

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for step in context.runs() {
        for command in &step.commands {
            one(step, command, found);
        }
        change_folder(step, found);
        pipefail(context, step, found);
        exports(step, found);
        heredoc(step, context, found);
    }
    for step in context.steps.iter().filter(|step| step.is_built()) {
        if step.is(Kind::Workdir) {
            workdir(context, step, found);
        }
        if matches!(step.it.kind, Kind::Cmd | Kind::Entrypoint) && step.ships() {
            shell_form(context, step, found);
        }
    }
    two_fetchers(context, found);
    consecutive(context, found);
}

fn one(step: &Step<'_>, command: &Command, found: &mut Findings) {
    let program = command.program();
    let senseless = match program {
        "ssh" | "vim" | "vi" | "nano" | "shutdown" | "reboot" | "top" | "htop" | "free" | "ps" | "kill"
        | "ifconfig" | "systemctl" => true,
        "service" => command.operands().nth(1).is_some(),
        "mount" => !command.arguments().is_empty(),
        _ => false,
    };
    if senseless && let Some(word) = command.words.iter().find(|word| crate::shell::base_name(&word.text) == program) {
        found.add("AD0501", word.span, format!("`{program}` in a build"));
    }
    if program == "ln" && command.operands().any(|word| word.text == "/bin/sh") {
        found.add("AD0506", command.span(), "this replaces /bin/sh");
    }
    let quiet = ["-q", "--quiet", "-nv", "--no-verbose"].iter().any(|option| command.has(option))
        || command.arguments().iter().any(|word| {
            word.text.starts_with("--progress")
                || word.text.starts_with("-o")
                || word.text.starts_with("--output-file")
                || word.text.starts_with("--append-output")
        })
        || command.has_short('q');
    if program == "wget"
        && !quiet
        && !command.has("--version")
        && let Some(word) = command.words.iter().find(|word| word.text.ends_with("wget"))
    {
        let end = base_explain::Span::new(word.span.end, word.span.end);
        found.add("AD0509", word.span, "wget without `-nv`").suggest_in(
            command,
            "add `--progress=dot:giga`",
            vec![Edit::new(end, " --progress=dot:giga")],
        );
    }
    if program == "source" && !command.nested && step.it.exec.is_none() && default_shell(step) {
        let word = command.words.first();
        if let Some(word) = word {
            found.add("AD0512", word.span, "`source` in /bin/sh").suggest_in(
                command,
                "write `.`",
                vec![Edit::new(word.span, ".")],
            );
        }
    }
}

/// No SHELL above in this stage, and the script is not handed to another shell.
fn default_shell(step: &Step<'_>) -> bool {
    !step.it.heredocs.iter().any(|_| step.commands.first().is_some_and(|command| is_shell(command.program())))
}

/// `cd` that the rest of the RUN rests on, or that ends it.
fn change_folder(step: &Step<'_>, found: &mut Findings) {
    if step.it.exec.is_some() {
        return;
    }
    for (at, command) in step.commands.iter().enumerate() {
        if command.program() != "cd" || command.subshell || command.nested || command.in_heredoc {
            continue;
        }
        let target = command.operands().next().map_or("", |word| word.text.as_str());
        let first = at == 0 && command.before == Join::Edge;
        let last = command.after == Join::Edge;
        if first || last {
            let what =
                if last { "this cd has no effect on what follows" } else { "the whole RUN works in another folder" };
            found.add("AD0502", command.span(), format!("{what}: `{target}`"));
        }
    }
}

/// The SHELL that holds for a step.
fn shell_of<'a>(context: &'a Context<'_>, step: &Step<'_>) -> Option<&'a Instruction> {
    let stage = step.stage?;
    for (index, one) in context.stages.chain(stage).enumerate() {
        let steps = context.of(one).iter().rev();
        let above = steps
            .filter(|other| index > 0 || other.at < step.at)
            .find(|other| other.is(Kind::Shell) && !other.triggered);
        if let Some(step) = above {
            return Some(step.it);
        }
    }
    None
}

fn pipefail(context: &Context<'_>, step: &Step<'_>, found: &mut Findings) {
    if step.it.exec.is_some() {
        return;
    }
    let shell = shell_of(context, step);
    if let Some(shell) = shell {
        let words = shell.exec.as_deref().unwrap_or(&[]);
        let program = words.first().map_or("", |word| crate::shell::base_name(&word.value));
        let fails = words.iter().any(|word| word.value == "pipefail" || word.value.ends_with("o pipefail"));
        // Other languages have other pipes.
        if fails || !is_shell(program) {
            return;
        }
    }
    let sets = |command: &Command| {
        command.program() == "set" && command.arguments().iter().any(|word| word.text.contains("pipefail"))
    };
    let by_option = |command: &Command| {
        is_shell(command.program()) && command.arguments().iter().any(|word| word.text == "pipefail")
    };
    let mut set = false;
    for (at, command) in step.commands.iter().enumerate() {
        set |= sets(command) || by_option(command);
        let starts = command.after == Join::Pipe && command.before != Join::Pipe;
        let handled = step
            .commands
            .iter()
            .skip(at)
            .find(|other| other.after != Join::Pipe)
            .is_some_and(|end| end.after == Join::Or);
        // These cannot fail in a way that matters.
        let harmless = matches!(command.program(), "echo" | "printf" | "yes" | "true");
        if starts && !set && !handled && !harmless && !command.nested {
            found.add("AD0507", command.span(), format!("a failure of `{}` is lost in the pipe", command.program()));
            return;
        }
    }
}

fn exports(step: &Step<'_>, found: &mut Findings) {
    let last = step.commands.iter().rev().find(|command| !command.nested);
    if let Some(command) = last.filter(|command| command.program() == "export" && step.it.exec.is_none()) {
        found.add("AD0510", command.span(), "nothing after it sees the variable");
    }
}

fn heredoc(step: &Step<'_>, context: &Context<'_>, found: &mut Findings) {
    let body: Vec<&Command> = step.commands.iter().filter(|command| command.in_heredoc && !command.nested).collect();
    let strict = |command: &&Command| {
        let stops =
            |text: &str| text.starts_with('-') && !text.starts_with("--") && text.contains('e') || text == "errexit";
        (command.program() == "set" || is_shell(command.program()))
            && command.arguments().iter().any(|word| stops(&word.text))
    };
    let by_shell = shell_of(context, step).is_some_and(|shell| {
        shell
            .exec
            .as_deref()
            .unwrap_or(&[])
            .iter()
            .any(|word| word.value.starts_with('-') && !word.value.starts_with("--") && word.value.contains('e'))
    });
    let by_mark = step.it.heredocs.first().is_some_and(|heredoc| {
        let first = heredoc.body.of(context.file.text).lines().next().unwrap_or("");
        first.starts_with("#!")
            && (first.contains(" -e") || first.contains("python") || first.contains("node") || first.contains("perl"))
    });
    let loose = body.windows(2).any(|pair| matches!(pair, [one, _] if one.after == Join::Then));
    let outer = step.commands.iter().filter(|command| !command.in_heredoc).any(|command| strict(&command));
    if let (Some(first), true) = (step.it.heredocs.first(), loose)
        && !by_shell
        && !by_mark
        && !outer
        && !body.iter().take(2).any(strict)
    {
        found.add("AD0511", first.opener, "the script has several commands and no `set -e`");
    }
}

fn workdir(context: &Context<'_>, step: &Step<'_>, found: &mut Findings) {
    let Some(word) = step.it.words.first() else { return };
    let text = word.value.as_str();
    let absolute = |text: &str| text.starts_with(['/', '$', '\\']) || text.get(1..2) == Some(":");
    let Some(stage) = step.stage else { return };
    if absolute(text) || step.triggered {
        return;
    }
    let above =
        context.stages.chain(stage).enumerate().any(|(index, one)| {
            context.of(one).iter().filter(|other| index > 0 || other.at < step.at).any(|other| {
                other.is(Kind::Workdir) && other.it.words.first().is_some_and(|word| absolute(&word.value))
            })
        });
    if !above {
        found.add("AD0503", step.it.rest_span(), format!("`{text}` is relative"));
    }
}

fn shell_form(context: &Context<'_>, step: &Step<'_>, found: &mut Findings) {
    if step.it.exec.is_some() || step.it.broken_exec || step.it.rest.is_empty() {
        return;
    }
    // A project that chose its SHELL knows that one is there.
    if shell_of(context, step).is_some() {
        return;
    }
    let program =
        step.commands.first().map_or("", |command| command.words.first().map_or("", |word| word.text.as_str()));
    let own_exec = program == "exec";
    if own_exec && step.is(Kind::Cmd) {
        return;
    }
    let added = found.add("AD0504", step.it.rest_span(), format!("{} in the shell form", step.it.kind.name()));
    let [command] = step.commands.as_slice() else { return };
    let plain = command.assignments.is_empty()
        && command.writes.is_empty()
        && command.after == Join::Edge
        && !step.it.rest_text().contains(['$', '`', '*', '?', '~', '\\', '<', '(', '{', '#']);
    let rest = step.it.rest_span();
    if plain && rest.end - rest.start == step.it.rest_text().len() {
        let words: Vec<&str> = command.words.iter().map(|word| word.text.as_str()).collect();
        let json: Vec<String> = words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect();
        added.suggest("write the exec form", vec![Edit::new(rest, format!("[{}]", json.join(", ")))]);
    }
}

fn two_fetchers(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let commands = || {
            context.of(stage).iter().filter(|step| step.is(Kind::Run) && step.ships()).flat_map(|step| &step.commands)
        };
        let wget = commands().find(|command| command.program() == "wget");
        let curl = commands().find(|command| command.program() == "curl");
        if let (Some(wget), Some(curl)) = (wget, curl) {
            let later = if wget.span().start > curl.span().start { wget } else { curl };
            let other = if std::ptr::eq(later, wget) { "curl" } else { "wget" };
            found.add("AD0505", later.span(), format!("{other} is used above"));
        }
    }
}

fn consecutive(context: &Context<'_>, found: &mut Findings) {
    let single = |step: &Step<'_>| {
        step.is(Kind::Run)
            && !step.triggered
            && step.ships()
            && step.commands.iter().filter(|command| !command.nested).count() == 1
            && step.it.heredocs.is_empty()
    };
    for pair in context.steps.windows(2) {
        let [before, step] = pair else { continue };
        let same_flags = before.it.flags.iter().map(|flag| (&flag.name, &flag.value)).eq(step
            .it
            .flags
            .iter()
            .map(|flag| (&flag.name, &flag.value)));
        if single(before) && single(step) && same_flags {
            found.add("AD0508", step.it.keyword.span, "this RUN could be joined to the one above");
        }
    }
}
