//! The life of an engine: ports taken, folder locked, stores opened, faces opened, and all of it ended in turn.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use app_api::{Api, Bodies, Deliveries, Queries, Tokens, Watchers};
use app_deploy::{Keeper, KeeperOptions};
use base_explain::Report;
use base_world::{DiskErrorKind, FolderLock, World};
use observe_ingest::self_metrics::IngestMetrics;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::deployments::Deploying;
use crate::engine::{Engine, SharedEvents, SharedMetrics};
use crate::listen::bind;
use crate::own::Own;
use crate::registry::{EngineEntry, Registration, register};
use crate::rules::{self, Evaluator};
use crate::scrape::{self, Itself, Machine, Places, ScrapePlan, Scraper};
use crate::seen::Seen;
use crate::settings::Settings;
use crate::sink::{EngineSink, Resumed, resume};

/// Each holds a connection open; half of those that a listener usually takes.
const WATCHERS_MAX: usize = 1000;

/// What is needed to start.
pub struct Options {
    pub settings: Settings,
    pub data_dir: PathBuf,
    /// Where engines say that they run; `$XDG_STATE_HOME`.
    pub state_home: PathBuf,
    pub tokens: Tokens,
    /// The scrape configuration, read and checked.
    pub scrape: ScrapePlan,
    /// Reads the files again; an error leaves everything as it was.
    pub reload: Box<dyn Fn() -> Result<ScrapePlan, Report> + Send + Sync>,
    /// What releases need that are asked for over the API.
    pub deploy: KeeperOptions,
    /// Whether the demo's services are beside it; only said on the page.
    pub demo: bool,
}

/// An engine that runs.
pub struct Running {
    pub entry: EngineEntry,
    engine: Arc<OnceLock<Engine>>,
    own: Arc<Own>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    _registration: Registration,
    _lock: FolderLock,
}

/// Why an engine did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// It could have, and may not: it would stand open to others.
    Refused(Report),
    /// Something is missing, taken or broken.
    Broken(Report),
}

impl From<Report> for NotStarted {
    fn from(report: Report) -> Self {
        NotStarted::Broken(report)
    }
}

/// Starts; returns when the engine is ready.
pub async fn start(options: Options) -> Result<Running, NotStarted> {
    let world = World::real();
    let Options { settings, data_dir, state_home, tokens, scrape, reload, deploy, demo } = options;
    let server = &settings.server;
    let has_token = !tokens.is_empty();
    // Ports first: a taken one is the commonest reason not to start, and costs nothing to find.
    let main = bind("the page and its APIs", "--listen", &server.listen, has_token).await?;
    let Some(main) = main else {
        return Err(Report::new("`--listen off` leaves no way to ask anything").hint("give an address").into());
    };
    let grpc = bind("OTLP over gRPC", "--otlp-grpc", &server.otlp_grpc, has_token).await?;
    let http = bind("OTLP over HTTP", "--otlp-http", &server.otlp_http, has_token).await?;
    let lock = lock(&world, &data_dir)?;
    let url = |listener: &TcpListener| -> Result<String, Report> {
        let address = listener.local_addr().map_err(|error| Report::of(&error))?;
        Ok(format!("http://{address}"))
    };
    let entry = EngineEntry {
        pid: std::process::id(),
        url: url(&main)?,
        otlp_grpc: grpc.as_ref().map(url).transpose()?,
        otlp_http: http.as_ref().map(url).transpose()?,
        data_dir: data_dir.clone(),
        project: settings.project.clone(),
        started_at_ms: world.clock.now_ms(),
    };

    let memory_bytes = settings.memory_bytes();
    let counters = Arc::new(IngestMetrics::default());
    let seen = Arc::new(Seen::default());
    let engine = Arc::new(OnceLock::new());
    let (plan, plans) = watch::channel(scrape);
    let own = Arc::new(Own::new(
        world.clone(),
        entry.clone(),
        settings.clone(),
        engine.clone(),
        counters.clone(),
        seen.clone(),
        plan,
        reload,
        demo,
    ));
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();

    // While the logs are replayed the main port already says that it is not ready.
    let gate = app_api::Gate::default();
    tasks.spawn(app_api::serve(main, gate.router(), server.connections(), stopped.clone()));

    let opened = {
        let (world, data_dir, settings) = (world.clone(), data_dir.clone(), settings.clone());
        let open = move || -> Result<(Engine, Resumed), Report> {
            let engine = Engine::open(&world, &data_dir, &settings)?;
            let resumed = resume(&engine, world.clock.now_ms())?;
            Ok((engine, resumed))
        };
        tokio::task::spawn_blocking(open).await
    };
    let (opened, resumed) =
        opened.map_err(|error| Report::new("opening the data folder failed").because(error.to_string()))??;
    let deliveries = Deliveries::new(resumed.delivered.clone());
    let sink = Arc::new(EngineSink::new(resumed, world.clock.clone(), seen, engine.clone()));
    let places = Places { docker: deploy.docker.clone(), kube: deploy.kube.clone(), machine: Machine::default() };
    let keeper = Keeper::new(
        world.clone(),
        deploy,
        &entry.url,
        entry.otlp_http.clone(),
        tokens.for_looking().map(str::to_owned),
        stopped.clone(),
    );
    let api = Api {
        metrics: Arc::new(SharedMetrics(opened.metrics.clone())),
        logs: Arc::new(SharedEvents(opened.events.clone())),
        spans: Arc::new(SharedEvents(opened.events.clone())),
        sink: sink.clone(),
        control: own.clone(),
        insides: own.clone(),
        deployments: Arc::new(Deploying(keeper.clone())),
        watchers: Watchers::new(WATCHERS_MAX, stopped.clone()),
        clock: world.clock.clone(),
        counters: counters.clone(),
        bodies: Bodies::new(server.bodies(memory_bytes)),
        deliveries,
        queries: Queries::new(server.queries(memory_bytes)),
        tokens,
        tenancy: server.tenancy,
    };
    if engine.set(opened).is_err() {
        return Err(Report::new("the engine was opened twice").into());
    }
    gate.open(api.router());
    if let Some(listener) = grpc {
        tasks.spawn(app_api::serve(listener, api.otlp_grpc_router(), server.connections(), stopped.clone()));
    }
    if let Some(listener) = http {
        tasks.spawn(app_api::serve(listener, api.otlp_http_router(), server.connections(), stopped.clone()));
    }
    // Set once: this is the only place.
    let _ = own.keeper.set(keeper.clone());
    tasks.spawn(keeper.clone().count());
    tasks.spawn(keeper.keep());
    let scraper = Scraper { world: world.clone(), sink, counters };
    let stopped_too = stopped.clone();
    let itself = Itself { job: "apm", instance: own.address(), control: own.clone(), shown: own.shown.clone() };
    let evaluator = Evaluator {
        world: world.clone(),
        engine: engine.clone(),
        told: own.rules.clone(),
        external_url: entry.url.clone(),
        queries: api.queries.clone(),
    };
    tasks.spawn(rules::run(evaluator, plans.clone(), stopped.clone()));
    tasks.spawn(scrape::run(scraper, itself, settings.observe.clone(), places, plans, stopped));
    tasks.spawn(crate::memory::give_back(world.clone(), memory_bytes, stopped_too));
    let registration = register(&world, &state_home, &entry)?;
    Ok(Running { entry, engine, own, stop, tasks, _registration: registration, _lock: lock })
}

impl Running {
    /// Reads the configuration again; an error leaves everything as it was.
    pub async fn reload(&self) -> Result<(), String> {
        use app_api::Control;
        self.own.reload().await
    }

    /// Ends listeners, then requests, then writers; what was accepted is on disk when this returns.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
        let engine = self.engine.clone();
        let closed = tokio::task::spawn_blocking(move || {
            if let Some(engine) = engine.get() {
                engine.close();
            }
        });
        if closed.await.is_err() {
            tracing::error!("closing the data folder failed; the next start replays the log");
        }
    }
}

pub(crate) fn lock(world: &World, data_dir: &std::path::Path) -> Result<FolderLock, Report> {
    let hint = "give another folder with --data";
    world.disk.create_folder(data_dir).map_err(|error| Report::of(&error).hint(hint))?;
    world.disk.lock_folder(data_dir).map_err(|error| match error.kind {
        DiskErrorKind::LockedBy { pid } => {
            let holder = pid.map_or_else(|| "another engine".to_owned(), |pid| format!("another engine (pid {pid})"));
            Report::new(format!("the data folder {} is in use", data_dir.display()))
                .because(format!("{holder} runs on it"))
                .hint("use that one, stop it, or give another folder with --data")
        }
        _ => Report::of(&error).hint(hint),
    })
}
