//! The Python recipe: OpenTelemetry's own packages at locked versions beside the program, and a start-up file of ours that
//! switches them on in the program and its children. Pure: does not know where the packages are put or how.

mod lock;
mod packages;
mod probe;
mod reload;

pub use lock::digest as lock_digest;
pub use probe::{PROBE, PROBE_MARK};

use crate::environment;
use crate::{Agent, Language, Launch, Places, Project, Recipe, Runtime, Settings, ShimFile, WatchRule};

/// The oldest Python that the locked release of OpenTelemetry supports.
const OLDEST_MINOR: u32 = 10;

const DISTRO: &str = "opentelemetry-distro";

/// How telemetry is sent: the exporter's package and its name in `OTEL_*_EXPORTER`.
struct Exporter {
    distribution: &'static str,
    name: &'static str,
}

const PROTOBUF: Exporter = Exporter { distribution: "opentelemetry-exporter-otlp-proto-http", name: "otlp" };
/// Larger on the wire, but needs no protobuf package, the one that programs most often have at another version.
const JSON: Exporter = Exporter { distribution: "opentelemetry-exporter-otlp-json-http", name: "otlp_json_http" };

/// Other agents that patch the same libraries; two at once give double or broken spans.
const RIVALS: &[(&str, &str)] =
    &[("ddtrace", "Datadog's"), ("newrelic", "New Relic's"), ("elastic-apm", "Elastic's"), ("scout-apm", "Scout's")];

const SHIM: &[ShimFile] = &[
    ShimFile { path: "sitecustomize.py", content: include_str!("sitecustomize.py") },
    ShimFile { path: "_apm_run_agent.py", content: include_str!("_apm_run_agent.py") },
];

/// The recipe; it has no state.
#[derive(Debug, Clone, Copy)]
pub struct Python;

impl Recipe for Python {
    fn language(&self) -> Language {
        Language::Python
    }

    fn launch(&self, project: &Project, runtime: Option<&Runtime>, settings: &Settings) -> Launch {
        let common = environment::common(project, settings);
        let mut warnings = common.warnings;
        let needed = packages::needed(project, runtime);
        let agent = match runtime.and_then(refusal) {
            Some(why) => Agent::Refused { why },
            None => Agent::Ready {
                instruments: needed.iter().map(|one| one.name).collect(),
                answers: needed.iter().filter(|one| one.is_server).map(|one| one.name).collect(),
            },
        };
        let own_protobuf = runtime.and_then(|runtime| runtime.version_of("protobuf"));
        let exporter = if own_protobuf.is_some_and(|own| !lock::has("protobuf", own)) { JSON } else { PROTOBUF };
        let packages = if matches!(agent, Agent::Ready { .. }) {
            let every = needed.iter().copied().chain(packages::ALWAYS);
            let roots: Vec<&str> =
                [DISTRO, exporter.distribution].into_iter().chain(every.map(|one| one.distribution)).collect();
            lock::closure(&roots)
        } else {
            Vec::new()
        };
        if let Some(runtime) = runtime {
            warnings.extend(warnings_about(project, runtime, &agent));
        }
        let mut env = common.env;
        if let Agent::Ready { .. } = agent {
            exporter.choose(&mut env, settings);
        }
        let gevent = runtime.is_some_and(|runtime| runtime.version_of("gevent").is_some());
        if gevent && project.command.iter().any(|word| word.contains("gevent")) {
            // A gevent server patches ssl and threading; done after the agent has imported them, it hangs or recurses.
            env.push(("OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH".to_owned(), "patch_all".to_owned()));
        }
        Launch {
            language: Language::Python,
            service: common.service,
            env,
            agent,
            packages,
            shim: SHIM.to_vec(),
            watch: WatchRule { suffixes: Language::Python.source_suffixes() },
            own_reloader: reload::own_reloader(project, settings),
            is_service: reload::is_service(project),
            warnings,
        }
    }

    fn agent_env(
        &self,
        _launch: &Launch,
        runtime: &Runtime,
        settings: &Settings,
        at: Places<'_>,
    ) -> Vec<(String, String)> {
        let path = match settings.inherited("PYTHONPATH") {
            Some(theirs) => format!("{}:{theirs}", at.shim_dir),
            None => at.shim_dir.to_owned(),
        };
        [
            ("PYTHONPATH", path),
            ("APM_RUN_AGENT", at.agent_dir.to_owned()),
            ("APM_RUN_PYTHON", runtime.tag()),
            ("APM_RUN_STATUS", at.status_file.to_owned()),
            ("APM_RUN_INSTANCE", settings.instance.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Exporter {
    /// Names the exporter where the person left it at the usual one.
    fn choose(&self, env: &mut Vec<(String, String)>, settings: &Settings) {
        for variable in ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"] {
            if settings.inherited(variable).unwrap_or("otlp") == "otlp" {
                env.retain(|(name, _)| name != variable);
                env.push((variable.to_owned(), self.name.to_owned()));
            }
        }
    }
}

/// Why this interpreter cannot carry the agent.
fn refusal(runtime: &Runtime) -> Option<String> {
    if (runtime.major, runtime.minor) < (3, OLDEST_MINOR) {
        return Some(format!(
            "{} is Python {}.{}; the agent needs Python 3.{OLDEST_MINOR} or newer",
            runtime.executable, runtime.major, runtime.minor
        ));
    }
    let rival = RIVALS.iter().find(|(name, _)| runtime.version_of(name).is_some());
    rival.map(|(name, whose)| {
        format!("{whose} agent ({name}) is installed beside the program and patches the same libraries; uninstall it to use this one")
    })
}

fn warnings_about(project: &Project, runtime: &Runtime, agent: &Agent) -> Vec<String> {
    let mut out = Vec::new();
    let missing = packages::declared_but_missing(project, runtime);
    if !missing.is_empty() {
        out.push(format!(
            "The project asks for {}, which {} does not have; start `apm run` with the Python of your virtual environment \
             (activate it, or name its python).",
            missing.join(", "),
            runtime.executable
        ));
    } else if matches!(agent, Agent::Ready { answers, .. } if answers.is_empty()) {
        out.push(format!(
            "No web framework or task queue that the agent knows is installed for {}; calls your program makes \
             (HTTP, databases) and its logs are still recorded.",
            runtime.executable
        ));
    }
    out
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a short name for a set of packages.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A short name for the set of packages, the same for the same versions.
pub fn set_digest(packages: &[crate::Requirement]) -> String {
    let mut text = String::new();
    for one in packages {
        text.push_str(&format!("{}=={}\n", one.name, one.version));
    }
    format!("{:016x}", fnv1a(text.as_bytes()))
}

/// The interpreter that will run a command, as a command line to which `-c CODE` can be added: `["python"]`,
/// `["uv", "run", "python"]`. `program_head` gives it for scripts installed by pip.
pub fn interpreter_command(project: &Project) -> Vec<String> {
    let Some(program) = project.command.first() else { return vec!["python3".to_owned()] };
    let name = crate::project::program_name(program);
    if matches!(name.as_str(), "uv" | "poetry" | "pipenv" | "hatch" | "pdm") {
        return vec![program.clone(), "run".to_owned(), "python".to_owned()];
    }
    if name.starts_with("python") || name.starts_with("pypy") {
        return vec![program.clone()];
    }
    let from_head = project.program_head.as_deref().and_then(crate::language::interpreter_path);
    match from_head {
        Some(path) if crate::project::program_name(&path).contains("py") => vec![path],
        _ => vec!["python3".to_owned()],
    }
}

/// A short name for a text, the same for the same text.
pub fn content_digest(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}
