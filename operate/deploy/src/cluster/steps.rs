//! The single steps of a release on a cluster, each with what it needs, what it expects and what it touches. It does not know their order.

use operate_plan::{Act, Blast, Condition, Estimate, Inventory, ObjectId, Step, Undo, Work};
use serde_json::{Value, json};

use super::{ClusterRelease, Item, marked, object, order, services_of};
use crate::Strategy;

/// For an object that is there as soon as the API server takes it.
const TAKEN_MS: u64 = 30_000;

pub(super) fn condition(says: String, verb: &str, object: ObjectId, with: Value) -> Condition {
    Condition { says, verb: verb.to_owned(), object, with }
}

fn act(id: String, name: String, verb: &str, object: ObjectId, with: Value) -> Step {
    let touches = vec![object.clone()];
    Step::new(id, name, Work::Act(Act { verb: verb.to_owned(), object, with, touches }))
}

fn guess(mut step: Step, usual_ms: u64) -> Step {
    step.estimate = Estimate { usual_ms, p90_ms: usual_ms.saturating_mul(3), ..Estimate::default() };
    step
}

/// `deployment-cart`: a name for steps.
pub(super) fn slug(object: &ObjectId) -> String {
    let kind = object.kind.split('.').next().unwrap_or_default();
    let name = object.name.rsplit('/').next().unwrap_or_default();
    let plain = |part: &str| -> String {
        part.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '-' }).collect()
    };
    format!("{}-{}", plain(kind), plain(name))
}

/// `Deployment shop/cart`.
pub(super) fn title(object: &ObjectId) -> String {
    format!("{} {}", object.kind.split('.').next().unwrap_or_default(), object.name)
}

/// What the plan was made from must still be so.
pub(super) fn as_seen(object: &ObjectId, seen: &Inventory) -> Condition {
    match seen.present(object) {
        Some(value) => {
            // What counts its changes is told by the count; status changes all the time, and is none of ours.
            let mark = if value["generation"].is_null() { "version" } else { "generation" };
            let with = json!({"uid": value["uid"], mark: value[mark]});
            condition(format!("{} is still as it was seen", title(object)), "same", object.clone(), with)
        }
        None => condition(format!("{} is not there", title(object)), "absent", object.clone(), Value::Null),
    }
}

/// The very object that was seen, whatever was changed in it since.
fn same(object: &ObjectId, seen: &Inventory) -> Condition {
    match seen.present(object) {
        Some(value) => {
            let says = format!("{} is still the one that was seen", title(object));
            condition(says, "same", object.clone(), json!({"uid": value["uid"]}))
        }
        None => as_seen(object, seen),
    }
}

/// Applies an object, and waits until it is what it should be: a workload until it runs, and those that send to it until they do.
pub(super) fn apply(release: &ClusterRelease, item: &Item, seen: &Inventory) -> Step {
    let body = marked(release, item);
    let id = object(&body);
    let mut with = json!({"body": body, "force": release.force_conflicts || release.adopt});
    if !item.secrets.is_empty() {
        with["secrets"] = json!(item.secrets);
    }
    let mut step = act(format!("apply-{}", slug(&id)), format!("apply {}", title(&id)), "apply", id.clone(), with);
    step.reason = format!("{} asked for {} {}", release.actor, release.service, release.version);
    let workload = order::is_workload(&id.kind);
    // A recreate has stopped it by then, which counts as a change.
    let stopped = release.strategy == Strategy::Recreate && id.kind == "Deployment.apps";
    step.check = vec![if stopped { same(&id, seen) } else { as_seen(&id, seen) }];
    step.verify = match workload {
        true => vec![condition(format!("{} is rolled out", title(&id)), "ready", id.clone(), Value::Null)],
        // A Service has nobody to send to before the workload comes.
        false => {
            let verb = if id.kind == "Service" { "present" } else { "ready" };
            vec![condition(format!("{} is there", title(&id)), verb, id.clone(), Value::Null)]
        }
    };
    if workload {
        let later = stopped
            && item.body["spec"]["replicas"].is_null()
            && seen.present(&id).is_some_and(|now| now["replicas"] != 0);
        if !later {
            step.verify.extend(sent_to(release, item));
        }
        step.time_limit_ms = release.ready_ms;
    } else {
        step.time_limit_ms = TAKEN_MS;
    }
    if let Some(why) = order::keeps(&id.kind).filter(|_| seen.present(&id).is_none()) {
        step.undo = Undo::Needless { why: why.into() };
    }
    step.by_hand = by_hand(release, item, &id, workload);
    guess(step, if workload { 15_000 } else { 300 })
}

/// That those who should send to a workload do.
pub(super) fn sent_to(release: &ClusterRelease, item: &Item) -> Vec<Condition> {
    let sends = |service: &Item| {
        let service = object(&service.body);
        condition(format!("{} sends to it", title(&service)), "ready", service, Value::Null)
    };
    services_of(release, &item.body).into_iter().map(sends).collect()
}

fn by_hand(release: &ClusterRelease, item: &Item, id: &ObjectId, workload: bool) -> String {
    let kubectl = kubectl(release);
    let file = if item.source.is_empty() { "-" } else { &item.source };
    let apply = format!("{kubectl} apply --server-side --field-manager=apm -f {file}");
    match (workload, id.name.split_once('/')) {
        (true, Some((namespace, name))) => {
            let kind = id.kind.split('.').next().unwrap_or_default().to_ascii_lowercase();
            format!("{apply} && {kubectl} -n {namespace} rollout status {kind}/{name}")
        }
        _ => apply,
    }
}

/// The command that waits for a workload; of a Job, kubectl has another.
pub(super) fn rollout_status(release: &ClusterRelease, id: &ObjectId) -> Option<String> {
    let (namespace, name) = id.name.split_once('/')?;
    let kind = id.kind.strip_suffix(".apps")?.to_ascii_lowercase();
    Some(format!("{} -n {namespace} rollout status {kind}/{name}", kubectl(release)))
}

fn kubectl(release: &ClusterRelease) -> String {
    match release.context.as_str() {
        "" => "kubectl".to_owned(),
        context => format!("kubectl --context {context}"),
    }
}

/// A JSON patch (RFC 6902) by hand.
pub(super) fn patched(release: &ClusterRelease, id: &ObjectId, patch: &Value) -> String {
    format!("{} patch {} --type=json -p '{patch}'", kubectl(release), of_kubectl(id))
}

fn of_kubectl(object: &ObjectId) -> String {
    let kind = object.kind.to_ascii_lowercase();
    match object.name.split_once('/') {
        Some((namespace, name)) => format!("-n {namespace} {kind}/{name}"),
        None => format!("{kind}/{}", object.name),
    }
}

/// Stops the pods of a Deployment, which stays.
pub(super) fn stop(release: &ClusterRelease, id: &ObjectId, seen: &Inventory, reason: &str) -> Step {
    let with = json!({"replicas": 0});
    let mut step = act(format!("stop-{}", slug(id)), format!("stop {}", title(id)), "scale", id.clone(), with);
    step.reason = reason.to_owned();
    step.check = vec![as_seen(id, seen)];
    step.verify = vec![condition(format!("no pod of {} runs", title(id)), "stopped", id.clone(), Value::Null)];
    step.blast = Blast { objects_max: 1, down_max: u32::MAX };
    step.time_limit_ms = release.ready_ms;
    step.by_hand = format!("{} scale {} --replicas=0", kubectl(release), of_kubectl(id));
    guess(step, 5_000)
}

/// Changes how many pods a Deployment of this release has.
pub(super) fn scale(release: &ClusterRelease, id: &ObjectId, step_id: String, replicas: u64, reason: &str) -> Step {
    let with = json!({"replicas": replicas});
    let name = format!("give {} {replicas} pods", title(id));
    let mut step = act(step_id, name, "scale", id.clone(), with);
    step.reason = reason.to_owned();
    step.verify = vec![condition(format!("{} is rolled out", title(id)), "ready", id.clone(), Value::Null)];
    step.time_limit_ms = release.ready_ms;
    step.by_hand = format!("{} scale {} --replicas={replicas}", kubectl(release), of_kubectl(id));
    guess(step, 10_000)
}

/// Sends the requests of a Service to pods with these labels; `now` are those it must select when the step begins.
pub(super) fn select(
    release: &ClusterRelease,
    id: &ObjectId,
    step_id: String,
    name: String,
    reason: &str,
    selectors: [&Value; 2],
) -> Step {
    let [now, to] = selectors;
    let mut step = act(step_id, name, "select", id.clone(), json!({"selector": to}));
    step.reason = reason.to_owned();
    step.check = vec![condition(
        format!("{} sends where it was seen to", title(id)),
        "selects",
        id.clone(),
        json!({"selector": now}),
    )];
    step.verify = vec![
        condition(format!("{} selects the new pods", title(id)), "selects", id.clone(), json!({"selector": to})),
        condition(format!("{} sends to somebody", title(id)), "ready", id.clone(), Value::Null),
    ];
    step.time_limit_ms = TAKEN_MS;
    let patch = json!({"spec": {"selector": to}});
    step.by_hand = format!("{} patch {} -p '{patch}'", kubectl(release), of_kubectl(id));
    guess(step, 500)
}

/// Takes away what is no longer wanted.
pub(super) fn delete(release: &ClusterRelease, id: &ObjectId, uid: &Value, reason: &str) -> Step {
    let with = json!({"uid": uid});
    let mut step =
        act(format!("delete-{}", slug(id)), format!("delete {}", title(id)), "delete", id.clone(), with.clone());
    step.reason = reason.to_owned();
    if !uid.is_null() {
        let says = format!("{} is still the one that was seen", title(id));
        step.check = vec![condition(says, "same", id.clone(), with)];
    }
    step.verify = vec![condition(format!("{} is gone", title(id)), "absent", id.clone(), Value::Null)];
    step.optional = true;
    step.time_limit_ms = 120_000;
    step.by_hand = format!("{} delete {}", kubectl(release), of_kubectl(id));
    guess(step, 1_000)
}
