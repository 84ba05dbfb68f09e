//! The order of a release that replaces containers in place: all at once (recreate) or one after the other (rolling). It knows the order,
//! not the single steps.

use operate_plan::{Draft, Estimate, Inventory, ObjectId, OnFailure, Plan, Seen, Step, StepId, Work};

use crate::refusal::labelled;
use crate::{Release, Strategy, Volume, container_id, label, names, steps};

const PREPARING: &str = "preparing";
pub(crate) const DEPLOYING: &str = "deploying";
const VERIFYING: &str = "verifying";

pub(crate) fn plan(release: &Release, seen: &Inventory, now_ms: i64) -> Plan {
    let mut line = Line { release, steps: Vec::new(), last: Vec::new() };
    line.prepare(seen);
    let names = names(release);
    match release.strategy {
        Strategy::Rolling => names.iter().for_each(|name| line.replace(&[name], seen)),
        _ => line.replace(&names.iter().collect::<Vec<_>>(), seen),
    }
    if let Some(request) = &release.judge {
        let mut step =
            Step::new("judge", format!("watch {} {}", release.service, release.version), Work::Judge(request.clone()));
        step.reason = "its own telemetry decides whether it stays".into();
        step.time_limit_ms = release.judge_ms;
        step.estimate = Estimate { usual_ms: release.judge_ms / 2, p90_ms: release.judge_ms, ..Estimate::default() };
        line.add(VERIFYING, step);
    }
    for name in names.iter().filter(|name| seen.present(&container_id(*name)).is_some()) {
        line.add(VERIFYING, steps::remove(&format!("{name}-previous"), "the new version has proved itself"));
    }
    // Waiting for a person does not count.
    let timed = line.steps.iter().filter(|step| !matches!(step.work, Work::Approve { .. }));
    let time_limit_ms = timed.map(|step| step.time_limit_ms).sum();
    let draft = Draft {
        title: format!("deploy {} {} to {}", release.service, release.version, release.environment),
        reason: release.reason.clone(),
        target: release.target.clone(),
        labels: labels(release, seen),
        made_ms: now_ms,
        time_limit_ms,
        on_failure: OnFailure::Undo,
        steps: line.steps,
    };
    Plan::new(draft, seen)
}

fn labels(release: &Release, seen: &Inventory) -> std::collections::BTreeMap<String, String> {
    let before = names(release).into_iter().find_map(|name| {
        Some(labelled(seen.present(&container_id(name))?, label::VERSION).unwrap_or("unknown").to_owned())
    });
    let mut labels: std::collections::BTreeMap<String, String> = [
        ("project", release.project.as_str()),
        ("service", &release.service),
        ("environment", &release.environment),
        ("version", &release.version),
        ("image", &release.image),
        ("strategy", release.strategy.word()),
        ("actor", &release.actor),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some(pinned) = &release.pinned {
        labels.insert("image_exact".to_owned(), pinned.clone());
    }
    if let Some(before) = before {
        labels.insert("version_before".to_owned(), before);
    }
    labels
}

/// Steps in a row; some links of the row are several steps side by side.
struct Line<'a> {
    release: &'a Release,
    steps: Vec<Step>,
    /// What the next step waits for.
    last: Vec<StepId>,
}

impl Line<'_> {
    fn add(&mut self, stage: &str, step: Step) {
        self.add_side_by_side(stage, vec![step]);
    }

    fn add_side_by_side(&mut self, stage: &str, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let ids = steps.iter().map(|step| step.id.clone()).collect();
        for mut step in steps {
            step.stage = stage.to_owned();
            step.component.clone_from(&self.release.service);
            step.after.clone_from(&self.last);
            self.steps.push(step);
        }
        self.last = ids;
    }

    fn prepare(&mut self, seen: &Inventory) {
        let release = self.release;
        if let Some(request) = &release.gate {
            let mut step = Step::new("gate", "ask whether now is a good time", Work::Judge(request.clone()));
            step.reason = "no release while alerts fire or the error budget is gone".into();
            step.estimate = Estimate { usual_ms: 500, p90_ms: 2_000, ..Estimate::default() };
            self.add(PREPARING, step);
        }
        if let Some(question) = &release.approval {
            let mut step = Step::new("approve", "ask a person", Work::Approve { question: question.clone() });
            step.reason = format!("{} wants a yes before each release", release.environment);
            step.time_limit_ms = 24 * 3_600_000;
            self.add(PREPARING, step);
        }
        let absent = |kind: &str, name: &str| seen.look(&ObjectId::new(kind, name)) == Seen::Absent;
        let mut missing = Vec::new();
        if absent("image", release.exact()) {
            missing.push(steps::pull(release));
        }
        let networks =
            release.container.networks.iter().filter(|name| !["host", "none", "bridge"].contains(&name.as_str()));
        missing.extend(networks.filter(|name| absent("network", name)).map(|name| steps::ensure("network", name)));
        let volumes = release.container.volumes.iter().filter_map(Volume::named);
        missing.extend(volumes.filter(|name| absent("volume", name)).map(|name| steps::ensure("volume", name)));
        self.add_side_by_side(PREPARING, missing);
    }

    /// Replaces these containers: whatever can be done before the gap is done before it.
    fn replace(&mut self, names: &[&String], seen: &Inventory) {
        let release = self.release;
        self.add_side_by_side(DEPLOYING, names.iter().map(|name| steps::create(release, name)).collect());
        let old: Vec<_> = names.iter().filter_map(|name| Some((*name, seen.present(&container_id(*name))?))).collect();
        self.add_side_by_side(
            DEPLOYING,
            old.iter().map(|(name, value)| steps::stop(release, name, &value["id"])).collect(),
        );
        let keep = |(name, _): &(&String, _)| {
            let reason = "it is put back if the new one fails";
            steps::rename(
                format!("keep-{name}"),
                &format!("keep the old {name}"),
                reason,
                name,
                &format!("{name}-previous"),
            )
        };
        self.add_side_by_side(DEPLOYING, old.iter().map(keep).collect());
        let take = |name: &&String| {
            let reason = "others find it by its name";
            steps::rename(
                format!("name-{name}"),
                &format!("give the new one the name {name}"),
                reason,
                &format!("{name}-next"),
                name,
            )
        };
        self.add_side_by_side(DEPLOYING, names.iter().map(take).collect());
        self.add_side_by_side(DEPLOYING, names.iter().map(|name| steps::start(release, name)).collect());
    }
}
