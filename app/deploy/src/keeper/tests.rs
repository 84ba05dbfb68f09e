//! Releases from the request to the end, over a real history in a folder and an engine of containers on paper: nothing here needs Docker.

use std::sync::atomic::Ordering;

use app_config::Tree;
use base_world::Clock;
use operate_execute::{Command, Filter, Order, Seal};
use operate_history::SqlHistory;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::DeskParts;
use crate::paper::{Nobody, Paper, Shelf};

mod given;
mod notices;
mod waits;

/// The system's clock, as it will be some time from now.
struct Later(Arc<dyn Clock>, i64);

impl Clock for Later {
    fn now_ns(&self) -> i64 {
        self.0.now_ns() + self.1 * 1_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.monotonic_ns()
    }
}

/// One project: its settings, its containers, its folder, and as many engines as a test starts.
struct Rig {
    folder: TempDir,
    paper: Arc<Paper>,
    settings: Arc<Mutex<String>>,
    /// Who the engines tell.
    receivers: Mutex<Vec<Arc<dyn operate_execute::Deliver>>>,
}

/// One engine.
struct Life {
    keeper: Keeper,
    stop: watch::Sender<bool>,
}

impl Rig {
    fn new() -> Rig {
        let paper = Paper::new();
        let rig = Rig {
            folder: TempDir::new().unwrap(),
            paper: Arc::new(paper),
            settings: Arc::default(),
            receivers: Mutex::default(),
        };
        rig.image("shop/cart:1");
        rig
    }

    /// What the project's file says from now on.
    fn image(&self, image: &str) {
        *self.settings.lock() = format!(
            "project: shop\nservices:\n  cart:\n    image: {image}\n    deploy: {{ judged: false, ready: 60s }}\n"
        );
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("data").join("history.db")
    }

    /// An engine whose clock is some seconds ahead.
    fn life(&self, holder: &str, ahead_s: i64) -> Life {
        let mut world = World::real();
        world.clock = Arc::new(Later(world.clock, ahead_s));
        let (paper, place, holder) = (Arc::clone(&self.paper), self.history().display().to_string(), holder.to_owned());
        let (opened, history, receivers) = (world.clone(), place.clone(), self.receivers.lock().clone());
        let open: Open = Box::new(move |live| {
            let (world, paper, place, holder) = (opened.clone(), Arc::clone(&paper), place.clone(), holder.clone());
            let receivers = receivers.clone();
            Box::pin(async move {
                let history = SqlHistory::open(&*world.disk, &place).await?;
                let seal = Arc::new(Seal::new(&[7; 32], Arc::clone(&world.random)).unwrap());
                let (judge, tell) = (Arc::new(Nobody), Arc::new(InTheLog));
                let registries = Arc::new(Shelf);
                let fronts = PathBuf::new();
                let target = paper;
                let clusters = crate::Clusters { world: world.clone(), surroundings: Default::default() };
                let parts = DeskParts {
                    world,
                    history,
                    seal,
                    target,
                    judge,
                    registries,
                    clusters,
                    tell,
                    holder,
                    receivers,
                    fronts,
                };
                Ok(Desk::new(parts, live))
            })
        });
        let settings = Arc::clone(&self.settings);
        let project: ReadProject = Box::new(move |environment| {
            let mut tree = Tree::default();
            let added = tree.add_file("apm.yaml", &settings.lock(), &|_: &str| None);
            let project = added.and_then(|()| Project::read(tree, environment, "shop"));
            project.map_err(|error| error.report().clone())
        });
        let (stop, stopped) = watch::channel(false);
        Life {
            keeper: Keeper::with(
                world,
                history,
                project,
                None,
                (None, self.folder.path().join("state")),
                open,
                stopped,
            ),
            stop,
        }
    }

    /// Names, versions and whether they run.
    fn containers(&self) -> Vec<(String, String, bool)> {
        let objects = self.paper.world.objects();
        let containers = objects.iter().filter(|(object, _)| object.kind == "container");
        let version = |value: &Value| value["labels"]["apm.version"].as_str().unwrap().to_owned();
        containers
            .map(|(object, value)| (object.name.clone(), version(value), value["running"] == json!(true)))
            .collect()
    }
}

fn cart(version: &str) -> Vec<(String, String, bool)> {
    vec![("shop-cart".into(), version.into(), true)]
}

fn asked() -> Asked {
    Asked { actor: "ann (deployer)".into(), reason: "new".into(), ..Asked::default() }
}

/// Which error it is, with the one inside.
fn is(error: &DeskError, name: &str) -> bool {
    format!("{error:?}").starts_with(name)
}

impl Life {
    async fn create(&self) -> RunId {
        self.keeper.begin(&asked(), None, "deployer", Action::Create).await.unwrap()
    }

    /// Asking for it is refused, and the answer says what to do.
    async fn refuses(&self, asked: &Asked, name: &str) {
        let error = self.keeper.begin(asked, None, "deployer", Action::Create).await.expect_err(name);
        assert!(is(&error, name) && error.report().hint.is_some(), "{error:?} is no {name}");
    }

    async fn entries(&self, run: &RunId) -> Vec<Entry> {
        self.keeper.desk().await.unwrap().entries(run, 0).await.unwrap()
    }

    async fn rows(&self, status: Option<Status>) -> Vec<RunId> {
        let filter = Filter { status, limit: 10, ..Filter::default() };
        let rows = self.keeper.desk().await.unwrap().runs(&filter).await.unwrap();
        rows.into_iter().map(|row| row.run).collect()
    }

    /// Follows the journal until something happens; the journal's kinds and the run's status then.
    async fn until(&self, run: &RunId, happens: impl Fn(&Event) -> bool) -> Status {
        let followed = async {
            let mut live = self.keeper.live();
            loop {
                let entries = self.entries(run).await;
                if entries.iter().any(|entry| happens(&entry.event)) {
                    return operate_execute::State::of(&entries).status();
                }
                // What another engine writes is found by looking.
                let _ = tokio::time::timeout(Duration::from_millis(200), live.recv()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), followed).await.expect("it happens within a minute")
    }

    async fn end(&self, run: &RunId) -> Status {
        self.until(run, |event| matches!(event, Event::Ended { .. })).await
    }

    async fn order(&self, run: &RunId, order: Order) -> Result<(), DeskError> {
        let command = Command { order, actor: "bob (admin)".into(), reason: "too slow".into() };
        self.keeper.desk().await?.order_as(run, command, "admin").await
    }

    /// Who did what, as what.
    async fn audit(&self) -> Vec<String> {
        let history = &self.keeper.desk().await.unwrap().history;
        assert_eq!(history.verify_audit().await.unwrap(), None);
        let lines = history.audit(0, 100).await.unwrap();
        lines.iter().map(|line| format!("{} {} {}", line.deed.actor, line.deed.role, line.deed.action.word())).collect()
    }

    /// No task of this engine carries anything out.
    async fn idle(&self) {
        let idle = async {
            while !self.keeper.0.carried.lock().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), idle).await.expect("idle within a minute");
    }
}

#[tokio::test]
async fn a_project_without_deployments_pays_nothing() {
    let rig = Rig::new();
    let life = rig.life("apm 1", 0);
    assert!(life.keeper.desk_if_any().await.unwrap().is_none());
    life.keeper.carry_on().await.unwrap();
    assert!(!rig.history().exists() && life.keeper.0.desk.get().is_none());
}

#[tokio::test]
async fn a_release_is_carried_out_and_the_settings_are_read_anew() {
    let rig = Rig::new();
    let life = rig.life("apm 1", 0);
    let planned = life.keeper.plan(&asked(), None).await.unwrap();
    assert_eq!((planned.plan.title.as_str(), rig.containers()), ("deploy cart 1 to default", vec![]));
    let first = life.create().await;
    assert_eq!((life.end(&first).await, rig.containers()), (Status::Complete, cart("1")));
    life.idle().await;
    life.refuses(&asked(), "Refused(NothingToDo").await;
    rig.image("shop/cart:2");
    let second = life.create().await;
    assert_eq!((life.end(&second).await, rig.containers()), (Status::Complete, cart("2")));
    life.idle().await;
    let (plan, _) = life.keeper.desk().await.unwrap().look(&second).await.unwrap();
    let back = Asked { version: Some(plan.labels["version_before"].clone()), ..asked() };
    let third = life.keeper.begin(&back, None, "deployer", Action::Rollback).await.unwrap();
    assert_eq!((life.end(&third).await, rig.containers()), (Status::Complete, cart("1")));
    life.idle().await;
    assert_eq!(life.rows(None).await, [third, second, first]);
    let who = "ann (deployer) deployer";
    assert_eq!(life.audit().await, [format!("{who} create"), format!("{who} create"), format!("{who} rollback")]);
    rig.image("shop/cart:2\n    no_such_key: 1");
    let error = life.keeper.plan(&asked(), None).await.map(|_| ()).expect_err("settings");
    assert!(is(&error, "Settings") && error.report().place.is_some(), "{error:?}");
    rig.image("shop/cart:2");
    life.refuses(&Asked { service: Some("cat".into()), ..asked() }, "Settings").await;
}

#[tokio::test]
async fn a_release_that_is_cancelled_is_undone() {
    let rig = Rig::new();
    let life = rig.life("apm 1", 0);
    let first = life.create().await;
    life.end(&first).await;
    life.idle().await;
    let before = rig.paper.world.objects();
    rig.paper.answers.store(false, Ordering::Relaxed);
    rig.image("shop/cart:2");
    let run = life.create().await;
    // At once, when the history may not even say yet that it runs.
    life.refuses(&asked(), "Occupied").await;
    life.until(&run, |event| matches!(event, Event::Acted { step, .. } if step.0 == "start-shop-cart")).await;
    assert_ne!(rig.containers(), cart("1"));
    rig.image("shop/cart:3");
    life.refuses(&asked(), "Occupied").await;
    assert!(is(&life.order(&run, Order::Skip("nothing".into())).await.expect_err("no step"), "NoStep"));
    life.order(&run, Order::Cancel).await.unwrap();
    assert_eq!((life.end(&run).await, rig.containers()), (Status::RolledBack, cart("1")));
    let mut after = rig.paper.world.objects();
    after.retain(|object, _| before.contains_key(object));
    assert_eq!(after, before, "what was there is as it was");
    assert!(is(&life.order(&run, Order::Pause).await.expect_err("an end"), "Ended"));
    let ann = "ann (deployer) deployer create".to_owned();
    assert_eq!(life.audit().await, [ann.clone(), ann, "bob (admin) admin cancel".to_owned()]);
}

#[tokio::test]
async fn a_run_that_was_left_is_carried_on() {
    let rig = Rig::new();
    rig.paper.answers.store(false, Ordering::Relaxed);
    let first = rig.life("apm 1", 0);
    let run = first.create().await;
    first.until(&run, |event| matches!(event, Event::Acted { step, .. } if step.0 == "start-shop-cart")).await;
    first.stop.send(true).unwrap();
    first.idle().await;

    // Its lease holds for a while yet.
    let early = rig.life("apm 2", 0);
    early.keeper.carry_on().await.unwrap();
    early.idle().await;
    let taken = |event: &Event| matches!(event, Event::Taken { holder, .. } if holder != "apm 1");
    assert!(!early.entries(&run).await.iter().any(|entry| taken(&entry.event)), "two carry it out");

    // A run that somebody planned and never began is nobody's to begin.
    let late = rig.life("apm 3", 20);
    let desk = late.keeper.desk().await.unwrap();
    let (plan, _) = desk.look(&run).await.unwrap();
    let other = RunId("planned".into());
    let command = Command { order: Order::Resume, actor: "cid".into(), reason: String::new() };
    operate_execute::History::create(&*desk.history, &other, &plan, 0, &command).await.unwrap();
    late.keeper.carry_on().await.unwrap();
    late.until(&run, taken).await;
    rig.paper.answers.store(true, Ordering::Relaxed);
    assert_eq!((late.end(&run).await, rig.containers()), (Status::Complete, cart("1")));
    late.idle().await;
    late.keeper.carry_on().await.unwrap();
    assert_eq!((late.rows(Some(Status::Planned)).await, late.keeper.0.carried.lock().len()), (vec![other], 0));
    let lines = ["ann (deployer) deployer create", "apm 3  takeover"];
    assert_eq!(late.audit().await, lines);
}
