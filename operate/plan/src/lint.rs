//! What is wrong with a plan before anything is done: a circle, a step that cannot be undone, two steps that would step on each other, a
//! fact that nobody knows. It does not mend; [`crate::guard`] can put a halt where a finding asks for one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Inventory, ObjectId, Plan, Seen, Severity, Step, StepId, Undo, Work};

/// A plan older than this may describe a world that has moved on.
const INVENTORY_AGE_MS_MAX: u64 = 10 * 60_000;

/// One thing that is wrong or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable word: `circle`, `unknown-fact`.
    pub rule: String,
    pub severity: Severity,
    /// The step it is about, if it is about one.
    pub step: Option<StepId>,
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// All findings, the worst first. A plan with a critical one must not be started.
pub fn lint(plan: &Plan, inventory: &Inventory, now_ms: i64) -> Vec<Finding> {
    let mut findings = Findings::default();
    whole(plan, inventory, now_ms, &mut findings);
    order(plan, &mut findings);
    for step in &plan.steps {
        limits(step, &mut findings);
        facts(step, inventory, &mut findings);
    }
    clashes(plan, &mut findings);
    findings.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &str, severity: Severity, step: Option<&Step>, message: String, fix: &str) {
        let step = step.map(|step| step.id.clone());
        self.0.push(Finding { rule: rule.to_owned(), severity, step, message, fix: fix.to_owned() });
    }
}

fn whole(plan: &Plan, inventory: &Inventory, now_ms: i64, findings: &mut Findings) {
    use Severity::{Critical, Warning};
    if !plan.is_intact() {
        let fix = "make the plan again; a stored plan must not be edited";
        findings.add("edited", Critical, None, "the plan's content is not what its id says".to_owned(), fix);
    }
    if *plan.inventory() != inventory.digest() {
        let message = "the target no longer looks as it did when the plan was made".to_owned();
        findings.add("stale", Critical, None, message, "make the plan again from what is there now");
    }
    let age_ms = inventory.age_ms(now_ms);
    if age_ms > INVENTORY_AGE_MS_MAX {
        let message = format!("what the plan rests on was seen {} min ago", age_ms / 60_000);
        findings.add("old-inventory", Warning, None, message, "survey the target again");
    }
    let usual_ms = plan.estimate().p90_ms;
    if usual_ms > plan.time_limit_ms {
        let message = format!(
            "the plan may run for {} s, and one run of ten takes {} s or more",
            plan.time_limit_ms / 1000,
            usual_ms / 1000
        );
        findings.add("tight", Warning, None, message, "raise the plan's time limit");
    }
}

fn order(plan: &Plan, findings: &mut Findings) {
    use Severity::Critical;
    let mut ids = BTreeSet::new();
    let mut whole = true;
    for step in &plan.steps {
        if !ids.insert(&step.id) {
            whole = false;
            findings.add("twice", Critical, Some(step), format!("two steps are called `{}`", step.id), "rename one");
        }
    }
    for step in &plan.steps {
        for before in step.after.iter().filter(|before| !ids.contains(before)) {
            whole = false;
            let message = format!("`{}` waits for `{before}`, which is no step of this plan", step.id);
            findings.add("no-such-step", Critical, Some(step), message, "name a step of this plan");
        }
    }
    if whole && plan.order().is_none() {
        let stuck = plan.steps.iter().find(|step| plan.ancestors(&step.id).contains(&step.id));
        let message = "steps wait for each other in a circle, so none can begin".to_owned();
        findings.add("circle", Critical, stuck, message, "take one of the `after` away");
    }
}

fn limits(step: &Step, findings: &mut Findings) {
    use Severity::{Critical, High, Warning};
    if step.time_limit_ms == 0 {
        findings.add(
            "no-time-limit",
            Critical,
            Some(step),
            format!("`{}` may take no time at all", step.id),
            "give it a limit",
        );
    }
    let Work::Act(act) = &step.work else { return };
    if !act.touches.contains(&act.object) {
        let message = format!("`{}` changes {} but does not name it among what it touches", step.id, act.object);
        findings.add("hidden-touch", Critical, Some(step), message, "add it to `touches`, or it cannot be restored");
    }
    if act.touches.len() > step.blast.objects_max as usize {
        let message =
            format!("`{}` may change {} objects and names {}", step.id, step.blast.objects_max, act.touches.len());
        findings.add("blast", Critical, Some(step), message, "split the step or raise its blast limit");
    }
    if step.verify.is_empty() {
        let message = format!("nobody looks whether `{}` had its effect", step.id);
        findings.add("unverified", High, Some(step), message, "give it something to verify");
    }
    if let Undo::Impossible { why } = &step.undo {
        let message = format!("`{}` cannot be undone: {why}", step.id);
        findings.add("no-undo", Warning, Some(step), message, "let a person approve it first");
    }
    if step.reason.is_empty() || step.name.is_empty() {
        findings.add("mute", Warning, Some(step), format!("`{}` does not say why it is there", step.id), "say it");
    }
}

/// A step that changes what nobody could read would be undone to a guess.
fn facts(step: &Step, inventory: &Inventory, findings: &mut Findings) {
    for object in step.touches() {
        if let Some(Seen::Unknown(failure)) = inventory.facts.get(object).map(|fact| &fact.seen) {
            let message = format!("`{}` changes {object}, of which nothing is known: {failure}", step.id);
            findings.add("unknown-fact", Severity::Critical, Some(step), message, &failure.next);
        }
    }
}

/// Steps that may run side by side must not change the same thing.
fn clashes(plan: &Plan, findings: &mut Findings) {
    let ancestors: BTreeMap<_, _> = plan.steps.iter().map(|step| (&step.id, plan.ancestors(&step.id))).collect();
    let ordered = |a: &Step, b: &Step| ancestors.get(&b.id).is_some_and(|before| before.contains(&a.id));
    for (position, first) in plan.steps.iter().enumerate() {
        for second in plan.steps.iter().skip(position + 1) {
            if ordered(first, second) || ordered(second, first) {
                continue;
            }
            let common: Option<&ObjectId> = first.touches().iter().find(|object| second.touches().contains(object));
            if let Some(object) = common {
                let message = format!("`{}` and `{}` may both change {object} at once", first.id, second.id);
                findings.add("clash", Severity::Critical, Some(second), message, "put one after the other");
            }
        }
    }
}
