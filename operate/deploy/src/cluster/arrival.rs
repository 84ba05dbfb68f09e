//! The steps that wait for the first telemetry of new pods: for each workload that this release rolls and whose pods are injected, by this
//! release or, where the settings ask for it, perhaps by a webhook. It asks nobody.

use operate_manifest::inject::{Expected, expected, opted_out};
use operate_plan::{Estimate, Inventory, Step, Work};
use serde_json::{Value, json};

use super::{Arrives, ClusterRelease, Item, look, object, steps};

/// Kinds whose pods stay; a Job's may be gone before anybody asks.
const KINDS: [&str; 3] = ["Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"];

/// Those of these items that are changed, in their order.
pub(super) fn arrivals<'a>(
    release: &ClusterRelease,
    items: impl Iterator<Item = &'a Item>,
    seen: &Inventory,
) -> Vec<Step> {
    let Some(arrives) = &release.arrival else { return Vec::new() };
    let rolled = items.filter(|item| KINDS.contains(&&*object(&item.body).kind) && look::differs(release, item, seen));
    rolled.filter_map(|item| step(release, arrives, item)).collect()
}

fn step(release: &ClusterRelease, arrives: &Arrives, item: &Item) -> Option<Step> {
    let Some(expected) = expected(&item.body) else { return by_webhook(release, arrives, item) };
    let signals = signals(&expected, arrives.signals.as_deref());
    if signals.is_empty() {
        return None;
    }
    let service = expected.service.as_ref().unwrap_or(&release.service);
    let about = json!({ "service": service, "signals": signals, "probed": expected.probed });
    let reason = format!("its pods are injected: the first of their {} must come", signals.join(" and "));
    waits(arrives, item, &about, reason)
}

/// What its pods were given is known when they are there.
fn by_webhook(release: &ClusterRelease, arrives: &Arrives, item: &Item) -> Option<Step> {
    if !arrives.admitted || opted_out(&item.body) || arrives.signals.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    let signals = arrives.signals.clone().unwrap_or_default();
    let about = json!({ "service": release.service, "signals": signals, "probed": false, "admitted": true });
    waits(arrives, item, &about, "if a webhook injects its pods, their first telemetry must come".to_owned())
}

fn waits(arrives: &Arrives, item: &Item, about: &Value, reason: String) -> Option<Step> {
    let id = object(&item.body);
    let mut request = arrives.request.clone();
    *request.pointer_mut(&arrives.object_at)? = json!(id);
    let arrival = request.pointer_mut(&arrives.arrival_at)?;
    for (key, value) in about.as_object()? {
        arrival[key] = value.clone();
    }
    let name = format!("telemetry of {} arrives", steps::title(&id));
    let mut step = Step::new(format!("arrives-{}", steps::slug(&id)), name, Work::Judge(request));
    step.reason = reason;
    step.time_limit_ms = arrives.limit_ms;
    step.estimate =
        Estimate { usual_ms: 30_000.min(arrives.limit_ms), p90_ms: arrives.limit_ms, ..Estimate::default() };
    Some(step)
}

fn signals(expected: &Expected, only: Option<&[String]>) -> Vec<&'static str> {
    let all = [("metrics", expected.metrics), ("traces", expected.traces), ("logs", expected.logs)];
    let is_wanted = |name: &str, sent: bool| match only {
        Some(only) => only.iter().any(|one| one == name),
        None => sent,
    };
    all.into_iter().filter(|(name, sent)| is_wanted(name, *sent)).map(|(name, _)| name).collect()
}
