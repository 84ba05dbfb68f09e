//! Does the command restart itself when a file changes? Then `apm run` must not. Does it serve until told to end? Reads the command and the entry file's
//! text; does not know what the program does at run time.

use crate::language::general_reloader;
use crate::project::{program_name, wanted_files};
use crate::{Project, Settings};

/// In words which reloader is on, or `None`.
pub(super) fn own_reloader(project: &Project, settings: &Settings) -> Option<String> {
    let words: Vec<&str> = effective(&project.command);
    let has = |flag: &str| words.contains(&flag);
    let program = words.first().map(|word| program_name(word)).unwrap_or_default();
    if has("--no-reload") || has("--noreload") {
        return None;
    }
    let truthy = |name: &str| settings.inherited(name).is_some_and(|value| !matches!(value, "0" | "false" | "no"));
    if program == "flask" && (has("--debug") || truthy("FLASK_DEBUG")) {
        return Some("Flask's debug mode reloads by itself".to_owned());
    }
    if has("runserver") && (program == "manage.py" || program == "django-admin") {
        return Some("Django's `runserver` reloads by itself".to_owned());
    }
    if program == "fastapi" && has("dev") {
        return Some("`fastapi dev` reloads by itself".to_owned());
    }
    if program == "streamlit" {
        return Some("Streamlit reloads by itself".to_owned());
    }
    if let Some(found) = general_reloader(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()) {
        return Some(found);
    }
    wanted_files(&project.command, &[]).iter().find_map(|path| in_source(path, project.content(path)?))
}

/// `app.run(debug=True)`, `uvicorn.run(…, reload=True)`.
fn in_source(path: &str, text: &str) -> Option<String> {
    let code: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    let runs = code.match_indices(".run(").filter_map(|(at, _)| code.get(at..));
    for call in runs {
        let arguments = call.split(')').next().unwrap_or(call);
        if arguments.contains("use_reloader=False") {
            continue;
        }
        for flag in ["debug=True", "reload=True", "use_reloader=True"] {
            if arguments.contains(flag) {
                return Some(format!("`{flag}` in {path} reloads by itself"));
            }
        }
    }
    None
}

const SERVERS: &[&str] = &[
    "flask",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
    "uwsgi",
    "fastapi",
    "streamlit",
];

/// Whether the command should go on until it is told to end.
pub(super) fn is_service(project: &Project) -> bool {
    let words = effective(&project.command);
    let has = |word: &str| words.contains(&word);
    let program = words.first().map(|word| program_name(word)).unwrap_or_default();
    let serves_in_source = || {
        wanted_files(&project.command, &[]).iter().filter_map(|path| project.content(path)).any(|text| {
            ["app.run(", "uvicorn.run(", "serve_forever(", "web.run_app("].iter().any(|call| text.contains(call))
        })
    };
    SERVERS.contains(&program.as_str())
        || has("runserver")
        || (program == "celery" && has("worker"))
        || serves_in_source()
}

/// The command without what merely leads to it: `uv run`, `python -m`, `python manage.py` become the program itself.
pub(super) fn effective(command: &[String]) -> Vec<&str> {
    let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
    if words.len() > 2
        && words.get(1) == Some(&"run")
        && words
            .first()
            .is_some_and(|word| matches!(program_name(word).as_str(), "uv" | "poetry" | "pipenv" | "hatch" | "pdm"))
    {
        words.drain(..2);
    }
    let is_python = words.first().is_some_and(|word| {
        let name = program_name(word);
        name.starts_with("python") || name.starts_with("pypy")
    });
    if is_python {
        if let Some(at) = words.iter().position(|word| *word == "-m") {
            words.drain(..=at);
        } else if words.get(1).is_some_and(|word| word.ends_with("manage.py")) {
            words.remove(0);
        }
    }
    words
}
