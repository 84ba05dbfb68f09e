//! The desk of an engine, for as long as it runs: opened when somebody asks for it, so that a project without deployments pays nothing; runs
//! that are begun here are carried out here, and those that others left are carried on. It plans nothing and knows no API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base_explain::Report;
use base_world::World;
use futures_util::future::BoxFuture;
use operate_execute::{Command, Entry, Event, HistoryError, RunError, RunId, Status, Tell};
use operate_history::Action;
use operate_plan::{Severity, overlaps};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, broadcast, watch};

use crate::cluster::Wanted;
use crate::desk::LAG;
use crate::{
    Asked, Desk, DeskError, DeskOptions, DockerSurroundings, KubeSurroundings, Ledger, Planned, Project, Told,
};

mod asked;
mod given;
mod promotions;

/// How often runs are looked for whose executor is gone; a lease holds as long.
const LOOK: Duration = Duration::from_secs(15);

/// Reads the project's settings, for the named environment or for the usual one.
pub type ReadProject = Box<dyn Fn(Option<&str>) -> Result<Project, Report> + Send + Sync>;

/// Where deployments are kept and what they need.
pub struct KeeperOptions {
    /// A file of SQLite or a `postgres://` URL.
    pub history: String,
    /// `$XDG_STATE_HOME/apm`: the key that seals secrets.
    pub state_folder: PathBuf,
    /// This program, which is started once more as a front.
    pub program: PathBuf,
    pub docker: DockerSurroundings,
    pub kube: KubeSurroundings,
    pub project: ReadProject,
    /// Whose it is: `ann`.
    pub owner: String,
}

/// Opens a desk that tells this channel what it keeps.
type Open = Box<dyn Fn(broadcast::Sender<Entry>) -> BoxFuture<'static, Result<Desk, DeskError>> + Send + Sync>;

/// See the module. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    world: World,
    history: String,
    project: ReadProject,
    /// Where containers send their telemetry, unless their settings say.
    otlp_endpoint: Option<String>,
    /// None in tests, whose containers are on paper.
    docker: Option<DockerSurroundings>,
    /// Where files that were sent are kept.
    state_folder: PathBuf,
    open: Open,
    desk: OnceCell<Desk>,
    live: broadcast::Sender<Entry>,
    /// Runs that this process carries out, with their targets.
    carried: Mutex<BTreeMap<RunId, String>>,
    /// What became of the releases; see [`Keeper::told`].
    ledger: tokio::sync::Mutex<Ledger>,
    told: Mutex<Arc<Vec<Told>>>,
    /// One release is planned and begun at a time: the plan holds what was seen just before.
    beginning: tokio::sync::Mutex<()>,
    /// What was there when files that were sent were last looked through; see [`Keeper::clear`].
    cleared: Mutex<String>,
    stop: watch::Receiver<bool>,
}

/// What people are told while a run goes on.
struct InTheLog;

impl Tell for InTheLog {
    fn tell(&self, run: &RunId, severity: Severity, message: &str) {
        match severity {
            Severity::Critical | Severity::High => tracing::error!(%run, "{message}"),
            Severity::Warning => tracing::warn!(%run, "{message}"),
            Severity::Info => tracing::info!(%run, "{message}"),
        }
    }
}

impl Keeper {
    /// `engine_url` is asked by the judge where the settings name nobody else, with `token`.
    pub fn new(
        world: World,
        options: KeeperOptions,
        engine_url: &str,
        otlp_endpoint: Option<String>,
        token: Option<String>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let KeeperOptions { history, state_folder, program, docker, kube, project, owner } = options;
        let (asked_docker, kept_in) = (docker.clone(), state_folder.clone());
        let project: Arc<ReadProject> = Arc::new(project);
        let (opened_world, place, engine_url, read) =
            (world.clone(), history.clone(), engine_url.to_owned(), Arc::clone(&project));
        let open: Open = Box::new(move |live| {
            let (world, history, state_folder, program, docker) =
                (opened_world.clone(), place.clone(), state_folder.clone(), program.clone(), docker.clone());
            let (engine_url, token, owner, read, kube) =
                (engine_url.clone(), token.clone(), owner.clone(), Arc::clone(&read), kube.clone());
            Box::pin(async move {
                let Project { judge, notify, .. } = read(None).map_err(DeskError::Told)?;
                let options = DeskOptions {
                    world,
                    history,
                    state_folder,
                    program,
                    docker,
                    kube,
                    places: judge.places(engine_url, token),
                    holder: format!("apm {} of {owner}", std::process::id()),
                    tell: Arc::new(InTheLog),
                    notify,
                };
                Desk::open_telling(options, live).await
            })
        });
        let project: ReadProject = Box::new(move |environment| project(environment));
        Keeper::with(world, history, project, otlp_endpoint, (Some(asked_docker), kept_in), open, stop)
    }

    fn with(
        world: World,
        history: String,
        project: ReadProject,
        otlp_endpoint: Option<String>,
        (docker, state_folder): (Option<DockerSurroundings>, PathBuf),
        open: Open,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Keeper(Arc::new(Inner {
            world,
            history,
            project,
            otlp_endpoint,
            docker,
            state_folder,
            open,
            desk: OnceCell::new(),
            live: broadcast::channel(LAG).0,
            carried: Mutex::default(),
            ledger: tokio::sync::Mutex::default(),
            told: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            cleared: Mutex::default(),
            stop,
        }))
    }

    /// The desk, opened if it was not; this makes a history where there is none.
    async fn desk(&self) -> Result<&Desk, DeskError> {
        self.0.desk.get_or_try_init(|| (self.0.open)(self.0.live.clone())).await
    }

    /// The same, but where nothing was ever deployed there is none, and none is made.
    pub async fn desk_if_any(&self) -> Result<Option<&Desk>, DeskError> {
        let inner = &self.0;
        if inner.desk.get().is_none() && !inner.history.contains("://") {
            let there = inner.world.disk.exists(Path::new(&inner.history));
            if !there.map_err(|error| DeskError::Told(Report::of(&error)))? {
                return Ok(None);
            }
        }
        self.desk().await.map(Some)
    }

    /// Carries on what others began and left, until the engine stops.
    pub async fn keep(self) {
        let mut stop = self.0.stop.clone();
        loop {
            if let Err(error) = self.carry_on().await {
                tracing::warn!(error = error.report().one_line(), "runs that were left could not be looked for");
            }
            if let Err(error) = self.clear().await {
                tracing::warn!(error = error.report().one_line(), "files that were sent could not be removed");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Keeps [`Keeper::told`] up, until the engine stops.
    pub async fn count(self) {
        let mut stop = self.0.stop.clone();
        let mut live = self.live();
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::debug!(error = error.report().one_line(), "what became of the releases could not be read");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = an_end(&mut live) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Reads what is new of the releases.
    pub async fn catch_up(&self) -> Result<(), DeskError> {
        let Some(desk) = self.desk_if_any().await? else { return Ok(()) };
        let mut ledger = self.0.ledger.lock().await;
        ledger.catch_up(desk).await?;
        *self.0.told.lock() = Arc::new(ledger.told());
        Ok(())
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.0.world.clock.now_ms()
    }

    /// The releases that are over, in the order of their ends; those of other processes within a quarter of a minute.
    pub fn told(&self) -> Arc<Vec<Told>> {
        self.0.told.lock().clone()
    }

    /// One look. A run that nobody ever took is left alone: whoever made it was told whether it would be carried out.
    async fn carry_on(&self) -> Result<(), DeskError> {
        let Some(desk) = self.desk_if_any().await? else { return Ok(()) };
        for row in desk.begun().await? {
            self.carry(row.run, row.target, false);
        }
        Ok(())
    }

    /// Carries a run out in a task of its own, unless that is done already. `new` are those that somebody here asked for.
    fn carry(&self, run: RunId, target: String, new: bool) {
        use std::collections::btree_map::Entry::Vacant;
        if let Vacant(free) = self.0.carried.lock().entry(run.clone()) {
            free.insert(target);
        } else {
            return;
        }
        let (this, mut stop) = (self.clone(), self.0.stop.clone());
        tokio::spawn(async move {
            // Cut off at any moment, it can be gone on with by whoever comes next.
            tokio::select! {
                () = this.carried(&run, new) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            this.0.carried.lock().remove(&run);
        });
    }

    async fn carried(&self, run: &RunId, new: bool) {
        let ended = match self.desk().await {
            Ok(desk) if new => desk.carry_out(run).await,
            Ok(desk) => taken_over(desk, run).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(status) => tracing::info!(%run, %status, "a run has ended"),
            // Its executor lives.
            Err(DeskError::Run(RunError::Busy { .. })) => {}
            Err(error) => {
                tracing::warn!(%run, error = error.report().one_line(), "a run was let go; it is tried again");
            }
        }
    }

    /// Leaves an order. A run whose undo failed and is to be tried again has nobody who carries it out: it is taken up here.
    pub async fn order(&self, run: &RunId, command: Command, role: &str) -> Result<(), DeskError> {
        let no_run = || DeskError::History(HistoryError::NoRun(run.clone()));
        let desk = self.desk_if_any().await?.ok_or_else(no_run)?;
        desk.order_as(run, command, role).await?;
        let (plan, state) = desk.look(run).await?;
        if state.status() == Status::Failed {
            self.carry(run.clone(), plan.target.clone(), true);
        }
        Ok(())
    }

    /// A plan of what is asked for; changes nothing.
    pub async fn plan(&self, asked: &Asked, environment: Option<&str>) -> Result<Planned, DeskError> {
        let desk = self.desk().await?;
        desk.plan_wanted(&self.wanted(desk, asked, environment).await?).await
    }

    /// Settings and secrets are read anew each time: what is in the files now is what is deployed.
    async fn wanted(&self, desk: &Desk, asked: &Asked, environment: Option<&str>) -> Result<Wanted, DeskError> {
        let project = self.project(environment)?;
        desk.wanted(&project, &self.reachable(asked)).await.map_err(DeskError::Settings)
    }

    fn project(&self, environment: Option<&str>) -> Result<Project, DeskError> {
        (self.0.project)(environment).map_err(DeskError::Settings)
    }

    /// With where containers send their telemetry.
    fn reachable(&self, asked: &Asked) -> Asked {
        let mut asked = asked.clone();
        asked.otlp_endpoint = asked.otlp_endpoint.or_else(|| self.0.otlp_endpoint.clone());
        asked
    }

    /// Plans, keeps the run, and begins to carry it out in a task of its own.
    pub async fn begin(
        &self,
        asked: &Asked,
        environment: Option<&str>,
        role: &str,
        action: Action,
    ) -> Result<RunId, DeskError> {
        let _one = self.0.beginning.lock().await;
        let desk = self.desk().await?;
        let wanted = match action {
            Action::Rollback => desk.wanted_before(&self.project(environment)?, &self.reachable(asked)).await?,
            _ => self.wanted(desk, asked, environment).await?,
        };
        // Before it is planned: of a target that somebody changes nothing can be said.
        self.free(desk, &wanted.target()).await?;
        let planned = desk.plan_wanted(&wanted).await?;
        let run = desk.create_as(&planned, &asked.actor, role, action, &asked.reason).await?;
        self.carry(run.clone(), planned.plan.target.clone(), true);
        Ok(run)
    }

    async fn free(&self, desk: &Desk, target: &str) -> Result<(), DeskError> {
        // One that was begun here a moment ago may not be in the history as running yet.
        let ours = self.0.carried.lock().iter().find(|(_, held)| overlaps(held, target)).map(|(run, _)| run.clone());
        match ours {
            Some(run) => Err(DeskError::Occupied { target: target.to_owned(), run, status: Status::Running }),
            None => desk.free(target).await,
        }
    }

    /// Entries of runs that this process carries out, as they are kept.
    pub fn live(&self) -> broadcast::Receiver<Entry> {
        self.0.live.subscribe()
    }
}

/// Returns when a run of this process is over; never, once there are no more.
async fn an_end(live: &mut broadcast::Receiver<Entry>) {
    loop {
        match live.recv().await {
            Ok(Entry { event: Event::Ended { .. }, .. }) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Goes on with a run, and writes into the audit log that it does once it has it.
async fn taken_over(desk: &Desk, run: &RunId) -> Result<Status, DeskError> {
    let mut live = desk.watch();
    let execute = desk.carry_out(run);
    tokio::pin!(execute);
    loop {
        tokio::select! {
            biased;
            entry = live.recv() => match entry {
                Ok(Entry { run: of, event: Event::Taken { holder, .. }, .. }) if of == *run => {
                    let record = async {
                        let why = "nobody carried it out any more";
                        if let Err(error) = desk.record(&holder, "", Action::Takeover, run, why).await {
                            tracing::warn!(%run, error = error.report().one_line(), "the audit log does not know who goes on");
                        }
                    };
                    // Side by side: the run may hold what the record waits for.
                    return tokio::join!(record, &mut execute).1;
                }
                Err(broadcast::error::RecvError::Closed) => return execute.await,
                _ => {}
            },
            ended = &mut execute => return ended,
        }
    }
}

#[cfg(test)]
mod tests;
