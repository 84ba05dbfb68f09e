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
    if !release.prune {
        return Vec::new();
    }
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
