//! Three worlds that hold things of the same names, one history, and as many lives of an executor as a test kills. Time is tokio's paused one; a
//! failure replays from its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_world::Clock as _;
use base_world::sim::SimRandom;
use operate_deploy::{ClusterPlan, join_clusters};
use operate_execute::{
    Command, Entry, Event, Executor, History as _, MemoryHistory, Order, RunId, Seal, Settings, Status, Target,
};
use operate_plan::{Act, Condition, Draft, Inventory, ObjectId, OnFailure, Plan, Seen, Step, StepId, Work, sites};
use operate_target_fake::{Crash, CrashingHistory, FakeWorld, Faults, Obedient, Quiet, SimClock};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::ManyTargets;

pub(super) type Objects = BTreeMap<ObjectId, Value>;

pub(super) const SITES: [&str; 3] = ["eu", "us", "ap"];

pub(super) fn object(name: &str) -> ObjectId {
    ObjectId::new("thing", name)
}

/// Every world has an `a` and a `b`, and none of them is another's.
pub(super) fn before(site: &str) -> Objects {
    let value = |version: u32| json!({"where": site, "version": version, "env": {"PASSWORD": "hunter2"}});
    [(object("a"), value(1)), (object("b"), value(2))].into()
}

/// The steps of one world, and what they lead to.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) steps: Vec<Step>,
    pub(super) after: Objects,
}

pub(super) fn put(id: &str, name: &str, value: Value, after: &[&str]) -> Step {
    let object = object(name);
    let touches = vec![object.clone()];
    let act = Act { verb: "put".into(), object: object.clone(), with: value.clone(), touches };
    let mut step = finished(Step::new(id, format!("put {name}"), Work::Act(act)), after);
    step.verify = vec![Condition { says: format!("{name} is right"), verb: "equals".into(), object, with: value }];
    step
}

pub(super) fn remove(id: &str, name: &str, after: &[&str]) -> Step {
    let touches = vec![object(name)];
    let act = Act { verb: "remove".into(), object: object(name), with: Value::Null, touches };
    let mut step = finished(Step::new(id, format!("remove {name}"), Work::Act(act)), after);
    let gone = format!("{name} is gone");
    step.verify = vec![Condition { says: gone, verb: "absent".into(), object: object(name), with: Value::Null }];
    step
}

pub(super) fn judge(fails: bool, after: &[&str]) -> Step {
    finished(Step::new("judge", "watch it", Work::Judge(json!({"fail": fails}))), after)
}

fn finished(mut step: Step, after: &[&str]) -> Step {
    step.reason = "the test wants it".into();
    step.stage = "deploying".into();
    step.component = "things".into();
    step.after = after.iter().map(|id| StepId::from(*id)).collect();
    step
}

/// Two things changed and one removed, then the judge's word.
pub(super) fn usual(site: &str, fails: bool) -> Part {
    let value = |version: u32| json!({"where": site, "version": version, "new": true});
    let absent =
        Condition { says: "c is not there".into(), verb: "absent".into(), object: object("c"), with: Value::Null };
    let steps = vec![
        Step { check: vec![absent], ..put("put-c", "c", value(7), &[]) },
        put("put-a", "a", value(8), &["put-c"]),
        judge(fails, &["put-a"]),
        remove("remove-b", "b", &["judge"]),
    ];
    Part { steps, after: [(object("a"), value(8)), (object("c"), value(7))].into() }
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

pub(super) struct Rig {
    pub(super) worlds: BTreeMap<&'static str, Arc<FakeWorld>>,
    pub(super) crash: Arc<Crash>,
    parts: BTreeMap<&'static str, Part>,
    memory: Arc<MemoryHistory>,
    clock: Arc<SimClock>,
    run: RunId,
    plan: Plan,
}

impl Rig {
    /// The usual change of all three, which nobody is against.
    pub(super) fn quiet() -> Rig {
        Rig::new(SITES.map(|site| (site, usual(site, false))).into(), 1)
    }

    pub(super) fn new(parts: BTreeMap<&'static str, Part>, parallel: usize) -> Rig {
        let runtime = runtime();
        let clock = runtime.block_on(async { SimClock::new() });
        let crash = Arc::new(Crash::default());
        let world = |site| Arc::new(FakeWorld::new(before(site), Faults::none(), Arc::clone(&crash), clock.clone()));
        let worlds: BTreeMap<&'static str, Arc<FakeWorld>> = SITES.map(|site| (site, world(site))).into();
        let single = |site: &&'static str| {
            let mut seen = Inventory::new(format!("fake:{site}"));
            before(site).into_iter().for_each(|(object, value)| seen.add(object, Seen::Present(value), "test", 0));
            let draft = Draft {
                title: "change the things".into(),
                reason: String::new(),
                target: format!("fake:{site}"),
                labels: [("service".to_owned(), "things".to_owned())].into(),
                made_ms: 0,
                time_limit_ms: 3_600_000,
                on_failure: OnFailure::Undo,
                steps: parts[*site].steps.clone(),
            };
            ClusterPlan { name: (*site).to_owned(), plan: Plan::new(draft, &seen), seen }
        };
        let singles: Vec<ClusterPlan> = SITES.iter().filter(|site| parts.contains_key(**site)).map(single).collect();
        let (plan, _) = join_clusters(&singles, parallel, 0).expect("clusters");
        let (memory, run) = (Arc::new(MemoryHistory::default()), RunId("things-1".into()));
        let command = Command { order: Order::Resume, actor: "ann".into(), reason: String::new() };
        runtime.block_on(memory.create(&run, &plan, 0, &command)).expect("a run");
        Rig { worlds, crash, parts, memory, clock, run, plan }
    }

    pub(super) fn target(&self) -> ManyTargets {
        let places = self.worlds.iter().map(|(site, world)| ((*site).to_owned(), Arc::clone(world) as Arc<dyn Target>));
        ManyTargets::new(&self.plan.target, places.collect())
    }

    /// Small changes in all worlds.
    pub(super) fn writes(&self) -> u64 {
        self.worlds.values().map(|world| world.writes()).sum()
    }

    fn executor(&self, life: usize) -> Executor {
        let random = Arc::new(SimRandom::new(self.clock.monotonic_ns()));
        let history = CrashingHistory { inner: self.memory.clone(), crash: Arc::clone(&self.crash) };
        Executor {
            history: Arc::new(history),
            target: Arc::new(self.target()),
            judge: Arc::new(Obedient::new(Arc::clone(&self.crash))),
            tell: Arc::new(Quiet),
            clock: self.clock.clone(),
            seal: Arc::new(Seal::new(&[7; 32], random).expect("a key")),
            holder: format!("apm {life}"),
            settings: Settings::default(),
            watch: tokio::sync::broadcast::channel(16).0,
        }
    }

    /// Runs to the end, killed at these moments of its successive lives.
    pub(super) fn play(&self, kills: &[u64]) -> Status {
        self.play_watched(kills, |_| {})
    }

    /// The same; `heard` is told each entry, and may do something to a world.
    pub(super) fn play_watched(&self, kills: &[u64], heard: impl Fn(&Event)) -> Status {
        for life in 0..kills.len() + 50 {
            let ended = runtime().block_on(async {
                self.clock.begin();
                self.crash.arm(kills.get(life).copied().unwrap_or(0));
                let executor = self.executor(life);
                let mut entries = executor.watch.subscribe();
                let listen = async {
                    while let Ok(entry) = entries.recv().await {
                        heard(&entry.event);
                    }
                    std::future::pending::<()>().await;
                };
                let ended = tokio::select! {
                    biased;
                    () = listen => None,
                    () = self.crash.struck() => None,
                    ended = self.clock.patient(&executor, &self.run) => Some(ended),
                };
                self.clock.carry_over();
                ended
            });
            match ended {
                None => {}
                Some(Ok(status)) => return status,
                Some(Err(error)) => panic!("life {life}: {error}"),
            }
        }
        panic!("it never ended");
    }

    /// A person wants the undo that failed to be tried again.
    pub(super) fn play_again(&self, kills: &[u64]) -> Status {
        let again = Command { order: Order::UndoAgain, actor: "ann".into(), reason: "it is back".into() };
        runtime().block_on(self.memory.order(&self.run, self.clock.now_ms(), &again)).expect("an order");
        self.play(kills)
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        runtime().block_on(self.memory.entries(&self.run, 0, usize::MAX)).expect("entries")
    }

    /// What the end says.
    pub(super) fn sentence(&self) -> String {
        let entries = self.entries();
        match entries.last().map(|entry| &entry.event) {
            Some(Event::Ended { sentence, .. }) => sentence.clone(),
            other => panic!("{other:?} is no end"),
        }
    }

    /// Every world is what it was.
    pub(super) fn audit_worlds_before(&self) {
        for (site, world) in &self.worlds {
            assert_eq!(world.objects(), before(site), "{site}");
        }
    }

    /// What always holds: the status tells the truth about every world, and one that is not named as stuck is as it was.
    pub(super) fn audit(&self, status: Status) {
        let entries = self.entries();
        assert_eq!(Entry::broken(&entries), None);
        let text = serde_json::to_string(&entries).expect("JSON");
        assert!(!text.contains("hunter2"), "the journal holds a secret in clear");
        let stuck: Vec<&StepId> = entries
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::UndoFailed { step, .. } => Some(step),
                _ => None,
            })
            .collect();
        let is_stuck =
            |site: &str| stuck.iter().any(|id| self.plan.step(id).is_some_and(|step| step.site_name() == site));
        for (site, world) in &self.worlds {
            assert_eq!(world.lost(), 0, "an undo deleted what it should have moved back");
            let now = world.objects();
            match (status, self.parts.get(site)) {
                (_, None) => assert_eq!(now, before(site), "{site} is none of this run's"),
                (Status::Complete, Some(part)) => assert_eq!(now, part.after, "complete, but {site} is not the plan's"),
                (Status::RolledBack, _) => assert_eq!(now, before(site), "rolled back, but {site} is not as before"),
                (Status::Failed, _) if is_stuck(site) => {
                    let told = format!("{site} is not what it was before");
                    assert!(self.sentence().contains(&told), "{}", self.sentence());
                }
                (Status::Failed, _) => assert_eq!(now, before(site), "{site} is not as before, and nobody says so"),
                (other, _) => panic!("{other} is no end"),
            }
        }
        assert_eq!(status == Status::Failed, self.sentence().starts_with("could not be undone"), "{}", self.sentence());
        assert_eq!(sites(&self.plan.target).len(), self.parts.len());
    }
}
