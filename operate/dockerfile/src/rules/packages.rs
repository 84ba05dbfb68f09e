//! Rules about package managers: versions, questions, caches, upgrades. One table says how each manager is spoken to.

mod languages;

use languages::{cargo, gem, go, is_module_pip, npm, pip, yarn};

use super::{Context, Step};
use crate::finding::{Edit, Findings};
use crate::shell::{Command, ShellWord};
use base_explain::Span;

/// A package manager of a distribution.
struct Manager {
    programs: &'static [&'static str],
    install: &'static [&'static str],
    upgrade: &'static [&'static str],
    /// Options that take the next word.
    with_value: &'static [&'static str],
    pin: &'static str,
    is_pinned: fn(&str) -> bool,
    asks: Option<&'static str>,
    upgrades: &'static str,
    /// The finding, the folder, and the words that empty it.
    cache: Option<(&'static str, &'static str)>,
}

const MANAGERS: &[Manager] = &[
    Manager {
        programs: &["apt-get", "apt"],
        install: &["install"],
        upgrade: &["upgrade", "dist-upgrade", "full-upgrade"],
        with_value: &["-t", "-o", "-c", "--target-release", "--option", "--default-release", "-a"],
        pin: "AD0401",
        is_pinned: |name| name.contains('=') || name.ends_with(".deb"),
        asks: Some("AD0411"),
        upgrades: "AD0424",
        cache: None,
    },
    Manager {
        programs: &["apk"],
        install: &["add"],
        upgrade: &["upgrade"],
        with_value: &["-t", "--virtual", "-X", "--repository", "-p", "--root", "--repositories-file", "--arch"],
        pin: "AD0404",
        is_pinned: |name| name.contains(['=', '~', '<']) || name.ends_with(".apk"),
        asks: None,
        upgrades: "AD0425",
        cache: None,
    },
    Manager {
        programs: &["yum"],
        install: &["install", "groupinstall", "localinstall", "reinstall"],
        upgrade: &["update", "upgrade"],
        with_value: &["-c", "--installroot", "-x"],
        pin: "AD0406",
        is_pinned: is_rpm_pinned,
        asks: Some("AD0412"),
        upgrades: "AD0426",
        cache: Some(("AD0418", "/var/cache/yum")),
    },
    Manager {
        programs: &["dnf", "microdnf"],
        install: &["install", "groupinstall", "localinstall", "reinstall"],
        upgrade: &["update", "upgrade", "distro-sync"],
        with_value: &["-c", "--installroot", "-x", "--releasever"],
        pin: "AD0408",
        is_pinned: is_rpm_pinned,
        asks: Some("AD0414"),
        upgrades: "AD0428",
        cache: Some(("AD0420", "/var/cache/dnf")),
    },
    Manager {
        programs: &["zypper"],
        install: &["install", "in", "remove", "rm", "source-install", "si", "patch"],
        upgrade: &["update", "up", "dist-upgrade", "dup"],
        with_value: &["-r", "--repo", "-t", "--type", "--from"],
        pin: "AD0407",
        is_pinned: |name| name.contains(['=', '<', '~']) || name.ends_with(".rpm"),
        asks: Some("AD0413"),
        upgrades: "AD0427",
        cache: Some(("AD0419", "/var/cache/zypp")),
    },
];

fn is_rpm_pinned(name: &str) -> bool {
    let digit_after_dash = name.as_bytes().windows(2).any(|pair| matches!(pair, [b'-', b'0'..=b'9']));
    digit_after_dash || name.ends_with(".rpm") || name.starts_with('@')
}

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for step in context.runs() {
        for (at, command) in step.commands.iter().enumerate() {
            if let Some(manager) = MANAGERS.iter().find(|manager| manager.programs.contains(&command.program())) {
                distribution(manager, step, at, command, found);
            }
            match command.program() {
                "apt-get" | "apt" => apt(step, at, command, found),
                "apk" => apk(step, command, found),
                "pip" | "pip3" => pip(step, command, command.arguments(), found),
                "python" | "python3" if is_module_pip(command) => {
                    pip(step, command, command.arguments().get(2..).unwrap_or(&[]), found)
                }
                "npm" | "pnpm" => npm(command, found),
                "yarn" => yarn(step, at, command, found),
                "gem" => gem(command, found),
                "go" => go(command, found),
                "cargo" => cargo(command, found),
                _ => {}
            }
        }
    }
}

/// The operands after the first one, which is the manager's own command; values of options left out.
fn names<'a>(command: &'a Command, with_value: &'a [&'a str]) -> impl Iterator<Item = &'a ShellWord> {
    let mut skip = false;
    let operands = command.arguments().iter().filter(move |word| {
        let taken = std::mem::replace(&mut skip, with_value.contains(&word.text.as_str()));
        !taken && !word.text.starts_with('-')
    });
    operands.skip(1)
}

fn verb<'a>(command: &'a Command, with_value: &[&str]) -> Option<&'a ShellWord> {
    let mut skip = false;
    command.arguments().iter().find(|word| {
        let taken = std::mem::replace(&mut skip, with_value.contains(&word.text.as_str()));
        !taken && !word.text.starts_with('-')
    })
}

fn is_path(name: &str) -> bool {
    name.starts_with(['.', '/', '$']) || name.contains("://") || name.contains('$')
}

fn after(word: &ShellWord) -> Span {
    Span::new(word.span.end, word.span.end)
}

fn distribution(manager: &Manager, step: &Step<'_>, at: usize, command: &Command, found: &mut Findings) {
    let Some(verb) = verb(command, manager.with_value) else { return };
    let what = verb.text.as_str();
    let program = command.program();
    if manager.upgrade.contains(&what) && names(command, manager.with_value).next().is_none() {
        found.add(manager.upgrades, verb.span, format!("`{program} {what}` upgrades everything"));
    }
    let is_zypper = program == "zypper";
    let changes =
        manager.install.contains(&what) || manager.upgrade.contains(&what) || matches!(what, "remove" | "erase");
    if let Some(id) = manager.asks.filter(|_| changes) {
        let long = ["--yes", "--assume-yes", "--assumeyes", "--non-interactive", "--force-yes", "--no-confirm"];
        let short = if is_zypper {
            command.has_short('n') || command.has_short('y')
        } else {
            command.has_short('y') || command.has("-qq") && program.starts_with("apt")
        };
        let piped = at
            .checked_sub(1)
            .and_then(|before| step.commands.get(before))
            .is_some_and(|before| before.program() == "yes");
        let by_configuration =
            command.arguments().iter().any(|word| word.text.to_ascii_lowercase().contains("assume-yes"));
        // microdnf asks nothing when nobody is there.
        if !short
            && !piped
            && !by_configuration
            && !long.iter().any(|option| command.has(option))
            && program != "microdnf"
        {
            let edit = match (is_zypper, command.words.iter().find(|word| word.text.ends_with("zypper"))) {
                (true, Some(word)) => Edit::new(after(word), " -n"),
                _ => Edit::new(after(verb), " -y"),
            };
            let option = edit.with.trim().to_owned();
            found.add(id, verb.span, format!("`{program} {what}` without `{option}`")).suggest_in(
                command,
                format!("add `{option}`"),
                vec![edit],
            );
        }
    }
    if !manager.install.contains(&what) || matches!(what, "remove" | "rm" | "patch") {
        return;
    }
    let open: Vec<&ShellWord> = names(command, manager.with_value)
        .filter(|word| !is_path(&word.text) && !(manager.is_pinned)(&word.text))
        .collect();
    if let (Some(first), Some(last)) = (open.first(), open.last()) {
        let list: Vec<&str> = open.iter().take(3).map(|word| word.text.as_str()).collect();
        let more = if open.len() > 3 { format!(" and {} more", open.len() - 3) } else { String::new() };
        found.add(manager.pin, first.span.to(last.span), format!("no version for {}{more}", list.join(", ")));
    }
    let Some((id, folder)) = manager.cache.filter(|_| step.ships()) else { return };
    let cleaned = step.commands.iter().skip(at).any(|other| {
        let cleans = manager.programs.contains(&other.program())
            && other.arguments().iter().any(|word| matches!(word.text.as_str(), "clean" | "cc" | "--all"));
        let removes = other.program() == "rm"
            && other
                .arguments()
                .iter()
                .any(|word| word.text.starts_with(folder) || word.text.starts_with("/var/cache/*"));
        // yum is dnf on newer systems, and cleans the same folders.
        cleans || removes || program == "yum" && other.program() == "dnf" && other.has("clean")
    });
    if !cleaned && !step.mounts(folder) {
        found.add(id, verb.span, format!("nothing empties {folder} afterwards"));
    }
}

fn apt(step: &Step<'_>, at: usize, command: &Command, found: &mut Findings) {
    if let Some(word) = command.words.iter().find(|word| word.text == "apt") {
        let with = match command.operands().next().map_or("", |word| word.text.as_str()) {
            "show" | "search" | "policy" | "depends" => "apt-cache",
            _ => "apt-get",
        };
        found.add("AD0416", word.span, "apt in a script").suggest_in(
            command,
            format!("write `{with}`"),
            vec![Edit::new(word.span, with)],
        );
    }
    let Some(verb) = verb(command, &[]) else { return };
    let installs = |other: &Command| {
        matches!(other.program(), "apt-get" | "apt" | "aptitude")
            && other.operands().any(|word| {
                matches!(word.text.as_str(), "install" | "upgrade" | "dist-upgrade" | "build-dep" | "full-upgrade")
            })
    };
    match verb.text.as_str() {
        "install" => {
            let recommends = command.arguments().iter().any(|word| {
                word.text == "--no-install-recommends"
                    || word.text.to_ascii_lowercase().replace(' ', "").contains("apt::install-recommends=")
            });
            if !recommends {
                let edit = Edit::new(after(verb), " --no-install-recommends");
                found.add("AD0415", verb.span, "recommended packages come along").suggest_in(
                    command,
                    "add `--no-install-recommends`",
                    vec![edit],
                );
            }
        }
        "update" => {
            if !step.commands.iter().any(installs)
                && step.commands.iter().all(|other| !crate::shell::is_shell(other.program()))
            {
                found.add("AD0429", verb.span, "this step fetches lists and installs nothing");
            }
            let lists = "/var/lib/apt/lists";
            let removes = |other: &Command| {
                matches!(other.program(), "rm" | "find")
                    && other.arguments().iter().any(|word| {
                        word.text.starts_with(lists) || matches!(word.text.as_str(), "/var/lib/apt" | "/var/lib/apt/")
                    })
            };
            let cleaned = step.commands.iter().skip(at).any(removes);
            if step.ships() && !cleaned && !step.mounts(lists) {
                found.add("AD0417", verb.span, "nothing removes /var/lib/apt/lists afterwards");
            }
        }
        _ => {}
    }
}

fn apk(step: &Step<'_>, command: &Command, found: &mut Findings) {
    let Some(verb) = verb(command, &["-X", "--repository", "-p", "--root"]) else { return };
    let what = verb.text.as_str();
    let removes = step.commands.iter().any(|other| {
        other.program() == "rm" && other.arguments().iter().any(|word| word.text.starts_with("/var/cache/apk"))
    });
    if what == "add" && !command.has("--no-cache") && step.ships() && !removes && !step.mounts("/var/cache/apk") {
        let edit = Edit::new(after(verb), " --no-cache");
        found.add("AD0421", verb.span, "`apk add` without `--no-cache`").suggest_in(
            command,
            "add `--no-cache`",
            vec![edit],
        );
    }
    if what == "update"
        && !step.commands.iter().any(|other| {
            other.program() == "apk" && other.operands().any(|word| matches!(word.text.as_str(), "add" | "upgrade"))
        })
    {
        found.add("AD0429", verb.span, "this step fetches lists and installs nothing");
    }
}
