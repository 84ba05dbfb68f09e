//! The targets of a plan at this moment: those of the file and of files beside it, and those that discoveries find while they run.
//!
//! A discovery belongs to its settings, not to its job: jobs with the same settings share one, and it outlives a reload that keeps them. What is
//! made of a group of targets is kept until the group is another one.

#![expect(
    clippy::mutable_key_type,
    reason = "hashed and compared is what is configured, which does not change; the client beside it does"
)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use app_adapt::Clusters;
use app_api::DroppedTarget;
use app_deploy::KubeSurroundings;
use base_world::World;
use observe_ingest::discovery::kubernetes::KubernetesSdConfig;
use observe_ingest::discovery::{Discover, Group};
use observe_ingest::scrape::{Target, TargetSet};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::http_targets::{HttpSd, HttpTargets};
use super::plan::{FoundTarget, Job, ScrapePlan};

/// The shortest time between two looks at what discoveries have told.
const CHANGES_PERIOD: Duration = Duration::from_millis(300);

/// What was found at one moment.
pub(super) struct Found {
    pub(super) active: Vec<FoundTarget>,
    pub(super) dropped: Vec<DroppedTarget>,
    /// Sentences about what cannot be had.
    pub(super) troubles: BTreeSet<String>,
}

pub(super) struct Finder {
    world: World,
    clusters: Clusters,
    plan: ScrapePlan,
    jobs: Vec<JobTargets>,
    discoveries: HashMap<Wanted, Discovery>,
    changed: Arc<Notify>,
    /// About files.
    troubles: BTreeSet<String>,
}

/// What one job makes of what was found for it.
struct JobTargets {
    job: Job,
    discoveries: Vec<Wanted>,
    fixed: TargetSet,
    /// By discovery and source, with the number of the group it was made of.
    found: HashMap<(usize, Arc<str>), (u64, TargetSet)>,
    /// What the job of this name had before a reload, until its new discoveries have told everything.
    before: Vec<Target>,
}

/// What a discovery is started of.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Wanted {
    Http(Arc<HttpSd>),
    Kubernetes(Box<KubernetesSdConfig>),
}

impl Wanted {
    /// All that a job names, each once.
    fn by(job: &Job) -> HashSet<Wanted> {
        let http = job.http_sd.iter().cloned().map(Wanted::Http);
        let kubernetes = job.job.config.kubernetes_sd_configs.iter().cloned();
        http.chain(kubernetes.map(|config| Wanted::Kubernetes(Box::new(config)))).collect()
    }

    /// Who tells.
    fn name(&self) -> &str {
        match self {
            Wanted::Http(of) => &of.config.url,
            Wanted::Kubernetes(_) => "a Kubernetes cluster",
        }
    }
}

/// A discovery that runs; ends when it is dropped.
struct Discovery {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    groups: HashMap<Arc<str>, (u64, Group)>,
    /// Counts changes: it numbers the groups.
    count: u64,
    complete: bool,
    troubles: BTreeSet<String>,
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Discovery {
    fn start(mut targets: impl Discover + 'static, changed: Arc<Notify>) -> Discovery {
        let state = Arc::new(Mutex::new(State::default()));
        let told = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let changes = targets.next().await;
                let mut state = told.lock();
                state.count += 1;
                let count = state.count;
                for group in changes.groups {
                    let source: Arc<str> = group.source.as_str().into();
                    match group.targets.is_empty() {
                        true => state.groups.remove(&source),
                        false => state.groups.insert(source, (count, group)),
                    };
                }
                // What was told once stays told, whatever happens to the connection.
                state.complete |= changes.complete;
                state.troubles = changes.troubles;
                drop(state);
                changed.notify_one();
            }
        });
        Discovery { state, task }
    }
}

impl Finder {
    pub(super) fn new(world: World, kube: KubeSurroundings) -> Finder {
        Finder {
            clusters: Clusters::new(world.clone(), kube),
            world,
            plan: ScrapePlan::default(),
            jobs: Vec::new(),
            discoveries: HashMap::new(),
            changed: Arc::new(Notify::new()),
            troubles: BTreeSet::new(),
        }
    }

    /// Another plan; discoveries that it has as well go on.
    pub(super) fn take(&mut self, plan: ScrapePlan) {
        let mut old: HashMap<String, JobTargets> =
            self.jobs.drain(..).map(|job| (job.job.job.config.job_name.clone(), job)).collect();
        let mut running = std::mem::take(&mut self.discoveries);
        for job in plan.jobs() {
            let config = &job.job.config;
            let wanted = Wanted::by(job);
            for wanted in &wanted {
                let discovery = self.discoveries.remove(wanted).or_else(|| running.remove(wanted));
                let changed = self.changed.clone();
                let discovery = discovery.unwrap_or_else(|| match wanted {
                    Wanted::Http(of) => Discovery::start(HttpTargets::new(of.clone()), changed),
                    Wanted::Kubernetes(config) => {
                        Discovery::start(self.clusters.discover((**config).clone(), plan.folder()), changed)
                    }
                });
                self.discoveries.insert(wanted.clone(), discovery);
            }
            let before = old.remove(&config.job_name).map(|old| {
                let found = old.found.into_values().flat_map(|(_, set)| set.active);
                found.chain(old.before).collect()
            });
            self.jobs.push(JobTargets {
                job: job.clone(),
                discoveries: wanted.into_iter().collect(),
                fixed: TargetSet::default(),
                found: HashMap::new(),
                before: before.unwrap_or_default(),
            });
        }
        self.plan = plan;
        self.look();
    }

    /// Looks into files anew.
    pub(super) fn look(&mut self) {
        self.troubles.clear();
        for job in &mut self.jobs {
            job.fixed = self.plan.fixed(&job.job.job, &self.world, &mut self.troubles);
        }
    }

    /// Waits until a discovery has told something, and a little while at least: what changes meanwhile is taken over together.
    pub(super) async fn changed(&self) {
        tokio::time::sleep(CHANGES_PERIOD).await;
        self.changed.notified().await;
    }

    pub(super) fn find(&mut self) -> Found {
        let mut found = Found { active: Vec::new(), dropped: Vec::new(), troubles: self.troubles.clone() };
        for job in &mut self.jobs {
            job.renew(&self.discoveries);
            job.tell(&mut found);
        }
        for (wanted, discovery) in &self.discoveries {
            let state = discovery.state.lock();
            found.troubles.extend(state.troubles.iter().map(|why| format!("targets of {}: {why}", wanted.name())));
        }
        found
    }
}

impl JobTargets {
    /// Makes anew what groups that are new, or other ones, mean; forgets those that are gone.
    fn renew(&mut self, discoveries: &HashMap<Wanted, Discovery>) {
        let mut complete = true;
        for (at, config) in self.discoveries.iter().enumerate() {
            let Some(discovery) = discoveries.get(config) else { continue };
            let state = discovery.state.lock();
            complete &= state.complete;
            self.found.retain(|(of, source), _| *of != at || state.groups.contains_key(source));
            for (source, (count, group)) in &state.groups {
                let key = (at, source.clone());
                if self.found.get(&key).is_none_or(|(made_of, _)| made_of != count) {
                    self.found.insert(key, (*count, self.job.job.found(group)));
                }
            }
        }
        if complete {
            self.before = Vec::new();
        }
    }

    fn tell(&self, found: &mut Found) {
        let Job { job, fetch, .. } = &self.job;
        let before = TargetSet { active: self.before.clone(), ..TargetSet::default() };
        let sets = || [&self.fixed, &before].into_iter().chain(self.found.values().map(|(_, set)| set));
        let (active, error) = job.joined(sets());
        found.active.extend(active.into_iter().map(|target| FoundTarget {
            job: job.clone(),
            target: target.clone(),
            fetch: fetch.clone(),
        }));
        found.troubles.extend(error);
        found.troubles.extend(sets().flat_map(|set| set.errors.iter().cloned()));
        let name = &job.config.job_name;
        let dropped = sets().flat_map(|set| &set.dropped);
        found.dropped.extend(dropped.map(|labels| DroppedTarget { job: name.clone(), discovered: labels.clone() }));
    }
}
