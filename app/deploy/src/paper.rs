//! A target for tests of the desk: containers on paper, that run when they are started and answer when a test says so. It knows no Docker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base_world::World;
use connect_registry::{Digest, Reference, RegistryError};
use operate_execute::{Context, Done, Image, Judge, Judgement, Met, RunId, Seal, Target, Tell};
use operate_history::SqlHistory;
use operate_plan::{Act, Condition, Failure, Inventory, ObjectId, Severity};
use operate_target_fake::{Crash, FakeWorld, Faults};
use serde_json::{Value, json};

use crate::{Desk, DeskParts};

pub(crate) mod http;
pub(crate) mod telemetry;

/// Containers in the fake world, in the words of a release's plan.
pub(crate) struct Paper {
    pub(crate) world: FakeWorld,
    /// Whether what runs also answers.
    pub(crate) answers: AtomicBool,
}

impl Paper {
    /// With no container yet, and whatever runs answers.
    pub(crate) fn new() -> Paper {
        let clock = World::real().clock;
        let world = FakeWorld::new(BTreeMap::new(), Faults::none(), Arc::new(Crash::default()), clock);
        Paper { world, answers: AtomicBool::new(true) }
    }
}

/// Tells nobody.
pub(crate) struct Quiet;

impl Tell for Quiet {
    fn tell(&self, _: &RunId, _: Severity, _: &str) {}
}

/// A desk as a process of its own would open it: nothing is remembered but what the history in this folder holds.
pub(crate) async fn desk(folder: &Path, holder: &str, world: World, target: Arc<Paper>, judge: Arc<dyn Judge>) -> Desk {
    let place = folder.join("history.db").display().to_string();
    let history = SqlHistory::open(&*world.disk, &place).await.expect("a history");
    let seal = Arc::new(Seal::new(&[7; 32], Arc::clone(&world.random)).expect("a seal"));
    let (tell, holder, receivers) = (Arc::new(Quiet), holder.to_owned(), Vec::new());
    let (registries, fronts) = (Arc::new(Shelf), PathBuf::new());
    let clusters = crate::Clusters { world: world.clone(), surroundings: Default::default() };
    let parts =
        DeskParts { world, history, seal, target, judge, registries, clusters, tell, holder, receivers, fronts };
    Desk::new(parts, tokio::sync::broadcast::channel(64).0)
}

fn put(act: &Act, with: Value) -> Act {
    Act { verb: "put".into(), with, ..act.clone() }
}

#[async_trait]
impl Target for Paper {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        self.world.survey(objects).await
    }

    async fn check(&self, context: &Context, condition: &Condition) -> Result<Met, Failure> {
        if ["present", "absent"].contains(&condition.verb.as_str()) {
            return self.world.check(context, condition).await;
        }
        let Image::Present(now) = self.world.image(context, &condition.object).await? else {
            return Ok(Met::No("it is not there".into()));
        };
        let holds = match condition.verb.as_str() {
            "same" => now["id"] == condition.with["id"],
            "stopped" => now["running"] == json!(false),
            "healthy" => now["running"] == json!(true) && self.answers.load(Ordering::Relaxed),
            verb => panic!("no plan of these tests asks for `{verb}`"),
        };
        Ok(if holds { Met::Yes } else { Met::No(format!("it is {now}")) })
    }

    async fn image(&self, context: &Context, object: &ObjectId) -> Result<Image, Failure> {
        self.world.image(context, object).await
    }

    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure> {
        let act = match (act.verb.as_str(), act.object.kind.as_str()) {
            ("pull", _) => put(act, json!({"there": true})),
            ("create", "container") => {
                let labels = &act.with["body"]["Labels"];
                put(act, json!({"id": labels["apm.config"], "labels": labels, "running": false}))
            }
            ("stop" | "start", _) => {
                let Image::Present(mut now) = self.world.image(context, &act.object).await? else {
                    panic!("{} is not there", act.object)
                };
                now["running"] = json!(act.verb == "start");
                put(act, now)
            }
            ("rename", _) => Act { verb: "move".into(), ..act.clone() },
            _ => act.clone(),
        };
        self.world.act(context, &act).await
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        self.world.restore(context, object, before).await
    }
}

/// The plans of these tests ask no judge.
pub(crate) struct Nobody;

#[async_trait]
impl Judge for Nobody {
    async fn judge(&self, _: &Context, request: &Value, _: i64) -> Result<Judgement, Failure> {
        panic!("asked for {request}")
    }
}

/// A registry in which each tag is its own digest.
pub(crate) struct Shelf;

#[async_trait]
impl crate::Registries for Shelf {
    async fn digest(&self, image: &Reference) -> Result<Digest, RegistryError> {
        Ok(Digest::of(image.wanted().as_bytes()))
    }
}
