//! The order of a release that Helm carries out: what hangs is repaired, the chart is upgraded by the person's own `helm`, its workloads are
//! watched and judged as any others, and the way back is Helm's too. Pure: which program and which cluster, it does not know.

use operate_plan::{Act, Blast, Estimate, Inventory, ObjectId, Plan, Step, Undo, Work, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arrival::arrivals;
use super::rolling::{begin, labels};
use super::{ClusterRelease, Item, look, mark, object, order, services_of, steps};
use crate::line::{DEPLOYING, PREPARING, VERIFYING};
use crate::{Refusal, Secret, Strategy};

/// For the kill and the last words of a program whose time is over.
const GRACE_MS: u64 = 60_000;
/// Of a label's value.
const LABEL_CHARS_MAX: usize = 63;

/// A service as a release of Helm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelmChart {
    /// Its name among Helm's releases of the namespace.
    pub release: String,
    /// As a person names it: a folder, `repository/chart`, `oci://…`.
    pub chart: String,
    /// Of a chart that is elsewhere.
    #[serde(default)]
    pub chart_version: Option<String>,
    /// The archive, as it was when the plan was made.
    #[serde(default)]
    pub packed: Option<Secret>,
    /// Texts of values, a later one wins.
    #[serde(default)]
    pub values: Vec<Secret>,
    /// What is done to what the chart renders to, for whoever does it; none: it is applied as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<Secret>,
    #[serde(default)]
    pub create_namespace: bool,
    /// How long Helm itself may take: for hooks, for it does not wait for pods.
    pub limit_ms: u64,
    /// A record that says pending for so long is left by a program that died.
    pub stuck_after_ms: u64,
    /// Somebody says that no helm is at work on it.
    #[serde(default)]
    pub repair: bool,
    #[serde(default)]
    pub history_max: Option<u64>,
    /// Of the command by hand, what comes after the name: `./chart -f values.yaml`.
    #[serde(default)]
    pub by_hand: String,
}

/// The release among the objects of a plan.
pub fn helm_object(namespace: &str, release: &str) -> ObjectId {
    ObjectId::new("helm", format!("{namespace}/{release}"))
}

pub(super) fn id(release: &ClusterRelease, chart: &HelmChart) -> ObjectId {
    helm_object(&release.namespace, &chart.release)
}

/// What a plan released by Helm, for going back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmRevision {
    pub packed: Secret,
    pub values: Vec<Secret>,
    pub post: Option<Secret>,
}

/// The chart, the values and what was done to it, as a plan released them.
pub fn helm_revision(plan: &Plan) -> Option<HelmRevision> {
    plan.steps.iter().find_map(|step| match &step.work {
        Work::Act(act) if act.verb == "helm-upgrade" => {
            let packed = serde_json::from_value(act.with["chart"].clone()).ok()?;
            let values = serde_json::from_value(act.with["values"].clone()).ok()?;
            let post = serde_json::from_value(act.with["post"].clone()).ok()?;
            Some(HelmRevision { packed, values, post })
        }
        _ => None,
    })
}

pub(super) fn plan(
    release: &ClusterRelease,
    chart: &HelmChart,
    seen: &Inventory,
    now_ms: i64,
) -> Result<Plan, Refusal> {
    if release.strategy != Strategy::Rolling {
        return Err(Refusal::HelmStrategy { service: release.service.clone(), strategy: release.strategy.word() });
    }
    let Some(packed) = chart.packed.as_ref().filter(|_| !release.items.is_empty()) else {
        return Err(Refusal::NoObjects { service: release.service.clone() });
    };
    look::known(release, seen)?;
    let (id, config) = (id(release, chart), config(release, chart, packed));
    let there = seen.present(&id);
    if !release.force && there.is_some_and(|value| is_as_wanted(release, value, &config, seen)) {
        let (service, version) = (release.service.clone(), release.version.clone());
        return Err(Refusal::NothingToDo { service, version });
    }
    let mut line = begin(release, seen);
    let hangs = there.filter(|value| status(value).starts_with("pending-"));
    if let Some(value) = hangs {
        line.add(PREPARING, repair(release, chart, &id, value, now_ms)?);
    }
    line.add(DEPLOYING, upgrade(release, chart, packed, &config, seen));
    if let Some(wait) = wait(release, &id) {
        line.add(DEPLOYING, wait);
    }
    line.add_side_by_side(VERIFYING, arrivals(release, release.items.iter(), seen));
    if let Some(judge) = line.judge() {
        line.add(VERIFYING, judge);
    }
    let mut labels = labels(release, seen);
    labels.insert("helm_release".to_owned(), chart.release.clone());
    let stood = there.map(|value| if value["standing"].is_object() { &value["standing"] } else { value });
    if let Some(before) = stood.and_then(|value| value["labels"][mark::VERSION].as_str()) {
        labels.insert("version_before".to_owned(), before.to_owned());
    }
    Ok(line.end(labels, seen, now_ms))
}

fn status(value: &Value) -> &str {
    value["status"].as_str().unwrap_or_default()
}

/// What was asked for, in short: equal means nothing is left to do.
fn config(release: &ClusterRelease, chart: &HelmChart, packed: &Secret) -> String {
    let values: Vec<_> = chart.values.iter().map(|values| &values.mark).collect();
    let plain = (&packed.mark, values, &release.namespace, &chart.release, &release.version);
    let whole = match &chart.post {
        Some(post) => digest(&(plain, &post.mark)),
        None => digest(&plain),
    };
    whole.as_str().chars().take(32).collect()
}

fn is_as_wanted(release: &ClusterRelease, value: &Value, config: &str, seen: &Inventory) -> bool {
    let ready = |item: &Item| seen.present(&object(&item.body)).is_some_and(|value| value["ready"] != false);
    status(value) == "deployed" && value["labels"][mark::CONFIG] == *config && release.items.iter().all(ready)
}

/// The record that hangs is made one that Helm goes on from: rolled back to what stood, or, where nothing ever did, marked as failed.
fn repair(
    release: &ClusterRelease,
    chart: &HelmChart,
    id: &ObjectId,
    value: &Value,
    now_ms: i64,
) -> Result<Step, Refusal> {
    let age_ms = now_ms.saturating_sub(value["updated_ms"].as_i64().unwrap_or(now_ms)).max(0).unsigned_abs();
    let reason = if value["dead"] == true {
        "the helm that began it was ended, and does not run any more".to_owned()
    } else if age_ms >= chart.stuck_after_ms {
        format!("no helm takes {} min: it was ended in the middle of its work", age_ms / 60_000)
    } else if chart.repair {
        format!("{} says that no helm is at work on it", release.actor)
    } else {
        let (name, status) = (id.name.clone(), status(value).to_owned());
        return Err(Refusal::HelmBusy { name, status, age_ms, stuck_after_ms: chart.stuck_after_ms });
    };
    let to = value["standing"]["revision"].as_u64();
    let with = json!({"revision": value["revision"], "status": value["status"], "to": to, "limit_ms": chart.limit_ms});
    let mut touches: Vec<ObjectId> = serde_json::from_value(value["objects"].clone()).unwrap_or_default();
    touches.push(id.clone());
    let blast = Blast { objects_max: u32::try_from(touches.len()).unwrap_or(u32::MAX), down_max: 0 };
    let act = Act { verb: "helm-repair".into(), object: id.clone(), with, touches };
    let name = format!("repair the Helm release {}, which hangs in {}", id.name, status(value));
    let mut step = Step::new(format!("repair-{}", steps::slug(id)), name, Work::Act(act));
    step.reason = reason;
    step.check = vec![as_seen(id, Some(value))];
    step.verify = vec![settled(id)];
    step.undo = Undo::Needless { why: "what hung is not made to hang again".into() };
    step.blast = blast;
    step.time_limit_ms = chart.limit_ms.saturating_add(GRACE_MS);
    step.by_hand = match to {
        Some(to) => format!("{} rollback {} {to}", helm(release), chart.release),
        // Helm has no command for it.
        None => String::new(),
    };
    step.estimate = Estimate { usual_ms: 5_000, p90_ms: 15_000, ..Estimate::default() };
    Ok(step)
}

fn as_seen(id: &ObjectId, value: Option<&Value>) -> operate_plan::Condition {
    match value {
        Some(value) => {
            let with = json!({"revision": value["revision"], "status": value["status"]});
            let says = format!("the Helm release {} is still at revision {}", id.name, value["revision"]);
            steps::condition(says, "same", id.clone(), with)
        }
        None => steps::condition(format!("there is no Helm release {}", id.name), "absent", id.clone(), Value::Null),
    }
}

fn settled(id: &ObjectId) -> operate_plan::Condition {
    steps::condition(format!("no helm is at work on {}", id.name), "settled", id.clone(), Value::Null)
}

fn upgrade(release: &ClusterRelease, chart: &HelmChart, packed: &Secret, config: &str, seen: &Inventory) -> Step {
    let id = id(release, chart);
    let value = seen.present(&id);
    let hangs = value.is_some_and(|value| status(value).starts_with("pending-"));
    let before = value.filter(|_| !hangs).map(|value| value["revision"].clone());
    let labels = json!({
        mark::PROJECT: label(&release.project), mark::SERVICE: label(&release.service), mark::ENVIRONMENT: label(&release.environment),
        mark::VERSION: label(&release.version), mark::CONFIG: config,
    });
    let mut with = json!({
        "chart": packed, "values": chart.values, "labels": labels, "limit_ms": chart.limit_ms,
        "description": format!("{} {}", release.service, release.version),
    });
    if let Some(before) = before {
        with["before"] = before;
    }
    if let Some(post) = &chart.post {
        with["post"] = json!(post);
    }
    if chart.create_namespace {
        with["create_namespace"] = json!(true);
    }
    if let Some(most) = chart.history_max {
        with["history_max"] = json!(most);
    }
    let touches = touches(release, &id, seen);
    let blast = Blast { objects_max: u32::try_from(touches.len()).unwrap_or(u32::MAX), down_max: 0 };
    let act = Act { verb: "helm-upgrade".into(), object: id.clone(), with, touches };
    let name = format!("upgrade the Helm release {}", id.name);
    let mut step = Step::new(format!("upgrade-{}", steps::slug(&id)), name, Work::Act(act));
    step.reason = format!("{} asked for {} {}", release.actor, release.service, release.version);
    step.check = vec![if hangs { settled(&id) } else { as_seen(&id, value) }];
    let says = format!("the Helm release {} is deployed", id.name);
    step.verify = vec![steps::condition(says, "deployed", id.clone(), json!({"config": config}))];
    step.blast = blast;
    step.time_limit_ms = chart.limit_ms.saturating_mul(2).saturating_add(GRACE_MS);
    let namespace = if chart.create_namespace { " --create-namespace" } else { "" };
    step.by_hand = format!("{} upgrade --install {} {}{namespace}", helm(release), chart.release, chart.by_hand);
    step.estimate = Estimate { usual_ms: 5_000, p90_ms: 30_000, ..Estimate::default() };
    step
}

/// Pods are waited for by a step of their own: how long they may take is said beside how long Helm may.
fn wait(release: &ClusterRelease, id: &ObjectId) -> Option<Step> {
    let act = Act { verb: "helm-wait".into(), object: id.clone(), with: Value::Null, touches: vec![id.clone()] };
    let name = format!("wait for the pods of the Helm release {}", id.name);
    let mut step = Step::new(format!("wait-{}", steps::slug(id)), name, Work::Act(act));
    let mut by_hand = Vec::new();
    for item in release.items.iter().filter(|item| is_watched(item)) {
        let workload = object(&item.body);
        let says = format!("{} is rolled out", steps::title(&workload));
        by_hand.extend(steps::rollout_status(release, &workload));
        step.verify.push(steps::condition(says, "ready", workload, Value::Null));
        for service in services_of(release, &item.body) {
            let service = object(&service.body);
            let says = format!("{} sends to it", steps::title(&service));
            step.verify.push(steps::condition(says, "ready", service, Value::Null));
        }
    }
    step.reason = "Helm does not wait for them, and cannot say why one does not come".into();
    step.undo = Undo::Needless { why: "nothing is changed".into() };
    step.time_limit_ms = release.ready_ms;
    step.by_hand = by_hand.join(" && ");
    step.estimate =
        Estimate { usual_ms: 15_000.min(release.ready_ms), p90_ms: release.ready_ms, ..Estimate::default() };
    (!step.verify.is_empty()).then_some(step)
}

/// A job that takes itself away when it is done is not there to be looked at.
fn is_watched(item: &Item) -> bool {
    let id = object(&item.body);
    order::is_workload(&id.kind) && item.body.pointer("/spec/ttlSecondsAfterFinished").is_none()
}

/// What Helm may change: what the chart is made of now and what it was made of. The release itself is the last, so that it is put back first.
fn touches(release: &ClusterRelease, id: &ObjectId, seen: &Inventory) -> Vec<ObjectId> {
    let stays = |item: &Item| {
        let policy = item.body.pointer("/metadata/annotations/helm.sh~1resource-policy").and_then(Value::as_str);
        let kept = policy == Some("keep") || order::keeps(&object(&item.body).kind).is_some();
        // What Helm does not take away with the release is not asked to be gone.
        kept && seen.present(&object(&item.body)).is_none()
    };
    let wanted = release.items.iter().filter(|item| !stays(item)).map(|item| object(&item.body));
    let before = seen.present(id).and_then(|value| serde_json::from_value::<Vec<_>>(value["objects"].clone()).ok());
    let mut touches: Vec<ObjectId> = wanted.chain(before.unwrap_or_default()).collect();
    touches.sort();
    touches.dedup();
    touches.push(id.clone());
    touches
}

/// A label's value holds letters, digits and `-_.` only.
fn label(text: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || "-_.".contains(sign) { sign } else { '_' };
    let text: String = text.chars().map(plain).take(LABEL_CHARS_MAX).collect();
    text.trim_matches(|sign: char| !sign.is_ascii_alphanumeric()).to_owned()
}

fn helm(release: &ClusterRelease) -> String {
    let context =
        if release.context.is_empty() { String::new() } else { format!(" --kube-context {}", release.context) };
    format!("helm{context} -n {}", release.namespace)
}
