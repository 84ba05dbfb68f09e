//! The desk at which releases are asked for, carried out and ordered about. It holds what all of them share: history, seal, engine, judge.

use std::collections::BTreeMap;
mod all;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use app_adapt::{GateJudge, Telemetry};
use base_explain::Report;
use base_http::{Client, HttpConfig};
use base_world::World;
use connect_docker::{Engine, Surroundings, find};
use connect_registry::{DockerLogins, Login};
use operate_deploy::{Refusal, Release};
use operate_execute::{
    Begun, Command, Deliver, Entry, Executor, Fence, Filter, History, HistoryError, Judge, Lease, NewRun, Order,
    RunError, RunId, RunRow, Seal, Settings, State, Status, Target, Tell,
};
use operate_history::{Action, Deed, Pruned, Retention, SqlHistory, seal_key};
use operate_plan::{Finding, Inventory, Plan, Severity, StepId, Work, digest, estimate, guard, hold, lint};
use operate_target_docker::DockerTarget;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::NotifySettings;
use crate::evidence::Kept;
use crate::notify::Notifier;
use crate::pin::{Registries, pinned};

/// Where everything is.
pub struct DeskOptions {
    pub world: World,
    /// A file of SQLite or a `postgres://` URL.
    pub history: String,
    /// `$XDG_STATE_HOME/apm`: the key that seals secrets.
    pub state_folder: PathBuf,
    pub docker: Surroundings,
    /// Base URLs that the judge asks.
    pub prometheus: String,
    pub loki: String,
    /// For both, as a bearer.
    pub token: Option<String>,
    /// `apm 4711 on host`.
    pub holder: String,
    pub tell: Arc<dyn Tell>,
    /// Who is told of runs, as the settings have it.
    pub notify: Vec<NotifySettings>,
}

/// What a desk works with, whatever it is carried out on.
pub struct DeskParts {
    pub world: World,
    pub history: SqlHistory,
    pub seal: Arc<Seal>,
    pub target: Arc<dyn Target>,
    pub judge: Arc<dyn Judge>,
    pub registries: Arc<dyn Registries>,
    pub tell: Arc<dyn Tell>,
    pub holder: String,
    pub receivers: Vec<Arc<dyn Deliver>>,
}

/// Why something at the desk did not work.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Run(#[from] RunError),
    /// The plan has findings that nobody may wave through.
    #[error("the plan has critical findings")]
    Lint(Vec<Finding>),
    #[error("run `{run}` has no step `{step}`")]
    NoStep { run: RunId, step: String },
    #[error("run `{run}` is {status}, and takes no order")]
    Ended { run: RunId, status: Status },
    /// Who goes on although changes are frozen says why.
    #[error("step `{step}` waits because changes may not be made now; whoever goes on all the same says why")]
    NoReason { step: StepId },
    /// Another run has not ended, and changes the same target.
    #[error("`{target}` is being changed by the run {run}, which is {status}")]
    Occupied { target: String, run: RunId, status: Status },
    /// The project's settings cannot be read, or do not say what to release.
    #[error("{}", .0.one_line())]
    Settings(Report),
    #[error("{}", .0.one_line())]
    Told(Report),
}

impl DeskError {
    /// What to do about it.
    pub fn report(&self) -> Report {
        match self {
            DeskError::Settings(report) | DeskError::Told(report) => report.clone(),
            DeskError::Refused(refusal) => Report::of(refusal).hint(refusal.hint()),
            DeskError::Lint(findings) => findings.iter().take(5).fold(Report::of(self), |report, finding| {
                report.because(format!("[{}] {}; {}", finding.rule, finding.message, finding.fix))
            }),
            DeskError::Run(RunError::Busy { .. }) => {
                Report::of(self).hint("wait for it, or see `apm deploy list` and cancel it")
            }
            DeskError::Occupied { run, .. } => Report::of(self).hint(format!(
                "wait for it; `apm deploy watch {run}` goes on with it if nobody does, `apm deploy cancel {run}` and then `watch` undo it"
            )),
            DeskError::NoReason { .. } => Report::of(self).hint("`--reason` says it, over HTTP `reason`"),
            DeskError::Run(RunError::Overtaken { .. }) => Report::of(self)
                .hint("look at what is there now; `apm deploy --version …` releases the version that should be"),
            _ => Report::of(self),
        }
    }
}

/// How long the end of a run is told to receivers before whoever carried it out may go.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Entries that a slow listener may lag behind.
pub(crate) const LAG: usize = 1024;
/// A registry that takes longer to begin an answer is as good as away.
const REGISTRY_HEAD_MAX: Duration = Duration::from_secs(20);

/// Runs of one status that are looked through; a project has a few targets, and each has one run at a time.
const BEGUN_MAX: usize = 200;

fn action(order: &Order) -> Action {
    match order {
        Order::Pause => Action::Pause,
        Order::Resume | Order::UndoAgain => Action::Resume,
        Order::Cancel => Action::Cancel,
        Order::Skip(_) => Action::Skip,
        Order::Approve(_) => Action::Approve,
        Order::Reject(_) => Action::Reject,
    }
}

fn deed(actor: &str, role: &str, action: Action, run: &RunId, why: &str) -> Deed {
    let (actor, role, why) = (actor.to_owned(), role.to_owned(), why.to_owned());
    Deed { actor, role, action, run: Some(run.clone()), why }
}

/// A release as it would be carried out.
pub struct Planned {
    pub plan: Plan,
    pub findings: Vec<Finding>,
}

/// See the module.
pub struct Desk {
    world: World,
    pub history: Arc<SqlHistory>,
    pub seal: Arc<Seal>,
    target: Arc<dyn Target>,
    judge: Arc<dyn Judge>,
    registries: Arc<dyn Registries>,
    tell: Arc<dyn Tell>,
    holder: String,
    watch: broadcast::Sender<Entry>,
    /// Targets of runs that were begun here and are not carried out yet.
    held: Mutex<BTreeMap<RunId, Fence>>,
    notifier: Notifier,
}

impl Desk {
    pub async fn open(options: DeskOptions) -> Result<Desk, DeskError> {
        Desk::open_telling(options, broadcast::channel(LAG).0).await
    }

    /// The same, but what is kept is told to this channel, which may have listeners already.
    pub async fn open_telling(options: DeskOptions, watch: broadcast::Sender<Entry>) -> Result<Desk, DeskError> {
        let told = |error: &(dyn std::error::Error + 'static)| DeskError::Told(Report::of(error));
        let world = options.world;
        let history = SqlHistory::open(&*world.disk, &options.history).await?;
        let key = seal_key(&*world.disk, &*world.random, &options.state_folder).map_err(|error| told(&error))?;
        let seal = Arc::new(Seal::new(&key, Arc::clone(&world.random)).map_err(|error| told(&error))?);
        let found = find(&options.docker, &*world.disk).map_err(|error| told(&error))?;
        let engine = Engine::new(found).map_err(|error| told(&error))?;
        let logins = Arc::new(DockerLogins::new(Arc::clone(&world.disk), options.docker.config_folder()));
        let target =
            DockerTarget::new(engine, Arc::clone(&seal), Arc::clone(&world.clock)).map_err(|error| told(&error))?;
        let target = target.with_logins(Arc::clone(&logins) as Arc<dyn Login>);
        let asking = connect_registry::Options { head_max: REGISTRY_HEAD_MAX, ..Default::default() };
        let registries = connect_registry::Client::new(logins, Arc::clone(&world.clock), asking);
        let registries = Arc::new(registries.map_err(|error| told(&error))?);
        let kept = Kept { history: history.clone(), clock: Arc::clone(&world.clock) };
        let target = target.keeping(Arc::new(kept));
        let config = match &options.token {
            None => HttpConfig::default(),
            Some(token) => {
                HttpConfig { authorization: Some(base_http::Authorization::bearer(token)), ..HttpConfig::default() }
            }
        };
        let client = Client::new(config).map_err(|error| told(&error))?;
        let telemetry = Telemetry::new(client, &options.prometheus, &options.loki);
        let judge = Arc::new(GateJudge { telemetry, clock: Arc::clone(&world.clock) });
        let receivers = options.notify.iter().map(|one| one.receiver(&*world.disk)).collect::<Result<_, _>>();
        let (tell, holder, receivers) = (options.tell, options.holder, receivers.map_err(DeskError::Settings)?);
        let target = Arc::new(target);
        let parts = DeskParts { world, history, seal, target, judge, registries, tell, holder, receivers };
        Ok(Desk::new(parts, watch))
    }

    /// Must be made within a runtime: receivers are told by tasks of their own.
    pub fn new(parts: DeskParts, watch: broadcast::Sender<Entry>) -> Desk {
        let DeskParts { world, history, seal, target, judge, registries, tell, holder, receivers } = parts;
        let history = Arc::new(history);
        let notifier = Notifier::new(&history, &world.clock, &receivers, &watch);
        let held = Mutex::default();
        Desk { world, history, seal, target, judge, registries, tell, holder, watch, held, notifier }
    }

    /// Where secrets are read and written.
    pub fn disk(&self) -> &dyn base_world::Disk {
        &*self.world.disk
    }

    /// Looks at the world and plans; changes nothing.
    pub async fn plan(&self, release: &Release) -> Result<Planned, DeskError> {
        let (release, pinning) = pinned(release, &*self.target, &*self.registries).await?;
        let release = &release;
        let seen = self.target.survey(&operate_deploy::objects(release)).await;
        let now_ms = self.world.clock.now_ms();
        let plan = match operate_deploy::plan(release, &seen, now_ms) {
            Ok(plan) => plan,
            Err(left_over @ Refusal::LeftOver { .. }) => {
                // What is left over may be what somebody is at this very moment.
                self.nobody_changes(&release.target).await?;
                return Err(left_over.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.weighed(release, plan, &seen, now_ms, pinning.into_iter().collect()).await
    }

    /// With what earlier runs took, held to the calendar, and looked over.
    async fn weighed(
        &self,
        release: &Release,
        plan: Plan,
        seen: &Inventory,
        now_ms: i64,
        pinning: Vec<Finding>,
    ) -> Result<Planned, DeskError> {
        // Plans of the same labels are alike; what they took is what this one will take.
        let learnt = self.history.learnt(&plan.labels).await?;
        let mut draft = (*plan).clone();
        estimate(&mut draft, &learnt);
        // What is over by now forbids nothing any more.
        hold(&mut draft, &release.calendar.of(&release.environment, now_ms));
        let plan = Plan::new(draft, seen);
        let mut findings = lint(&plan, seen, now_ms);
        findings.extend(pinning);
        findings.sort_by_key(|finding| finding.severity);
        Ok(Planned { plan: guard(&plan, &findings), findings })
    }

    /// Refused by the name of whoever changes the target now. Nothing is held afterwards: who executes takes the lease himself.
    async fn nobody_changes(&self, target: &str) -> Result<(), DeskError> {
        let (now_ms, lease_ms) = (self.world.clock.now_ms(), Settings::default().lease_ms);
        match self.history.lease(target, &self.holder, now_ms, lease_ms).await? {
            Lease::Got(fence) => Ok(self.history.release(target, fence).await?),
            Lease::Held { holder, until_ms } => {
                Err(RunError::Busy { target: target.to_owned(), holder, until_ms }.into())
            }
        }
    }

    /// Keeps the plan as a run and takes its target, both or neither; refused while another run changes it. Whoever begins a run carries it
    /// out at once: a lease holds for a quarter of a minute, and then anybody may go on with the run. Nobody asked for a role.
    pub async fn create(&self, planned: &Planned, actor: &str, reason: &str) -> Result<RunId, DeskError> {
        self.create_as(planned, actor, "", Action::Create, reason).await
    }

    /// The same by somebody with a role; `action` says to the audit log what it is for.
    pub async fn create_as(
        &self,
        planned: &Planned,
        actor: &str,
        role: &str,
        action: Action,
        reason: &str,
    ) -> Result<RunId, DeskError> {
        let critical: Vec<_> =
            planned.findings.iter().filter(|finding| finding.severity == Severity::Critical).cloned().collect();
        if !critical.is_empty() {
            return Err(DeskError::Lint(critical));
        }
        let now_ms = self.world.clock.now_ms();
        let service = planned.plan.labels.get("service").map_or("run", String::as_str);
        let mark = digest(&(planned.plan.id(), now_ms, &self.holder));
        let run = RunId(format!(
            "{service}-{}-{}",
            planned.plan.labels.get("version").map_or("", String::as_str),
            &mark.short()[..6]
        ));
        let command = Command { order: Order::Resume, actor: actor.to_owned(), reason: reason.to_owned() };
        let (new, target) = (NewRun { run: &run, plan: &planned.plan, command: &command }, planned.plan.target.clone());
        let deed = deed(actor, role, action, &run, reason);
        let lease_ms = Settings::default().lease_ms;
        match self.history.begin_as(new, now_ms, &self.holder, lease_ms, Some(deed)).await? {
            Begun::Got(fence) => self.held.lock().insert(run.clone(), fence),
            Begun::Held { holder, until_ms } => return Err(RunError::Busy { target, holder, until_ms }.into()),
            Begun::Occupied { run, status } => return Err(DeskError::Occupied { target, run, status }),
        };
        Ok(run)
    }

    /// Carries the run out in this process, from wherever it stands, and waits a moment for those who are told of its end: a process may
    /// end with it.
    pub async fn execute(&self, run: &RunId) -> Result<Status, DeskError> {
        let ended = self.carry_out(run).await;
        self.notifier.settled(SETTLE_MAX).await;
        ended
    }

    /// The same by a process that lives on.
    pub(crate) async fn carry_out(&self, run: &RunId) -> Result<Status, DeskError> {
        let executor = self.executor();
        let held = self.held.lock().remove(run);
        Ok(match held {
            Some(fence) => executor.run_begun(run, fence).await?,
            None => executor.run(run).await?,
        })
    }

    fn executor(&self) -> Executor {
        Executor {
            history: self.history.clone(),
            target: self.target.clone(),
            judge: self.judge.clone(),
            tell: Arc::clone(&self.tell),
            clock: Arc::clone(&self.world.clock),
            seal: Arc::clone(&self.seal),
            holder: self.holder.clone(),
            settings: Settings::default(),
            watch: self.watch.clone(),
        }
    }

    /// Entries of runs that this process carries out, as they are kept.
    pub fn watch(&self) -> broadcast::Receiver<Entry> {
        self.watch.subscribe()
    }

    /// Refuses a target that a run has not done with: begun, by whomever, and not ended.
    pub async fn free(&self, target: &str) -> Result<(), DeskError> {
        match self.begun().await?.into_iter().find(|row| row.target == target) {
            Some(row) => Err(DeskError::Occupied { target: row.target, run: row.run, status: row.status }),
            None => Ok(()),
        }
    }

    /// Runs that somebody began to carry out and that have not ended.
    pub async fn begun(&self) -> Result<Vec<RunRow>, DeskError> {
        let mut begun = Vec::new();
        for status in Status::ALL.into_iter().filter(|status| !status.is_end() && *status != Status::Planned) {
            begun.extend(self.runs(&Filter { status: Some(status), limit: BEGUN_MAX, ..Filter::default() }).await?);
        }
        Ok(begun)
    }

    /// A line in the audit log.
    pub async fn record(
        &self,
        actor: &str,
        role: &str,
        action: Action,
        run: &RunId,
        why: &str,
    ) -> Result<(), DeskError> {
        self.history.record(self.world.clock.now_ms(), &deed(actor, role, action, run, why)).await?;
        Ok(())
    }

    /// Leaves an order for whoever carries the run out. Nobody asked for a role.
    pub async fn order(&self, run: &RunId, command: Command) -> Result<(), DeskError> {
        self.order_as(run, command, "").await
    }

    /// The same by somebody with a role. It is in the audit log before it is given. To resume a run whose undo failed is to try the undo again;
    /// whoever executes it next does.
    pub async fn order_as(&self, run: &RunId, mut command: Command, role: &str) -> Result<(), DeskError> {
        let (plan, state) = self.look(run).await?;
        if state.status() == Status::Failed && command.order == Order::Resume {
            command.order = Order::UndoAgain;
        }
        if let Some(step) = command.order.step().filter(|step| plan.step(step).is_none()) {
            return Err(DeskError::NoStep { run: run.clone(), step: step.0.clone() });
        }
        let status = state.status();
        if (status.is_end() && command.order != Order::UndoAgain) || status == Status::RollingBack {
            return Err(DeskError::Ended { run: run.clone(), status });
        }
        let overrides = |order: &Order| match order {
            Order::Approve(step) | Order::Skip(step) => {
                plan.step(step).filter(|step| matches!(step.work, Work::Window(_))).map(|step| step.id.clone())
            }
            _ => None,
        };
        if let Some(step) = overrides(&command.order).filter(|_| command.reason.trim().is_empty()) {
            return Err(DeskError::NoReason { step });
        }
        if command.order == Order::UndoAgain {
            self.executor().not_overtaken(run, &plan).await?;
        }
        self.record(&command.actor, role, action(&command.order), run, &command.reason).await?;
        self.history.order(run, self.world.clock.now_ms(), &command).await?;
        Ok(())
    }

    /// The plan and where it stands.
    pub async fn look(&self, run: &RunId) -> Result<(Plan, State), DeskError> {
        let plan = self.history.plan(run).await?;
        Ok((plan, State::of(&self.entries(run, 0).await?)))
    }

    /// What a run is to do.
    pub async fn plan_of(&self, run: &RunId) -> Result<Plan, DeskError> {
        Ok(self.history.plan(run).await?)
    }

    /// Entries after one, at most `limit`.
    pub async fn page(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, DeskError> {
        Ok(self.history.entries(run, after, limit).await?)
    }

    /// All entries after one.
    pub async fn entries(&self, run: &RunId, after: u64) -> Result<Vec<Entry>, DeskError> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let after = all.last().map_or(after, |entry| entry.seq);
            let page = self.history.entries(run, after, 1000).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Runs that may go by now, the oldest first; removes nothing.
    pub async fn prunable(&self, retention: Retention) -> Result<Vec<RunRow>, DeskError> {
        Ok(self.history.prunable(retention, self.world.clock.now_ms()).await?)
    }

    /// Removes them, with a line in the audit log for each.
    pub async fn prune(&self, rows: &[RunRow], actor: &str, role: &str, why: &str) -> Result<Pruned, DeskError> {
        let runs: Vec<RunId> = rows.iter().map(|row| row.run.clone()).collect();
        let (actor, role, why) = (actor.to_owned(), role.to_owned(), why.to_owned());
        let deed = Deed { actor, role, action: Action::Prune, run: None, why };
        Ok(self.history.prune(&runs, self.world.clock.now_ms(), &deed).await?)
    }

    pub async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, DeskError> {
        Ok(self.history.runs(filter).await?)
    }

    /// The run that is meant by a name, or by nothing: the newest.
    pub async fn find(&self, name: Option<&str>) -> Result<RunId, DeskError> {
        if let Some(name) = name {
            return Ok(RunId(name.to_owned()));
        }
        let newest = self.runs(&Filter { limit: 1, ..Filter::default() }).await?;
        newest
            .into_iter()
            .next()
            .map(|row| row.run)
            .ok_or_else(|| DeskError::Told(Report::new("nothing was deployed yet").hint("begin with `apm deploy`")))
    }
}
