//! How far a workload is, read from what a cluster says of it: ready, on the way, or in trouble, with the one reason that a person needs.
//! It is pure: it asks no cluster, has no clock, and never waits.
//!
//! Whether a trouble can pass by waiting is said, not decided upon: whoever waits has a time limit of his own. The conditions are those
//! that `kubectl rollout status` waits for; the words of pods and events are the kubelet's, the scheduler's and the controllers' own
//! (kubernetes/kubernetes `pkg/kubelet/events`, `pkg/kubelet/images/types.go`, `pkg/controller/deployment/util`).

mod budget;
mod events;
mod pod;
mod route;
mod schedule;
mod workload;

pub use budget::held;
pub(crate) use route::reported;
use serde_json::Value;

/// What was read for one look at one object.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub object: &'a Value,
    /// Objects under it: ReplicaSets, Jobs and pods, of older revisions too.
    pub under: &'a [Value],
    /// Events about the object and about what is under it, of either API.
    pub events: &'a [Value],
    /// The nodes, where a pod has none for a taint whose name the scheduler does not say.
    pub nodes: &'a [Value],
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Ready,
    /// Nothing is wrong so far: `2 of 3 pods are ready`.
    Waiting(String),
    Trouble(Trouble),
}

/// What keeps it from getting ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A word of the catalogue: `kube.image`, `kube.crash-loop`.
    pub code: &'static str,
    /// One sentence, with the name of the pod or the object that it is about.
    pub message: String,
    /// What a person can do.
    pub next: &'static str,
    /// Waiting does not help: the same is going to happen again.
    pub lasting: bool,
    /// Whose last words tell more.
    pub spoke: Option<Spoke>,
}

/// A container that said something before it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoke {
    pub pod: String,
    pub container: String,
    /// Of the life before this one.
    pub previous: bool,
}

impl Trouble {
    fn new(code: &'static str, message: String, next: &'static str) -> Trouble {
        Trouble { code, message, next, lasting: false, spoke: None }
    }

    fn lasting(self) -> Trouble {
        Trouble { lasting: true, ..self }
    }
}

/// How far the object is. An object of a kind that gets ready by being there is ready.
pub fn progress(scene: &Scene<'_>) -> Progress {
    match scene.object["kind"].as_str().unwrap_or_default() {
        "Deployment" => workload::deployment(scene),
        "StatefulSet" => workload::stateful_set(scene),
        "DaemonSet" => workload::daemon_set(scene),
        "Job" => workload::job(scene),
        "Pod" => workload::bare_pod(scene),
        "PersistentVolumeClaim" => workload::claim(scene.object),
        "Service" => workload::service(scene),
        "HorizontalPodAutoscaler" => workload::autoscaler(scene.object),
        "HTTPRoute" | "GRPCRoute" | "VirtualService" => route::route(scene.object),
        "CustomResourceDefinition" => {
            workload::by_condition(scene.object, "Established", "the API server does not serve it yet")
        }
        "APIService" => workload::by_condition(scene.object, "Available", "its server does not answer"),
        _ => Progress::Ready,
    }
}

/// Whether a pod has no node for a taint that only the nodes can name.
pub(crate) fn needs_nodes(pod: &Value) -> bool {
    condition(pod, "PodScheduled")
        .is_some_and(|(status, _, said)| status == "False" && schedule::is_unnamed_taint(said))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `status`, `reason` and `message` of a condition.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = list(object, "/status/conditions").iter().find(|condition| condition["type"] == kind)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

fn is_owned_by(object: &Value, owner: &Value) -> bool {
    let uid = text(owner, "/metadata/uid");
    !uid.is_empty() && list(object, "/metadata/ownerReferences").iter().any(|reference| reference["uid"] == uid)
}

#[cfg(test)]
mod tests;
