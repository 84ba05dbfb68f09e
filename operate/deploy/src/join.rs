//! Several releases of one target as one plan: each service is planned for itself, and takes over when those that it needs have taken over.
//! What several of them use is made once. When one of them fails, all of them are undone. It knows no single step.

use std::collections::{BTreeMap, HashMap};

use operate_plan::{Draft, Inventory, ObjectId, OnFailure, Plan, Step, StepId, Work};

use crate::recreate::DEPLOYING;
use crate::{Refusal, Release, plan};

/// One service of several.
#[derive(Debug, Clone)]
pub struct Part {
    pub release: Release,
    /// Services that must have taken over before.
    pub needs: Vec<String>,
}

/// The plan of all of them, in an order in which what is needed comes first. A service that runs already as it is wanted has no steps.
pub fn plan_all(parts: &[Part], seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    let mut joined = Joined::default();
    let mut services = Vec::new();
    for part in parts {
        match plan(&part.release, seen, now_ms) {
            Ok(plan) => {
                services.push(part.release.service.clone());
                joined.add(part, &plan);
            }
            Err(Refusal::NothingToDo { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let Some(first) = parts.first().map(|part| &part.release).filter(|_| !services.is_empty()) else {
        let service = parts.first().map_or("nothing", |part| &part.release.project);
        let (service, version) = (format!("all of {service}"), format!("({} services)", parts.len()));
        return Err(Refusal::NothingToDo { service, version });
    };
    let labels: BTreeMap<String, String> = [
        ("project", first.project.clone()),
        ("service", first.project.clone()),
        ("services", services.join(",")),
        ("environment", first.environment.clone()),
        ("version", "all".to_owned()),
        ("strategy", first.strategy.word().to_owned()),
        ("actor", first.actor.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    // Waiting for a person does not count.
    let timed = joined.steps.iter().filter(|step| !matches!(step.work, Work::Approve { .. }));
    let draft = Draft {
        title: format!("deploy {} of {} to {}", services.join(", "), first.project, first.environment),
        reason: first.reason.clone(),
        target: first.target.clone(),
        labels,
        made_ms: now_ms,
        time_limit_ms: timed.map(|step| step.time_limit_ms).sum(),
        on_failure: OnFailure::Undo,
        steps: joined.steps,
    };
    Ok(Plan::new(draft, seen))
}

#[derive(Default)]
struct Joined {
    steps: Vec<Step>,
    /// What several services use, and the step that makes it.
    shared: HashMap<ObjectId, StepId>,
    /// The last steps with which each service takes over.
    taken_over: HashMap<String, Vec<StepId>>,
}

impl Joined {
    fn add(&mut self, part: &Part, plan: &Plan) {
        let service = &part.release.service;
        let mut ids: HashMap<StepId, StepId> = HashMap::new();
        let needed: Vec<StepId> =
            part.needs.iter().filter_map(|need| self.taken_over.get(need)).flatten().cloned().collect();
        let deploying: Vec<&Step> = plan.steps.iter().filter(|step| step.stage == DEPLOYING).collect();
        for step in &plan.steps {
            if let Some(made) = shared_object(step).and_then(|object| self.shared.get(object)) {
                ids.insert(step.id.clone(), made.clone());
                continue;
            }
            let mut new = step.clone();
            new.id = self.free_id(&step.id, service);
            if let Some(object) = shared_object(step) {
                self.shared.insert(object.clone(), new.id.clone());
            }
            ids.insert(step.id.clone(), new.id.clone());
            new.after = step.after.iter().filter_map(|id| ids.get(id)).cloned().collect();
            let first =
                step.stage == DEPLOYING && !step.after.iter().any(|id| deploying.iter().any(|step| step.id == *id));
            if first {
                new.after.extend(needed.iter().cloned());
            }
            self.steps.push(new);
        }
        let last = deploying.iter().filter(|step| !deploying.iter().any(|other| other.after.contains(&step.id)));
        let last = last.filter_map(|step| ids.get(&step.id)).cloned().collect();
        self.taken_over.insert(service.clone(), last);
    }

    fn free_id(&self, id: &StepId, service: &str) -> StepId {
        let taken = |id: &StepId| self.steps.iter().any(|step| step.id == *id);
        let mut free = id.clone();
        while taken(&free) {
            free = StepId(format!("{free}-{service}"));
        }
        free
    }
}

/// What the step makes that others may use too.
fn shared_object(step: &Step) -> Option<&ObjectId> {
    match &step.work {
        Work::Act(act) if ["network", "volume", "image"].contains(&act.object.kind.as_str()) => Some(&act.object),
        _ => None,
    }
}
