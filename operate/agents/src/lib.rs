//! Language detection and launch recipes: which telemetry agent a program needs, at which exact versions, and with which
//! environment. Used by `apm run`; image build and cluster injection will ask the same questions.
//!
//! What it does NOT know: disks, processes, clocks, networks. Somebody shows it a [`Project`], the settings and (where
//! there is one) the [`Runtime`] that will run the program; it answers a [`Launch`]. The same input gives the same answer.

mod environment;
mod language;
mod project;
pub mod python;
mod switch;

pub use environment::{Settings, is_inherited, percent_encode, resource_attribute, service_name};
pub use language::{Detected, Language, detect};
pub use project::{Project, ProjectFile, program_name, wanted_files};
pub use switch::{Join, Variable, switches};

/// A package installed where the program will run, named as its registry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    pub name: String,
    pub version: String,
}

/// The interpreter or virtual machine that will run the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `cpython`, `pypy`.
    pub implementation: String,
    pub major: u32,
    pub minor: u32,
    /// What compiled packages must match, as the runtime names it: `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// Absolute path, shown in messages only.
    pub executable: String,
    pub installed: Vec<Distribution>,
}

impl Runtime {
    /// `cpython-3.11`: compiled packages fit only the runtime they were made for.
    pub fn tag(&self) -> String {
        format!("{}-{}.{}", self.implementation, self.major, self.minor)
    }

    /// The installed version of a package; names are compared as registries do (case, `-`, `_` and `.` are alike).
    pub fn version_of(&self, name: &str) -> Option<&str> {
        let wanted = canonical(name);
        self.installed.iter().find(|one| canonical(&one.name) == wanted).map(|one| one.version.as_str())
    }
}

/// One package of the agent at one version; `pinned` is its line in the lock with every hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub name: String,
    pub version: String,
    pub pinned: String,
}

/// A file that must lie in a folder of its own, put on the program's search path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShimFile {
    pub path: &'static str,
    pub content: &'static str,
}

/// Whether the program can be instrumented without touching its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// The names a person knows, `flask`, `sqlalchemy`; `answers` are those that answer requests or take up jobs.
    Ready { instruments: Vec<&'static str>, answers: Vec<&'static str> },
    /// This language has no recipe yet. The program still gets OpenTelemetry's environment.
    NotYetInstrumented { why: String },
    /// There is a recipe, but not for this runtime or this program.
    Refused { why: String },
}

/// Which changed files restart the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRule {
    /// With the dot: `.py`.
    pub suffixes: &'static [&'static str],
}

/// How to start one program with telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    pub language: Language,
    pub service: String,
    /// OpenTelemetry's variables for the child. Those the user has set are absent, except where `warnings` says why.
    pub env: Vec<(String, String)>,
    pub agent: Agent,
    /// What to install beside the program; empty unless `agent` is ready.
    pub packages: Vec<Requirement>,
    pub shim: Vec<ShimFile>,
    pub watch: WatchRule,
    /// The program restarts itself on change, in words: "`flask run --debug` reloads by itself".
    pub own_reloader: Option<String>,
    /// The command is a server or a worker: one that ends soon has failed.
    pub is_service: bool,
    /// Sentences for the person: what is wrong or surprising and what to do.
    pub warnings: Vec<String>,
}

/// Where a launch's files ended up.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    pub agent_dir: &'a str,
    pub shim_dir: &'a str,
    /// The file the agent writes its state to, one JSON object a line.
    pub status_file: &'a str,
}

/// What one language knows. A new language is one more implementation and one more arm in [`recipe`].
pub trait Recipe {
    fn language(&self) -> Language;
    /// The launch, from what can be seen. `runtime` is `None` where it could not be asked.
    fn launch(&self, project: &Project, runtime: Option<&Runtime>, settings: &Settings) -> Launch;
    /// The variables that switch the agent on, on top of [`Launch::env`].
    fn agent_env(
        &self,
        launch: &Launch,
        runtime: &Runtime,
        settings: &Settings,
        at: Places<'_>,
    ) -> Vec<(String, String)>;
}

/// The recipe of a language, or `None` where programs run with OpenTelemetry's environment only.
pub fn recipe(language: Language) -> Option<&'static dyn Recipe> {
    match language {
        Language::Python => Some(&python::Python),
        _ => None,
    }
}

/// The launch of a project in whatever language it is.
pub fn launch(project: &Project, runtime: Option<&Runtime>, settings: &Settings) -> Launch {
    let language = detect(project).language;
    match recipe(language) {
        Some(recipe) => recipe.launch(project, runtime, settings),
        None => environment_only(language, project, settings),
    }
}

fn environment_only(language: Language, project: &Project, settings: &Settings) -> Launch {
    let common = environment::common(project, settings);
    let why = match language {
        Language::Unknown => "the language of this command was not recognised".to_owned(),
        known => format!("{} programs are not yet instrumented without code changes", known.name()),
    };
    Launch {
        language,
        service: common.service,
        env: common.env,
        agent: Agent::NotYetInstrumented { why },
        packages: Vec::new(),
        shim: Vec::new(),
        watch: WatchRule { suffixes: language.source_suffixes() },
        own_reloader: language::general_reloader(&project.command),
        is_service: false,
        warnings: common.warnings,
    }
}

/// A registry's canonical package name (PEP 503): lower case, runs of `-`, `_`, `.` become one `-`.
pub(crate) fn canonical(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if matches!(c, '-' | '_' | '.') {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests;
