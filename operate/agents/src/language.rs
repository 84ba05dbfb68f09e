//! Which language a command runs: by its program, by the program's `#!` line, then by the project's files.
//! Does not know what to do about it.

use crate::project::{Project, program_name};

/// The languages a launch tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
    Java,
    Ruby,
    Php,
    DotNet,
    Go,
    Rust,
    Unknown,
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::Node => "Node.js",
            Language::Java => "Java",
            Language::Ruby => "Ruby",
            Language::Php => "PHP",
            Language::DotNet => ".NET",
            Language::Go => "Go",
            Language::Rust => "Rust",
            Language::Unknown => "unknown",
        }
    }

    /// The files whose change restarts a program. JSON, databases and logs are absent: programs write those themselves.
    pub fn source_suffixes(self) -> &'static [&'static str] {
        match self {
            Language::Python => {
                &[".py", ".toml", ".cfg", ".ini", ".env", ".yaml", ".yml", ".html", ".jinja", ".jinja2", ".j2"]
            }
            Language::Node => &[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx", ".env"],
            Language::Java => &[".java", ".kt", ".properties", ".xml"],
            Language::Ruby => &[".rb", ".ru", ".erb", ".env"],
            Language::Php => &[".php", ".env"],
            Language::DotNet => &[".cs", ".fs", ".vb", ".csproj", ".cshtml"],
            Language::Go => &[".go", ".mod", ".env"],
            Language::Rust => &[".rs", ".toml"],
            Language::Unknown => &[".py", ".js", ".ts", ".rb", ".php", ".go", ".rs", ".java", ".kt", ".cs", ".env"],
        }
    }
}

/// A language and the reason for it, in words: "`flask` is a Python program".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub language: Language,
    pub because: String,
}

/// Programs by language; a version may follow the name (`python3.12`).
const PROGRAMS: &[(Language, &[&str])] = &[
    (
        Language::Python,
        &[
            "python",
            "pypy",
            "flask",
            "gunicorn",
            "uvicorn",
            "hypercorn",
            "daphne",
            "granian",
            "waitress-serve",
            "uwsgi",
            "celery",
            "django-admin",
            "fastapi",
            "pytest",
            "streamlit",
            "ipython",
            "rq",
            "dramatiq",
            "uv",
            "poetry",
            "pipenv",
            "hatch",
            "pdm",
            "manage.py",
        ],
    ),
    (
        Language::Node,
        &["node", "nodejs", "npm", "npx", "yarn", "pnpm", "bun", "tsx", "ts-node", "next", "nodemon", "vite"],
    ),
    (Language::Java, &["java", "mvn", "mvnw", "gradle", "gradlew", "kotlin", "sbt"]),
    (Language::Ruby, &["ruby", "bundle", "rails", "rackup", "puma", "rake"]),
    (Language::Php, &["php", "php-fpm", "composer", "artisan"]),
    (Language::DotNet, &["dotnet"]),
    (Language::Go, &["go", "air"]),
    (Language::Rust, &["cargo"]),
];

/// Files at the top of a project that settle its language, most telling first.
const MARKS: &[(&str, Language)] = &[
    ("manage.py", Language::Python),
    ("pyproject.toml", Language::Python),
    ("requirements.txt", Language::Python),
    ("Pipfile", Language::Python),
    ("setup.py", Language::Python),
    ("package.json", Language::Node),
    ("pom.xml", Language::Java),
    ("build.gradle", Language::Java),
    ("build.gradle.kts", Language::Java),
    ("Gemfile", Language::Ruby),
    ("composer.json", Language::Php),
    ("go.mod", Language::Go),
    ("Cargo.toml", Language::Rust),
];

/// The language of a command in its project.
pub fn detect(project: &Project) -> Detected {
    let program = project.command.first().map(|word| program_name(word)).unwrap_or_default();
    if let Some(language) = by_program(&program) {
        return Detected { language, because: format!("`{program}` is a {} program", language.name()) };
    }
    let head = project.program_head.as_deref().and_then(shebang_program);
    if let Some((language, interpreter)) = head.and_then(|name| Some((by_program(&name)?, name))) {
        return Detected { language, because: format!("`{program}` is run by `{interpreter}`") };
    }
    if let Some((file, language)) = MARKS.iter().find(|(file, _)| project.has(file)) {
        return Detected { language: *language, because: format!("the project has {file}") };
    }
    Detected { language: Language::Unknown, because: format!("neither `{program}` nor the project's files tell") }
}

fn by_program(program: &str) -> Option<Language> {
    let bare = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let hit = |names: &[&str]| names.contains(&program) || names.contains(&bare);
    PROGRAMS.iter().find(|(_, names)| hit(names)).map(|(language, _)| *language)
}

/// `python3` for `#!/usr/bin/env python3` and for the two-line form that installers write when the path is too long for a
/// kernel (`#!/bin/sh` then `'''exec' "/long path/python" "$0" "$@"`).
fn shebang_program(head: &str) -> Option<String> {
    interpreter_path(head).map(|path| program_name(&path))
}

/// The interpreter a script's first lines name; for `env` forms only its name.
pub(crate) fn interpreter_path(head: &str) -> Option<String> {
    let mut lines = head.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let second = lines.next().unwrap_or("");
    if let Some(rest) = second.strip_prefix("'''exec'") {
        let rest = rest.trim_start();
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
        return quoted.or_else(|| rest.split_whitespace().next()).map(str::to_owned);
    }
    let mut words = first.split_whitespace();
    let program = words.next()?;
    if program_name(program) == "env" {
        return words.find(|word| !word.starts_with('-') && !word.contains('=')).map(str::to_owned);
    }
    Some(program.to_owned())
}

/// Reloaders that any language may be run under.
pub(crate) fn general_reloader(command: &[String]) -> Option<String> {
    let program = command.first().map(|word| program_name(word)).unwrap_or_default();
    if matches!(program.as_str(), "nodemon" | "watchexec" | "entr" | "watchmedo" | "watchfiles" | "air" | "vite") {
        return Some(format!("`{program}` restarts the program by itself"));
    }
    let flag = command.iter().skip(1).find(|word| matches!(word.as_str(), "--watch" | "--reload" | "--hot"))?;
    Some(format!("`{program} {flag}` reloads by itself"))
}
