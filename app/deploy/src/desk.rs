//! The desk at which releases are asked for, carried out and ordered about. It holds what all of them share: history, seal, engine, judge.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use app_adapt::{GateJudge, Telemetry};
use base_explain::Report;
use base_http::{Client, HttpConfig};
use base_world::World;
use connect_docker::{Engine, Surroundings, find};
use operate_deploy::{Refusal, Release};
use operate_execute::{
    Command, Entry, Executor, Filter, History, HistoryError, Judge, Lease, Order, RunError, RunId, RunRow, Seal,
    Settings, State, Status, Target, Tell,
};
use operate_history::{Action, Deed, SqlHistory, seal_key};
use operate_plan::{Finding, Inventory, ObjectId, Plan, Severity, digest, estimate, guard, lint};
use operate_target_docker::DockerTarget;
use tokio::sync::broadcast;

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
}

/// What a desk works with, whatever it is carried out on.
pub struct DeskParts {
    pub world: World,
    pub history: SqlHistory,
    pub seal: Arc<Seal>,
    pub target: Arc<dyn Target>,
    pub judge: Arc<dyn Judge>,
    pub tell: Arc<dyn Tell>,
    pub holder: String,
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
            DeskError::Run(RunError::Busy { .. }) | DeskError::Occupied { .. } => {
                Report::of(self).hint("wait for it, or see `apm deploy list` and cancel it")
            }
            _ => Report::of(self),
        }
    }
}

/// Runs of one status that are looked through; a project has a few targets, and each has one run at a time.
const BEGUN_MAX: usize = 200;

fn action(order: &Order) -> Action {
    match order {
        Order::Pause => Action::Pause,
        Order::Resume => Action::Resume,
        Order::Cancel => Action::Cancel,
        Order::Skip(_) => Action::Skip,
        Order::Approve(_) => Action::Approve,
        Order::Reject(_) => Action::Reject,
    }
}

/// Where the judge asks: base URLs of a Prometheus and a Loki, with a bearer for both.
pub fn telemetry(prometheus: &str, loki: &str, token: Option<&str>) -> Result<Telemetry, DeskError> {
    let authorization = token.map(base_http::Authorization::bearer);
    let client = Client::new(HttpConfig { authorization, ..HttpConfig::default() });
    Ok(Telemetry::new(client.map_err(|error| DeskError::Told(Report::of(&error)))?, prometheus, loki))
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
    tell: Arc<dyn Tell>,
    holder: String,
    watch: broadcast::Sender<Entry>,
}

impl Desk {
    pub async fn open(options: DeskOptions) -> Result<Desk, DeskError> {
        let told = |error: &(dyn std::error::Error + 'static)| DeskError::Told(Report::of(error));
        let world = options.world;
        let history = SqlHistory::open(&*world.disk, &options.history).await?;
        let key = seal_key(&*world.disk, &*world.random, &options.state_folder).map_err(|error| told(&error))?;
        let seal = Arc::new(Seal::new(&key, Arc::clone(&world.random)).map_err(|error| told(&error))?);
        let found = find(&options.docker, &*world.disk).map_err(|error| told(&error))?;
        let engine = Engine::new(found).map_err(|error| told(&error))?;
        let target =
            DockerTarget::new(engine, Arc::clone(&seal), Arc::clone(&world.clock)).map_err(|error| told(&error))?;
        let telemetry = telemetry(&options.prometheus, &options.loki, options.token.as_deref())?;
        let judge = Arc::new(GateJudge { telemetry, clock: Arc::clone(&world.clock) });
        let (tell, holder) = (options.tell, options.holder);
        Ok(Desk::new(DeskParts { world, history, seal, target: Arc::new(target), judge, tell, holder }))
    }

    pub fn new(parts: DeskParts) -> Desk {
        let DeskParts { world, history, seal, target, judge, tell, holder } = parts;
        let history = Arc::new(history);
        Desk { world, history, seal, target, judge, tell, holder, watch: broadcast::channel(1024).0 }
    }

    /// The same, but what is kept is told to this channel, which may have listeners already.
    pub fn telling(self, watch: broadcast::Sender<Entry>) -> Desk {
        Desk { watch, ..self }
    }

    /// Where secrets are read and written.
    pub fn disk(&self) -> &dyn base_world::Disk {
        &*self.world.disk
    }

    /// Looks at these objects.
    pub(crate) async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        self.target.survey(objects).await
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.world.clock.now_ms()
    }

    /// Who this is, for people.
    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }

    /// Looks at the world and plans; changes nothing.
    pub async fn plan(&self, release: &Release) -> Result<Planned, DeskError> {
        self.plan_labelled(release, BTreeMap::new()).await
    }

    /// The same with more labels.
    pub(crate) async fn plan_labelled(
        &self,
        release: &Release,
        labels: BTreeMap<String, String>,
    ) -> Result<Planned, DeskError> {
        let seen = self.survey(&operate_deploy::objects(release)).await;
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
        // Plans of the same labels are alike; what they took is what this one will take.
        let learnt = self.history.learnt(&plan.labels).await?;
        let mut draft = (*plan).clone();
        estimate(&mut draft, &learnt);
        draft.labels.extend(labels);
        let plan = Plan::new(draft, &seen);
        let findings = lint(&plan, &seen, now_ms);
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

    /// Keeps the plan as a run that anybody may carry out; refused while another run changes the target, so that none is left that
    /// nobody wants. Nobody asked for a role.
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
        let service = planned.plan.labels.get("service").map_or("run", String::as_str);
        let mark = digest(&(planned.plan.id(), self.now_ms(), &self.holder));
        let run = RunId(format!(
            "{service}-{}-{}",
            planned.plan.labels.get("version").map_or("", String::as_str),
            &mark.short()[..6]
        ));
        self.create_named(run.clone(), planned, actor, role, action, reason).await?;
        Ok(run)
    }

    /// The same under a name that must not be taken yet.
    pub(crate) async fn create_named(
        &self,
        run: RunId,
        planned: &Planned,
        actor: &str,
        role: &str,
        action: Action,
        reason: &str,
    ) -> Result<(), DeskError> {
        let critical: Vec<_> =
            planned.findings.iter().filter(|finding| finding.severity == Severity::Critical).cloned().collect();
        if !critical.is_empty() {
            return Err(DeskError::Lint(critical));
        }
        self.nobody_changes(&planned.plan.target).await?;
        let command = Command { order: Order::Resume, actor: actor.to_owned(), reason: reason.to_owned() };
        self.record(actor, role, action, &run, reason).await?;
        self.history.create(&run, &planned.plan, self.now_ms(), &command).await?;
        Ok(())
    }

    /// Carries the run out in this process, from wherever it stands.
    pub async fn execute(&self, run: &RunId) -> Result<Status, DeskError> {
        let executor = Executor {
            history: self.history.clone(),
            target: self.target.clone(),
            judge: self.judge.clone(),
            tell: Arc::clone(&self.tell),
            clock: Arc::clone(&self.world.clock),
            seal: Arc::clone(&self.seal),
            holder: self.holder.clone(),
            settings: Settings::default(),
            watch: self.watch.clone(),
        };
        Ok(executor.run(run).await?)
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
        let (actor, role, why) = (actor.to_owned(), role.to_owned(), why.to_owned());
        let deed = Deed { actor, role, action, run: Some(run.clone()), why };
        self.history.record(self.world.clock.now_ms(), &deed).await?;
        Ok(())
    }

    /// Leaves an order for whoever carries the run out. Nobody asked for a role.
    pub async fn order(&self, run: &RunId, command: Command) -> Result<(), DeskError> {
        self.order_as(run, command, "").await
    }

    /// The same by somebody with a role. It is in the audit log before it is given.
    pub async fn order_as(&self, run: &RunId, command: Command, role: &str) -> Result<(), DeskError> {
        let (plan, state) = self.look(run).await?;
        if let Some(step) = command.order.step().filter(|step| plan.step(step).is_none()) {
            return Err(DeskError::NoStep { run: run.clone(), step: step.0.clone() });
        }
        let status = state.status();
        if status.is_end() || status == Status::RollingBack {
            return Err(DeskError::Ended { run: run.clone(), status });
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
