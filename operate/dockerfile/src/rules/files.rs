//! Rules about what comes into the image by ADD and COPY, and about the build context.

use super::{Context, Step, base};
use crate::finding::{Edit, Findings};
use crate::syntax::{Kind, Word};
use base_explain::Severity;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for step in context.steps.iter().filter(|step| matches!(step.it.kind, Kind::Add | Kind::Copy) && step.is_built()) {
        let words = step.it.exec.as_ref().unwrap_or(&step.it.words);
        let Some((destination, sources)) = words.split_last() else { continue };
        let from = step.it.flag("from").and_then(|flag| flag.value.as_deref());
        if step.is(Kind::Add) {
            add(step, sources, found);
        }
        many(step, sources, destination, found);
        source_stage(context, step, found);
        relative_destination(context, step, destination, found);
        if from.is_none() {
            ignored(context, sources, found);
            secrets(context, step, sources, found);
        }
    }
    unpacked(context, found);
    cache_order(context, found);
    whole_folder(context, found);
}

fn is_url(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("ftp://")
}

fn is_git(text: &str) -> bool {
    text.starts_with("git@")
        || text.starts_with("git://")
        || is_url(text) && text.split('#').next().is_some_and(|url| url.ends_with(".git"))
}

fn is_archive(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".gz", ".bz2", ".xz", ".lzma",
        ".tlz", ".z",
    ]
    .iter()
    .any(|end| lower.ends_with(end))
}

fn add(step: &Step<'_>, sources: &[Word], found: &mut Findings) {
    let remote = |word: &&Word| is_url(&word.value) || is_git(&word.value);
    if let Some(word) = sources.iter().find(remote) {
        let pinned_git = is_git(&word.value)
            && word.value.split_once('#').is_some_and(|(_, commit)| {
                let commit = commit.split(':').next().unwrap_or("");
                commit.len() >= 40 && commit.chars().all(|c| c.is_ascii_hexdigit())
            });
        if step.it.flag("checksum").is_none() && !pinned_git {
            found.add("AD0202", word.span, "nothing checks what is downloaded");
        }
        return;
    }
    let local = |word: &Word| {
        !is_archive(&word.value) && !word.value.contains(['$', '*', '?']) && !word.value.starts_with("<<")
    };
    if !sources.is_empty() && sources.iter().all(|word| local(word) || word.value.starts_with("<<")) {
        let only_copy =
            step.it.flags.iter().all(|flag| matches!(flag.name.as_str(), "chown" | "chmod" | "link" | "exclude"));
        let added = found.add("AD0201", step.it.keyword.span, "these sources are neither archives nor downloads");
        if only_copy && step.it.keyword.span.end - step.it.keyword.span.start == 3 {
            let with = if step.it.keyword.raw.starts_with('a') { "copy" } else { "COPY" };
            // ADD knows an archive by its first bytes, whatever its name is.
            added.suggest("write COPY", vec![Edit::new(step.it.keyword.span, with)]);
        }
    }
}

fn many(step: &Step<'_>, sources: &[Word], destination: &Word, found: &mut Findings) {
    let folder = destination.value.ends_with(['/', '\\']) || matches!(destination.value.as_str(), "." | "..");
    let unknown = destination.value.contains('$') && destination.value.ends_with(['}', '$'])
        || destination.value.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && destination.value.rsplit('/').next().is_some_and(|last| last.starts_with('$'));
    if sources.len() > 1 && !folder && !unknown {
        let plain = destination.raw == destination.value && step.it.exec.is_none();
        let added = found.add("AD0204", destination.span, format!("{} sources go to one path", sources.len()));
        if plain {
            let end = base_explain::Span::new(destination.span.end, destination.span.end);
            added.suggest("end it with `/`", vec![Edit::new(end, "/")]);
        }
    }
}

fn source_stage(context: &Context<'_>, step: &Step<'_>, found: &mut Findings) {
    let Some(stage) = step.stage else { return };
    let visible = context.stages.list.get(..stage.index).unwrap_or(&[]);
    for flag in &step.it.flags {
        let name = match flag.name.as_str() {
            "from" => flag.value.as_deref(),
            _ => None,
        };
        let Some(name) = name.filter(|name| !name.contains('$') && !name.is_empty()) else { continue };
        let own = stage.name.as_ref().is_some_and(|word| word.value.eq_ignore_ascii_case(name))
            || name.parse() == Ok(stage.index);
        if own && crate::stage::find(visible, name).is_none() {
            found.add("AD0206", flag.span, format!("`{name}` is this stage"));
        } else if crate::stage::find(visible, name).is_none()
            && !base::looks_like_image(name)
            && !context.options.named_contexts.iter().any(|one| one == name)
        {
            let later = crate::stage::find(&context.stages.list, name).is_some();
            let what = if later {
                format!("`{name}` comes later in the file")
            } else {
                format!("no stage above is called `{name}`")
            };
            found.add("AD0205", flag.span, what);
        }
    }
}

fn relative_destination(context: &Context<'_>, step: &Step<'_>, destination: &Word, found: &mut Findings) {
    let Some(stage) = step.stage else { return };
    let text = &destination.value;
    let absolute = text.starts_with(['/', '\\', '$']) || text.get(1..2) == Some(":");
    if absolute || step.triggered {
        return;
    }
    let set = context.stages.chain(stage).any(|one| {
        context
            .of(one)
            .iter()
            .take_while(|other| other.at < step.at || one.index != stage.index)
            .any(|other| other.is(Kind::Workdir))
    });
    // An image may set its own working folder; a name of ours says nothing about it.
    if !set {
        found.add("AD0207", destination.span, format!("`{text}` is relative, and this stage sets no WORKDIR above"));
    }
}

fn ignored(context: &Context<'_>, sources: &[Word], found: &mut Findings) {
    let Some(file) = &context.ignored else { return };
    for word in sources {
        let text = word.value.as_str();
        let is_path = !text.contains(['$', '*', '?', '[']) && !is_url(text) && !is_git(text) && !text.starts_with("<<");
        let left_out = || file.ignores(text) && !file.keeps_below(text);
        if is_path && !matches!(text.trim_matches('/'), "" | ".") && left_out() {
            found.add("AD0208", word.span, format!("`.dockerignore` leaves `{text}` out"));
        }
    }
}

/// Names under which secrets usually lie.
fn secret_path(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let named = matches!(
        last.as_str(),
        ".env"
            | "id_rsa"
            | "id_dsa"
            | "id_ecdsa"
            | "id_ed25519"
            | ".npmrc"
            | ".pypirc"
            | ".netrc"
            | ".pgpass"
            | ".git-credentials"
            | ".htpasswd"
            | ".aws"
            | ".ssh"
            | ".gnupg"
            | ".kube"
            | ".dockercfg"
            | ".vault-token"
            | "credentials.json"
            | "service-account.json"
            | "secrets.yaml"
            | "secrets.yml"
            | "secrets.json"
            | "terraform.tfstate"
    );
    let env = last.starts_with(".env.")
        && ![".example", ".sample", ".template", ".dist"].iter().any(|end| last.ends_with(end));
    let key = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx"].iter().any(|end| last.ends_with(end));
    named
        || env
        || key && !last.contains("pub")
        || path.ends_with(".docker/config.json")
        || path.ends_with(".aws/credentials")
}

fn secrets(context: &Context<'_>, step: &Step<'_>, sources: &[Word], found: &mut Findings) {
    for word in sources.iter().filter(|word| secret_path(&word.value)) {
        if context.ignored.as_ref().is_some_and(|file| file.ignores(&word.value)) {
            continue;
        }
        let added = found.add("AD0210", word.span, format!("`{}` usually holds secrets", word.value));
        if !step.ships() {
            added.at_most(Severity::Warning);
        }
    }
}

/// COPY of an archive that a later RUN of the stage unpacks.
fn unpacked(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let steps = context.of(stage);
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.is(Kind::Copy) && step.ships()) {
            if step.it.flag("from").is_some() {
                continue;
            }
            let sources = step.it.words.split_last().map_or(&[][..], |(_, sources)| sources);
            for word in sources.iter().filter(|word| is_archive(&word.value)) {
                let name = crate::shell::base_name(&word.value);
                let later = steps.iter().skip(at + 1).flat_map(|step| &step.commands);
                let mut unpackers = later.filter(|command| {
                    matches!(command.program(), "tar" | "gunzip" | "unxz" | "bunzip2" | "xz" | "gzip")
                });
                if unpackers.any(|command| command.arguments().iter().any(|one| one.text.ends_with(name))) {
                    found.add("AD0203", word.span, format!("`{name}` is unpacked by a later RUN"));
                }
            }
        }
    }
}

/// Commands that install what a list of dependencies names.
fn installs_from_list(command: &crate::shell::Command) -> bool {
    let first = command.operands().next().map_or("", |word| word.text.as_str());
    match command.program() {
        "pip" | "pip3" => first == "install" && (command.has("-r") || command.has("--requirement")),
        "npm" => {
            matches!(first, "ci" | "install" | "i")
                && command.operands().count() == 1
                && !command.has("-g")
                && !command.has("--global")
        }
        "yarn" => matches!(first, "" | "install"),
        "pnpm" | "bundle" | "composer" | "poetry" => first == "install",
        "go" => first == "mod" && command.has("download"),
        "cargo" => first == "fetch",
        "mvn" | "mvnw" => command.arguments().iter().any(|word| word.text.starts_with("dependency:")),
        "dotnet" => first == "restore",
        "uv" => first == "sync",
        _ => false,
    }
}

fn is_whole(word: &Word) -> bool {
    matches!(word.value.as_str(), "." | "./" | "/" | "*" | "./*")
}

fn cache_order(context: &Context<'_>, found: &mut Findings) {
    for stage in &context.stages.list {
        let mut whole = None;
        for step in context.of(stage).iter().filter(|step| step.is_built()) {
            if matches!(step.it.kind, Kind::Copy | Kind::Add) && step.it.flag("from").is_none() {
                let words = step.it.exec.as_ref().unwrap_or(&step.it.words);
                let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
                whole = whole.or(sources.iter().find(|word| is_whole(word)));
            }
            let Some(copy) = whole else { continue };
            if let Some(command) =
                step.commands.iter().find(|command| step.is(Kind::Run) && installs_from_list(command))
            {
                let what = format!(
                    "every change of a file makes `{} {}` run again",
                    command.program(),
                    command.operands().next().map_or("", |word| &word.text)
                );
                found.add("AD0209", copy.span, what);
                break;
            }
        }
    }
}

fn whole_folder(context: &Context<'_>, found: &mut Findings) {
    let mut copies = context.steps.iter().filter(|step| {
        matches!(step.it.kind, Kind::Copy | Kind::Add) && step.is_built() && step.it.flag("from").is_none()
    });
    let whole = copies.find_map(|step| {
        let words = step.it.exec.as_ref().unwrap_or(&step.it.words);
        let (_, sources) = words.split_last()?;
        sources.iter().find(|word| is_whole(word))
    });
    let (Some(word), Some(dockerignore)) = (whole, &context.options.dockerignore) else { return };
    match (dockerignore, &context.ignored) {
        (None, _) => {
            found.add("AD0211", word.span, "there is no `.dockerignore`");
        }
        (Some(_), Some(file)) => {
            let missing: Vec<&str> = [".git", ".env"].into_iter().filter(|path| !file.ignores(path)).collect();
            if !missing.is_empty() {
                let list = missing.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" and ");
                found.add("AD0212", word.span, format!("`.dockerignore` lets {list} through"));
            }
        }
        _ => {}
    }
}
