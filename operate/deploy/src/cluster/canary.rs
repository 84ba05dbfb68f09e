//! The order of a canary release on a cluster without a mesh: a few pods of the new version beside the old ones, behind the same Services, so
//! that they get their share of the requests; more at each step that the judge lets pass; at the end the Deployment itself is rolled, and
//! the canary goes.

use operate_plan::{Inventory, Plan};
use serde_json::Value;

use super::arrival::arrivals;
use super::color::{colored, with_color};
use super::rolling::{apply_all, begin, finish};
use super::{ClusterRelease, Item, deployments, mark, object, order, services_of, steps};
use crate::line::{DEPLOYING, VERIFYING, judged};
use crate::{Refusal, Strategy};

const CANARY: &str = "canary";

pub(super) fn plan(release: &ClusterRelease, seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    let wanted: Vec<&Item> = deployments(release).collect();
    if wanted.is_empty() {
        return Err(Refusal::NoDeployment { service: release.service.clone(), strategy: release.strategy.word() });
    }
    for item in &wanted {
        let plain = object(&item.body);
        if services_of(release, &item.body).is_empty() {
            return Err(Refusal::NoSender { deployment: plain.name });
        }
        let canary = with_color(&plain, CANARY);
        if seen.present(&canary).is_some() {
            return Err(Refusal::LeftOverObject { name: canary.name });
        }
    }
    let made: Vec<_> = release.items.iter().map(|item| object(&item.body)).collect();
    let mut line = begin(release, seen);
    let is_workload = |item: &&Item| order::is_workload(&object(&item.body).kind);
    apply_all(&mut line, release.items.iter().filter(|item| !is_workload(item)), seen);
    // Where nothing runs yet there is nothing to compare with.
    let old: Vec<_> = wanted.iter().filter(|item| seen.present(&object(&item.body)).is_some()).copied().collect();
    let mut first = true;
    for percent in percents(release).filter(|_| !old.is_empty()) {
        let step = |item: &&Item| {
            let replicas = share(seen.present(&object(&item.body)), percent);
            let reason = "few are hurt if it is bad";
            if first {
                let mut canary = colored(item, CANARY);
                canary.body["spec"]["replicas"] = Value::from(replicas);
                let mut step = steps::apply(release, &canary, seen);
                step.verify.truncate(1);
                step.reason = reason.to_owned();
                return step;
            }
            let id = with_color(&object(&item.body), CANARY);
            steps::scale(release, &id, format!("scale-{}-{percent}", steps::slug(&id)), replicas, reason)
        };
        line.add_side_by_side(DEPLOYING, old.iter().map(step).collect());
        if first {
            let canaries: Vec<_> = old.iter().map(|item| colored(item, CANARY)).collect();
            line.add_side_by_side(VERIFYING, arrivals(release, canaries.iter(), seen));
        }
        first = false;
        if let Some(request) = beside(release, seen) {
            let limit_ms = release.canary.as_ref().map_or(release.judge_ms, |canary| canary.judge_ms);
            let name = format!("watch {} {} at about {percent} %", release.service, release.version);
            let reason = "both versions serve, and their telemetry decides whether the new one gets more";
            line.add(VERIFYING, judged(&format!("judge-{percent}"), name, reason, &request, limit_ms));
        }
    }
    apply_all(&mut line, release.items.iter().filter(is_workload), seen);
    if first {
        line.add_side_by_side(VERIFYING, arrivals(release, release.items.iter(), seen));
    }
    let canaries: Vec<_> = old.iter().map(|item| with_color(&object(&item.body), CANARY)).collect();
    if !first {
        let gone = canaries.iter().map(|id| {
            let mut step = steps::delete(release, id, &Value::Null, "every pod is of the new version by now");
            // It would go on answering.
            step.optional = false;
            step
        });
        line.add_side_by_side(DEPLOYING, gone.collect());
    }
    Ok(finish(line, &made, &[], seen, now_ms))
}

/// Whether there is a step at which both versions serve.
pub(super) fn has_steps(release: &ClusterRelease) -> bool {
    percents(release).next().is_some()
}

fn percents(release: &ClusterRelease) -> impl Iterator<Item = u32> {
    let percents = release.canary.as_ref().map_or(&[][..], |canary| &canary.steps);
    percents.iter().copied().filter(|percent| (1..100).contains(percent))
}

/// How many pods of a canary there are at most beside a Deployment.
pub(super) fn pods_max(release: &ClusterRelease, old: &Value) -> i128 {
    if release.strategy != Strategy::Canary {
        return 0;
    }
    percents(release).map(|percent| i128::from(share(Some(old), percent))).max().unwrap_or(0)
}

/// How many pods beside the old ones get about this share of the requests.
fn share(old: Option<&Value>, percent: u32) -> u64 {
    let pods = old.and_then(|old| old["replicas"].as_u64()).unwrap_or(1).max(1);
    let percent = u64::from(percent);
    (pods * percent).div_ceil(100 - percent).max(1)
}

/// The question about both versions; against the service's own past where they cannot be told apart.
fn beside(release: &ClusterRelease, seen: &Inventory) -> Option<Value> {
    let asked = release.canary.as_ref().and_then(|canary| canary.beside.as_ref());
    let version =
        |item: &Item| Some(seen.present(&object(&item.body))?["annotations"][mark::VERSION].as_str()?.to_owned());
    let before = deployments(release).find_map(version).filter(|before| *before != release.version);
    let (Some(asked), Some(before)) = (asked, before) else { return release.judge.clone() };
    let mut request = asked.request.clone();
    *request.pointer_mut(&asked.old_version_at)? = Value::from(before);
    Some(request)
}
