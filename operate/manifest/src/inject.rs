//! Telemetry into pods, and out again: an agent by an init container, its variables, sidecars. One core makes a list of operations on an object; a webhook
//! writes them as a JSON patch, a file takes them with its comments kept. What was done is recorded in an annotation, by which it is undone.
//!
//! Agents come from OpenTelemetry's operator's images, and its annotations are heeded, so that who knows the one knows the other.
//!
//! It does not know what an image sets by itself: a variable that only the image has is replaced where the pod gets one of the same name. Nor does it see a
//! shell that unsets a variable before it starts the program.

mod admission;
mod agent;
mod environment;
mod expected;
mod pod;
mod record;
mod settings;
mod sidecar;
mod text;

use std::fmt;

use lib_yaml_edit::Step;
use serde_json::{Value, json};

pub use crate::patch::{Op, apply, json_patch};
pub use admission::{Admission, BODY_BYTES_MAX, FailurePolicy, ReviewError, review};
pub use expected::{Expected, expected, expected_of_pod, opted_out};
pub use settings::{AgentLanguage, InjectSettings, Sidecar};
pub use text::{InjectedObject, InjectedText, TextError, inject_text, uninject_text};

use crate::patch::Draft;
use pod::Pod;
use record::Record;

/// What was done to a pod; who takes it away by hand can no longer have it undone.
pub const RECORD: &str = "apm.dev/injected";
/// With `"false"`, on a pod: it is left alone.
pub const OPT_OUT: &str = "apm.dev/inject";

/// Why a pod is left as it is; nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    NoPod,
    HostNetwork,
    Windows,
    Mirror,
    OptedOut { annotation: String },
    NoLanguage,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skipped::NoPod => write!(f, "it makes no pods"),
            Skipped::HostNetwork => {
                write!(f, "it uses the node's network, where ports and addresses are the node's own")
            }
            Skipped::Windows => write!(f, "its pods run on Windows, for which there are no agents here"),
            Skipped::Mirror => write!(f, "it mirrors a pod of the kubelet's own, which cannot be changed"),
            Skipped::OptedOut { annotation } => write!(f, "its annotation {annotation} says so"),
            Skipped::NoLanguage => write!(
                f,
                "neither an annotation nor its command nor its image tells the language; annotate the pod with instrumentation.opentelemetry.io/inject-python: \"true\", or name the language"
            ),
        }
    }
}

/// Why a pod cannot be injected without harm. Nothing of it was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    #[error("the pod has no containers")]
    NoContainers,
    #[error("the pod has no container `{container}`")]
    NoContainer { container: String },
    #[error(
        "container `{container}` takes {variable} from elsewhere (valueFrom), so nothing can be added to it; write its value out, or set it in the image"
    )]
    ValueFrom { container: String, variable: String },
    #[error("container `{container}` has a variable {variable} of its own with another meaning; rename it")]
    Taken { container: String, variable: String },
    #[error(
        "OpenTelemetry publishes no image with the agent for {language}; name one of your own (`image`, and `source` for the folder in it)"
    )]
    NoImage { language: &'static str },
    #[error(
        "a Go program is watched from outside by the path of its executable: annotate the pod with instrumentation.opentelemetry.io/otel-go-auto-target-exe"
    )]
    NoGoTarget,
    #[error("no port for Prometheus is known: annotate the pod with prometheus.io/port, or set `metrics_port`")]
    NoMetricsPort,
    #[error("the pod has not the form that it must have at `{path}`")]
    Malformed { path: &'static str },
    #[error(
        "the annotation {RECORD} is not as it was written ({problem}); take away by hand what was injected, and the annotation"
    )]
    Record { problem: String },
}

/// What is to be done to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// In this order; nothing if it is injected like this already.
    Ops(Vec<Op>),
    Skipped(Skipped),
}

/// The operations that inject the pod of an object, given as kubectl would send it. An injected one is first put back, so that twice is once.
pub fn inject(object: &Value, settings: &InjectSettings) -> Result<Outcome, InjectError> {
    inject_written(object, settings, &|_, _| false)
}

/// Whether a container's variable is written without quotes, which its value may need later.
type IsPlain<'f> = &'f dyn Fn(&str, &str) -> bool;

fn inject_written(object: &Value, settings: &InjectSettings, is_plain: IsPlain<'_>) -> Result<Outcome, InjectError> {
    let Some(pod) = Pod::of(object) else { return Ok(Outcome::Skipped(Skipped::NoPod)) };
    if pod.spec("containers").as_array().is_none_or(Vec::is_empty) {
        return Err(InjectError::NoContainers);
    }
    if let Some(skipped) = pod.skipped() {
        return Ok(Outcome::Skipped(skipped));
    }
    let undone = undo(object)?;
    let before = undone.as_ref().map_or(object, |(draft, _)| &draft.value);
    let earlier = undone.as_ref().map(|(_, record)| record);
    let was_plain = |container: &str, variable: &str| match earlier.and_then(|record| record.containers.get(container))
    {
        Some(touched) if touched.was.contains_key(variable) => touched.plain.iter().any(|one| one == variable),
        _ => is_plain(container, variable),
    };
    let made = match fresh(before, settings, &was_plain)? {
        Ok(made) => made,
        Err(skipped) => return Ok(Outcome::Skipped(skipped)),
    };
    if made.value == *object {
        return Ok(Outcome::Ops(Vec::new()));
    }
    let mut ops = undone.map(|(draft, _)| draft.ops).unwrap_or_default();
    ops.extend(made.ops);
    Ok(Outcome::Ops(ops))
}

/// The operations that put an object back; none if it was not injected.
pub fn uninject(object: &Value) -> Result<Vec<Op>, InjectError> {
    Ok(undo(object)?.map(|(draft, _)| draft.ops).unwrap_or_default())
}

/// Whether the object's pod carries the record of an injection.
pub fn is_injected(object: &Value) -> bool {
    Pod::of(object).is_some_and(|pod| pod.annotation(RECORD).is_some())
}

fn undo(object: &Value) -> Result<Option<(Draft, Record)>, InjectError> {
    let Some(pod) = Pod::of(object) else { return Ok(None) };
    let Some(text) = pod.annotation(RECORD) else { return Ok(None) };
    let record = Record::read(text)?;
    let mut draft = Draft::new(object.clone());
    record.undo(&pod, &mut draft);
    Ok(Some((draft, record)))
}

/// Everything that is put into one pod, while it is put in.
pub(crate) struct Work<'v> {
    pub(crate) pod: Pod<'v>,
    pub(crate) settings: &'v InjectSettings,
    pub(crate) is_plain: IsPlain<'v>,
    pub(crate) draft: Draft,
    pub(crate) record: Record,
    /// Init containers in the order in which they start; all of them before the pod's own.
    pub(crate) init: Vec<Value>,
    pub(crate) volumes: Vec<Value>,
}

fn fresh(
    object: &Value,
    settings: &InjectSettings,
    is_plain: IsPlain<'_>,
) -> Result<Result<Draft, Skipped>, InjectError> {
    let Some(pod) = Pod::of(object) else { return Ok(Err(Skipped::NoPod)) };
    let containers = pod.containers(settings)?;
    let own = pod.spec("containers");
    let language = match pod.language(settings, containers.first().and_then(|at| own.get(at))) {
        Ok(language) => Some(language),
        // A sidecar needs no language.
        Err(Skipped::NoLanguage) if !settings.sidecars.is_empty() || settings.istio => None,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let draft = Draft::new(object.clone());
    let record = Record::default();
    let mut work = Work { pod, settings, is_plain, draft, record, init: Vec::new(), volumes: Vec::new() };
    let agent = language.map(|language| agent::agent(&mut work, language)).transpose()?;
    let beside = sidecar::sidecars(&mut work, &containers)?;
    let telemetry = language.is_some() || !settings.sidecars.is_empty();
    for at in containers.iter().copied().filter(|_| telemetry) {
        environment::container(&mut work, at, agent.as_ref(), &beside)?;
    }
    work.finish();
    Ok(Ok(work.draft))
}

impl Work<'_> {
    /// A name that no item of the lists has: `name`, `name-2`, …
    pub(crate) fn free(&self, lists: &[&str], name: &str) -> String {
        let taken = |name: &str| {
            let own = lists.iter().flat_map(|list| self.pod.spec(list).as_array().into_iter().flatten());
            let added = if lists == ["volumes"] { &self.volumes } else { &self.init };
            own.chain(added).any(|item| item["name"] == name)
        };
        let mut found = name.to_owned();
        let mut number = 2;
        while taken(&found) {
            found = format!("{name}-{number}");
            number += 1;
        }
        found
    }

    pub(crate) fn free_container(&self, name: &str) -> String {
        self.free(&["containers", "initContainers", "ephemeralContainers"], name)
    }

    /// An empty folder for the pod; its name.
    pub(crate) fn folder(&mut self, name: &str) -> String {
        let name = self.free(&["volumes"], name);
        self.volumes.push(json!({"name": name, "emptyDir": {"sizeLimit": "500Mi"}}));
        name
    }

    /// What an added container may take; requests are small, since it is idle mostly.
    pub(crate) fn resources(&self) -> Value {
        let limits = json!({"cpu": self.settings.cpu, "memory": self.settings.memory});
        json!({"limits": limits, "requests": {"cpu": "10m", "memory": "32Mi"}})
    }

    /// As little as Kubernetes' restricted standard wants, under the program's own user so that it can read what is written.
    pub(crate) fn security(&self) -> Value {
        let own = |scope: &Value| scope["securityContext"]["runAsUser"].as_i64();
        let first = self.pod.spec("containers").get(0).unwrap_or(&Value::Null);
        let user = own(first).or_else(|| own(&self.pod.pod["spec"])).filter(|user| *user > 0).unwrap_or(65_532);
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    }

    fn finish(&mut self) {
        let names = |items: &[Value]| {
            items.iter().filter_map(|item| item["name"].as_str()).map(str::to_owned).collect::<Vec<_>>()
        };
        self.record.init = names(&self.init);
        self.record.volumes = names(&self.volumes);
        let (init, volumes) = (std::mem::take(&mut self.init), std::mem::take(&mut self.volumes));
        self.draft.insert(&self.pod.at(&["spec", "initContainers"]), 0, init);
        let path = self.pod.at(&["spec", "volumes"]);
        self.draft.insert(&path, self.draft.items(&path).len(), volumes);
        if self.settings.istio && self.pod.label("sidecar.istio.io/inject").is_none() {
            self.record.labels.push("sidecar.istio.io/inject".to_owned());
            self.draft.set(&self.pod.at(&["metadata", "labels", "sidecar.istio.io/inject"]), json!("true"));
        }
        // A dry walk first: the record must say of itself what it makes.
        let annotation = self.pod.at(&["metadata", "annotations", RECORD]);
        let mut trial = self.draft.clone();
        trial.set(&annotation, json!(""));
        self.record.made = record::made(&self.pod, &trial.made);
        let text = self.record.write();
        self.draft.set(&annotation, Value::String(text));
    }
}

/// An item of a list by its name.
pub(crate) fn named(items: &[Value], name: &str) -> Option<usize> {
    items.iter().position(|item| item["name"] == name)
}

/// The path of one item.
pub(crate) fn item(list: &[Step], index: usize) -> Vec<Step> {
    list.iter().cloned().chain([Step::from(index)]).collect()
}

#[cfg(test)]
mod tests;
