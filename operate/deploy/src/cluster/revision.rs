//! What a service was on its cluster when a run was over, read from the plans that led there: whatever the manifests say today, and whatever
//! became of ConfigMaps and Secrets meanwhile. Pure; values that are secret stay sealed.

use std::collections::BTreeMap;

use operate_plan::{Plan, Work};
use serde_json::Value;

use super::{Item, mark, object};

/// The objects after the last of these plans, which were carried out one after the other, the oldest first.
pub fn cluster_revision<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Vec<Item> {
    let mut items = BTreeMap::new();
    for step in plans.into_iter().flat_map(|plan| &plan.steps) {
        let Work::Act(act) = &step.work else { continue };
        match act.verb.as_str() {
            "apply" => {
                let Some(body) = plain(&act.with["body"]) else { continue };
                let secrets = serde_json::from_value(act.with["secrets"].clone()).unwrap_or_default();
                items.insert(object(&body), Item { body, secrets, source: String::new() });
            }
            // A color that is retired is not the Deployment.
            "delete" => drop(items.remove(&act.object)),
            _ => {}
        }
    }
    items.into_values().collect()
}

/// A body as it was wanted: without the marks that are made anew, and without its color. `None` for what is no object of the service's own:
/// a canary, and the record.
fn plain(body: &Value) -> Option<Value> {
    let mut body = body.clone();
    let name = body["metadata"]["name"].as_str()?.to_owned();
    if name.starts_with("apm-release-") {
        return None;
    }
    if let Some(annotations) = body["metadata"]["annotations"].as_object_mut() {
        annotations.remove(mark::VERSION);
        annotations.remove(mark::CONFIG);
        if annotations.is_empty() {
            body["metadata"].as_object_mut()?.remove("annotations");
        }
    }
    let mut color = None;
    // Of an autoscaler, the label is its own.
    for place in ["/spec/selector/matchLabels", "/spec/template/metadata/labels", "/spec/selector", "/metadata/labels"]
    {
        if let Some(labels) = body.pointer_mut(place).and_then(Value::as_object_mut) {
            color = labels.remove(mark::COLOR).or(color);
        }
    }
    match color.as_ref().and_then(Value::as_str) {
        Some("canary") => return None,
        Some(color) if body["kind"] == "Deployment" => {
            let plain = name.strip_suffix(&format!("-{color}")).unwrap_or(&name);
            body["metadata"]["name"] = Value::from(plain);
        }
        Some(color) if body["kind"] == "HorizontalPodAutoscaler" => {
            let target = body.pointer_mut("/spec/scaleTargetRef/name")?;
            let plain = target.as_str()?.strip_suffix(&format!("-{color}"))?.to_owned();
            *target = Value::from(plain);
        }
        _ => {}
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use operate_plan::{Inventory, Seen};
    use serde_json::json;

    use super::*;
    use crate::{ClusterRelease, Strategy, cluster_objects, plan_cluster};

    fn release(version: &str, strategy: Strategy) -> ClusterRelease {
        let labels = json!({"app": "cart"});
        let meta = json!({"name": "cart", "namespace": "shop"});
        let bodies = [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"version": version}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels}}),
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta,
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}, "maxReplicas": 5}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"image": format!("cart:{version}")}]}}}}),
        ];
        let items = bodies.map(|body| Item { body, secrets: Default::default(), source: String::new() });
        let release = json!({"project": "shop", "service": "cart", "environment": "dev", "version": version, "target": "kube:/shop",
            "namespace": "shop", "items": items, "strategy": strategy, "ready_ms": 1, "judge_ms": 1, "actor": "ann"});
        serde_json::from_value(release).expect("a release")
    }

    /// Two releases, each of them to a world in which nothing is: what was there after the first is what was wanted of it.
    fn check(strategy: Strategy) {
        let planned = |release: &ClusterRelease| {
            let mut seen = Inventory::new("kube:/shop");
            for object in cluster_objects(release) {
                let allowed = Seen::Present(json!({"allowed": true}));
                let seen_as = if object.kind == "access" { allowed } else { Seen::Absent };
                seen.add(object, seen_as, "test", 0);
            }
            plan_cluster(release, &seen, 0).expect("a plan")
        };
        let releases = ["1", "2"].map(|version| release(version, strategy));
        let plans = releases.each_ref().map(planned);
        for (until, wanted) in [(1, &releases[0]), (2, &releases[1])] {
            let items = cluster_revision(plans.iter().take(until));
            let again = ClusterRelease { items, ..wanted.clone() };
            let bodies = |release: &ClusterRelease| -> Vec<Value> {
                let mut bodies: Vec<_> = release.items.iter().map(|item| super::super::marked(release, item)).collect();
                bodies.sort_by_key(object);
                bodies
            };
            assert_eq!(bodies(&again), bodies(wanted));
        }
    }

    #[test]
    fn what_was_there_is_read_back_from_the_plans() {
        check(Strategy::Rolling);
        check(Strategy::BlueGreen);
        check(Strategy::Canary);
    }
}
