//! The life of a collector: the same ways in as an engine's, and behind them queues instead of stores.

mod lane;
mod own;
mod pods;
mod send;
mod settings;
mod token;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use app_api::{Bodies, Collector, Control, Deliveries, Intake, Tokens};
use app_deploy::{DockerSurroundings, KubeSurroundings};
use base_explain::Report;
use base_http::{Client, HttpConfig};
use base_world::{FolderLock, World};
use observe_ingest::self_metrics::IngestMetrics;
use observe_ingest::tail::TailSettings;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use settings::{CollectSettings, Each, ForwardSettings};
pub use token::TokenFrom;

use crate::listen::bind;
use crate::scrape::{self, Itself, Machine, Places, ScrapePlan, Scraper, Shown};
use crate::settings::Settings;
use crate::start::{NotStarted, lock};
use lane::Lanes;
use own::Own;
use send::Destination;
use settings::{QUEUE_SIZE_MIN, Routes};
use token::Token;

/// For bodies on their way to the disk, where nothing is set: a collector keeps nothing in memory.
const MEMORY_BYTES: u64 = 128 << 20;
/// After a stop: how long what waits may still be sent.
const LAST_SENDING: Duration = Duration::from_secs(5);

/// What is needed to start.
pub struct CollectOptions {
    pub settings: Settings,
    pub forward: ForwardSettings,
    pub collect: CollectSettings,
    pub data_dir: PathBuf,
    /// What senders must show; without any, whoever reaches the ports may send.
    pub tokens: Tokens,
    /// What we show where it goes.
    pub token: TokenFrom,
    pub scrape: ScrapePlan,
    /// Reads the files again; an error leaves everything as it was.
    pub reload: Box<dyn Fn() -> Result<ScrapePlan, Report> + Send + Sync>,
    pub docker: DockerSurroundings,
    pub kube: KubeSurroundings,
}

/// A collector that runs.
pub struct Collecting {
    pub url: String,
    pub otlp_grpc: Option<String>,
    pub otlp_http: Option<String>,
    /// The name of each way out and its URL.
    pub ways: Vec<(&'static str, String)>,
    lanes: Arc<Lanes>,
    own: Arc<Own>,
    stop: watch::Sender<bool>,
    /// Those that take in.
    tasks: JoinSet<()>,
    stop_sending: watch::Sender<bool>,
    sending: JoinSet<()>,
    _lock: FolderLock,
}

/// Starts; returns when it takes what is sent.
pub async fn collect(options: CollectOptions) -> Result<Collecting, NotStarted> {
    let world = World::real();
    let CollectOptions { settings, forward, collect, data_dir, tokens, token, scrape, reload, docker, kube } = options;
    let routes = Routes::of(&forward).map_err(NotStarted::Refused)?;
    if collect.queue_size.0 < QUEUE_SIZE_MIN {
        let report = Report::new(format!("the queue size is under {} MB", QUEUE_SIZE_MIN >> 20));
        return Err(report.hint("set a size such as 1GB: what waits is on the disk, not in memory").into());
    }
    let token = Arc::new(Token::new(token, world.clone()).map_err(NotStarted::Refused)?);
    // Nothing can be read or ordered here, so an address beyond loopback needs no token: who gives one means it.
    let server = &settings.server;
    let main = bind("health and metrics", "--listen", &server.listen, true).await?;
    let grpc = bind("OTLP over gRPC", "--otlp-grpc", &server.otlp_grpc, true).await?;
    let http = bind("OTLP over HTTP", "--otlp-http", &server.otlp_http, true).await?;
    let lock = lock(&world, &data_dir)?;
    let url = |listener: &Option<TcpListener>| -> Result<Option<String>, Report> {
        let address = listener.as_ref().map(TcpListener::local_addr).transpose().map_err(|error| Report::of(&error))?;
        Ok(address.map(|address| format!("http://{address}")))
    };
    let (main_url, grpc_url, http_url) = (url(&main)?.unwrap_or_default(), url(&grpc)?, url(&http)?);

    let memory_bytes = settings.observe.memory.map_or(MEMORY_BYTES, |size| size.0);
    let counters = Arc::new(IngestMetrics::default());
    let opened = Arc::new(OnceLock::new());
    let (plan, plans) = watch::channel(scrape);
    let tailed = Arc::default();
    let own = Arc::new(Own {
        world: world.clone(),
        started_ms: world.clock.now_ms(),
        lanes: opened.clone(),
        queue_bytes_max: collect.queue_size.0,
        counters: counters.clone(),
        tailed: Arc::clone(&tailed),
        shown: Shown::default(),
        plan,
        reload,
    });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    // While the queues are read the main port already says that it is not ready.
    let gate = app_api::Gate::default();
    if let Some(main) = main {
        tasks.spawn(app_api::serve(main, gate.router(), server.connections(), stopped.clone()));
    }
    let lanes = {
        let (world, folder, routes, bytes) =
            (world.clone(), data_dir.join("queue"), routes.clone(), collect.queue_size.0);
        tokio::task::spawn_blocking(move || Lanes::open(&world, &folder, &routes, bytes)).await
    };
    let lanes = Arc::new(lanes.map_err(|error| Report::new("opening the queues failed").because(error.to_string()))??);
    let _ = opened.set(lanes.clone());

    let (stop_sending, stopped_sending) = watch::channel(false);
    let mut sending = JoinSet::new();
    let client = Client::new(HttpConfig::default()).map_err(|e| Report::of(&e))?;
    for (way, url) in &routes.urls {
        let destination = Destination { client: client.clone(), url: url.clone(), token: token.clone() };
        sending.spawn(send::run(lanes.clone(), *way, destination, stopped_sending.clone()));
    }

    let faces = Collector {
        intake: Intake {
            sink: lanes.clone(),
            clock: world.clock.clone(),
            counters: counters.clone(),
            bodies: Bodies::new(server.bodies(memory_bytes)),
            deliveries: Deliveries::default(),
            tenancy: server.tenancy,
        },
        control: own.clone(),
        tokens: (!tokens.is_empty()).then_some(tokens),
    };
    gate.open(faces.router());
    if let Some(listener) = grpc {
        tasks.spawn(app_api::serve(listener, faces.otlp_grpc_router(), server.connections(), stopped.clone()));
    }
    if let Some(listener) = http {
        tasks.spawn(app_api::serve(listener, faces.otlp_http_router(), server.connections(), stopped.clone()));
    }
    if routes.has(observe_forward::Way::RemoteWrite) {
        let name = collect.node.clone();
        let instance = name.clone().unwrap_or_else(|| main_url.trim_start_matches("http://").to_owned());
        let itself = Itself { job: "apm-collect", instance, control: own.clone(), shown: own.shown.clone() };
        let machine = Machine { root: collect.host_root.clone(), name };
        let places = Places { docker, kube: kube.clone(), machine };
        let scraper = Scraper { world: world.clone(), sink: lanes.clone(), counters: counters.clone() };
        let observe = settings.observe.clone();
        tasks.spawn(scrape::run(scraper, itself, observe, places, plans, stopped.clone()));
    }
    if let Some(folder) = &collect.pod_logs {
        let settings = TailSettings {
            folder: folder.clone(),
            node_name: collect.node.clone().unwrap_or_default(),
            multiline: collect.multiline.clone(),
            ..TailSettings::default()
        };
        let tail = pods::open(&world, settings, &kube, &data_dir.join("pod-logs"))?;
        tasks.spawn(pods::run(tail, lanes.clone(), tailed, stopped.clone()));
    }
    tasks.spawn(crate::memory::give_back(world.clone(), memory_bytes, stopped));
    let ways = routes.urls.iter().map(|(way, url)| (way.as_str(), url.clone())).collect();
    let (otlp_grpc, otlp_http) = (grpc_url, http_url);
    Ok(Collecting {
        url: main_url,
        otlp_grpc,
        otlp_http,
        ways,
        lanes,
        own,
        stop,
        tasks,
        stop_sending,
        sending,
        _lock: lock,
    })
}

impl Collecting {
    /// Reads the configuration again; an error leaves everything as it was.
    pub async fn reload(&self) -> Result<(), String> {
        self.own.reload().await
    }

    /// Takes nothing more, sends what waits as long as it is taken, and leaves the rest on the disk for the next start.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
        let _ = self.stop_sending.send(true);
        let sent = async { while self.sending.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_SENDING, sent).await.is_err() {
            tracing::info!("not all that waits could be sent; the next start goes on with it");
        }
        let lanes = self.lanes.clone();
        if tokio::task::spawn_blocking(move || lanes.close()).await.is_err() {
            tracing::error!("closing the queues failed; the next start reads them again");
        }
    }
}
