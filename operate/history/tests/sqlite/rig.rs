//! The executor over a file: plans in the fake world whose executor dies at random moments, with everything it had open. Real time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base_world::os::OsRandom;
use base_world::{Clock as _, Rng};
use operate_execute::{
    Context, Event, Executor, History as _, Judge, Judgement, Order, Ruling, RunError, RunId, Seal, Settings, Status,
    Tell,
};
use operate_plan::{
    Act, Condition, Draft, Failure, Inventory, ObjectId, OnFailure, Plan, Severity, Step, StepId, Work,
};
use operate_target_fake::{Crash, CrashingHistory, FakeWorld, Faults, SimClock};
use serde_json::{Value, json};

use crate::open;
use crate::support::command;

const SECRET: &str = "hunter2-in-the-clear";
const KILLS: usize = 6;

type Objects = BTreeMap<ObjectId, Value>;

fn object(name: &str) -> ObjectId {
    ObjectId::new("thing", name)
}

fn before() -> Objects {
    let value = |port: u32| json!({"version": 1, "port": port, "env": {"PASSWORD": SECRET}});
    [(object("a"), value(80)), (object("b"), value(81))].into()
}

fn wanted(seal: &Seal) -> Objects {
    let token = seal.seal("token", SECRET.as_bytes()).expect("sealed");
    let value = |port: u32| json!({"version": 2, "port": port, "env": {"TOKEN": token}});
    [(object("a"), value(80)), (object("b"), value(81)), (object("c"), value(82))].into()
}

fn put(name: &str, value: &Value, after: &[&str], verify: &str) -> Step {
    let object = object(name);
    let act = Act { verb: "put".into(), object: object.clone(), with: value.clone(), touches: vec![object.clone()] };
    let mut step = Step::new(format!("put-{name}"), format!("put {name}"), Work::Act(act));
    step.after = after.iter().map(|id| StepId::from(*id)).collect();
    step.verify = vec![Condition { says: "it is right".into(), verb: verify.into(), object, with: value.clone() }];
    step.time_limit_ms = 600;
    step
}

struct AllIsWell;

#[async_trait::async_trait]
impl Judge for AllIsWell {
    async fn judge(&self, _: &Context, _: &Value, _: i64) -> Result<Judgement, Failure> {
        Ok(Ruling::Pass { sentence: "all is well".into() }.into())
    }
}

impl Tell for AllIsWell {
    fn tell(&self, _: &RunId, _: Severity, _: &str) {}
}

/// One plan on one file, killed again and again, then left alone.
fn play(file: &Path, name: &str, expect: Status, seed: u64) {
    let mut rng = Rng::new(seed);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seal = Arc::new(Seal::new(&[7; 32], Arc::new(OsRandom)).expect("a key"));
    let (crash, run) = (Arc::new(Crash::default()), RunId(name.to_owned()));
    let (clock, world) = runtime().block_on(async {
        let clock = SimClock::new();
        let world = FakeWorld::new(before(), Faults::none(), Arc::clone(&crash), clock.clone());
        clock.carry_over();
        (clock, Arc::new(world))
    });
    // What the last step waits for never comes where the plan is to be undone.
    let last = if expect == Status::Complete { "equals" } else { "absent" };
    let wanted = wanted(&seal);
    let value = |name: &str| wanted.get(&object(name)).cloned().unwrap_or_default();
    let steps = vec![
        put("c", &value("c"), &[], "equals"),
        put("b", &value("b"), &[], "equals"),
        put("a", &value("a"), &["put-b", "put-c"], last),
    ];
    let draft = Draft {
        title: format!("change the things of {name}"),
        reason: String::new(),
        target: name.into(),
        labels: BTreeMap::new(),
        made_ms: 0,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps,
    };
    let plan = Plan::new(draft, &Inventory::new("fake"));
    let mut killed = 0;
    for life in 0..100 {
        let ended = runtime().block_on(async {
            clock.begin();
            let kept = Arc::new(open(file).await);
            if life == 0 {
                kept.create(&run, &plan, clock.now_ms(), &command(Order::Resume)).await.expect("a new run");
            }
            crash.arm(if killed < KILLS { rng.below(24) + 1 } else { 0 });
            let executor = Executor {
                history: Arc::new(CrashingHistory { inner: kept.clone(), crash: Arc::clone(&crash) }),
                target: world.clone(),
                judge: Arc::new(AllIsWell),
                tell: Arc::new(AllIsWell),
                clock: clock.clone(),
                seal: Arc::clone(&seal),
                holder: format!("apm {life}"),
                settings: Settings { lease_ms: 500, poll_ms: 20 },
                watch: tokio::sync::broadcast::channel(16).0,
            };
            let ended = tokio::select! {
                biased;
                () = crash.struck() => None,
                ended = patient(&executor, &run) => Some(ended),
            };
            clock.carry_over();
            ended
            // Here everything dies: the tasks, the timers, the connections in the middle of what they do.
        });
        match ended {
            None => killed += 1,
            Some(Ok(status)) => {
                assert_eq!(status, expect, "{name}");
                assert_eq!(world.objects(), if expect == Status::Complete { wanted } else { before() }, "{name}");
                assert_eq!(killed, KILLS, "{name} ended before it was killed often enough");
                return;
            }
            // A machine so busy that the lease ran out: another life, as for anyone.
            Some(Err(RunError::History(operate_execute::HistoryError::LeaseLost { .. }))) => {}
            Some(Err(error)) => panic!("{name}, life {life}: {error}"),
        }
    }
    panic!("{name} never ended");
}

/// Waits for the lease of a life that was killed.
async fn patient(executor: &Executor, run: &RunId) -> Result<Status, RunError> {
    loop {
        match executor.run(run).await {
            Err(RunError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            ended => return ended,
        }
    }
}

#[test]
fn plans_killed_at_random_moments_end_as_their_journals_say_and_no_secret_is_in_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("history.db");
    let plans = [("up-1", Status::Complete), ("up-2", Status::Complete), ("back-1", Status::RolledBack)];
    std::thread::scope(|scope| {
        for ((name, expect), seed) in plans.into_iter().zip(11..) {
            let file = &file;
            scope.spawn(move || play(file, name, expect, seed));
        }
    });

    // All three files of SQLite as they lie there while it is open.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let history = runtime.block_on(open(&file));
    let mut bytes = Vec::new();
    for found in std::fs::read_dir(folder.path()).expect("listed") {
        bytes.extend(std::fs::read(found.expect("an entry").path()).expect("read"));
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("change the things of up-1"), "the search itself does not work");
    assert!(!holds(SECRET), "a secret lies in the file");

    for (name, expect) in plans {
        let run = RunId(name.to_owned());
        assert_eq!(runtime.block_on(history.verify_run(&run)), Ok(None));
        let entries = runtime.block_on(history.entries(&run, 0, usize::MAX)).expect("the journal");
        let lives = entries.iter().filter(|entry| matches!(entry.event, Event::Taken { .. })).count();
        assert!(lives > 1, "{name} changed hands only {lives} times");
        let sealed = entries.iter().any(|entry| matches!(&entry.event, Event::Recorded { before, .. } if before.iter().any(|one| one.sealed.is_some())));
        assert!(sealed, "{name} recorded nothing that had a secret");
        let row = runtime.block_on(history.runs(&operate_execute::Filter { limit: 9, ..Default::default() }));
        let rows = row.expect("a list");
        assert_eq!(rows.iter().find(|row| row.run == run).map(|row| row.status), Some(expect));
    }
}
