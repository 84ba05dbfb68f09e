//! Scraping as a timetable of tasks: one a target, each with its own offset, plus the host, containers and the engine itself.
//!
//! What a scrape means (labels, staleness, limits) is `observe/ingest`'s; here are only the timers and the HTTP calls.

mod containers;
mod fetch;
mod finder;
mod host;
mod http_targets;
mod plan;
mod shown;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use app_api::LastScrape;
use app_deploy::{DockerSurroundings, KubeSurroundings};
use base_signal::TenantId;
use base_world::World;
use observe_ingest::scrape::{
    Fetch, Fetched, GlobalConfig, PromDuration, ScrapeConfig, ScrapeJob, ScrapeLoop, TargetGroup,
};
use observe_ingest::self_metrics::{IngestMetrics, Protocol};
use observe_source::{Appended, MetricWrite, SourceError};
use observe_wire::otlp::Signal;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use fetch::HttpFetch;
pub use plan::ScrapePlan;
pub(crate) use shown::Shown;

use crate::settings::ObserveSettings;
use finder::Finder;
use plan::FoundTarget;

/// Takes what nobody waits for.
pub(crate) trait TakeScraped: Send + Sync {
    fn metrics_lazily(&self, tenant: TenantId, write: MetricWrite) -> Result<(), SourceError>;
}

/// Whoever scrapes, as a target of its own.
pub(crate) struct Itself {
    pub(crate) job: &'static str,
    pub(crate) instance: String,
    pub(crate) control: Arc<dyn app_api::Control>,
    /// Where it is told what is scraped.
    pub(crate) shown: Shown,
}

/// Where this machine's own metrics are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// Its root directory where that is not ours: in a container it is mounted somewhere.
    pub(crate) root: Option<PathBuf>,
    /// What it is called where that is not our host's name.
    pub(crate) name: Option<String>,
}

/// What every scraping task needs.
#[derive(Clone)]
pub(crate) struct Scraper {
    pub(crate) world: World,
    pub(crate) sink: Arc<dyn TakeScraped>,
    pub(crate) counters: Arc<IngestMetrics>,
}

impl Scraper {
    fn store(&self, protocol: Protocol, write: MetricWrite) {
        let outcome = Appended { accepted: write.samples.len() as u64, ..Appended::default() };
        match self.sink.metrics_lazily(TenantId::default(), write) {
            Ok(()) => self.counters.appended(Signal::Metrics, protocol, 0, &outcome),
            Err(error) => {
                self.counters.shed(Signal::Metrics);
                tracing::warn!(%error, "scraped metrics were not stored");
            }
        }
    }

    async fn until(&self, due_ms: i64) {
        let wait_ms = due_ms.saturating_sub(self.world.clock.now_ms());
        tokio::time::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))).await;
    }
}

/// A target's task, ended by dropping the sender; then it says that its series ended.
struct Running {
    found: FoundTarget,
    last: Arc<Mutex<Option<LastScrape>>>,
    gone: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// File discovery is looked at this often; Prometheus watches and falls back to five minutes.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(5);

/// Where others than the scrape configuration say what is to be measured.
pub(crate) struct Places {
    pub(crate) docker: DockerSurroundings,
    pub(crate) kube: KubeSurroundings,
    pub(crate) machine: Machine,
}

/// Scrapes until `stop`.
pub(crate) async fn run(
    scraper: Scraper,
    itself: Itself,
    settings: ObserveSettings,
    places: Places,
    mut plans: watch::Receiver<ScrapePlan>,
    mut stop: watch::Receiver<bool>,
) {
    let interval_ms = settings.self_interval.as_millis_i64().max(1000);
    let shown = itself.shown.clone();
    let own_task = tokio::spawn(scrape_own(scraper.clone(), itself, interval_ms));
    let host = host::run(scraper.clone(), places.machine, interval_ms);
    let host_task = settings.host_metrics.then(|| tokio::spawn(host));
    let docker = containers::place(&settings.docker, places.docker);
    let docker_task = docker.map(|place| tokio::spawn(containers::run(scraper.clone(), place, interval_ms)));
    let mut running: HashMap<(String, u64), Running> = HashMap::new();
    let mut told = BTreeSet::new();
    let mut finder = Finder::new(scraper.world.clone(), places.kube);
    finder.take(plans.borrow_and_update().clone());
    while !*stop.borrow() {
        let found = finder.find();
        // Each is told once while it lasts, not at every look.
        for trouble in found.troubles.difference(&told) {
            tracing::warn!("{trouble}");
        }
        told = found.troubles;
        carry_out(&scraper, found.active, &mut running);
        shown.set(running.values(), found.dropped);
        tokio::select! {
            _ = stop.changed() => {}
            changed = plans.changed() => {
                if changed.is_err() {
                    break;
                }
                finder.take(plans.borrow_and_update().clone());
            }
            () = finder.changed() => {}
            () = tokio::time::sleep(DISCOVERY_PERIOD) => finder.look(),
        }
    }
    own_task.abort();
    for task in [host_task, docker_task].into_iter().flatten() {
        task.abort();
    }
    for (_, old) in running {
        old.task.abort();
    }
}

/// Begins, goes on with and ends what is scraped, so that it is these targets.
fn carry_out(scraper: &Scraper, targets: Vec<FoundTarget>, running: &mut HashMap<(String, u64), Running>) {
    let key = |found: &FoundTarget| (found.job.config.job_name.clone(), found.target.hash());
    let mut wanted: HashMap<_, _> = targets.into_iter().map(|found| (key(&found), found)).collect();
    running.retain(|key, running| match wanted.remove(key) {
        Some(found) if found.is_alike(&running.found) => {
            // What is known of it besides may be new.
            running.found = found;
            true
        }
        Some(found) => {
            // The settings of its job changed: it begins anew, without an end marker.
            running.task.abort();
            *running = begin(scraper, found);
            true
        }
        None => {
            // An error means that the task has ended already.
            let _ = running.gone.send(true);
            false
        }
    });
    running.extend(wanted.into_iter().map(|(key, found)| (key, begin(scraper, found))));
}

fn begin(scraper: &Scraper, found: FoundTarget) -> Running {
    let (gone, heard) = watch::channel(false);
    let last = Arc::new(Mutex::new(None));
    let task = tokio::spawn(scrape(scraper.clone(), found.clone(), last.clone(), heard));
    Running { found, last, gone, task }
}

/// One target, for ever or until it is gone.
async fn scrape(
    scraper: Scraper,
    found: FoundTarget,
    last: Arc<Mutex<Option<LastScrape>>>,
    mut gone: watch::Receiver<bool>,
) {
    let FoundTarget { job, target, fetch } = found;
    let interval_ms = target.interval_ms;
    let mut due_ms = target.first_scrape_ms(scraper.world.clock.now_ms(), 0);
    let mut state = ScrapeLoop::new(job, target);
    loop {
        tokio::select! {
            () = scraper.until(due_ms) => {}
            _ = gone.changed() => {
                scraper.store(Protocol::Scrape, state.gone(scraper.world.clock.now_ms()));
                return;
            }
        }
        // The time of the timetable, not of the waking: equal distances make smaller data.
        let start_ns = scraper.world.clock.monotonic_ns();
        let answer = fetch.fetch(&state.request()).await;
        let duration_ns = scraper.world.clock.monotonic_ns().saturating_sub(start_ns);
        let scraped = state.finish(answer.as_ref().map_err(String::as_str), due_ms, duration_ns);
        if let Some(error) = &scraped.error {
            tracing::info!(target = %state.target().url, %error, "a scrape failed");
        }
        *last.lock() =
            Some(LastScrape { at_ms: due_ms, took_s: duration_ns as f64 / 1e9, error: scraped.error.clone() });
        scraper.store(Protocol::Scrape, scraped.write);
        let now_ms = scraper.world.clock.now_ms();
        // After a pause longer than an interval the missed ones are not made up for.
        due_ms += interval_ms * ((now_ms - due_ms) / interval_ms).max(0) + interval_ms;
    }
}

/// The loop of a job that has one target and needs no call over HTTP; `instance` is what a person knows it by.
fn only(job: &str, instance: String, interval_ms: i64) -> Option<ScrapeLoop> {
    let interval = PromDuration { ms: interval_ms };
    let config = ScrapeConfig {
        job_name: job.to_owned(),
        scrape_interval: Some(interval),
        scrape_timeout: Some(interval),
        ..ScrapeConfig::default()
    };
    let made = ScrapeJob::new(&GlobalConfig::default(), &config);
    let made = made.inspect_err(|error| tracing::error!(%error, "{job} cannot be scraped")).ok()?;
    let group = TargetGroup { targets: vec![instance], ..TargetGroup::default() };
    let target = made.targets([&group]).active.into_iter().next()?;
    Some(ScrapeLoop::new(Arc::new(made), target))
}

/// The engine's own metrics, by the way any target's go but for the network.
async fn scrape_own(scraper: Scraper, itself: Itself, interval_ms: i64) {
    let Some(mut state) = only(itself.job, itself.instance, interval_ms) else { return };
    loop {
        let due_ms = scraper.world.clock.now_ms();
        let text = itself.control.metrics_text();
        let answer = Fetched { content_type: "text/plain; version=0.0.4".into(), body: text.into_bytes() };
        scraper.store(Protocol::Scrape, state.finish(Ok(&answer), due_ms, 0).write);
        scraper.until(due_ms + interval_ms).await;
    }
}
