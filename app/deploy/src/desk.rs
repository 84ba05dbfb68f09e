//! The desk at which releases are asked for, carried out and ordered about. It holds what all of them share: history, seal, engine, judge.

mod error;
mod planning;
mod rehearsal;
mod runs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app_adapt::{ArrivalJudge, Checks, FrontProcess, GateJudge, ImageJudge, OpenCluster, Places, Telemetry};
use base_explain::Report;
use base_world::World;
use connect_docker::{Engine, Surroundings, find};
use connect_registry::{DockerLogins, Login};
use operate_deploy::Release;
use operate_execute::{
    Begun, Command, Deliver, Entry, Executor, Fence, Filter, History, Judge, Lease, NewRun, Order, RunError, RunId,
    RunRow, Seal, Settings, Status, Target, Tell,
};
use operate_history::{Action, Deed, SqlHistory, seal_key};
use operate_plan::{Finding, Inventory, ObjectId, Plan, Severity, digest, overlaps, sites};
use operate_target_docker::DockerTarget;
use operate_target_kube::{Helm, KubeTarget};
use operate_target_many::ManyTargets;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::cluster::{Clusters, Wanted, context_of};
use crate::evidence::Kept;
use crate::notify::Notifier;
use crate::pin::{Registries, pinned};
use crate::{Asked, NotifySettings, Project};

pub use error::DeskError;

/// Where everything is.
pub struct DeskOptions {
    pub world: World,
    /// A file of SQLite or a `postgres://` URL.
    pub history: String,
    /// `$XDG_STATE_HOME/apm`: the key that seals secrets, and the control sockets of fronts.
    pub state_folder: PathBuf,
    /// This program, which is started once more as a front.
    pub program: PathBuf,
    pub docker: Surroundings,
    /// Where a kubeconfig is looked for.
    pub kube: connect_kube::Surroundings,
    /// Whom the judge asks.
    pub places: Places,
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
    pub clusters: Clusters,
    pub tell: Arc<dyn Tell>,
    pub holder: String,
    pub receivers: Vec<Arc<dyn Deliver>>,
    /// Where fronts have their control sockets.
    pub fronts: PathBuf,
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

pub(crate) fn deed(actor: &str, role: &str, action: Action, run: &RunId, why: &str) -> Deed {
    let (actor, role, why) = (actor.to_owned(), role.to_owned(), why.to_owned());
    Deed { actor, role, action, run: Some(run.clone()), why }
}

/// Where the judge asks: base URLs of a Prometheus and a Loki, with a bearer for both.
pub fn telemetry(places: &Places) -> Result<Telemetry, DeskError> {
    Telemetry::new(places).map_err(|error| DeskError::Told(Report::of(&error)))
}

/// A release as it would be carried out.
pub struct Planned {
    pub plan: Plan,
    pub findings: Vec<Finding>,
}

/// See the module.
pub struct Desk {
    pub(crate) world: World,
    pub history: Arc<SqlHistory>,
    pub seal: Arc<Seal>,
    pub(crate) target: Arc<dyn Target>,
    judge: Arc<dyn Judge>,
    registries: Arc<dyn Registries>,
    pub(crate) clusters: Clusters,
    /// For looks at what the judge looked at; none where nobody said where telemetry is.
    pub(crate) telemetry: Option<Telemetry>,
    tell: Arc<dyn Tell>,
    holder: String,
    fronts: PathBuf,
    /// This program, which Helm starts once more.
    pub(crate) program: PathBuf,
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
        let target = DockerTarget::new(engine.clone(), Arc::clone(&seal), Arc::clone(&world.clock))
            .map_err(|error| told(&error))?;
        let target = target.with_logins(Arc::clone(&logins) as Arc<dyn Login>);
        let asking = connect_registry::Options { head_max: REGISTRY_HEAD_MAX, ..Default::default() };
        let registries = connect_registry::Client::new(logins, Arc::clone(&world.clock), asking);
        let registries = Arc::new(registries.map_err(|error| told(&error))?);
        let kept = Arc::new(Kept { history: history.clone(), clock: Arc::clone(&world.clock) });
        let (reports, tell) = (Arc::clone(&kept), Arc::clone(&options.tell));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let images = Some(ImageJudge { engine, world: world.clone(), reports, tell, version });
        let target = target.keeping(kept);
        let target =
            target.with_fronts(Arc::new(FrontProcess { program: options.program.clone(), disk: world.disk.clone() }));
        let telemetry = telemetry(&options.places)?;
        let looks = telemetry.clone();
        let checks = Checks::new().map_err(|error| told(&error))?;
        let clusters = Clusters { world: world.clone(), surroundings: options.kube };
        let (known, sealed) = (clusters.clone(), Arc::clone(&seal));
        let open: OpenCluster = Arc::new(move |context| known.target(context, &sealed));
        let arrivals = Some(ArrivalJudge { open, tell: Arc::clone(&options.tell) });
        let clock = Arc::clone(&world.clock);
        let judge = Arc::new(GateJudge { telemetry, checks, images, arrivals, clock });
        let receivers = options.notify.iter().map(|one| one.receiver(&*world.disk)).collect::<Result<_, _>>();
        let (tell, holder, receivers) = (options.tell, options.holder, receivers.map_err(DeskError::Settings)?);
        let (target, fronts) = (Arc::new(target), options.state_folder.join("fronts"));
        let parts =
            DeskParts { world, history, seal, target, judge, registries, clusters, tell, holder, receivers, fronts };
        let mut desk = Desk::new(parts, watch);
        desk.telemetry = Some(looks);
        desk.program = options.program;
        Ok(desk)
    }

    /// Must be made within a runtime: receivers are told by tasks of their own.
    pub fn new(parts: DeskParts, watch: broadcast::Sender<Entry>) -> Desk {
        let DeskParts { world, history, seal, target, judge, registries, clusters, tell, holder, receivers, fronts } =
            parts;
        let history = Arc::new(history);
        let notifier = Notifier::new(&history, &world.clock, &receivers, &watch);
        let held = Mutex::default();
        Desk {
            world,
            history,
            seal,
            target,
            judge,
            registries,
            clusters,
            telemetry: None,
            tell,
            holder,
            fronts,
            program: PathBuf::from("apm"),
            watch,
            held,
            notifier,
        }
    }

    /// What is asked for as a release; secrets are sealed here and are never in clear after it.
    pub fn release(&self, project: &Project, asked: &Asked) -> Result<Release, Report> {
        project.release(asked, &self.seal, &*self.world.disk, &self.fronts)
    }

    /// What is asked for on whatever the service runs on.
    pub async fn wanted(&self, project: &Project, asked: &Asked) -> Result<Wanted, Report> {
        if !project.is_on_cluster(asked)? {
            return Ok(Wanted::Containers(Box::new(self.release(project, asked)?)));
        }
        Ok(Wanted::on_clusters(self.fleet(project, asked, true).await?))
    }

    /// What a plan's target is carried out on.
    pub(crate) fn target_of(&self, target: &str) -> Result<Arc<dyn Target>, DeskError> {
        let sites = sites(target);
        if sites.is_empty() {
            return match context_of(target) {
                Some(context) => Ok(Arc::new(self.cluster_target(context)?.0)),
                None => Ok(Arc::clone(&self.target)),
            };
        }
        let mut places: BTreeMap<String, Arc<dyn Target>> = BTreeMap::new();
        for site in sites {
            places.insert(site.name, self.target_of(&site.lease)?);
        }
        Ok(Arc::new(ManyTargets::new(target, places)))
    }

    /// A cluster as a target, and the program for releases of Helm on it.
    pub(crate) fn cluster_target(&self, context: &str) -> Result<(KubeTarget, Helm), DeskError> {
        let target = self.clusters.target(context, &self.seal).map_err(DeskError::Settings)?;
        let server = self.clusters.open(context).map_err(DeskError::Settings)?.found().server.clone();
        let helm = self.helm(context, &server);
        Ok((target.with_helm(helm.clone()), helm))
    }

    /// Where this user's keys, sockets and locks are.
    pub(crate) fn state_folder(&self) -> &Path {
        self.fronts.parent().unwrap_or(&self.fronts)
    }

    /// Looks at these objects of the engine.
    pub(crate) async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        self.target.survey(objects).await
    }

    /// The release with the image that its tag is now, and what is to be said about it.
    pub(crate) async fn pinned(&self, release: &Release) -> Result<(Release, Option<Finding>), DeskError> {
        pinned(release, &*self.target, &*self.registries).await
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.world.clock.now_ms()
    }

    /// Who this is, for people.
    pub(crate) fn holder(&self) -> &str {
        &self.holder
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
        let now_ms = self.now_ms();
        let command = Command { order: Order::Resume, actor: actor.to_owned(), reason: reason.to_owned() };
        let (new, target) = (NewRun { run: &run, plan: &planned.plan, command: &command }, planned.plan.target.clone());
        let deed = deed(actor, role, action, &run, reason);
        let lease_ms = Settings::default().lease_ms;
        match self.history.begin_as(new, now_ms, &self.holder, lease_ms, Some(deed)).await? {
            Begun::Got(fence) => self.held.lock().insert(run.clone(), fence),
            Begun::Held { holder, until_ms } => return Err(RunError::Busy { target, holder, until_ms }.into()),
            Begun::Occupied { run, status } => return Err(DeskError::Occupied { target, run, status }),
        };
        Ok(())
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
        let plan = self.history.plan(run).await?;
        let executor = self.executor(&plan.target)?;
        let held = self.held.lock().remove(run);
        Ok(match held {
            Some(fence) => executor.run_begun(run, fence).await?,
            None => executor.run(run).await?,
        })
    }

    fn executor(&self, target: &str) -> Result<Executor, DeskError> {
        Ok(Executor {
            history: self.history.clone(),
            target: self.target_of(target)?,
            judge: self.judge.clone(),
            tell: Arc::clone(&self.tell),
            clock: Arc::clone(&self.world.clock),
            seal: Arc::clone(&self.seal),
            holder: self.holder.clone(),
            settings: Settings::default(),
            watch: self.watch.clone(),
        })
    }

    /// Entries of runs that this process carries out, as they are kept.
    pub fn watch(&self) -> broadcast::Receiver<Entry> {
        self.watch.subscribe()
    }

    /// Refuses a target that a run has not done with: begun, by whomever, and not ended.
    pub async fn free(&self, target: &str) -> Result<(), DeskError> {
        match self.begun().await?.into_iter().find(|row| overlaps(&row.target, target)) {
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
}
