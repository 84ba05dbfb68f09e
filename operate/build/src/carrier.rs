//! By which variables and files each language takes up its agent. Sources: the zero-code pages of OpenTelemetry's documentation for each language; what
//! was tried here is Python, Node and Java. Does not know where the agent's own files come from.

pub use operate_agents::{Join, Variable};
use operate_agents::{Language, Launch, Places, Project, Runtime, Settings, recipe, switches};

use crate::{AGENT, SHIM};

fn variable(name: &str, value: impl Into<String>, join: Join) -> Variable {
    Variable { name: name.to_owned(), value: value.into(), join }
}

fn replace(name: &str, value: impl Into<String>) -> Variable {
    variable(name, value, Join::Replace)
}

/// What a language needs in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carrier {
    pub variables: Vec<Variable>,
    /// Files of ours below [`crate::HOME`], beside the agent's own: path and text.
    pub files: Vec<(String, String)>,
    /// The language's SDK gives a process no identity of its own, so the entry script must.
    pub needs_entry: bool,
    /// Nothing is there to be carried: the program would have to bring it.
    pub nothing_because: Option<String>,
    pub warnings: Vec<String>,
}

/// The Java agent as Maven Central has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JavaAgent {
    pub version: &'static str,
    pub url: &'static str,
    pub sha256: &'static str,
    pub bytes: u64,
}

pub const JAVA_AGENT: JavaAgent = JavaAgent {
    version: "2.33.1",
    url: "https://repo1.maven.org/maven2/io/opentelemetry/javaagent/opentelemetry-javaagent/2.33.1/opentelemetry-javaagent-2.33.1.jar",
    sha256: "e43a270df53c6f423e0ab157be9c27ccc01d5dc3232e162fe54777573db2f149",
    bytes: 26_507_624,
};

/// The Node agent's packages, with the hash of each.
pub const NODE_LOCK: &str = include_str!("../lock/node-package-lock.json");
pub const NODE_PACKAGE: &str = include_str!("../lock/node-package.json");
/// Beside them: it starts the agent, for both kinds of modules, and leaves SIGTERM to the program.
pub const NODE_SHIM: &str = include_str!("apm.mjs");

/// The oldest Node that knows `--import` in NODE_OPTIONS: 18.19, and 20.6 of its own line.
fn node_is_old(runtime: &Runtime) -> bool {
    (runtime.major, runtime.minor) < (18, 19) || (runtime.major == 20 && runtime.minor < 6) || runtime.major == 19
}

/// What `language` needs; `Err` is why it cannot carry an agent, in words. `launch` is Python's, made for the runtime in the image.
pub fn carrier(
    language: Language,
    launch: Option<&Launch>,
    runtime: Option<&Runtime>,
    project: &Project,
) -> Result<Carrier, String> {
    let mut out = Carrier::default();
    match language {
        Language::Python => python_carrier(&mut out, launch, runtime, project)?,
        Language::Node => {
            if let Some(old) = runtime.filter(|runtime| node_is_old(runtime)) {
                return Err(format!(
                    "Node {}.{} is in the image; the agent needs 18.19, 20.6 or newer",
                    old.major, old.minor
                ));
            }
            out.variables = vec![
                variable("NODE_OPTIONS", format!("--import=file://{AGENT}/apm.mjs"), Join::After(" ")),
                // Its default probes the metadata services of clouds at every start.
                replace("OTEL_NODE_RESOURCE_DETECTORS", "env,host,process,serviceinstance"),
            ];
            out.files.push(("agent/apm.mjs".to_owned(), NODE_SHIM.to_owned()));
        }
        Language::Java | Language::DotNet => out.variables = switches(language, AGENT),
        Language::Ruby | Language::Php => {
            out.variables = switches(language, AGENT);
            out.needs_entry = true;
        }
        Language::Go | Language::Rust => {
            let name = language.name();
            out.nothing_because =
                Some(format!("a {name} program is compiled: its telemetry is built into it or not there"));
        }
        Language::Unknown => out.nothing_because = Some("its language was not recognised".to_owned()),
    }
    Ok(out)
}

fn python_carrier(
    out: &mut Carrier,
    launch: Option<&Launch>,
    runtime: Option<&Runtime>,
    project: &Project,
) -> Result<(), String> {
    let settings = Settings::default();
    let recipe = recipe(Language::Python).ok_or("there is no recipe for Python")?;
    let made;
    let launch = match launch {
        Some(launch) => launch,
        None => {
            made = recipe.launch(project, runtime, &settings);
            &made
        }
    };
    if let operate_agents::Agent::Refused { why } = &launch.agent {
        return Err(why.clone());
    }
    out.warnings.clone_from(&launch.warnings);
    let unknown = Runtime {
        implementation: "cpython".to_owned(),
        major: 3,
        minor: 0,
        abi: String::new(),
        executable: String::new(),
        installed: Vec::new(),
    };
    let places = Places { agent_dir: AGENT, shim_dir: SHIM, status_file: "" };
    for (name, value) in recipe.agent_env(launch, runtime.unwrap_or(&unknown), &settings, places) {
        match name.as_str() {
            "PYTHONPATH" => out.variables.push(variable(&name, value, Join::Before(":"))),
            // Known at start, or only where somebody watches.
            "APM_RUN_INSTANCE" | "APM_RUN_STATUS" => {}
            "APM_RUN_PYTHON" if runtime.is_none() => {}
            _ => out.variables.push(replace(&name, value)),
        }
    }
    let exporter =
        |name: &str| name.starts_with("OTEL_") && name.ends_with("_EXPORTER") || name.starts_with("OTEL_PYTHON_");
    for (name, value) in launch.env.iter().filter(|(name, _)| exporter(name)) {
        out.variables.push(replace(name, value.clone()));
    }
    out.files = launch.shim.iter().map(|file| (format!("shim/{}", file.path), file.content.to_owned())).collect();
    out.needs_entry = true;
    Ok(())
}
