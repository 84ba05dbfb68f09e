//! Plans carried out on any target by executors that are killed: each life of an executor ends at a moment or after a time, and the next one
//! goes on from the journal. It knows no target's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base_world::World;
use operate_execute::{
    Command, Context, Done, Executor, History, Image, Judge, Judgement, MemoryHistory, Met, Order, Ruling, RunError,
    RunId, Seal, Settings, Status, Target, Tell,
};
use operate_plan::{Act, Condition, Failure, Inventory, ObjectId, Plan, Severity};
use serde_json::Value;

use crate::{Crash, CrashingHistory};

/// When a life ends.
#[derive(Debug, Clone, Copy)]
pub enum Kill {
    Never,
    /// At this boundary of journal or act.
    Moment(u64),
    /// Wherever it is by then.
    After(Duration),
}

/// A target that can be killed after each of its changes.
struct CrashingTarget {
    inner: Arc<dyn Target>,
    crash: Arc<Crash>,
}

#[async_trait]
impl Target for CrashingTarget {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        self.inner.survey(objects).await
    }

    async fn check(&self, context: &Context, condition: &Condition) -> Result<Met, Failure> {
        self.inner.check(context, condition).await
    }

    async fn image(&self, context: &Context, object: &ObjectId) -> Result<Image, Failure> {
        self.inner.image(context, object).await
    }

    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure> {
        let done = self.inner.act(context, act).await;
        self.crash.moment().await;
        done
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        let restored = self.inner.restore(context, object, before).await;
        self.crash.moment().await;
        restored
    }

    fn is_same(&self, before: &Image, now: &Image) -> bool {
        self.inner.is_same(before, now)
    }
}

/// Tells nobody.
pub struct Quiet;

impl Tell for Quiet {
    fn tell(&self, _: &RunId, _: Severity, _: &str) {}
}

/// Rules what the request says: `{"fail": true}`; and notes when it was asked.
pub struct Obedient {
    crash: Arc<Crash>,
    asked_at: Arc<AtomicU64>,
}

impl Obedient {
    pub fn new(crash: Arc<Crash>) -> Obedient {
        Obedient { crash, asked_at: Arc::default() }
    }
}

#[async_trait]
impl Judge for Obedient {
    async fn judge(&self, _: &Context, request: &Value, _: i64) -> Result<Judgement, Failure> {
        self.asked_at.store(self.crash.passed(), Ordering::Relaxed);
        let sentence = "the test says so".to_owned();
        let fails = request["fail"] == true;
        let ruling = if fails { Ruling::Fail { sentence, hurt_since_ms: None } } else { Ruling::Pass { sentence } };
        Ok(ruling.into())
    }
}

/// A history, and what kills whoever writes it.
pub struct Lives {
    pub history: Arc<MemoryHistory>,
    pub crash: Arc<Crash>,
    pub world: World,
    pub seal: Arc<Seal>,
    /// Rules in the place of one that rules what the request says.
    pub judge: Option<Arc<dyn Judge>>,
    judged_at: Arc<AtomicU64>,
}

impl Lives {
    /// In the real world, with a key of its own.
    pub fn new(seal: Arc<Seal>) -> Lives {
        let (history, crash, judged_at) = Default::default();
        Lives { history, crash, world: World::real(), seal, judge: None, judged_at }
    }

    /// How many boundaries had been passed when the judge was asked last.
    pub fn judged_at(&self) -> u64 {
        self.judged_at.load(Ordering::Relaxed)
    }

    /// A run of which nothing is done yet.
    pub fn create(&self, run: &RunId, plan: &Plan) -> Result<(), RunError> {
        let command = Command { order: Order::Resume, actor: "ann".into(), reason: String::new() };
        Ok(runtime().block_on(self.history.create(run, plan, self.world.clock.now_ms(), &command))?)
    }

    /// Carries it out to its end; each life but the last ends as its kill says. `None`: it was killed in its last life. `target` is
    /// made anew for each life, as for a process.
    pub fn run(
        &self,
        run: &RunId,
        kills: &[Kill],
        target: impl Fn() -> Arc<dyn Target>,
    ) -> Option<Result<Status, RunError>> {
        for life in 0..=kills.len() {
            let kill = kills.get(life).copied().unwrap_or(Kill::Never);
            let runtime = runtime();
            let ended = runtime.block_on(async {
                self.crash.arm(if let Kill::Moment(moment) = kill { moment } else { 0 });
                let after = if let Kill::After(after) = kill { after } else { Duration::from_secs(600) };
                let executor = self.executor(life, target());
                tokio::select! {
                    biased;
                    () = self.crash.struck() => None,
                    () = tokio::time::sleep(after) => None,
                    ended = patient(&executor, run) => Some(ended),
                }
            });
            // Whatever it was asking of the target is cut off here.
            runtime.shutdown_background();
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn executor(&self, life: usize, inner: Arc<dyn Target>) -> Executor {
        let history = CrashingHistory { inner: self.history.clone(), crash: Arc::clone(&self.crash) };
        let target = CrashingTarget { inner, crash: Arc::clone(&self.crash) };
        let obedient = || -> Arc<dyn Judge> {
            Arc::new(Obedient { crash: Arc::clone(&self.crash), asked_at: Arc::clone(&self.judged_at) })
        };
        Executor {
            history: Arc::new(history),
            target: Arc::new(target),
            judge: self.judge.clone().unwrap_or_else(obedient),
            tell: Arc::new(Quiet),
            clock: Arc::clone(&self.world.clock),
            seal: Arc::clone(&self.seal),
            holder: format!("life {life}"),
            settings: Settings { lease_ms: 1_000, poll_ms: 50 },
            watch: tokio::sync::broadcast::channel(16).0,
        }
    }
}

/// Of one worker, as small machines have it. It is not had only where the system gives no thread.
fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().expect("a runtime")
}

async fn patient(executor: &Executor, run: &RunId) -> Result<Status, RunError> {
    loop {
        match executor.run(run).await {
            Err(RunError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            ended => return ended,
        }
    }
}
