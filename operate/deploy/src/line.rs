//! A plan as a row of steps, each waiting for the one before; some links of the row are several steps side by side. What every release
//! begins and ends with is here; what is between is each strategy's own.

use std::collections::BTreeMap;

use operate_plan::{Draft, Estimate, Inventory, ObjectId, OnFailure, Plan, Seen, Step, StepId, Work};
use serde_json::Value;

use crate::{Release, Volume, steps};

pub(crate) const PREPARING: &str = "preparing";
pub(crate) const DEPLOYING: &str = "deploying";
pub(crate) const VERIFYING: &str = "verifying";

/// What every release says, whatever it is released on.
pub(crate) struct Asked<'a> {
    pub(crate) service: &'a str,
    pub(crate) version: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) target: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) gate: Option<&'a Value>,
    pub(crate) approval: Option<&'a String>,
    pub(crate) judge: Option<&'a Value>,
    pub(crate) judge_ms: u64,
}

pub(crate) trait Asks {
    fn asked(&self) -> Asked<'_>;
}

pub(crate) struct Line<'a, R = Release> {
    pub(crate) release: &'a R,
    steps: Vec<Step>,
    /// What the next step waits for.
    last: Vec<StepId>,
}

impl<'a, R: Asks> Line<'a, R> {
    pub(crate) fn new(release: &'a R) -> Line<'a, R> {
        Line { release, steps: Vec::new(), last: Vec::new() }
    }

    pub(crate) fn add(&mut self, stage: &str, step: Step) {
        self.add_side_by_side(stage, vec![step]);
    }

    pub(crate) fn add_side_by_side(&mut self, stage: &str, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let ids = steps.iter().map(|step| step.id.clone()).collect();
        for mut step in steps {
            step.stage = stage.to_owned();
            self.release.asked().service.clone_into(&mut step.component);
            step.after.clone_from(&self.last);
            self.steps.push(step);
        }
        self.last = ids;
    }

    /// Whether a step of this stage is there.
    pub(crate) fn has(&self, stage: &str) -> bool {
        self.steps.iter().any(|step| step.stage == stage)
    }

    /// Telemetry and people are asked before anything is changed.
    pub(crate) fn ask(&mut self) {
        self.ask_telemetry();
        self.ask_a_person();
    }

    fn ask_telemetry(&mut self) {
        let asked = self.release.asked();
        if let Some(request) = asked.gate {
            let mut step = Step::new("gate", "ask whether now is a good time", Work::Judge(request.clone()));
            step.reason = "no release while alerts fire or the error budget is gone".into();
            step.estimate = Estimate { usual_ms: 500, p90_ms: 2_000, ..Estimate::default() };
            self.add(PREPARING, step);
        }
    }

    fn ask_a_person(&mut self) {
        let asked = self.release.asked();
        if let Some(question) = asked.approval {
            let mut step = Step::new("approve", "ask a person", Work::Approve { question: question.clone() });
            step.reason = format!("{} wants a yes before each release", asked.environment);
            step.time_limit_ms = 24 * 3_600_000;
            self.add(PREPARING, step);
        }
    }

    /// The question whether the new version may stay, where telemetry decides.
    pub(crate) fn judge(&self) -> Option<Step> {
        let asked = self.release.asked();
        let name = format!("watch {} {}", asked.service, asked.version);
        let reason = "its own telemetry decides whether it stays";
        Some(judged("judge", name, reason, asked.judge?, asked.judge_ms))
    }

    /// All of it.
    pub(crate) fn end(self, labels: BTreeMap<String, String>, seen: &Inventory, now_ms: i64) -> Plan {
        let asked = self.release.asked();
        // Waiting for a person does not count.
        let timed = self.steps.iter().filter(|step| !matches!(step.work, Work::Approve { .. }));
        let time_limit_ms = timed.map(|step| step.time_limit_ms).sum();
        let draft = Draft {
            title: format!("deploy {} {} to {}", asked.service, asked.version, asked.environment),
            reason: asked.reason.to_owned(),
            target: asked.target.to_owned(),
            labels,
            made_ms: now_ms,
            time_limit_ms,
            on_failure: OnFailure::Undo,
            steps: self.steps,
        };
        Plan::new(draft, seen)
    }
}

impl Asks for Release {
    fn asked(&self) -> Asked<'_> {
        Asked {
            service: &self.service,
            version: &self.version,
            environment: &self.environment,
            target: &self.target,
            reason: &self.reason,
            gate: self.gate.as_ref(),
            approval: self.approval.as_ref(),
            judge: self.judge.as_ref(),
            judge_ms: self.judge_ms,
        }
    }
}

impl Line<'_> {
    pub(crate) fn prepare(&mut self, seen: &Inventory) {
        self.ask_telemetry();
        let release = self.release;
        let absent = |kind: &str, name: &str| seen.look(&ObjectId::new(kind, name)) == Seen::Absent;
        let mut missing = Vec::new();
        if absent("image", release.exact()) {
            missing.push(steps::pull(release));
        }
        if let Some(scan) = &release.scan {
            // An image that nobody runs changes nothing; a person is asked when it is known what is in it.
            self.add_side_by_side(PREPARING, std::mem::take(&mut missing));
            self.add(PREPARING, steps::scan(release, scan));
        }
        self.ask_a_person();
        let networks =
            release.container.networks.iter().filter(|name| !["host", "none", "bridge"].contains(&name.as_str()));
        missing.extend(networks.filter(|name| absent("network", name)).map(|name| steps::ensure("network", name)));
        let volumes = release.container.volumes.iter().filter_map(Volume::named);
        missing.extend(volumes.filter(|name| absent("volume", name)).map(|name| steps::ensure("volume", name)));
        self.add_side_by_side(PREPARING, missing);
    }

    /// All of it; `before` is the version that is replaced, where there is one.
    pub(crate) fn plan(self, before: Option<String>, seen: &Inventory, now_ms: i64) -> Plan {
        let labels = labels(self.release, before, seen);
        self.end(labels, seen, now_ms)
    }
}

pub(crate) fn judged(id: &str, name: String, reason: &str, request: &Value, limit_ms: u64) -> Step {
    let mut step = Step::new(id, name, Work::Judge(request.clone()));
    step.reason = reason.to_owned();
    step.time_limit_ms = limit_ms;
    step.estimate = Estimate { usual_ms: limit_ms / 2, p90_ms: limit_ms, ..Estimate::default() };
    step
}

fn labels(release: &Release, before: Option<String>, seen: &Inventory) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
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
    // How old it is when it reaches people; an image that is still to be pulled has not said yet.
    let built = seen.present(&ObjectId::new("image", &release.image)).and_then(|image| image["built"].as_str());
    if let Some(built) = built {
        labels.insert("built".to_owned(), built.to_owned());
    }
    labels
}
