//! The order of a release that changes workloads in place: the cluster's own rolling update, or every old pod gone before the first new one
//! (recreate). It knows the order, not the single steps.

use std::collections::BTreeMap;

use operate_plan::{Inventory, ObjectId, Plan, Severity, Step, Work};
use serde_json::Value;

use super::arrival::arrivals;
use super::{ClusterRelease, Item, deployments, look, mark, object, order, record, steps};
use crate::line::{DEPLOYING, Line, PREPARING, VERIFYING};
use crate::{Refusal, Strategy};

pub(super) fn plan(release: &ClusterRelease, seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    let mut line = begin(release, seen);
    if release.strategy == Strategy::Recreate {
        let old = deployments(release).filter(|item| look::differs(release, item, seen)).map(|item| object(&item.body));
        let old = old.filter(|id| seen.present(id).is_some_and(|value| value["replicas"] != 0));
        let stop = |id: ObjectId| steps::stop(release, &id, seen, "no two versions may run at once");
        line.add_side_by_side(DEPLOYING, old.map(stop).collect());
    }
    apply_all(&mut line, release.items.iter(), seen);
    if release.strategy == Strategy::Recreate {
        line.add_side_by_side(DEPLOYING, started_again(release, seen));
    }
    line.add_side_by_side(VERIFYING, arrivals(release, release.items.iter(), seen));
    let made: Vec<_> = release.items.iter().map(|item| object(&item.body)).collect();
    Ok(finish(line, &made, &[], seen, now_ms))
}

/// Where a manifest leaves the number of pods to others, mostly an autoscaler, none would be started after the stop: nobody scales from zero.
fn started_again(release: &ClusterRelease, seen: &Inventory) -> Vec<Step> {
    let stopped = deployments(release).filter(|item| look::differs(release, item, seen));
    let again = |item: &Item| {
        let id = object(&item.body);
        let pods = seen.present(&id)?["replicas"].as_u64().filter(|pods| *pods > 0)?;
        if !item.body["spec"]["replicas"].is_null() {
            return None;
        }
        let reason = "as many pods as before, for the manifest leaves the number to others";
        let mut step = steps::scale(release, &id, format!("scale-{}", steps::slug(&id)), pods, reason);
        step.verify.extend(steps::sent_to(release, item));
        Some(step)
    };
    stopped.filter_map(again).collect()
}

/// The questions before anything is changed.
pub(super) fn begin<'a>(release: &'a ClusterRelease, seen: &Inventory) -> Line<'a, ClusterRelease> {
    let mut line = Line::new(release);
    line.ask();
    if let Some((what, failure)) = look::unsure(release, seen) {
        let message = format!("nobody knows whether this user may {what}: {failure}");
        let work = Work::Alert { severity: Severity::Warning, message };
        let mut alert = Step::new("unsure", "say what is not known", work);
        alert.reason = "a question that the cluster did not answer is no yes".into();
        line.add(PREPARING, alert);
    }
    line
}

/// Those that are not as wanted, in the order in which they refer to each other.
pub(super) fn apply_all<'a>(
    line: &mut Line<'_, ClusterRelease>,
    items: impl Iterator<Item = &'a Item>,
    seen: &Inventory,
) {
    let release = line.release;
    let wanted = items.filter(|item| look::differs(release, item, seen));
    for row in order::rows(wanted) {
        let workloads = row.first().is_some_and(|item| order::is_workload(&object(&item.body).kind));
        let stage = if workloads { DEPLOYING } else { PREPARING };
        // What comes after a workload has begun is no preparing any more.
        let stage = if line.has(DEPLOYING) { DEPLOYING } else { stage };
        line.add_side_by_side(stage, row.into_iter().map(|item| steps::apply(release, item, seen)).collect());
    }
}

/// Judged, then tidied up: `old` goes, and what earlier releases left; the record is written last but for that.
pub(super) fn finish(
    line: Line<'_, ClusterRelease>,
    made: &[ObjectId],
    old: &[ObjectId],
    seen: &Inventory,
    now_ms: i64,
) -> Plan {
    finish_without(line, Vec::new(), made, old, seen, now_ms)
}

/// The same, with what has to go once the judge has agreed, side by side in each row.
pub(super) fn finish_without(
    mut line: Line<'_, ClusterRelease>,
    gone: Vec<Vec<Step>>,
    made: &[ObjectId],
    old: &[ObjectId],
    seen: &Inventory,
    now_ms: i64,
) -> Plan {
    let release = line.release;
    if let Some(judge) = line.judge() {
        line.add(VERIFYING, judge);
    }
    for row in gone {
        line.add_side_by_side(DEPLOYING, row);
    }
    // What is not pruned now may be by a later release.
    let kept = if release.prune { Vec::new() } else { record::others(release, seen) };
    let kept = kept.into_iter().filter(|id| !old.contains(id) && !made.contains(id));
    let remembered: Vec<_> = made.iter().cloned().chain(kept).collect();
    let mut record = steps::apply(release, &record::item(release, &remembered), seen);
    record.reason = "the next release finds by it what this one made".into();
    record.by_hand = String::new();
    line.add(VERIFYING, record);
    let retired = old.iter().filter_map(|id| Some((id.clone(), seen.present(id)?)));
    let retired =
        retired.map(|(id, value)| steps::delete(release, &id, &value["uid"], "the new version has proved itself"));
    line.add_side_by_side(VERIFYING, retired.collect());
    let left = record::prunable(release, seen).into_iter().filter(|(id, _)| !old.contains(id) && !made.contains(id));
    let pruned = left.map(|(id, value)| {
        steps::delete(release, &id, &value["uid"], "an earlier release made it, and this one does not want it")
    });
    line.add_side_by_side(VERIFYING, pruned.collect());
    let labels = labels(release, seen);
    line.end(labels, seen, now_ms)
}

pub(super) fn labels(release: &ClusterRelease, seen: &Inventory) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
        ("project", release.project.as_str()),
        ("service", &release.service),
        ("environment", &release.environment),
        ("version", &release.version),
        ("namespace", &release.namespace),
        ("strategy", release.strategy.word()),
        ("actor", &release.actor),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let version = |value: &Value| Some(value["annotations"][mark::VERSION].as_str()?.to_owned());
    let record = seen.present(&record::id(release)).and_then(version);
    let before = record.or_else(|| deployments(release).find_map(|item| version(seen.present(&object(&item.body))?)));
    if let Some(before) = before {
        labels.insert("version_before".to_owned(), before);
    }
    labels
}
