//! One release on several clusters as one plan: the plan of each is made for itself, and they are joined. First every cluster is looked at again and
//! everybody is asked; then one cluster is changed after the other, or several at once, the next only when the judge has agreed to all before; what is
//! deleted is deleted when all clusters have proved themselves. When one of them fails, all of them are undone.
//!
//! Objects and steps carry the name of their cluster. Pure, and it knows no single step of a cluster's plan but by what it does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use operate_plan::{
    Act, Condition, Draft, Finding, Inventory, OnFailure, Plan, Severity, Site, Step, StepId, Work, sites,
    target_of_sites,
};
use serde::{Deserialize, Serialize};

use crate::cluster::ClusterRelease;
use crate::line::PREPARING;

/// One version of one service in one environment, on several clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// In the order in which they are changed.
    pub parts: Vec<FleetPart>,
    /// So many clusters are changed at once; the next ones when all of these are good.
    pub parallel: usize,
}

/// The release on one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetPart {
    /// What people and steps call the cluster.
    pub name: String,
    pub release: ClusterRelease,
}

impl Fleet {
    /// On what the leases are.
    pub fn target(&self) -> String {
        let site = |part: &FleetPart| Site { name: part.name.clone(), lease: part.release.target.clone() };
        target_of_sites(&self.parts.iter().map(site).collect::<Vec<_>>())
    }
}

/// The plan for one cluster, as it is made for that cluster alone, and what it was made from.
#[derive(Debug, Clone)]
pub struct ClusterPlan {
    pub name: String,
    pub plan: Plan,
    pub seen: Inventory,
}

/// What a plan was made from holds as long as nobody touches it: it is asked once more before anything is changed anywhere.
const AS_SEEN: [&str; 2] = ["same", "absent"];
const REACH_MS: u64 = 60_000;

/// One plan of them, in their order, and one inventory. `None` where there is no cluster.
pub fn join_clusters(parts: &[ClusterPlan], parallel: usize, now_ms: i64) -> Option<(Plan, Inventory)> {
    let first = &parts.first()?.plan;
    let site = |part: &ClusterPlan| Site { name: part.name.clone(), lease: part.plan.target.clone() };
    let target = target_of_sites(&parts.iter().map(site).collect::<Vec<_>>());
    let mut seen = Inventory::new(&target);
    for part in parts {
        let facts = part.seen.facts.iter();
        seen.facts.extend(facts.map(|(object, fact)| (object.at_site(&part.name), fact.clone())));
    }
    let steps = Joined::of(parts, parallel.max(1));
    // Waiting for a person does not count.
    let timed = steps.iter().filter(|step| !matches!(step.work, Work::Approve { .. }));
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    let draft = Draft {
        title: format!("{} on {}", first.title, names.join(", ")),
        reason: first.reason.clone(),
        target,
        labels: labels(parts, &names),
        made_ms: now_ms,
        time_limit_ms: timed.map(|step| step.time_limit_ms).sum(),
        on_failure: OnFailure::Undo,
        steps,
    };
    let plan = Plan::new(draft, &seen);
    Some((plan, seen))
}

/// What all of them say; the version before is that of the first that has one.
fn labels(parts: &[ClusterPlan], names: &[&str]) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for part in parts.iter().rev() {
        labels.extend(part.plan.labels.clone());
    }
    labels.retain(|name, value| {
        name == "version_before" || parts.iter().all(|part| part.plan.labels.get(name) == Some(value))
    });
    labels.insert("clusters".to_owned(), names.join(","));
    labels
}

#[derive(Default)]
struct Joined {
    /// Before anything is changed anywhere.
    asked: Vec<Step>,
    changes: Vec<Step>,
    /// What is deleted when all is good.
    gone: Vec<Step>,
}

impl Joined {
    fn of(parts: &[ClusterPlan], parallel: usize) -> Vec<Step> {
        let mut joined = Joined::default();
        let begin = joined.ask(parts);
        let mut barrier = begin;
        for wave in parts.chunks(parallel) {
            let mut ends = Vec::new();
            for part in wave {
                ends.extend(joined.change(part, &barrier));
            }
            barrier = ends;
        }
        // What is deleted has to be made anew by an undo: nothing is, before every cluster has proved itself.
        for step in &mut joined.gone {
            step.after.extend(barrier.iter().cloned());
            step.after.sort();
            step.after.dedup();
        }
        joined.asked.into_iter().chain(joined.changes).chain(joined.gone).collect()
    }

    /// All looks and questions that come before the first change anywhere; what the first change waits for.
    fn ask(&mut self, parts: &[ClusterPlan]) -> Vec<StepId> {
        let mut last: Vec<StepId> = Vec::new();
        for part in parts {
            let step = reach(part);
            last.push(step.id.clone());
            self.asked.push(step);
        }
        let mut gates = Vec::new();
        for part in parts {
            for step in part.plan.steps.iter().filter(|step| is_gate(step)) {
                let mut step = at(part, step);
                step.after.clone_from(&last);
                gates.push(step.id.clone());
                self.asked.push(step);
            }
        }
        if !gates.is_empty() {
            last = gates;
        }
        // The same person is asked the same question once.
        let question = parts.iter().flat_map(|part| &part.plan.steps).find(|step| is_question(step));
        if let Some(step) = question {
            let step = Step { after: last, ..step.clone() };
            last = vec![step.id.clone()];
            self.asked.push(step);
        }
        last
    }

    /// The changes of one cluster, which begin after `barrier`; what it ends with, but for what is deleted.
    fn change(&mut self, part: &ClusterPlan, barrier: &[StepId]) -> Vec<StepId> {
        let own: Vec<&Step> = part.plan.steps.iter().filter(|step| !is_gate(step) && !is_question(step)).collect();
        let late: BTreeSet<&StepId> = late(&own);
        let is_own: HashMap<&StepId, &Step> = own.iter().map(|step| (&step.id, *step)).collect();
        for step in &own {
            let mut new = at(part, step);
            new.after = step.after.iter().filter(|id| is_own.contains_key(id)).map(|id| id_at(part, id)).collect();
            if new.after.is_empty() {
                new.after = barrier.to_vec();
            }
            if late.contains(&step.id) { self.gone.push(new) } else { self.changes.push(new) }
        }
        let now = || own.iter().filter(|step| !late.contains(&step.id));
        let ends = now().filter(|step| !now().any(|other| other.after.contains(&step.id)));
        ends.map(|step| id_at(part, &step.id)).collect()
    }
}

/// Those that delete, and that nothing but the like comes after.
fn late<'a>(own: &[&'a Step]) -> BTreeSet<&'a StepId> {
    let mut late: BTreeSet<&StepId> = BTreeSet::new();
    // From behind: what comes after a step is known by then.
    for step in own.iter().rev() {
        let deletes = matches!(&step.work, Work::Act(act) if act.verb == "delete");
        let alone = own.iter().filter(|other| other.after.contains(&step.id)).all(|other| late.contains(&other.id));
        if deletes && alone {
            late.insert(&step.id);
        }
    }
    late
}

fn is_gate(step: &Step) -> bool {
    matches!(step.work, Work::Judge(_)) && step.id.0 == "gate"
}

fn is_question(step: &Step) -> bool {
    matches!(step.work, Work::Approve { .. })
}

/// A cluster is there, and is still what the plan was made from.
fn reach(part: &ClusterPlan) -> Step {
    let name = &part.name;
    let message = format!("{name} answers, and is as it was when this was planned");
    let mut step = Step::new(
        format!("{name}-reach"),
        format!("{name}: look at it again"),
        Work::Alert { severity: Severity::Info, message },
    );
    step.reason = "nothing begins anywhere before every cluster answers".into();
    step.stage = PREPARING.to_owned();
    step.component = part.plan.steps.first().map(|step| component(name, &step.component)).unwrap_or_default();
    step.time_limit_ms = REACH_MS;
    let mut touched = BTreeSet::new();
    for own in &part.plan.steps {
        let asked = own.check.iter().filter(|condition| AS_SEEN.contains(&condition.verb.as_str()));
        let untouched = asked.filter(|condition| !touched.contains(&condition.object));
        step.check.extend(untouched.map(|condition| condition_at(name, condition)));
        touched.extend(own.touches().iter().cloned());
    }
    step
}

fn component(name: &str, of: &str) -> String {
    format!("{name}: {of}")
}

fn id_at(part: &ClusterPlan, id: &StepId) -> StepId {
    StepId(format!("{}-{id}", part.name))
}

fn condition_at(name: &str, condition: &Condition) -> Condition {
    Condition { object: condition.object.at_site(name), ..condition.clone() }
}

/// A step of one cluster's plan as one of the whole; what it waits for is still to be said.
fn at(part: &ClusterPlan, step: &Step) -> Step {
    let name = &part.name;
    let conditions = |all: &[Condition]| all.iter().map(|condition| condition_at(name, condition)).collect();
    let work = match &step.work {
        Work::Act(act) => Work::Act(Act {
            object: act.object.at_site(name),
            touches: act.touches.iter().map(|object| object.at_site(name)).collect(),
            ..act.clone()
        }),
        other => other.clone(),
    };
    Step {
        id: id_at(part, &step.id),
        name: format!("{name}: {}", step.name),
        component: component(name, &step.component),
        check: conditions(&step.check),
        verify: conditions(&step.verify),
        after: Vec::new(),
        work,
        ..step.clone()
    }
}

/// What was found about one cluster's plan, as a finding about the whole.
pub fn finding_at(name: &str, finding: Finding) -> Finding {
    let question = finding.step.as_ref().is_some_and(|step| step.0 == "approve");
    let step = finding.step.map(|step| if question { step } else { StepId(format!("{name}-{step}")) });
    Finding { step, message: format!("{name}: {}", finding.message), ..finding }
}

/// What a plan does to the cluster with this lease, as the plan for it alone would; `None` where it does not change that cluster.
pub fn cluster_part(plan: &Plan, lease: &str) -> Option<Plan> {
    let all = sites(&plan.target);
    if all.is_empty() {
        return (plan.target == lease).then(|| plan.clone());
    }
    let name = &all.iter().find(|site| site.lease == lease)?.name;
    let there = |step: &Step| {
        let Work::Act(act) = &step.work else { return None };
        let (site, object) = act.object.site()?;
        let touches = act.touches.iter().filter_map(|object| Some(object.site()?.1)).collect();
        (site == name).then(|| Step { work: Work::Act(Act { object, touches, ..act.clone() }), ..step.clone() })
    };
    let steps = plan.steps.iter().filter_map(there).collect();
    Some(Plan::new(Draft { steps, target: lease.to_owned(), ..(**plan).clone() }, &Inventory::new(lease)))
}

#[cfg(test)]
mod tests;
