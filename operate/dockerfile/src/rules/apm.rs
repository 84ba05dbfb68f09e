//! Rules about being observed: a port to check, a program that an agent can be added to, nothing of one environment fixed.

use operate_agents::{Language, Project, ProjectFile, detect};

use super::Context;
use crate::finding::Findings;
use crate::stage::{Base, Role};
use crate::syntax::Kind;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    for step in context.steps.iter().filter(|step| step.is(Kind::Env) && step.ships()) {
        for (key, value) in step.it.pairs() {
            let literal = value.as_ref().is_some_and(|value| !value.value.is_empty() && !value.raw.contains('$'));
            if key.value.starts_with("OTEL_EXPORTER_") && key.value.ends_with("_ENDPOINT") && literal {
                found.add("AD0904", key.span, format!("`{}` is the same in every environment", key.value));
            }
        }
    }
    let Some(target) = context.stages.target() else { return };
    let Some(from) = context.file.instructions.get(target.from) else { return };
    let entry = context.last(Kind::Entrypoint);
    let Some(start) = entry.or(context.last(Kind::Cmd)) else { return };
    let mut words: Vec<String> = Vec::new();
    for step in [entry, context.last(Kind::Cmd)].into_iter().flatten() {
        match &step.it.exec {
            Some(exec) => words.extend(exec.iter().map(|word| word.value.clone())),
            None => words
                .extend(step.commands.iter().flat_map(|command| command.words.iter().map(|word| word.text.clone()))),
        }
    }
    if context.last(Kind::Expose).is_none() {
        found.add("AD0901", from.head_span(), "the stage that ships names no port");
    }
    let script =
        words.first().filter(|word| word.ends_with(".sh") || crate::shell::base_name(word).contains("entrypoint"));
    // Arguments in CMD show what the script will start.
    if let Some(script) = script.filter(|_| words.len() == 1) {
        found.add("AD0902", start.it.rest_span(), format!("`{script}` starts a program that cannot be seen from here"));
    }
    let program = words.first().map_or("", |word| crate::shell::base_name(word));
    let blocks =
        |word: &&String| program.starts_with("python") && matches!(word.as_str(), "-I" | "-E" | "-S" | "-IS" | "-ES");
    let clears =
        program == "env" && words.iter().any(|word| matches!(word.as_str(), "-i" | "-" | "--ignore-environment"));
    if let Some(option) = words
        .iter()
        .take_while(|word| !word.ends_with(".py"))
        .find(blocks)
        .cloned()
        .or(clears.then(|| "env -i".to_owned()))
    {
        found.add("AD0905", start.it.rest_span(), format!("`{option}` keeps an agent out"));
    }
    let language = language(context, &words, &context.stages.root(target));
    let has_recipe = matches!(language, Language::Python | Language::Node | Language::Java);
    if has_recipe && !has_agent(context) {
        found.add("AD0903", start.it.rest_span(), format!("a {} program without an agent", language.name()));
    }
}

/// The language of the command that runs; else of the image below it.
fn language(context: &Context<'_>, words: &[String], base: &Base) -> Language {
    // The program may be the argument of a script or of an init.
    let inits = ["tini", "dumb-init", "--", "-g", "-s", "exec", "gosu", "su-exec"];
    let at = words.iter().position(|word| {
        let name = crate::shell::base_name(word);
        !inits.contains(&name) && !name.ends_with(".sh") && !name.contains("entrypoint")
    });
    let command = words.get(at.unwrap_or(0)..).unwrap_or(&[]).to_vec();
    let files =
        context.options.context_files.iter().map(|path| ProjectFile { path: path.clone(), content: None }).collect();
    let project = Project { folder: String::new(), files: Vec::new(), command, program_head: None };
    let by_command = detect(&project).language;
    if by_command != Language::Unknown {
        return by_command;
    }
    let Base::Image(image) = base else { return Language::Unknown };
    match image.short() {
        "python" | "pypy" => Language::Python,
        "node" | "nodejs" | "bun" => Language::Node,
        "openjdk"
        | "eclipse-temurin"
        | "amazoncorretto"
        | "java"
        | "jre"
        | "jdk"
        | "ibm-semeru-runtimes"
        | "tomcat"
        | "jetty" => Language::Java,
        "ruby" => Language::Ruby,
        "php" => Language::Php,
        "golang" => Language::Go,
        "rust" => Language::Rust,
        // A plain system: the project's own files are the last hint.
        "debian" | "ubuntu" | "alpine" => detect(&Project { files, ..project }).language,
        _ => Language::Unknown,
    }
}

/// Whether anything in the build speaks of an agent.
fn has_agent(context: &Context<'_>) -> bool {
    const SIGNS: &[&str] = &[
        "opentelemetry",
        "otel_",
        "javaagent",
        "ddtrace",
        "dd-trace",
        "newrelic",
        "elastic-apm",
        "elasticapm",
        "appdynamics",
        "dynatrace",
    ];
    context.stages.list.iter().filter(|stage| stage.role != Role::Unused).any(|stage| {
        context.of(stage).iter().any(|step| {
            let lower = step.it.logical.text.to_ascii_lowercase();
            SIGNS.iter().any(|sign| lower.contains(sign))
        })
    })
}
