//! Rules about security: who runs the program, where secrets end up, what is downloaded unchecked.

use super::{Context, Step};
use crate::finding::{Edit, Findings};
use crate::shell::{Command, is_shell};
use crate::stage::{Base, Role};
use crate::syntax::Kind;
use base_explain::Severity;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    user(context, found);
    for step in context.steps.iter().filter(|step| step.is_built()) {
        match step.it.kind {
            Kind::Env | Kind::Arg => variables(step, found),
            Kind::Copy | Kind::Add => modes(step, found),
            Kind::Run => {
                rights(step, found);
                for (at, command) in step.commands.iter().enumerate() {
                    run(command, found);
                    piped(&step.commands, at, found);
                    secrets(command, step, found);
                }
            }
            Kind::Expose if step.ships() => {
                let ssh = step.it.words.iter().find(|word| matches!(word.value.as_str(), "22" | "22/tcp"));
                if let Some(word) = ssh {
                    found.add("AD0313", word.span, "port 22 is SSH's");
                }
            }
            _ => {}
        }
    }
}

fn user(context: &Context<'_>, found: &mut Findings) {
    let Some(target) = context.stages.target() else { return };
    let Some(last) = context.last(Kind::User) else {
        if let Some(from) = context.file.instructions.get(target.from)
            && may_be_root(&context.stages.root(target))
        {
            found.add("AD0302", from.head_span(), "the stage that ships sets no USER");
        }
        return;
    };
    let Some(word) = last.it.words.first() else { return };
    let name = word.value.split(':').next().unwrap_or("");
    if matches!(name, "root" | "0") {
        found.add("AD0301", word.span, "the last USER of the stage that ships is root");
    } else if !name.contains('$') && name.parse::<u32>().is_err() {
        found.add("AD0315", word.span, format!("`{name}` is a name"));
    }
}

/// Bases that are known to set another user, or that cannot be known.
fn may_be_root(base: &Base) -> bool {
    let Base::Image(image) = base else { return matches!(base, Base::Scratch) };
    let tag = image.tag.as_deref().unwrap_or("");
    let rootless_tag =
        tag.contains("nonroot") || tag.contains("rootless") || tag.contains("unprivileged") || tag.contains("chiseled");
    let repository = image.repository.as_str();
    let rootless_image = image.registry == "cgr.dev"
        || repository.starts_with("chainguard/")
        || repository.contains("unprivileged")
        || repository.starts_with("bitnami/")
        || repository.contains("/ubi") && repository.contains("minimal-user");
    !rootless_tag && !rootless_image
}

/// Whether a variable's name says that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let parts: Vec<&str> = upper.split(['_', '-', '.']).collect();
    let says = |part: &&str| {
        matches!(
            *part,
            "PASSWORD"
                | "PASSWD"
                | "PASSPHRASE"
                | "PWORD"
                | "PASS"
                | "SECRET"
                | "SECRETS"
                | "TOKEN"
                | "APIKEY"
                | "AUTH"
                | "KEY"
                | "CREDENTIAL"
                | "CREDENTIALS"
                | "PRIVATEKEY"
                | "ACCESSKEY"
                | "SECRETKEY"
        )
    };
    // What only points to it, or is public, is no secret.
    let points = |part: &&str| {
        matches!(
            *part,
            "FILE"
                | "PATH"
                | "DIR"
                | "URL"
                | "URI"
                | "NAME"
                | "ID"
                | "PUBLIC"
                | "TTL"
                | "EXPIRY"
                | "TIMEOUT"
                | "LENGTH"
                | "SIZE"
                | "TYPE"
                | "SERVER"
                | "HOST"
                | "PORT"
                | "ENABLED"
                | "METHOD"
                | "GPG"
                | "FINGERPRINT"
                | "KEYRING"
                | "VERSION"
                | "ALGORITHM"
        )
    };
    // `DB_PASS`, but not `FIRST_PASS_COUNT`.
    let pass_last = parts.iter().position(|part| *part == "PASS").is_none_or(|at| at + 1 == parts.len());
    parts.iter().any(says) && !parts.iter().any(points) && pass_last
}

fn variables(step: &Step<'_>, found: &mut Findings) {
    for (key, value) in step.it.pairs() {
        if !is_secret_name(&key.value) {
            continue;
        }
        let given = value.as_ref().is_some_and(|value| !value.value.is_empty());
        if step.is(Kind::Arg) {
            let added = found.add("AD0307", key.span, format!("`{}` is a secret by its name", key.value));
            if !step.ships() {
                added.at_most(Severity::Warning);
            }
        } else if given {
            let added = found.add("AD0306", key.span, format!("`{}` is a secret by its name", key.value));
            // The layers of such a stage stay with whoever builds.
            if !step.ships() {
                added.at_most(Severity::Warning);
            }
        }
    }
}

fn is_open_mode(mode: &str) -> bool {
    let digits = mode.trim_start_matches('0');
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(8)) && mode.len() >= 3 {
        let last = digits.chars().last().and_then(|c| c.to_digit(8)).unwrap_or(0);
        // The sticky bit is how /tmp is meant to be.
        let sticky =
            digits.len() == 4 && digits.chars().next().and_then(|c| c.to_digit(8)).is_some_and(|bits| bits & 1 == 1);
        return last & 2 == 2 && !sticky;
    }
    mode.split(',').any(|part| match part.find(['+', '=']) {
        Some(at) => {
            let (who, what) = part.split_at(at);
            (who.contains('a') || who.contains('o')) && what.contains('w')
        }
        None => false,
    })
}

fn is_setuid_mode(mode: &str) -> bool {
    let octal = mode.len() == 4 && mode.chars().all(|c| c.is_digit(8)) && mode.starts_with(['2', '4', '6']);
    let symbolic = mode
        .split(',')
        .any(|part| part.split_once('+').is_some_and(|(who, what)| !who.contains('o') && what.contains('s')));
    octal || symbolic
}

fn modes(step: &Step<'_>, found: &mut Findings) {
    let flag = step.it.flag("chmod");
    if let Some((flag, mode)) = flag.and_then(|flag| Some((flag, flag.value.as_deref()?))) {
        if is_open_mode(mode) {
            found.add("AD0304", flag.span, format!("`{mode}` lets everybody write"));
        } else if is_setuid_mode(mode) {
            found.add("AD0314", flag.span, format!("`{mode}` has the bit"));
        }
    }
}

fn rights(step: &Step<'_>, found: &mut Findings) {
    for flag in &step.it.flags {
        let value = flag.value.as_deref();
        if (flag.name.as_str(), value) == ("security", Some("insecure"))
            || (flag.name.as_str(), value) == ("network", Some("host"))
        {
            found.add("AD0312", flag.span, format!("`--{}={}`", flag.name, value.unwrap_or("")));
        }
    }
}

fn run(command: &Command, found: &mut Findings) {
    if let Some(first) = command.words.first()
        && crate::shell::base_name(&first.text) == "sudo"
        && command.words.len() > 1
    {
        let added = found.add("AD0303", first.span, "sudo in a build");
        if let Some(next) = command.words.get(1).filter(|next| !next.text.starts_with('-')) {
            let span = base_explain::Span::new(first.span.start, next.span.start);
            added.suggest_in(command, "leave it out", vec![Edit::new(span, "")]);
        }
    }
    let arguments = command.arguments();
    // `-w` is a mode, `-R` is not.
    let is_option = |text: &str| {
        text.starts_with("--") || text.starts_with('-') && text.chars().skip(1).all(|c| "Rvcf".contains(c))
    };
    match command.program() {
        "chmod" => {
            let mode = arguments.iter().find(|word| !is_option(&word.text));
            if let Some(word) = mode {
                if is_open_mode(&word.text) {
                    found.add("AD0304", word.span, format!("`{}` lets everybody write", word.text));
                } else if is_setuid_mode(&word.text) {
                    found.add("AD0314", word.span, format!("`{}` sets the bit", word.text));
                }
            }
        }
        "useradd" => {
            let at = arguments.iter().position(|word| matches!(word.text.as_str(), "-u" | "--uid"));
            let after = at.and_then(|at| arguments.get(at + 1)).map(|word| word.text.as_str());
            let joined =
                arguments.iter().find_map(|word| word.text.strip_prefix("--uid=").or(word.text.strip_prefix("-u")));
            let uid = after.or(joined).and_then(|text| text.parse::<u64>().ok());
            if uid.is_some_and(|uid| uid > 99_999) && !command.has_short('l') && !command.has("--no-log-init") {
                let added = found.add("AD0311", command.span(), "`useradd` with a number above 99999");
                if let Some(word) = command.words.iter().find(|word| word.text == "useradd") {
                    let end = base_explain::Span::new(word.span.end, word.span.end);
                    added.suggest_in(command, "add `-l`", vec![Edit::new(end, " -l")]);
                }
            }
        }
        _ => {}
    }
    unchecked(command, found);
    let ssh = command
        .arguments()
        .iter()
        .find(|word| matches!(word.text.split('=').next(), Some("openssh-server" | "dropbear")));
    if let Some(word) =
        ssh.filter(|_| command.arguments().iter().any(|word| matches!(word.text.as_str(), "install" | "add")))
    {
        found.add("AD0313", word.span, format!("`{}` is installed", word.text));
    }
}

/// Options and variables that switch a check off.
fn unchecked(command: &Command, found: &mut Findings) {
    let program = command.program();
    for word in command.arguments() {
        let text = word.text.as_str();
        let short =
            |option: char| text.starts_with('-') && !text.starts_with("--") && text.len() < 8 && text.contains(option);
        let no_tls = match program {
            "curl" => text == "--insecure" || short('k'),
            "wget" => text == "--no-check-certificate",
            "pip" | "pip3" => text.starts_with("--trusted-host"),
            "git" => text.contains("sslVerify=false") || text == "http.sslVerify",
            "npm" | "yarn" | "pnpm" => text == "strict-ssl" || text == "--strict-ssl=false",
            _ => false,
        };
        // `git config http.sslVerify true` is fine.
        let on_again = command.arguments().iter().any(|word| word.text == "true" || word.text == "1");
        if no_tls && !on_again {
            found.add("AD0309", word.span, format!("`{text}` switches the check off"));
        }
        let unsigned = match program {
            "apt-get" | "apt" => {
                matches!(text, "--allow-unauthenticated" | "--force-yes" | "--allow-insecure-repositories")
            }
            "apk" => text == "--allow-untrusted",
            "yum" | "dnf" | "microdnf" => text == "--nogpgcheck",
            "zypper" => matches!(text, "--no-gpg-checks" | "--allow-unsigned-rpm"),
            _ => text.contains("[trusted=yes]"),
        };
        if unsigned {
            found.add(
                "AD0310",
                word.span,
                format!("`{}` switches the check off", text.chars().take(60).collect::<String>()),
            );
        }
    }
    for one in &command.assignments {
        if matches!(
            (one.name.as_str(), one.value.as_str()),
            ("NODE_TLS_REJECT_UNAUTHORIZED" | "PYTHONHTTPSVERIFY", "0") | ("GIT_SSL_NO_VERIFY", "1" | "true")
        ) {
            found.add("AD0309", one.span, format!("`{}` switches the check off", one.name));
        }
    }
}

/// `curl … | sh`, and `sh -c "$(curl …)"`.
fn piped(commands: &[Command], at: usize, found: &mut Findings) {
    let Some(command) = commands.get(at) else { return };
    if !matches!(command.program(), "curl" | "wget") {
        return;
    }
    let runs = |command: &Command| {
        is_shell(command.program()) && !command.has("-c")
            || matches!(command.program(), "python" | "python3" | "perl" | "ruby" | "node")
    };
    let mut next = at;
    while let Some(current) = commands.get(next) {
        if current.after != crate::shell::Join::Pipe {
            break;
        }
        next += 1;
        if let Some(reader) = commands.get(next).filter(|command| runs(command)) {
            found.add(
                "AD0305",
                command.span().to(reader.span()),
                format!("what `{}` fetches goes into `{}`", command.program(), reader.program()),
            );
            return;
        }
    }
    // The command that holds the substitution comes before or after it in the list.
    let holder = |one: &Command| {
        is_shell(one.program())
            && one.words.iter().any(|word| word.text.contains("$(") && word.text.contains(command.program()))
    };
    if command.nested && commands.iter().any(holder) {
        found.add("AD0305", command.span(), format!("what `{}` fetches is run", command.program()));
    }
}

fn literal(value: &str) -> bool {
    !value.is_empty() && !value.contains('$') && !value.contains('`')
}

fn secrets(command: &Command, step: &Step<'_>, found: &mut Findings) {
    let mut places = Vec::new();
    for one in &command.assignments {
        if is_secret_name(&one.name) && literal(&one.value) {
            places.push((one.span, format!("`{}` gets a value", one.name)));
        }
    }
    let words = command.arguments();
    for (at, word) in words.iter().enumerate() {
        let text = word.text.as_str();
        if let Some((name, value)) = text.split_once('=')
            && is_secret_name(name.trim_start_matches('-'))
            && literal(value)
            && !value.starts_with('/')
            && (name.starts_with("--") || command.program() == "export")
        {
            places.push((word.span, format!("`{name}` gets a value")));
        }
        if let Some((_, rest)) = text.split_once("://")
            && let Some((user, _)) = rest.split('/').next().and_then(|host| host.rsplit_once('@'))
            && user.split_once(':').is_some_and(|(_, password)| literal(password))
        {
            places.push((word.span, "a password in a URL".to_owned()));
        }
        let next = words.get(at + 1).map_or("", |word| word.text.as_str());
        if matches!(command.program(), "curl")
            && matches!(text, "-u" | "--user")
            && next.split_once(':').is_some_and(|(_, value)| literal(value))
        {
            places.push((word.span, "a password for curl".to_owned()));
        }
        let header = text.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("authorization:")
            && literal(value.trim())
        {
            places.push((word.span, "a header with credentials".to_owned()));
        }
    }
    if command.program() == "echo" && command.after == crate::shell::Join::Pipe {
        let pair = words.iter().find(|word| {
            word.text
                .split_once(':')
                .is_some_and(|(user, value)| !user.is_empty() && !user.contains(['/', ' ']) && literal(value))
        });
        if let Some(word) = pair.filter(|_| step.commands.iter().any(|other| other.program() == "chpasswd")) {
            places.push((word.span, "a password for chpasswd".to_owned()));
        }
    }
    for (span, what) in places {
        let added = found.add("AD0308", span, what);
        if step.stage.is_some_and(|stage| stage.role != Role::Ships) {
            added.at_most(Severity::Warning);
        }
    }
}
