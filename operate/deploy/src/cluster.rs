//! The planner of releases on Kubernetes: the objects that are wanted and what was seen of a cluster become a plan. Pure, as its neighbour
//! for Docker is; what both begin and end with is [`crate::line`]'s.
//!
//! Objects are `Deployment.apps/NAMESPACE/NAME`, `ConfigMap/NAMESPACE/NAME`, `Namespace/NAME`: kind and group, so that an API version that
//! comes and goes does not make it another object. It knows no API server and opens no secret: values that are secret come sealed and stay
//! so.

mod arrival;
mod before;
mod canary;
mod color;
mod helm;
mod look;
mod mesh;
mod order;
mod record;
mod revision;
mod rolling;
mod steps;

use std::collections::BTreeMap;

pub use before::{cluster_findings, cluster_surroundings};
pub use helm::{HelmChart, HelmRevision, helm_object, helm_revision};
pub use mesh::{RouteChoice, RouteKind};
pub use revision::cluster_revision;

use operate_plan::{Act, Calendar, Inventory, ObjectId, Plan, Seen, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::line::{Asked, Asks};
use crate::{Canary, Refusal, Secret, Strategy};

/// Labels and annotations that every object of ours carries.
pub mod mark {
    pub const PROJECT: &str = "apm.project";
    pub const SERVICE: &str = "apm.service";
    pub const ENVIRONMENT: &str = "apm.environment";
    /// An annotation: a version may hold what a label cannot.
    pub const VERSION: &str = "apm.version";
    /// An annotation, the digest of what was asked for; equal means nothing is left to do.
    pub const CONFIG: &str = "apm.config";
    /// A label of pods, and a line of the selector of whatever sends to one of two versions.
    pub const COLOR: &str = "apm.color";
}

/// One object as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Complete, namespace included, but for values that are secret.
    pub body: Value,
    /// By JSON pointer (RFC 6901) into the body: `/data/password`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// The file it is from, as a person would name it.
    #[serde(default)]
    pub source: String,
}

/// How the telemetry of new pods is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrives {
    /// For the judge, who reads it; `object`, `service`, `signals` and `probed` are each workload's own.
    pub request: Value,
    /// Where in the request the object stands, and where what is expected of it, as JSON pointers (RFC 6901).
    pub object_at: String,
    pub arrival_at: String,
    /// A signal that is to be seen although nothing tells that it comes, or to be left out: names as `metrics`, `traces`, `logs`.
    #[serde(default)]
    pub signals: Option<Vec<String>>,
    /// Pods of workloads that are not injected here may be by a webhook when they are admitted: it is looked at then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admitted: bool,
    /// At most, with what finding out takes.
    pub limit_ms: u64,
}

/// One version of one service in one environment, as objects of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRelease {
    pub project: String,
    pub service: String,
    pub environment: String,
    pub version: String,
    /// The lease is on this: `kube:CONTEXT/PROJECT`.
    pub target: String,
    /// The kubectl context, for the commands by hand; empty for the current one.
    #[serde(default)]
    pub context: String,
    /// Where the record of the release is kept.
    pub namespace: String,
    pub items: Vec<Item>,
    /// The chart that the objects are of, where Helm carries the release out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmChart>,
    pub strategy: Strategy,
    #[serde(default)]
    pub canary: Option<Canary>,
    /// By which route a canary gets its share.
    #[serde(default)]
    pub route: RouteChoice,
    /// How long a workload may take until it is ready.
    pub ready_ms: u64,
    #[serde(default)]
    pub gate: Option<Value>,
    #[serde(default)]
    pub judge: Option<Value>,
    pub judge_ms: u64,
    /// Whether the telemetry of injected pods is waited for.
    #[serde(default)]
    pub arrival: Option<Arrives>,
    #[serde(default)]
    pub approval: Option<String>,
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub calendar: Calendar,
    /// Objects that somebody else made may be taken over.
    #[serde(default)]
    pub adopt: bool,
    /// Fields that another manager set may be taken from it.
    #[serde(default)]
    pub force_conflicts: bool,
    /// Objects are applied although they are as wanted.
    #[serde(default)]
    pub force: bool,
    /// What an earlier release made and this one does not want goes.
    #[serde(default = "yes")]
    pub prune: bool,
    pub actor: String,
    #[serde(default)]
    pub reason: String,
}

fn yes() -> bool {
    true
}

impl Asks for ClusterRelease {
    fn asked(&self) -> Asked<'_> {
        Asked {
            service: &self.service,
            version: &self.version,
            environment: &self.environment,
            target: &self.target,
            reason: &self.reason,
            gate: self.gate.as_ref(),
            approval: self.approval.as_ref(),
            judge: self.judge.as_ref(),
            judge_ms: self.judge_ms,
        }
    }
}

/// What must be looked at first.
pub fn cluster_objects(release: &ClusterRelease) -> Vec<ObjectId> {
    let mut objects: Vec<_> = release.items.iter().map(|item| object(&item.body)).collect();
    objects.push(match &release.helm {
        // Helm has a record of its own.
        Some(chart) => helm::id(release, chart),
        None => record::id(release),
    });
    if release.strategy != Strategy::Rolling {
        objects.extend(deployments(release).flat_map(|item| color::beside(&object(&item.body))));
    }
    objects.extend(order::accesses(release));
    objects.extend(mesh::objects(release));
    objects
}

/// What must be looked at besides, once the first look says what earlier releases left.
pub fn cluster_objects_left(release: &ClusterRelease, seen: &Inventory) -> Vec<ObjectId> {
    if release.helm.is_some() {
        return Vec::new();
    }
    let left = record::left(release, seen);
    let accesses = order::accesses_left(&left);
    let weighed = mesh::objects_left(release, seen);
    left.into_iter().chain(accesses).chain(weighed).filter(|object| !seen.facts.contains_key(object)).collect()
}

/// What would be applied of each object in the form in which it stands in the cluster, what others refer to first: the release as it is, without the
/// steps in which a strategy gets there.
pub fn cluster_applies(release: &ClusterRelease, seen: &Inventory) -> Vec<Act> {
    let mut acts = Vec::new();
    for item in order::rows(release.items.iter()).into_iter().flatten() {
        let forms = color::forms(release, item);
        let stands = forms.iter().find(|form| {
            let id = object(&form.body);
            let selector = form.body.pointer("/spec/selector");
            seen.present(&id).is_some_and(|now| id.kind != "Service" || selector == now.get("selector"))
        });
        if let Work::Act(act) = steps::apply(release, stands.unwrap_or(item), seen).work {
            acts.push(act);
        }
    }
    acts
}

/// What an earlier release made, this one does not want, and is there.
pub fn cluster_prunable(release: &ClusterRelease, seen: &Inventory) -> Vec<ObjectId> {
    record::prunable(release, seen).into_iter().map(|(id, _)| id).collect()
}

/// The plan that makes the release out of what was seen.
pub fn plan_cluster(release: &ClusterRelease, seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    if let Some(chart) = &release.helm {
        return helm::plan(release, chart, seen, now_ms);
    }
    look::check(release, seen)?;
    match release.strategy {
        Strategy::Rolling | Strategy::Recreate => rolling::plan(release, seen, now_ms),
        Strategy::BlueGreen => color::plan(release, seen, now_ms),
        Strategy::Canary => canary::plan(release, seen, now_ms),
    }
}

/// The name of an object in plans.
pub fn object(body: &Value) -> ObjectId {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    let group = text("/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    let kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    ObjectId::new(kind, if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") })
}

/// The body with the marks of the release, and their digest among them.
pub(crate) fn marked(release: &ClusterRelease, item: &Item) -> Value {
    let mut body = item.body.clone();
    let marks = [
        (mark::PROJECT, &release.project),
        (mark::SERVICE, &release.service),
        (mark::ENVIRONMENT, &release.environment),
    ];
    for (name, value) in marks {
        body["metadata"]["labels"][name] = Value::from(value.as_str());
    }
    // Sealed anew, a secret is the same secret: its mark counts.
    let secrets: BTreeMap<_, _> = item.secrets.iter().map(|(place, secret)| (place, &secret.mark)).collect();
    let config = operate_plan::digest(&(&body, secrets));
    body["metadata"]["annotations"][mark::VERSION] = Value::from(release.version.as_str());
    body["metadata"]["annotations"][mark::CONFIG] = Value::from(config.as_str());
    body
}

pub(crate) fn deployments(release: &ClusterRelease) -> impl Iterator<Item = &Item> {
    release.items.iter().filter(|item| object(&item.body).kind == "Deployment.apps")
}

/// Services whose selector holds for the pods of a workload.
pub(crate) fn services_of<'a>(release: &'a ClusterRelease, workload: &Value) -> Vec<&'a Item> {
    let labels = workload.pointer("/spec/template/metadata/labels");
    let namespace = |body: &Value| body.pointer("/metadata/namespace").cloned();
    let services = release.items.iter().filter(|item| object(&item.body).kind == "Service");
    services
        .filter(|item| namespace(&item.body) == namespace(workload))
        .filter(|item| match item.body.pointer("/spec/selector").and_then(Value::as_object) {
            Some(selector) if !selector.is_empty() => selector
                .iter()
                .all(|(name, value)| labels.and_then(|labels| labels.get(name)).is_some_and(|label| label == value)),
            _ => false,
        })
        .collect()
}

pub(crate) fn is_there(seen: &Inventory, object: &ObjectId) -> bool {
    matches!(seen.look(object), Seen::Present(_))
}
