//! The agent's files in a pod: an init container that copies them into an empty folder, and by which variables the runtime takes them up. Go has no files:
//! its agent watches the process from a container of its own, by the kernel.
//!
//! Sources: the images of OpenTelemetry's operator (open-telemetry/opentelemetry-operator, release v0.158.0: `versions.txt` for their tags, the Dockerfiles
//! under `autoinstrumentation/` for what lies in them, `internal/instrumentation/*.go` for how they are switched on, `internal/config/config.go` for their
//! names). Knows nothing of the variables that all languages share.

use operate_agents::{Join, Variable, switches};
use serde_json::{Value, json};

use super::settings::AgentLanguage;
use super::{InjectError, Work};

/// What each container needs that gets the agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) variables: Vec<Variable>,
    /// The volume and where it is mounted; Go has none.
    pub(crate) mount: Option<(String, String)>,
}

const OPERATOR: &str = "ghcr.io/open-telemetry/opentelemetry-operator/autoinstrumentation-";

/// OpenTelemetry's own image, as the operator's release v0.158.0 takes it, and what of it is the agent.
fn published(language: AgentLanguage) -> Option<(String, &'static str)> {
    let (version, source) = match language {
        AgentLanguage::Java => ("2.30.0", "/javaagent.jar"),
        AgentLanguage::Python => ("0.64b0", "/autoinstrumentation/."),
        AgentLanguage::Node => ("0.78.0", "/autoinstrumentation/."),
        AgentLanguage::DotNet => ("1.16.0", "/autoinstrumentation/."),
        AgentLanguage::Go => {
            let image = "ghcr.io/open-telemetry/opentelemetry-go-instrumentation/autoinstrumentation-go:v0.24.0";
            return Some((image.to_owned(), ""));
        }
        AgentLanguage::Ruby | AgentLanguage::Php => return None,
    };
    Some((format!("{OPERATOR}{}:{version}", language.word()), source))
}

/// How the runtime finds what lies in `dir`.
fn variables(language: AgentLanguage, dir: &str) -> Vec<Variable> {
    let join = |name: &str, value: String, join| vec![Variable { name: name.to_owned(), value, join }];
    match language {
        AgentLanguage::Python => join(
            "PYTHONPATH",
            format!("{dir}/opentelemetry/instrumentation/auto_instrumentation:{dir}"),
            Join::Before(":"),
        ),
        AgentLanguage::Node => {
            join("NODE_OPTIONS", format!("--require {dir}/autoinstrumentation.js"), Join::After(" "))
        }
        _ => switches(language.known(), dir),
    }
}

/// Puts the agent of a language into the pod.
pub(crate) fn agent(work: &mut Work<'_>, language: AgentLanguage) -> Result<Agent, InjectError> {
    let known = published(language);
    let own = work.settings.image.clone();
    let image = own.or_else(|| known.as_ref().map(|(image, _)| image.clone()));
    let image = image.ok_or(InjectError::NoImage { language: language.known().name() })?;
    if language == AgentLanguage::Go {
        return watcher(work, &image);
    }
    let usual = known.map_or("/autoinstrumentation/.", |(_, source)| source);
    let source = work.settings.source.clone().unwrap_or_else(|| usual.to_owned());
    let word = language.word();
    let dir = free_path(work, &format!("/opt/apm/{word}"));
    // The agent's own name for its file, wherever it was taken from.
    let to = if language == AgentLanguage::Java && !source.ends_with("/.") {
        format!("{dir}/opentelemetry-javaagent.jar")
    } else {
        dir.clone()
    };
    let volume = work.folder(&format!("apm-agent-{word}"));
    let container = json!({
        "name": work.free_container(&format!("apm-agent-{word}")),
        "image": image,
        "command": ["cp", "-r", source, to],
        "resources": work.resources(),
        "securityContext": work.security(),
        "volumeMounts": [{"name": volume, "mountPath": dir}],
    });
    work.init.push(container);
    Ok(Agent { variables: variables(language, &dir), mount: Some((volume, dir)) })
}

/// A path at which no container of the pod has anything mounted.
pub(crate) fn free_path(work: &Work<'_>, path: &str) -> String {
    let containers = work.pod.spec("containers").as_array().into_iter().flatten();
    let taken: Vec<&str> = containers
        .flat_map(|one| one["volumeMounts"].as_array().into_iter().flatten())
        .filter_map(|mount| mount["mountPath"].as_str())
        .collect();
    let mut found = path.to_owned();
    let mut number = 2;
    while taken.iter().any(|one| one.trim_end_matches('/') == found) {
        found = format!("{path}-{number}");
        number += 1;
    }
    found
}

fn watcher(work: &mut Work<'_>, image: &str) -> Result<Agent, InjectError> {
    let target = work.pod.operator("otel-go-auto-target-exe").ok_or(InjectError::NoGoTarget)?;
    let target = target.to_owned();
    let share = work.pod.at(&["spec", "shareProcessNamespace"]);
    if work.draft.at(&share).is_none() {
        work.record.keys.push("shareProcessNamespace".to_owned());
        work.draft.set(&share, Value::Bool(true));
    } else if work.draft.at(&share) == Some(&Value::Bool(false)) {
        return Err(InjectError::Malformed { path: "spec.shareProcessNamespace" });
    }
    let container = json!({
        "name": work.free_container("apm-agent-go"),
        "image": image,
        "restartPolicy": "Always",
        "env": [
            {"name": "APM_NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            {"name": "OTEL_GO_AUTO_TARGET_EXE", "value": target},
            {"name": "OTEL_SERVICE_NAME", "value": work.pod.service(work.settings).unwrap_or_default()},
            {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": work.settings.endpoint},
            {"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": "http/protobuf"},
        ],
        "resources": work.resources(),
        // What reading another process by the kernel takes; a namespace that enforces a standard will refuse the pod.
        "securityContext": {"privileged": true, "runAsUser": 0},
    });
    work.init.push(container);
    Ok(Agent { variables: Vec::new(), mount: None })
}
