//! The record of a release in the cluster itself: which objects it made, so that the next one knows what is left over, and nobody has to
//! remember it elsewhere. A ConfigMap, for people to read.

use operate_plan::{Inventory, ObjectId};
use serde_json::{Value, json};

use super::{ClusterRelease, Item, is_there, look, object, order};

pub(super) fn id(release: &ClusterRelease) -> ObjectId {
    ObjectId::new("ConfigMap", format!("{}/{}", release.namespace, name(release)))
}

fn name(release: &ClusterRelease) -> String {
    format!("apm-release-{}", release.service)
}

/// The record as an object of the release; `made` is what it leaves behind.
pub(super) fn item(release: &ClusterRelease, made: &[ObjectId]) -> Item {
    let mut made: Vec<_> = made.iter().map(ToString::to_string).collect();
    made.sort();
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name(release), "namespace": release.namespace},
        "data": {"version": release.version, "objects": made.join("\n")},
    });
    Item { body, secrets: Default::default(), source: String::new() }
}

/// What an earlier release made and this one does not want, the last made first. What is not there any more, or is no longer ours, is left
/// alone; so is what others may have put something into.
pub(super) fn left(release: &ClusterRelease, seen: &Inventory) -> Vec<ObjectId> {
    if release.prune { others(release, seen) } else { Vec::new() }
}

/// What the record has beside what is wanted, as far as it may go at all.
pub(super) fn others(release: &ClusterRelease, seen: &Inventory) -> Vec<ObjectId> {
    let Some(record) = seen.present(&id(release)).filter(|record| look::is_ours(release, record)) else {
        return Vec::new();
    };
    let wanted: Vec<_> = release.items.iter().map(|item| object(&item.body)).collect();
    let made = record["data"]["objects"].as_str().unwrap_or_default().lines();
    let made = made.filter_map(|line| line.split_once('/').map(|(kind, name)| ObjectId::new(kind, name)));
    let mut left: Vec<_> =
        made.filter(|object| !wanted.contains(object) && order::keeps(&object.kind).is_none()).collect();
    left.reverse();
    left
}

/// The same, as far as it is there and ours.
pub(super) fn prunable<'a>(release: &ClusterRelease, seen: &'a Inventory) -> Vec<(ObjectId, &'a Value)> {
    let left = left(release, seen).into_iter().filter(|object| is_there(seen, object));
    let there = left.filter_map(|object| seen.present(&object).map(|value| (object.clone(), value)));
    there.filter(|(_, value)| look::is_ours(release, value)).collect()
}

#[cfg(test)]
mod tests {
    use operate_plan::{Seen, Work};

    use super::*;
    use crate::{cluster_objects, plan_cluster};

    /// What the record of a release remembers, and what is deleted, where an earlier one made two ConfigMaps more.
    fn check(prune: bool, remembered: &str, deleted: &[&str]) {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}});
        let release = json!({"project": "shop", "service": "cart", "environment": "dev", "version": "2", "target": "kube:/shop", "prune": prune,
            "namespace": "shop", "items": [{"body": body}], "strategy": "rolling", "ready_ms": 1, "judge_ms": 1, "actor": "ann"});
        let release: ClusterRelease = serde_json::from_value(release).expect("a release");
        let ours = json!({"uid": "u", "version": "1", "labels": {"apm.service": "cart", "apm.environment": "dev"}, "annotations": {}});
        let mut seen = Inventory::new("kube:/shop");
        for object in cluster_objects(&release) {
            let mut value = ours.clone();
            value["allowed"] = json!(true);
            value["data"] = json!({"objects": "ConfigMap/shop/a\nConfigMap/shop/old\nNamespace/shop"});
            seen.add(object, Seen::Present(value), "test", 0);
        }
        seen.add(ObjectId::new("ConfigMap", "shop/old"), Seen::Present(ours), "test", 0);
        let plan = plan_cluster(&release, &seen, 0).expect("a plan");
        let acts = plan.steps.iter().filter_map(|step| match &step.work {
            Work::Act(act) => Some(act),
            _ => None,
        });
        let (mut record, mut gone) = (String::new(), Vec::new());
        for act in acts {
            if act.object == id(&release) {
                record = act.with["body"]["data"]["objects"].as_str().unwrap_or_default().to_owned();
            } else if act.verb == "delete" {
                gone.push(act.object.to_string());
            }
        }
        assert_eq!(
            (record.as_str(), gone.iter().map(String::as_str).collect::<Vec<_>>()),
            (remembered, deleted.to_vec())
        );
    }

    #[test]
    fn what_is_not_pruned_is_remembered_for_a_release_that_does() {
        check(true, "ConfigMap/shop/a", &["ConfigMap/shop/old"]);
        check(false, "ConfigMap/shop/a\nConfigMap/shop/old", &[]);
    }
}
