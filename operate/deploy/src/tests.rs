//! Planner sessions: a text file says what is seen and what is wanted, and what the planner answers stands under each question. Run with
//! `APM_BLESS=1` to write the answers anew, then read the difference.

use base_world::{World, replace_file};
use operate_plan::{Inventory, ObjectId, Plan, Seen, lint, report};
use serde_json::Value;

use crate::color::Color;
use crate::{ClusterRelease, Refusal, Release, objects, plan};

const NOW_MS: i64 = 1_700_000_000_000;

/// One session as far as it was read.
struct Session {
    seen: Inventory,
    release: Value,
    plan: Option<Plan>,
}

impl Session {
    /// Answers one line after `> `.
    fn answer(&mut self, line: &str) -> String {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "see" => {
                let (object, what) = rest.split_once(' ').expect("see KIND/NAME VALUE");
                let object: ObjectId = serde_json::from_value(Value::String(object.into())).expect("an object");
                let seen = match what {
                    "absent" => Seen::Absent,
                    "denied" => Seen::Unknown(operate_plan::Failure::new(
                        operate_plan::Class::Permission,
                        "docker.denied",
                        "permission denied",
                        "join the group docker",
                    )),
                    value if self.is_cluster() => {
                        let wanted: ClusterRelease = serde_json::from_value(self.release.clone()).expect("a release");
                        let seen = wanted.items.iter().enumerate().fold(value.to_owned(), |text, (at, item)| {
                            let config =
                                crate::cluster::marked(&wanted, item)["metadata"]["annotations"]["apm.config"].clone();
                            text.replace(&format!("$ITEM{at}"), config.as_str().expect("a digest"))
                        });
                        Seen::Present(serde_json::from_str(&seen).expect("JSON"))
                    }
                    value => {
                        let wanted = self.wanted();
                        let value = value.replace("$CONFIG", &crate::container::config(&wanted));
                        let blue = wanted.front.as_ref().map(|front| Color::Blue.release(&wanted, front));
                        let value = value.replace("$BLUE", &blue.as_ref().map_or("".into(), crate::container::config));
                        Seen::Present(serde_json::from_str(&value).expect("JSON"))
                    }
                };
                self.seen.add(object, seen, "the session", NOW_MS);
                String::new()
            }
            "allowed" => {
                let wanted = serde_json::from_value(self.release.clone()).expect("a release");
                let left = crate::cluster_objects_left(&wanted, &self.seen);
                let asked = crate::cluster_objects(&wanted).into_iter().chain(left);
                for access in asked.filter(|object| object.kind == "access") {
                    self.seen.add(access, Seen::Present(serde_json::json!({"allowed": true})), "the session", NOW_MS);
                }
                String::new()
            }
            "want" => {
                let changes: Value = serde_json::from_str(rest).expect("JSON");
                merge(&mut self.release, changes);
                String::new()
            }
            "objects" if self.is_cluster() => {
                let wanted = serde_json::from_value(self.release.clone()).expect("a release");
                lines(crate::cluster_objects(&wanted).iter().map(ToString::to_string))
            }
            "objects" => lines(objects(&self.wanted()).iter().map(ToString::to_string)),
            "left" => {
                let wanted = serde_json::from_value(self.release.clone()).expect("a release");
                lines(crate::cluster_objects_left(&wanted, &self.seen).iter().map(ToString::to_string))
            }
            "around" => {
                let wanted = serde_json::from_value(self.release.clone()).expect("a release");
                lines(crate::cluster_surroundings(&wanted).iter().map(ToString::to_string))
            }
            "findings" => {
                let plan = self.planned().expect("a plan");
                let told = |one: operate_plan::Finding| {
                    format!("{} [{}] {}; {}", one.severity, one.rule, one.message, one.fix)
                };
                lines(self.findings(&plan).into_iter().map(told))
            }
            "with" => {
                let found = self.plan.iter().flat_map(|plan| &plan.steps).find(|step| step.id.0 == rest);
                match &found.expect("a step").work {
                    operate_plan::Work::Act(act) => serde_json::to_string_pretty(&act.with).expect("JSON") + "\n",
                    _ => "it changes nothing\n".to_owned(),
                }
            }
            "plan" => match self.planned() {
                Ok(plan) => {
                    let text = report(&plan, &self.findings(&plan)).replace(plan.id().0.short(), "ID");
                    self.plan = Some(plan);
                    text
                }
                Err(refusal) => format!("refused: {refusal}\nhint: {}\n", refusal.hint()),
            },
            "body" => serde_json::to_string_pretty(&crate::body(&self.wanted())).expect("JSON") + "\n",
            "requests" => {
                let plan = self.planned().expect("a plan");
                lines(plan.steps.iter().filter_map(|step| match &step.work {
                    operate_plan::Work::Judge(request) => Some(format!("{}: {request}", step.id)),
                    _ => None,
                }))
            }
            "labels" => {
                let plan = self.plan.as_ref().expect("a plan was made");
                lines(plan.labels.iter().map(|(name, value)| format!("{name}={value}")))
            }
            other => panic!("a session has no `{other}`"),
        }
    }

    /// A release of objects, not of containers.
    fn is_cluster(&self) -> bool {
        self.release.get("items").is_some()
    }

    fn planned(&self) -> Result<Plan, Refusal> {
        if !self.is_cluster() {
            return plan(&self.wanted(), &self.seen, NOW_MS);
        }
        let wanted = serde_json::from_value(self.release.clone()).expect("a release");
        crate::plan_cluster(&wanted, &self.seen, NOW_MS)
    }

    fn findings(&self, plan: &Plan) -> Vec<operate_plan::Finding> {
        let mut findings = lint(plan, &self.seen, NOW_MS);
        if self.is_cluster() {
            let wanted = serde_json::from_value(self.release.clone()).expect("a release");
            findings.extend(crate::cluster_findings(&wanted, &self.seen, &self.seen));
        }
        findings
    }

    fn wanted(&self) -> Release {
        serde_json::from_value(self.release.clone()).expect("a release")
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}

/// What is given replaces, what is not stays.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What every session begins with.
fn usual() -> Value {
    serde_json::json!({
        "project": "shop", "service": "cart", "environment": "dev", "version": "2", "image": "shop/cart:2", "target": "docker:local",
        "strategy": "recreate", "replicas": 1, "container": {}, "ready_ms": 60_000, "judge_ms": 300_000, "actor": "ann",
    })
}

fn replay(text: &str) -> String {
    let mut session = Session { seen: Inventory::new("docker:local"), release: usual(), plan: None };
    let mut out = String::new();
    for line in text.lines().filter(|line| line.starts_with(['>', '#']) || line.is_empty()) {
        // An answer ends in an empty line; empty lines between questions are kept once.
        if line.is_empty() {
            if !out.ends_with("\n\n") && !out.is_empty() {
                out.push('\n');
            }
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if let Some(question) = line.strip_prefix("> ") {
            out.push_str(&indented(&session.answer(question)));
        }
    }
    out
}

/// Answers are indented, so that their empty lines and signs are no questions.
fn indented(answer: &str) -> String {
    answer.lines().map(|line| if line.is_empty() { "    .\n".to_owned() } else { format!("    {line}\n") }).collect()
}

#[test]
fn every_session_is_answered_as_it_was_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions");
    let disk = World::real().disk;
    let files = disk.list(&folder).expect("the sessions");
    assert!(files.len() >= 9, "the sessions are not where they were");
    for file in files {
        let path = folder.join(&file.name);
        let text = String::from_utf8(disk.read(&path, 1 << 20).expect("a session")).expect("UTF-8");
        let answered = replay(&text);
        if std::env::var_os("APM_BLESS").is_some() {
            replace_file(&*disk, &path, answered.as_bytes()).expect("the blessed session");
            continue;
        }
        assert_eq!(answered, text, "{}: APM_BLESS=1 writes it anew", path.display());
    }
}

#[test]
fn the_same_release_and_world_make_the_same_plan() {
    let mut seen = Inventory::new("docker:local");
    let release: Release = serde_json::from_value(usual()).expect("a release");
    for object in objects(&release) {
        seen.add(object, Seen::Absent, "test", NOW_MS);
    }
    let first = plan(&release, &seen, NOW_MS).expect("a plan");
    assert_eq!(first.id(), plan(&release, &seen, NOW_MS).expect("a plan").id());
    assert_eq!(lint(&first, &seen, NOW_MS), [], "a plan of ours has no findings");
}
