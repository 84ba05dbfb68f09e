//! When a kind counts as ready, and whose pods tell why it is not.

use serde_json::Value;

use super::{Progress, Scene, Trouble, condition, events, is_owned_by, list, name, number, pod, text};

const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

pub(super) fn deployment(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    if !is_observed(object) {
        return Progress::Waiting("the controller has not seen it yet".into());
    }
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        let next = "kubectl rollout resume";
        let message = format!("the rollout of {} is paused", name(object));
        return Progress::Trouble(Trouble::new("kube.paused", message, next));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let [updated, all, available] =
        ["/status/updatedReplicas", "/status/replicas", "/status/availableReplicas"].map(|place| number(object, place));
    if updated >= wanted && all == updated && available >= updated {
        return Progress::Ready;
    }
    // Only what belongs to the newest revision is about this rollout.
    let sets = scene.under.iter().filter(|under| under["kind"] == "ReplicaSet" && is_owned_by(under, object));
    let newest = sets.max_by_key(|set| text(set, REVISION).parse::<u64>().unwrap_or(0));
    if let Some(trouble) = newest.and_then(|set| of_pods(scene, set)) {
        return Progress::Trouble(trouble);
    }
    if let Some(("True", _, said)) = condition(object, "ReplicaFailure")
        && let Some(trouble) = events::not_created(object, Some(said), scene.events)
    {
        return Progress::Trouble(trouble);
    }
    if let Some(trouble) =
        newest.and_then(|set| events::not_created(set, None, scene.events)).filter(|_| updated < wanted)
    {
        return Progress::Trouble(trouble);
    }
    if let Some(("False", "ProgressDeadlineExceeded", said)) = condition(object, "Progressing") {
        let next = "nothing moved for `progressDeadlineSeconds`: look at its pods";
        return Progress::Trouble(Trouble::new("kube.deadline", said.to_owned(), next).lasting());
    }
    Progress::Waiting(if updated < wanted {
        format!("{updated} of {wanted} new pods are made")
    } else if all > updated {
        format!("{} old pods are still to go", all - updated)
    } else {
        format!("{available} of {updated} new pods are available")
    })
}

pub(super) fn stateful_set(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    if !is_observed(object) {
        return Progress::Waiting("the controller has not seen it yet".into());
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    let [ready, updated] = ["/status/readyReplicas", "/status/updatedReplicas"].map(|place| number(object, place));
    let revisions = ["/status/currentRevision", "/status/updateRevision"].map(|place| text(object, place));
    let moved =
        on_delete || revisions[0] == revisions[1] || (partition > 0 && updated >= wanted.saturating_sub(partition));
    if ready >= wanted && moved {
        return Progress::Ready;
    }
    let trouble = of_pods(scene, object).or_else(|| events::not_created(object, None, scene.events));
    trouble.map_or_else(
        || Progress::Waiting(format!("{ready} of {wanted} pods are ready, {updated} are of the new revision")),
        Progress::Trouble,
    )
}

pub(super) fn daemon_set(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    if !is_observed(object) {
        return Progress::Waiting("the controller has not seen it yet".into());
    }
    let [wanted, updated, available] =
        ["/status/desiredNumberScheduled", "/status/updatedNumberScheduled", "/status/numberAvailable"]
            .map(|place| number(object, place));
    let on_delete = text(object, "/spec/updateStrategy/type") == "OnDelete";
    if available >= wanted && (on_delete || updated >= wanted) {
        return Progress::Ready;
    }
    let trouble = of_pods(scene, object).or_else(|| events::not_created(object, None, scene.events));
    trouble.map_or_else(
        || Progress::Waiting(format!("{available} of {wanted} nodes have it, {updated} the new one")),
        Progress::Trouble,
    )
}

pub(super) fn job(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    if let Some(("True", ..)) = condition(object, "Complete") {
        return Progress::Ready;
    }
    if let Some(("True", reason, said)) = condition(object, "Failed") {
        let of_pod = of_pods(scene, object);
        let message = match &of_pod {
            Some(trouble) => format!("job {} failed: {}", name(object), trouble.message),
            None => format!("job {} failed: {reason}: {said}", name(object)),
        };
        let spoke = of_pod.and_then(|trouble| trouble.spoke);
        let trouble = Trouble::new("kube.job", message, "read what its last pod said").lasting();
        return Progress::Trouble(Trouble { spoke, ..trouble });
    }
    let trouble = of_pods(scene, object).or_else(|| events::not_created(object, None, scene.events));
    // A job tries again by itself, `backoffLimit` times; only what no attempt can pass is lasting.
    let own = |trouble: Trouble| match trouble.code {
        "kube.crash-loop" | "kube.ended" | "kube.memory" => Trouble { lasting: false, ..trouble },
        _ => trouble,
    };
    trouble.map_or_else(
        || Progress::Waiting(format!("{} of its pods have ended well", number(object, "/status/succeeded"))),
        |trouble| Progress::Trouble(own(trouble)),
    )
}

pub(super) fn bare_pod(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    if text(object, "/status/phase") == "Succeeded" || is_ready(object) {
        return Progress::Ready;
    }
    let trouble = pod::trouble(object, scene);
    trouble.map_or_else(|| Progress::Waiting("it is not ready yet".into()), Progress::Trouble)
}

pub(super) fn claim(object: &Value) -> Progress {
    match text(object, "/status/phase") {
        "Bound" => Progress::Ready,
        "Lost" => {
            let message = format!("claim {} has lost its volume", name(object));
            Progress::Trouble(Trouble::new("kube.claim", message, "the data may be gone: look at the volume").lasting())
        }
        // A class that waits for its first consumer binds when a pod comes, so waiting here would be for ever.
        _ => Progress::Ready,
    }
}

/// A Service with a selector serves when an endpoint is ready. `under` holds its EndpointSlices.
pub(super) fn service(scene: &Scene<'_>) -> Progress {
    let object = scene.object;
    let selects =
        object.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
    if !selects || text(object, "/spec/type") == "ExternalName" {
        return Progress::Ready;
    }
    let endpoints = || {
        scene.under.iter().filter(|under| under["kind"] == "EndpointSlice").flat_map(|slice| list(slice, "/endpoints"))
    };
    if endpoints().any(|endpoint| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false))) {
        return Progress::Ready;
    }
    Progress::Waiting(match endpoints().count() {
        0 => "no pod has the labels that it selects".to_owned(),
        many => format!("none of its {many} pods is ready"),
    })
}

pub(super) fn autoscaler(object: &Value) -> Progress {
    match condition(object, "ScalingActive") {
        Some(("False", reason, said)) if reason != "ScalingDisabled" => {
            let message = format!("{} cannot scale: {said}", name(object));
            Progress::Trouble(Trouble::new("kube.autoscaler", message, "see whether the metrics API answers"))
        }
        _ => Progress::Ready,
    }
}

pub(super) fn by_condition(object: &Value, kind: &str, otherwise: &str) -> Progress {
    match condition(object, kind) {
        Some(("True", ..)) => Progress::Ready,
        Some((_, _, said)) if !said.is_empty() => Progress::Waiting(said.to_owned()),
        _ => Progress::Waiting(otherwise.to_owned()),
    }
}

/// The worst trouble among the pods of an owner: one that lasts before one that may pass, then by name, so that two looks say the same.
fn of_pods(scene: &Scene<'_>, owner: &Value) -> Option<Trouble> {
    let pods = scene.under.iter().filter(|under| under["kind"] == "Pod" && is_owned_by(under, owner));
    // One that is being taken away is none of the new ones.
    let living = pods.filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none() && !is_ready(pod));
    let mut living: Vec<&Value> = living.collect();
    living.sort_by_key(|pod| name(pod));
    living.into_iter().filter_map(|one| pod::trouble(one, scene)).min_by_key(|trouble| !trouble.lasting)
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|(status, ..)| status == "True")
}

fn is_observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration") >= number(object, "/metadata/generation")
}
