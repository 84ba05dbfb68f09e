//! The package managers of languages: pip, npm, yarn, gem, go, cargo.

use super::super::Step;
use super::{after, is_path, names, verb};
use crate::finding::{Edit, Findings};
use crate::shell::{Command, ShellWord};

pub(super) fn is_module_pip(command: &Command) -> bool {
    let words: Vec<&str> = command.arguments().iter().take(2).map(|word| word.text.as_str()).collect();
    words == ["-m", "pip"]
}

pub(super) fn pip(step: &Step<'_>, command: &Command, arguments: &[ShellWord], found: &mut Findings) {
    let Some((verb, rest)) = arguments.split_first() else { return };
    if verb.text != "install" {
        return;
    }
    let with_value = [
        "-r",
        "--requirement",
        "-e",
        "--editable",
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-t",
        "--target",
        "--prefix",
        "--root",
        "--trusted-host",
        "--platform",
        "--python-version",
        "--timeout",
        "--retries",
        "--progress-bar",
        "--proxy",
        "--cache-dir",
        "--log",
    ];
    let constrained = rest
        .iter()
        .any(|word| matches!(word.text.as_str(), "-c" | "--constraint") || word.text.starts_with("--constraint="));
    let mut skip = false;
    let mut open = Vec::new();
    for word in rest {
        let taken = std::mem::replace(&mut skip, with_value.contains(&word.text.as_str()));
        let text = word.text.as_str();
        let pinned = ["==", "~=", "@"].iter().any(|sign| text.contains(sign)) || text.contains('<');
        let file = text.ends_with(".whl") || text.ends_with(".tar.gz") || text.ends_with(".zip") || text.contains('/');
        if !taken && !text.starts_with('-') && !pinned && !file && !is_path(text) {
            open.push(word);
        }
    }
    if let (Some(first), Some(last), false) = (open.first(), open.last(), constrained) {
        let list: Vec<&str> = open.iter().take(3).map(|word| word.text.as_str()).collect();
        found.add("AD0402", first.span.to(last.span), format!("no version for {}", list.join(", ")));
    }
    let switched_off =
        command.assignments.iter().any(|one| matches!(one.name.as_str(), "PIP_NO_CACHE_DIR" | "PIP_CACHE_DIR"))
            || step.stage.is_some_and(|stage| stage.scope.has("PIP_NO_CACHE_DIR"));
    let no_cache = rest.iter().any(|word| matches!(word.text.as_str(), "--no-cache-dir" | "--no-cache"));
    let removes = step
        .commands
        .iter()
        .any(|other| other.program() == "rm" && other.arguments().iter().any(|word| word.text.contains(".cache")));
    let purges = step
        .commands
        .iter()
        .any(|other| other.program().starts_with("pip") && other.operands().any(|word| word.text == "purge"));
    if step.ships() && !switched_off && !no_cache && !removes && !purges && !step.mounts_named("pip") {
        let edit = Edit::new(after(verb), " --no-cache-dir");
        found.add("AD0422", verb.span, "`pip install` without `--no-cache-dir`").suggest_in(
            command,
            "add `--no-cache-dir`",
            vec![edit],
        );
    }
}

pub(super) fn npm(command: &Command, found: &mut Findings) {
    let with_value =
        ["--prefix", "--registry", "--loglevel", "--cache", "-C", "--omit", "--include", "--workspace", "-w"];
    let Some(verb) = verb(command, &with_value) else { return };
    if !matches!(verb.text.as_str(), "install" | "i" | "add") {
        return;
    }
    let all: Vec<&ShellWord> = names(command, &with_value).collect();
    if all.is_empty()
        && command.program() == "npm"
        && verb.text != "add"
        && !command.has("-g")
        && !command.has("--global")
    {
        found.add("AD0430", verb.span, "`npm install` in a build").suggest_in(
            command,
            "write `npm ci`",
            vec![Edit::new(verb.span, "ci")],
        );
    }
    let pinned = |name: &str| {
        let bare = name.strip_prefix('@').unwrap_or(name);
        bare.split_once('@').is_some_and(|(_, version)| !version.is_empty() && version != "latest")
            || name.contains('#')
            || name.ends_with(".tgz")
            || name.ends_with(".tar.gz")
            || is_path(name)
            || name.contains(':')
    };
    if let Some(word) = all.into_iter().find(|word| !pinned(&word.text)) {
        found.add("AD0403", word.span, format!("no version for {}", word.text));
    }
}

pub(super) fn yarn(step: &Step<'_>, at: usize, command: &Command, found: &mut Findings) {
    let first = command.operands().next().map_or("", |word| word.text.as_str());
    let adds = matches!(first, "" | "install" | "add" | "global") && !command.has("--version") && !command.has("-v");
    let cleaned = step.commands.iter().skip(at).any(|other| {
        let words: Vec<&str> = other.operands().take(2).map(|word| word.text.as_str()).collect();
        other.program() == "yarn" && words == ["cache", "clean"]
            || other.program() == "rm" && other.arguments().iter().any(|word| word.text.contains("yarn"))
    });
    let mounted = step.mounts_named("yarn") || step.mounts("/usr/local/share/.cache");
    if adds && step.ships() && !cleaned && !mounted {
        found.add("AD0423", command.span(), "nothing empties yarn's cache afterwards");
    }
}

pub(super) fn gem(command: &Command, found: &mut Findings) {
    let with_value = ["-v", "--version", "-i", "--install-dir", "-n", "--bindir", "-s", "--source", "-P"];
    let Some(verb) = verb(command, &with_value) else { return };
    if !matches!(verb.text.as_str(), "install" | "i") {
        return;
    }
    let version = command
        .arguments()
        .iter()
        .any(|word| matches!(word.text.as_str(), "-v" | "--version") || word.text.starts_with("--version="));
    let mut open = names(command, &with_value)
        .filter(|word| !word.text.contains(':') && !word.text.ends_with(".gem") && !is_path(&word.text));
    if let Some(word) = open.next().filter(|_| !version) {
        found.add("AD0405", word.span, format!("no version for {}", word.text));
    }
}

pub(super) fn go(command: &Command, found: &mut Findings) {
    let first = command.operands().next().map_or("", |word| word.text.as_str());
    if !matches!(first, "install" | "get" | "run") {
        return;
    }
    let remote = |text: &str| {
        text.split('/').next().is_some_and(|host| host.contains('.') && !host.starts_with('.')) && text.contains('/')
    };
    for word in command.operands().skip(1).filter(|word| remote(&word.text)) {
        let version = word.text.split_once('@').map(|(_, version)| version);
        if version.is_none_or(|version| matches!(version, "" | "latest" | "main" | "master" | "upgrade")) {
            found.add("AD0409", word.span, format!("no version for {}", word.text));
        }
    }
}

pub(super) fn cargo(command: &Command, found: &mut Findings) {
    let with_value = [
        "--version",
        "--vers",
        "--git",
        "--rev",
        "--tag",
        "--branch",
        "--path",
        "--root",
        "--features",
        "-F",
        "--target",
        "--profile",
        "-j",
        "--bin",
        "--registry",
    ];
    let Some(verb) = verb(command, &with_value).filter(|verb| verb.text == "install") else { return };
    let fixed = command.arguments().iter().any(|word| {
        let name = word.text.split('=').next().unwrap_or("");
        matches!(name, "--version" | "--vers" | "--path" | "--rev" | "--tag")
    });
    let open = names(command, &with_value).find(|word| !word.text.contains('@') && !is_path(&word.text));
    let git = command.arguments().iter().any(|word| word.text.starts_with("--git"));
    if !fixed && let Some(word) = open.or(Some(verb).filter(|_| git)) {
        found.add("AD0410", word.span, format!("no version for {}", word.text));
    }
}
