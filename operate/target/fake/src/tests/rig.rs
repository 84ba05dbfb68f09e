//! A world, a history and as many lives of an executor as a test kills. Time is tokio's paused one, so an hour takes no time; a failure
//! replays from its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_world::Clock;
use base_world::sim::SimRandom;
use operate_execute::{
    Command, Context, Entry, Event, Executor, History, Judge, Judgement, MemoryHistory, Order, Ruling, RunId, Seal,
    Settings, State, Status, Tell, progress,
};
use operate_plan::{
    Act, Condition, Draft, Failure, Inventory, ObjectId, OnFailure, Plan, Seen, Severity, Step, StepId, Work,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Crash, CrashingHistory, FakeWorld, Faults, SimClock};

pub(super) type Objects = BTreeMap<ObjectId, Value>;

pub(super) fn object(name: &str) -> ObjectId {
    ObjectId::new("thing", name)
}

/// `a` and `b` run version 1; `c` is not there.
pub(super) fn before() -> Objects {
    let value = |version: u32, port: u32| json!({"version": version, "port": port, "env": {"PASSWORD": "hunter2"}});
    [(object("a"), value(1, 80)), (object("b"), value(1, 81))].into()
}

pub(super) fn put(id: &str, name: &str, value: Value, after: &[&str]) -> Step {
    let object = object(name);
    let act = Act { verb: "put".into(), object: object.clone(), with: value.clone(), touches: vec![object.clone()] };
    let mut step = finished(Step::new(id, format!("put {name}"), Work::Act(act)), after);
    step.verify = vec![Condition { says: format!("{name} is right"), verb: "equals".into(), object, with: value }];
    step
}

pub(super) fn shift(id: &str, from: &str, to: &str, after: &[&str]) -> Step {
    let touches = vec![object(from), object(to)];
    let act = Act { verb: "move".into(), object: object(from), with: json!({"to": to}), touches };
    let mut step = finished(Step::new(id, format!("move {from} to {to}"), Work::Act(act)), after);
    step.check = vec![holds("present", from), holds("absent", to)];
    step.verify = vec![holds("absent", from), holds("present", to)];
    step
}

pub(super) fn remove(id: &str, name: &str, after: &[&str]) -> Step {
    let act = Act { verb: "remove".into(), object: object(name), with: Value::Null, touches: vec![object(name)] };
    let mut step = finished(Step::new(id, format!("remove {name}"), Work::Act(act)), after);
    step.verify = vec![holds("absent", name)];
    step
}

pub(super) fn work(id: &str, work: Work, after: &[&str]) -> Step {
    finished(Step::new(id, id, work), after)
}

fn holds(verb: &str, name: &str) -> Condition {
    Condition { says: format!("{name} is {verb}"), verb: verb.into(), object: object(name), with: Value::Null }
}

fn finished(mut step: Step, after: &[&str]) -> Step {
    step.reason = "the test wants it".into();
    step.stage = "deploying".into();
    step.after = after.iter().map(|id| StepId::from(*id)).collect();
    step
}

/// Never fails on its own; answers what the test put there.
pub(super) struct Rulings(pub(super) Mutex<Vec<Ruling>>);

#[async_trait::async_trait]
impl Judge for Rulings {
    async fn judge(&self, _: &Context, _: &Value, _: i64) -> Result<Judgement, Failure> {
        let mut rulings = self.0.lock();
        let ruling = if rulings.len() > 1 { rulings.remove(0) } else { rulings.first().cloned().unwrap_or(pass()) };
        Ok(ruling.into())
    }
}

pub(super) fn pass() -> Ruling {
    Ruling::Pass { sentence: "all is well".into() }
}

/// Remembers what people were told.
#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<Vec<String>>);

impl Tell for Told {
    fn tell(&self, _: &RunId, severity: Severity, message: &str) {
        self.0.lock().push(format!("{severity}: {message}"));
    }
}

pub(super) struct Rig {
    pub(super) world: Arc<FakeWorld>,
    pub(super) memory: Arc<MemoryHistory>,
    pub(super) crash: Arc<Crash>,
    pub(super) clock: Arc<SimClock>,
    pub(super) judge: Arc<Rulings>,
    pub(super) told: Arc<Told>,
    pub(super) run: RunId,
    pub(super) plan: Plan,
    /// By how much the clock is set after each death.
    pub(super) clocks: Mutex<Vec<i64>>,
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

impl Rig {
    pub(super) fn new(steps: Vec<Step>, on_failure: OnFailure) -> Rig {
        let runtime = runtime();
        let clock = runtime.block_on(async { SimClock::new() });
        let crash = Arc::new(Crash::default());
        let world = FakeWorld::new(before(), Faults::none(), Arc::clone(&crash), clock.clone());
        let mut inventory = Inventory::new("fake");
        for (object, value) in before() {
            inventory.add(object, Seen::Present(value), "test", 0);
        }
        let draft = Draft {
            title: "change the things".into(),
            reason: String::new(),
            target: "fake".into(),
            labels: [("service".to_owned(), "things".to_owned())].into(),
            made_ms: 0,
            time_limit_ms: 20 * 60_000,
            on_failure,
            steps,
        };
        let plan = Plan::new(draft, &inventory);
        let memory = Arc::new(MemoryHistory::default());
        let run = RunId("things-1".into());
        let command = Command { order: Order::Resume, actor: "ann".into(), reason: String::new() };
        runtime.block_on(memory.create(&run, &plan, clock.now_ms(), &command)).expect("a new run");
        clock.carry_over();
        let judge = Arc::new(Rulings(Mutex::default()));
        Rig {
            world: Arc::new(world),
            memory,
            crash,
            clock,
            judge,
            told: Arc::default(),
            run,
            plan,
            clocks: Mutex::default(),
        }
    }

    pub(super) fn executor(&self, holder: &str) -> Executor {
        let random = Arc::new(SimRandom::new(self.clock.monotonic_ns()));
        let history = CrashingHistory { inner: self.memory.clone(), crash: Arc::clone(&self.crash) };
        Executor {
            history: Arc::new(history),
            target: self.world.clone(),
            judge: self.judge.clone(),
            tell: self.told.clone(),
            clock: self.clock.clone(),
            seal: Arc::new(Seal::new(&[7; 32], random).expect("a key")),
            holder: holder.into(),
            settings: Settings::default(),
            watch: tokio::sync::broadcast::channel(16).0,
        }
    }

    /// Runs to the end, killed at these moments of its successive lives.
    pub(super) fn play(&self, kills: &[u64]) -> Status {
        for life in 0..kills.len() + 50 {
            let runtime = runtime();
            let ended = runtime.block_on(async {
                self.clock.begin();
                self.crash.arm(kills.get(life).copied().unwrap_or(0));
                let executor = self.executor(&format!("apm {life}"));
                let ended = tokio::select! {
                    biased;
                    () = self.crash.struck() => None,
                    ended = self.clock.patient(&executor, &self.run) => Some(ended),
                };
                self.clock.carry_over();
                ended
            });
            match ended {
                None => {
                    let by_ms = self.clocks.lock().pop();
                    self.clock.set(by_ms.unwrap_or(0));
                }
                Some(Ok(status)) => return status,
                Some(Err(error)) => panic!("life {life}: {error}"),
            }
        }
        panic!("it never ended");
    }

    /// A person wants the undo that failed to be tried again, and it is carried to its end, killed at these moments.
    pub(super) fn play_again(&self, kills: &[u64]) -> Status {
        let again = Command { order: Order::UndoAgain, actor: "ann".into(), reason: "mended".into() };
        let order = self.memory.order(&self.run, self.clock.now_ms(), &again);
        runtime().block_on(order).expect("an order");
        self.play(kills)
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        runtime().block_on(self.memory.entries(&self.run, 0, usize::MAX)).expect("entries")
    }

    /// What always holds, whatever happened: the status tells the truth about the world, the journal hangs together and holds no secret.
    pub(super) fn audit(&self, status: Status, after: &Objects) {
        let (world, entries) = (self.world.objects(), self.entries());
        match status {
            Status::Complete => assert_eq!(world, *after, "complete, but this is not the plan's world"),
            Status::RolledBack => assert_eq!(world, before(), "rolled back, but this is not the world before"),
            Status::Failed => {
                let undo = |entry: &Entry| matches!(entry.event, Event::UndoFailed { .. });
                assert!(entries.iter().any(undo), "failed with no reason written down");
                assert!(self.told.0.lock().iter().any(|line| line.starts_with("critical")), "nobody was told");
            }
            other => panic!("{other} is no end"),
        }
        assert_eq!(Entry::broken(&entries), None);
        assert_eq!(self.world.lost(), 0, "an undo deleted what it should have moved back");
        assert!(matches!(entries.last().map(|entry| &entry.event), Some(Event::Ended { .. })));
        let text = serde_json::to_string(&entries).expect("JSON");
        assert!(!text.contains("hunter2"), "the journal holds a secret in clear");
        self.order_of(&entries);
        self.percent_of(&entries, status);
    }

    fn is_clock_steady(&self) -> bool {
        self.clock.set_by_ms() == 0
    }

    /// What people are shown never goes backwards, at each line and just before the next.
    fn percent_of(&self, entries: &[Entry], status: Status) {
        let (mut state, mut shown) = (State::default(), 0);
        for (position, entry) in entries.iter().enumerate() {
            state.add(entry);
            let next_ms = entries.get(position + 1).map_or(entry.at_ms, |next| next.at_ms);
            // Where the clock was set in between, just before the next is nowhere.
            let next_ms = if self.is_clock_steady() { next_ms } else { entry.at_ms };
            for now_ms in [entry.at_ms, next_ms] {
                let percent = progress(&self.plan, &state, now_ms).percent;
                assert!(percent >= shown, "line {}: {percent} % after {shown} %", entry.seq);
                shown = percent;
            }
        }
        assert_eq!(shown == 100, status != Status::Failed, "{shown} %");
    }

    /// A step is recorded before it is attempted, and done only after it acted.
    fn order_of(&self, entries: &[Entry]) {
        for step in &self.plan.steps {
            let at = |wanted: fn(&Event) -> Option<&StepId>| {
                entries.iter().position(|entry| wanted(&entry.event) == Some(&step.id))
            };
            let recorded = at(|event| if let Event::Recorded { step, .. } = event { Some(step) } else { None });
            let attempt = at(|event| if let Event::Attempt { step, .. } = event { Some(step) } else { None });
            if let Some(attempt) = attempt {
                assert!(recorded.is_some_and(|recorded| recorded < attempt), "{} acted before it recorded", step.id);
            }
        }
    }
}
