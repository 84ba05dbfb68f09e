//! Several releases of one target as one plan: each service is planned for itself, and takes over when those that it needs have taken over.
//! What several of them use is made once. When one of them fails, all of them are undone. It knows no single step.

use std::collections::{BTreeMap, HashMap};

use operate_plan::{Draft, Inventory, ObjectId, OnFailure, Plan, Step, StepId, Work};

use crate::line::DEPLOYING;
use crate::steps::SCAN;
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
    joined.scan_first();
    joined.remove_last();
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
            if let Some(made) = shared_object(step).and_then(|object| self.shared.get(&object)) {
                ids.insert(step.id.clone(), made.clone());
                continue;
            }
            let mut new = step.clone();
            new.id = self.free_id(&step.id, service);
            if let Some(object) = shared_object(step) {
                self.shared.insert(object, new.id.clone());
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

    /// Nothing is changed for any service before every image was looked into; images that are to be looked into have to be there.
    fn scan_first(&mut self) {
        let scans: Vec<StepId> = self.steps.iter().filter(|step| scans(step)).map(|step| step.id.clone()).collect();
        if scans.is_empty() {
            return;
        }
        let changes = |step: &&mut Step| matches!(&step.work, Work::Act(act) if act.object.kind != "image");
        for step in self.steps.iter_mut().filter(changes) {
            step.after.extend(scans.iter().cloned());
            step.after.sort();
            step.after.dedup();
        }
    }

    /// What is removed cannot be put back as it was: nothing is, before every service has proved itself.
    fn remove_last(&mut self) {
        let others: Vec<&Step> = self.steps.iter().filter(|step| !removes(step)).collect();
        let ends = others.iter().filter(|step| !others.iter().any(|other| other.after.contains(&step.id)));
        let ends: Vec<StepId> = ends.map(|step| step.id.clone()).collect();
        for step in self.steps.iter_mut().filter(|step| removes(step)) {
            step.after.extend(ends.iter().cloned());
            step.after.sort();
            step.after.dedup();
        }
        self.steps.sort_by_key(removes);
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

/// What the step makes, or finds out, that others may use too.
fn shared_object(step: &Step) -> Option<ObjectId> {
    match &step.work {
        Work::Act(act) if ["network", "volume", "image"].contains(&act.object.kind.as_str()) => {
            Some(act.object.clone())
        }
        Work::Judge(request) if scans(step) => Some(ObjectId::new("scan", request.to_string())),
        _ => None,
    }
}

/// Whether it looks into an image.
fn scans(step: &Step) -> bool {
    matches!(step.work, Work::Judge(_)) && step.id.0.starts_with(SCAN)
}

fn removes(step: &Step) -> bool {
    matches!(&step.work, Work::Act(act) if act.verb == "remove")
}

#[cfg(test)]
mod tests {
    use operate_plan::Seen;
    use serde_json::{Value, json};

    use super::*;

    fn part(service: &str, needs: &[&str]) -> Part {
        let release = json!({
            "project": "shop", "service": service, "environment": "dev", "version": "2", "image": "shop/all:2", "target": "docker:shop",
            "strategy": "recreate", "replicas": 1, "container": {"networks": ["shop_default"]}, "ready_ms": 1000, "judge": {"of": service},
            "judge_ms": 1000, "actor": "ann",
        });
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        Part { release: serde_json::from_value(release).expect("a release"), needs }
    }

    fn seen(parts: &[Part], running: bool) -> Inventory {
        let mut seen = Inventory::new("the test");
        for object in parts.iter().flat_map(|part| crate::objects(&part.release)) {
            let ours = |release: &Release| {
                let labels = json!({"apm.service": release.service, "apm.environment": "dev", "apm.config": crate::container::config(release)});
                json!({"id": "1", "running": true, "labels": labels})
            };
            let owner = parts.iter().find(|part| running && crate::names(&part.release).contains(&object.name));
            let value: Option<Value> = owner.map(|part| ours(&part.release));
            seen.add(object, value.map_or(Seen::Absent, Seen::Present), "the test", 0);
        }
        seen
    }

    /// Whether one step comes, over others, after another.
    fn comes_after(plan: &Plan, later: &str, earlier: &str) -> bool {
        let Some(step) = plan.steps.iter().find(|step| step.id.0 == later) else { panic!("no step {later}") };
        step.after.iter().any(|id| id.0 == earlier || comes_after(plan, &id.0, earlier))
    }

    #[test]
    fn what_is_needed_takes_over_first_and_what_is_shared_is_made_once() {
        let parts = [part("db", &[]), part("api", &["db"]), part("web", &["api"])];
        let plan = plan_all(&parts, &seen(&parts, false), 0).expect("a plan");
        let count = |word: &str| plan.steps.iter().filter(|step| step.id.0.starts_with(word)).count();
        assert_eq!((count("pull"), count("network-"), count("judge"), count("start-")), (1, 1, 3, 3));
        assert!(comes_after(&plan, "create-shop-dev-api", "start-shop-dev-db"));
        assert!(comes_after(&plan, "start-shop-dev-web", "start-shop-dev-db"));
        assert!(!comes_after(&plan, "create-shop-dev-web", "judge"), "nobody waits for another's verdict");
        assert!(comes_after(&plan, "create-shop-dev-db", "pull") && comes_after(&plan, "create-shop-dev-web", "pull"));
    }

    #[test]
    fn nothing_is_changed_for_anybody_before_every_image_was_looked_into() {
        let mut parts = [part("db", &[]), part("api", &[]), part("web", &[])];
        let asks = |limit: &str| crate::Scan {
            request: json!({"scan": {"image": "", "limit": limit}}),
            image_at: "/scan/image".into(),
            by_hand: vec!["look".into()],
        };
        parts[0].release.scan = Some(asks("high"));
        parts[1].release.scan = Some(asks("high"));
        parts[2].release.scan = Some(asks("critical"));
        let plan = plan_all(&parts, &seen(&parts, false), 0).expect("a plan");
        let scans: Vec<&str> = plan.steps.iter().filter(|step| scans(step)).map(|step| step.id.0.as_str()).collect();
        assert_eq!(scans, ["scan", "scan-web"], "the same question about the same image is asked once");
        let changes = plan.steps.iter().filter(|step| matches!(&step.work, Work::Act(act) if act.verb != "pull"));
        for step in changes {
            for scan in &scans {
                assert!(comes_after(&plan, &step.id.0, scan), "{} and {scan}", step.id);
            }
        }
        assert!(scans.iter().all(|scan| comes_after(&plan, scan, "pull")));
        assert!(plan.order().is_some(), "no step waits for itself");
    }

    #[test]
    fn nothing_is_removed_before_every_service_has_proved_itself() {
        let mut parts = [part("db", &[]), part("web", &["db"])];
        let old = seen(&parts, true);
        parts.iter_mut().for_each(|part| part.release.version = "3".into());
        let plan = plan_all(&parts, &old, 0).expect("a plan");
        for judge in ["judge", "judge-web"] {
            assert!(comes_after(&plan, "remove-shop-dev-db-previous", judge), "{judge}");
        }
    }

    #[test]
    fn a_service_that_runs_as_it_is_wanted_is_left_alone() {
        let mut parts = [part("db", &[]), part("web", &["db"])];
        let seen = seen(&parts, true);
        assert!(matches!(plan_all(&parts, &seen, 0), Err(Refusal::NothingToDo { .. })));
        parts[1].release.version = "3".into();
        let plan = plan_all(&parts, &seen, 0).expect("a plan");
        assert_eq!(plan.labels["services"], "web");
        assert!(plan.steps.iter().all(|step| step.component == "web"));
    }
}
