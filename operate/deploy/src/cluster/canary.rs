//! The order of a canary release on a cluster: a few pods of the new version beside the old ones, more at each step that the judge lets pass; at the end
//! the Deployment itself is rolled, and the canary goes.
//!
//! Where a route sends to the Service ([`super::mesh`]), its weights say how many requests the canary gets, and the pods only have to be enough for them. Where
//! there is none, the canary stands behind the same Services, and gets its share by the number of its pods.

use operate_plan::{Inventory, ObjectId, Plan, Step};
use serde_json::Value;

use super::arrival::arrivals;
use super::color::{colored, with_color};
use super::mesh::{CANARY, Route};
use super::rolling::{apply_all, begin, finish_without};
use super::{ClusterRelease, Item, deployments, is_there, mark, object, order, services_of, steps};
use crate::line::{DEPLOYING, Line, VERIFYING, judged};
use crate::{Refusal, Strategy};

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
    let route = Route::of(release, seen)?;
    if let Some(route) = &route {
        route.check(release, seen)?;
    }
    let made: Vec<_> = release.items.iter().map(|item| object(&item.body)).collect();
    let mut line = begin(release, seen);
    let is_workload = |item: &&Item| order::is_workload(&object(&item.body).kind);
    apply_all(&mut line, release.items.iter().filter(|item| !is_workload(item)), seen);
    // Where nothing runs yet there is nothing to compare with.
    let old: Vec<_> = wanted.into_iter().filter(|item| is_there(seen, &object(&item.body))).collect();
    let last = match old.is_empty() {
        true => None,
        false => begun(&mut line, &old, route.as_ref(), seen),
    };
    let by_route = route.as_ref().zip(last);
    if let Some((route, _)) = by_route {
        line.add_side_by_side(DEPLOYING, route.let_in(release, seen));
    }
    apply_all(&mut line, release.items.iter().filter(is_workload), seen);
    if last.is_none() {
        line.add_side_by_side(VERIFYING, arrivals(release, release.items.iter(), seen));
        return Ok(finish_without(line, Vec::new(), &made, &[], seen, now_ms));
    }
    let gone = old.iter().map(|item| {
        let id = with_color(&object(&item.body), CANARY);
        let mut step = steps::delete(release, &id, &Value::Null, "every pod is of the new version by now");
        // It would go on answering.
        step.optional = false;
        step
    });
    let gone: Vec<Step> = gone.collect();
    let rest = match by_route {
        Some((route, percent)) => {
            line.add(DEPLOYING, route.weigh(release, Some(percent), None));
            // Whoever still sends to the canary by the route of a moment ago is answered: it goes when all is judged.
            vec![route.tidy(release), gone]
        }
        None => {
            line.add_side_by_side(DEPLOYING, gone);
            Vec::new()
        }
    };
    Ok(finish_without(line, rest, &made, &[], seen, now_ms))
}

/// The canary from its first pod to its greatest share, which is returned.
fn begun(
    line: &mut Line<'_, ClusterRelease>,
    old: &[&Item],
    route: Option<&Route<'_>>,
    seen: &Inventory,
) -> Option<u32> {
    let release = line.release;
    if has_steps(release)
        && let Some(route) = route
    {
        line.add_side_by_side(DEPLOYING, route.keep_apart(release, seen));
    }
    let mut last = None;
    for percent in percents(release, route.is_some()) {
        let step = |item: &&Item| {
            let plain = object(&item.body);
            let by_weight = route.is_some_and(|route| route.reaches(&plain));
            let pods = |percent| share(seen.present(&plain), percent, by_weight);
            let replicas = pods(percent);
            let reason = if by_weight { "enough pods for the share that it gets" } else { "few are hurt if it is bad" };
            if last.is_none() {
                let mut canary = colored(item, CANARY);
                canary.body["spec"]["replicas"] = Value::from(replicas);
                let mut step = steps::apply(release, &canary, seen);
                step.verify.truncate(1);
                step.reason = reason.to_owned();
                return Some(step);
            }
            if last.map(pods) == Some(replicas) {
                return None;
            }
            let id = with_color(&plain, CANARY);
            let step_id = format!("scale-{}-{percent}", steps::slug(&id));
            Some(steps::scale(release, &id, step_id, replicas, reason))
        };
        line.add_side_by_side(DEPLOYING, old.iter().filter_map(step).collect());
        if last.is_none() {
            line.add_side_by_side(DEPLOYING, route.map(|route| route.receivers(release, seen)).unwrap_or_default());
            let canaries: Vec<_> = old.iter().map(|item| colored(item, CANARY)).collect();
            line.add_side_by_side(VERIFYING, arrivals(release, canaries.iter(), seen));
        }
        if let Some(route) = route {
            line.add(DEPLOYING, route.weigh(release, last, Some(percent)));
        }
        last = Some(percent);
        // With everything at the canary there is nothing beside it.
        if let Some(request) = beside(release, seen).filter(|_| percent < 100) {
            let limit_ms = release.canary.as_ref().map_or(release.judge_ms, |canary| canary.judge_ms);
            let about = if route.is_some() { "" } else { "about " };
            let name = format!("watch {} {} at {about}{percent} %", release.service, release.version);
            let reason = "both versions serve, and their telemetry decides whether the new one gets more";
            let mut step = judged(&format!("judge-{percent}"), name, reason, &request, limit_ms);
            step.verify.extend(route.map(|route| route.still(percent)));
            line.add(VERIFYING, step);
        }
    }
    last
}

/// Whether there is a step at which both versions serve.
pub(super) fn has_steps(release: &ClusterRelease) -> bool {
    percents(release, false).next().is_some()
}

/// The steps; all of it is one only where it can be given without a change of pods.
fn percents(release: &ClusterRelease, by_weight: bool) -> impl Iterator<Item = u32> {
    let percents = release.canary.as_ref().map_or(&[][..], |canary| &canary.steps);
    percents.iter().copied().filter(move |percent| (1..100).contains(percent) || (by_weight && *percent == 100))
}

/// How many pods of a canary there are at most beside this Deployment.
pub(super) fn pods_max(release: &ClusterRelease, seen: &Inventory, deployment: &ObjectId) -> i128 {
    let old = seen.present(deployment);
    if release.strategy != Strategy::Canary || old.is_none() {
        return 0;
    }
    let route = Route::of(release, seen).ok().flatten();
    let by_weight = route.as_ref().is_some_and(|route| route.reaches(deployment));
    let pods = |percent| i128::from(share(old, percent, by_weight));
    percents(release, route.is_some()).map(pods).max().unwrap_or(0)
}

/// How many pods the canary needs for this share of the requests. Weighed, they do the work of so many; behind the same Service, they get about so
/// many requests because they are so many.
fn share(old: Option<&Value>, percent: u32, by_weight: bool) -> u64 {
    let pods = old.and_then(|old| old["replicas"].as_u64()).unwrap_or(1).max(1);
    let percent = u64::from(percent);
    let all = if by_weight || percent >= 100 { 100 } else { 100 - percent };
    (pods * percent).div_ceil(all).max(1)
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
