//! What of a Dockerfile only BuildKit builds. The engine's classic builder would end in the middle, or, worse, take a heredoc's lines for instructions.
//! Source: the Dockerfile reference and the builder of Docker 20.10.

use operate_dockerfile::{Dockerfile, Instruction, Kind, PLATFORM_ARGUMENTS, Point};

/// One place that needs BuildKit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    pub at: Point,
    /// In words: "`RUN --mount`".
    pub what: String,
}

/// Flags that the classic builder knows.
fn known_flags(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::From => &["platform"],
        Kind::Copy => &["from", "chown"],
        Kind::Add => &["chown"],
        Kind::Healthcheck => &["interval", "timeout", "start-period", "retries"],
        _ => &[],
    }
}

/// All such places, in the order of the file. Stages that do not ship count as well: the classic builder builds every stage up to the target.
pub fn needs_buildkit(file: &Dockerfile<'_>) -> Vec<Needs> {
    let mut found = Vec::new();
    let mut global: Vec<String> = Vec::new();
    let mut seen_from = false;
    for it in &file.instructions {
        one(file, it, &mut found);
        match it.kind {
            Kind::Arg if !seen_from => global.extend(it.pairs().into_iter().map(|(key, _)| key.value)),
            Kind::From => {
                seen_from = true;
                let text = it.head_span().of(file.text);
                let used = |name: &&&str| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"));
                for name in
                    PLATFORM_ARGUMENTS.iter().filter(used).filter(|name| !global.iter().any(|known| known == *name))
                {
                    found.push(Needs {
                        at: file.lines.point(file.text, it.span.start),
                        what: format!("`${name}` in FROM"),
                    });
                }
            }
            _ => {}
        }
    }
    found
}

fn one(file: &Dockerfile<'_>, it: &Instruction, found: &mut Vec<Needs>) {
    let mut add = |start: usize, what: String| found.push(Needs { at: file.lines.point(file.text, start), what });
    for heredoc in &it.heredocs {
        add(heredoc.opener.start, format!("a heredoc (`<<{}`)", heredoc.name));
    }
    for flag in it.flags.iter().filter(|flag| !known_flags(it.kind).contains(&flag.name.as_str())) {
        // An unknown flag of an unknown instruction is no matter of the builder.
        if it.kind != Kind::Unknown {
            add(flag.span.start, format!("`{} --{}`", it.kind.name(), flag.name));
        }
    }
    if let Some(inner) = &it.inner {
        one(file, inner, found);
    }
}

/// The platform arguments that a stage asks for by a bare `ARG`: BuildKit sets them, for the classic builder they are given with the rest. `platform` is
/// `linux/amd64` or `linux/arm/v7`.
pub fn platform_arguments(file: &Dockerfile<'_>, platform: &str) -> Vec<(String, String)> {
    let mut parts = platform.splitn(3, '/');
    let (os, architecture, variant) =
        (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let asked = |name: &str| {
        let bare = |it: &Instruction| {
            it.kind == Kind::Arg && it.pairs().iter().any(|(key, value)| key.value == name && value.is_none())
        };
        file.instructions.iter().any(bare)
    };
    PLATFORM_ARGUMENTS
        .iter()
        .filter(|name| asked(name))
        .filter_map(|name| {
            let value = match name.trim_start_matches("TARGET").trim_start_matches("BUILD") {
                "PLATFORM" => platform,
                "OS" => os,
                "ARCH" => architecture,
                "VARIANT" => variant,
                // The stage's name: no matter of the platform.
                _ => return None,
            };
            Some(((*name).to_owned(), value.to_owned()))
        })
        .collect()
}
