//! The order of a release behind a front: the new color is made beside the one that serves, joins the front without traffic, gets it at once
//! (blue-green) or by and by (canary), and the old color runs on until the new one has proved itself. It knows the order, not the single
//! steps.

use operate_plan::{Inventory, Plan, Undo};
use serde_json::Value;

use crate::color::{Color, Upstream};
use crate::container::base;
use crate::front_steps as front_step;
use crate::line::{DEPLOYING, Line, VERIFYING, judged};
use crate::standing::{Serving, Standing, runs};
use crate::{Front, Release, Strategy, sides, steps};

const PROVED: &str = "the new version has proved itself";

pub(crate) fn plan(release: &Release, front: &Front, standing: &Standing, seen: &Inventory, now_ms: i64) -> Plan {
    let next = standing.next();
    let old = match (&standing.serving, &standing.plain) {
        (Some(serving), _) => vec![serving.color.container(release)],
        (None, Some(_)) => vec![base(release)],
        (None, None) => Vec::new(),
    };
    let release = &sides::told(release, &[next.container(release)], &old);
    let mut line = Line::new(release);
    line.prepare(seen);
    let mut set = standing.set.clone();
    if let Some(serving) = standing.serving.as_ref().filter(|_| !standing.front_runs) {
        set = vec![serving.upstream.clone()];
        let reason = "no front runs, so nobody reaches the service";
        let mut start = front_step::start(front, reason.to_owned(), &set);
        start.undo = Undo::Needless { why: "the old version serves behind it".into() };
        line.add(DEPLOYING, start);
    }
    make(&mut line, front, next);
    let alone = vec![next.upstream(release, front, 1)];
    match &standing.serving {
        Some(serving) => {
            let set = join(&mut line, front, next, serving, &set);
            let set = shift(&mut line, front, next, serving, standing.before(), set);
            let title = format!("send everything to {}", next.word());
            let reason = format!("{} {} takes over", release.service, release.version);
            line.add(DEPLOYING, front_step::set(front, "switch".into(), title, &reason, &set, &alone));
            let mut watched = vec![front_step::drain(front, serving.color)];
            watched.extend(line.judge());
            line.add_side_by_side(VERIFYING, watched);
            if let Some(container) = &serving.container {
                retire(&mut line, &serving.color.container(release), container);
            }
        }
        None => first(&mut line, front, next, standing, &set, &alone),
    }
    line.plan(standing.before(), seen, now_ms)
}

/// The new color, made and well, while nobody is sent to it.
fn make(line: &mut Line<'_>, front: &Front, next: Color) {
    let (release, name) = (line.release, next.container(line.release));
    let colored = next.release(release, front);
    line.add(DEPLOYING, steps::create(&colored, format!("create-{name}"), &name));
    let mut start = steps::start(&colored, &name, "it must be well before anybody is sent to it");
    start.blast.down_max = 0;
    line.add(DEPLOYING, start);
}

/// The front learns of the new color and finds it well, without sending it anything.
fn join(line: &mut Line<'_>, front: &Front, next: Color, serving: &Serving, set: &[Upstream]) -> Vec<Upstream> {
    let to = vec![serving.upstream.clone(), next.upstream(line.release, front, 0)];
    let title = format!("show {} to the front", next.word());
    let reason = "the front must reach it before it sends anything there";
    let step = front_step::set(front, format!("join-{}", next.word()), title, reason, set, &to);
    line.add(DEPLOYING, front_step::well(step, front, next));
    to
}

/// A canary's steps short of the switch, each judged while both versions serve. Gives the set that is then in force.
fn shift(
    line: &mut Line<'_>,
    front: &Front,
    next: Color,
    serving: &Serving,
    before: Option<String>,
    mut set: Vec<Upstream>,
) -> Vec<Upstream> {
    let release = line.release;
    let Some(canary) = release.canary.as_ref().filter(|_| release.strategy == Strategy::Canary) else { return set };
    let request = beside(release, before.as_deref());
    for percent in canary.steps.iter().copied().filter(|percent| (1..100).contains(percent)) {
        let old = Upstream { weight: 100 - percent, ..serving.upstream.clone() };
        let to = vec![old, next.upstream(release, front, percent)];
        let title = format!("send {percent} % to {}", next.word());
        let reason = "few are hurt if it is bad";
        line.add(DEPLOYING, front_step::set(front, format!("weigh-{percent}"), title, reason, &set, &to));
        if let Some(request) = &request {
            let name = format!("watch {} {} at {percent} %", release.service, release.version);
            let reason = "both versions serve, and their telemetry decides whether the new one gets more";
            line.add(VERIFYING, judged(&format!("judge-{percent}"), name, reason, request, canary.judge_ms));
        }
        set = to;
    }
    set
}

/// The question about both versions. Two that cannot be told apart by their version are not compared with each other: the new one is held
/// against the service's own past.
fn beside(release: &Release, before: Option<&str>) -> Option<Value> {
    let beside = release.canary.as_ref()?.beside.as_ref()?;
    let before = before.filter(|version| *version != "unknown" && *version != release.version);
    let mut request = beside.request.clone();
    match (before, request.pointer_mut(&beside.old_version_at)) {
        (Some(version), Some(place)) => *place = Value::from(version),
        _ => return release.judge.clone(),
    }
    Some(request)
}

/// Nobody stands behind the front yet: the first release, or the first with a front.
fn first(line: &mut Line<'_>, front: &Front, next: Color, standing: &Standing, set: &[Upstream], alone: &[Upstream]) {
    let release = line.release;
    let plain = base(release);
    if standing.front_runs {
        let title = format!("send everything to {}", next.word());
        let reason = "nobody stands behind the front yet";
        let step = front_step::set(front, "switch".into(), title, reason, set, alone);
        line.add(DEPLOYING, front_step::well(step, front, next));
    } else {
        let mut reason = "it owns the service's port from now on".to_owned();
        if let Some(container) = standing.plain.as_ref().filter(|value| runs(value)) {
            let gap = "the front takes over its port: nobody answers until it has, this once";
            line.add(DEPLOYING, steps::stop(release, &plain, &container["id"], gap));
            reason.push_str("; with it the gap ends");
        }
        line.add(DEPLOYING, front_step::well(front_step::start(front, reason, alone), front, next));
    }
    if let Some(judge) = line.judge() {
        line.add(VERIFYING, judge);
    }
    if let Some(container) = &standing.plain {
        match standing.front_runs {
            true => retire(line, &plain, container),
            // It was stopped for its port already.
            false => line.add(VERIFYING, steps::remove(&plain, PROVED)),
        }
    }
}

/// The old container goes. That it cannot is no reason to take a good version back.
fn retire(line: &mut Line<'_>, name: &str, container: &Value) {
    if runs(container) {
        let mut stop = steps::stop(line.release, name, &container["id"], PROVED);
        stop.optional = true;
        stop.blast.down_max = 0;
        line.add(VERIFYING, stop);
    }
    line.add(VERIFYING, steps::remove(name, PROVED));
}
