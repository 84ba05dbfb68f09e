//! Kubernetes clusters as what `observe/ingest` discovers targets in: each kind of object is watched once, whoever wants it, and every discovery
//! is fed from there. What objects mean is not known here.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base_world::World;
use connect_kube::{
    Change, Choice, Cluster, Found, KubeError, Resource, Secret, ServerLogin, Surroundings, Watch, WatchOptions, find,
};
use observe_ingest::discovery::kubernetes::{KubernetesSdConfig, Object, View, Want};
use observe_ingest::discovery::{Changes, Discover};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How often a cluster is looked for that cannot be found: a kubeconfig may come.
const LOOK: Duration = Duration::from_secs(10);
/// A change is told after this time, with those that came meanwhile.
const SETTLE: Duration = Duration::from_millis(100);
/// Attempts before an interruption is worth a word: a server that restarts is back by then.
const SILENT_ATTEMPTS: u32 = 4;

/// The clusters that discoveries look at. Cheap to clone; clones share their watches.
#[derive(Clone)]
pub struct Clusters(Arc<Inner>);

struct Inner {
    world: World,
    surroundings: Surroundings,
    clusters: Mutex<HashMap<KubernetesSdConfig, Cluster>>,
    watches: Mutex<HashMap<(KubernetesSdConfig, Want), Weak<Shared>>>,
}

/// A watch that goes on as long as anyone holds it.
struct Shared {
    joining: mpsc::UnboundedSender<Listener>,
    task: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A discovery, and which of its wants the watch is for.
struct Listener {
    want: usize,
    to: mpsc::UnboundedSender<(usize, Heard)>,
}

#[derive(Clone)]
enum Heard {
    Object(String, Option<Arc<Object>>),
    Listed,
    /// The server answers again, or what is wrong.
    Trouble(Option<String>),
}

impl Clusters {
    pub fn new(world: World, surroundings: Surroundings) -> Clusters {
        let (clusters, watches) = Default::default();
        Clusters(Arc::new(Inner { world, surroundings, clusters, watches }))
    }

    /// Begins to look; what cannot be had is told as a trouble of the first changes. `folder`: to which paths of the configuration are relative.
    pub fn discover(&self, config: KubernetesSdConfig, folder: &Path) -> KubernetesTargets {
        KubernetesTargets {
            clusters: self.clone(),
            config: at(&config, folder),
            running: None,
            waits: false,
            told: Changes::default(),
        }
    }

    /// The cluster that a configuration means; its handle is shared, so that one login does for all.
    fn cluster(&self, place: &KubernetesSdConfig) -> Result<Cluster, KubeError> {
        if let Some(cluster) = self.0.clusters.lock().get(place) {
            return Ok(cluster.clone());
        }
        let cluster = Cluster::new(self.found(place)?, self.0.world.clone());
        self.0.clusters.lock().insert(place.clone(), cluster.clone());
        Ok(cluster)
    }

    fn found(&self, place: &KubernetesSdConfig) -> Result<Found, KubeError> {
        let (inner, disk) = (&*self.0, &*self.0.world.disk);
        if !place.kubeconfig_file.is_empty() {
            let choice = Choice { kubeconfig: Some(PathBuf::from(&place.kubeconfig_file)), ..Choice::default() };
            return find(&inner.surroundings, &choice, disk);
        }
        if !place.api_server.is_empty() {
            return Found::by_hand(&place.api_server, "kubernetes_sd_configs", login(place), &inner.surroundings);
        }
        // The pod we run in, whatever kubeconfig there may be.
        let pod = Surroundings { kubeconfig: None, home: None, ..inner.surroundings.clone() };
        find(&pod, &Choice::default(), disk)
    }

    fn watch(&self, place: &KubernetesSdConfig, cluster: &Cluster, want: &Want) -> Arc<Shared> {
        let mut watches = self.0.watches.lock();
        watches.retain(|_, watch| watch.strong_count() > 0);
        let key = (place.clone(), want.clone());
        if let Some(shared) = watches.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        let (version, kind, plural, namespaced) = want.kind.resource();
        let resource = match namespaced {
            true => Resource::namespaced(version, kind, plural),
            false => Resource::cluster_wide(version, kind, plural),
        };
        let options =
            WatchOptions { labels: want.labels.clone(), fields: want.fields.clone(), ..WatchOptions::default() };
        let kind = want.kind;
        let make = move |object: serde_json::Value| Arc::new(Object::read(kind, &object));
        let watch = cluster.watch(&resource, want.namespace.as_deref(), options, make);
        let (joining, joined) = mpsc::unbounded_channel();
        let task = tokio::spawn(share(watch, joined)).abort_handle();
        let shared = Arc::new(Shared { joining, task });
        watches.insert(key, Arc::downgrade(&shared));
        shared
    }
}

/// Which cluster, and who we are there, with paths made whole: what discoveries must have in common to share a watch.
fn place(config: &KubernetesSdConfig) -> KubernetesSdConfig {
    KubernetesSdConfig {
        role: None,
        namespaces: Default::default(),
        selectors: Vec::new(),
        attach_metadata: Default::default(),
        ..config.clone()
    }
}

fn at(config: &KubernetesSdConfig, folder: &Path) -> KubernetesSdConfig {
    let mut config = config.clone();
    let tls = &mut config.tls_config;
    let mut paths = vec![
        &mut config.kubeconfig_file,
        &mut config.bearer_token_file,
        &mut tls.ca_file,
        &mut tls.cert_file,
        &mut tls.key_file,
    ];
    paths.extend(config.authorization.as_mut().map(|authorization| &mut authorization.credentials_file));
    for path in paths.into_iter().filter(|path| !path.is_empty()) {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
    config
}

fn login(config: &KubernetesSdConfig) -> ServerLogin {
    let path = |path: &str| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    let (authorization, tls) = (config.authorization.as_ref(), &config.tls_config);
    let token = authorization.and_then(|given| given.credentials.as_ref()).or(config.bearer_token.as_ref());
    let file = authorization.map(|given| given.credentials_file.as_str()).and_then(path);
    ServerLogin {
        token: token.map(|token| Secret::new(token.expose())),
        token_file: file.or(path(&config.bearer_token_file)),
        basic: config.basic_auth.as_ref().map(|basic| (basic.username.clone(), Secret::new(basic.password.expose()))),
        authority_file: path(&tls.ca_file),
        identity_files: path(&tls.cert_file).zip(path(&tls.key_file)),
        server_name: Some(tls.server_name.clone()).filter(|name| !name.is_empty()),
        insecure: tls.insecure_skip_verify,
    }
}

/// Tells every listener what the watch sees; one that joins later is told all there is first.
async fn share(mut watch: Watch<Arc<Object>>, mut joined: mpsc::UnboundedReceiver<Listener>) {
    let mut listeners: Vec<Listener> = Vec::new();
    let (mut listed, mut trouble) = (false, None);
    loop {
        let change = tokio::select! {
            listener = joined.recv() => {
                let Some(listener) = listener else { return };
                let known = watch.all().map(|(_, object)| Heard::Object(object.key(), Some(object.clone())));
                let end = listed.then_some(Heard::Listed).into_iter().chain([Heard::Trouble(trouble.clone())]);
                if known.chain(end).all(|heard| listener.to.send((listener.want, heard)).is_ok()) {
                    listeners.push(listener);
                }
                continue;
            }
            change = watch.next() => change,
        };
        let wrong = match &change {
            Ok(Change::Interrupted { attempt, .. }) if *attempt <= SILENT_ATTEMPTS => continue,
            Ok(Change::Interrupted { error, .. }) | Err(error) => Some(told(error)),
            Ok(_) => None,
        };
        let mut heard = Vec::new();
        if wrong != trouble {
            trouble.clone_from(&wrong);
            heard.push(Heard::Trouble(wrong));
        }
        match change {
            Ok(Change::Added(key) | Change::Modified(key, _)) => {
                // It may be gone already, which is told next.
                let object = watch.get(&key).cloned();
                heard.extend(object.map(|object| Heard::Object(object.key(), Some(object))));
            }
            Ok(Change::Deleted(key, _)) => heard.push(Heard::Object(key.to_string(), None)),
            Ok(Change::Listed) => {
                listed = true;
                heard.push(Heard::Listed);
            }
            Ok(Change::Interrupted { .. }) | Err(_) => {}
        }
        for heard in heard {
            listeners.retain(|listener| listener.to.send((listener.want, heard.clone())).is_ok());
        }
    }
}

fn told(error: &KubeError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// The targets that one `kubernetes_sd_config` finds.
pub struct KubernetesTargets {
    clusters: Clusters,
    config: KubernetesSdConfig,
    running: Option<Running>,
    /// The last look found no cluster.
    waits: bool,
    /// Completeness and troubles as they were told last.
    told: Changes,
}

struct Running {
    view: View,
    heard: mpsc::UnboundedReceiver<(usize, Heard)>,
    troubles: BTreeMap<usize, String>,
    /// Something was heard and not told yet.
    heard_some: bool,
    /// Held so that they go on.
    _watches: Vec<Arc<Shared>>,
}

impl KubernetesTargets {
    fn begin(&self) -> Result<Running, String> {
        let place = place(&self.config);
        let cluster = self.clusters.cluster(&place).map_err(|error| told(&error))?;
        let own = &cluster.found().namespace;
        let view = View::new(&self.config, Some(own)).map_err(|error| error.to_string())?;
        let (to, heard) = mpsc::unbounded_channel();
        let mut watches = Vec::new();
        for (want, wanted) in view.wants().iter().enumerate() {
            let shared = self.clusters.watch(&place, &cluster, wanted);
            // Its task ends only with the last of those who hold it.
            let _ = shared.joining.send(Listener { want, to: to.clone() });
            watches.push(shared);
        }
        Ok(Running { view, heard, troubles: BTreeMap::new(), heard_some: false, _watches: watches })
    }
}

impl Running {
    fn take(&mut self, (want, heard): (usize, Heard)) {
        let kind = self.view.wants().get(want).map(|wanted| wanted.kind);
        match (heard, kind) {
            (Heard::Object(key, object), Some(kind)) => self.view.see(kind, &key, object),
            (Heard::Listed, _) => self.view.listed(want),
            (Heard::Trouble(Some(why)), _) => drop(self.troubles.insert(want, why)),
            (Heard::Trouble(None), _) => drop(self.troubles.remove(&want)),
            (Heard::Object(..), None) => {}
        }
    }
}

impl Discover for KubernetesTargets {
    async fn next(&mut self) -> Changes {
        loop {
            if self.waits {
                tokio::time::sleep(LOOK).await;
                self.waits = false;
            }
            if self.running.is_none() {
                match self.begin() {
                    Ok(running) => self.running = Some(running),
                    Err(why) => {
                        self.waits = true;
                        let told = Changes { troubles: [why].into(), ..Changes::default() };
                        if told != self.told {
                            self.told = told.clone();
                            return told;
                        }
                    }
                }
            }
            let Some(running) = &mut self.running else { continue };
            if !running.heard_some {
                let Some(first) = running.heard.recv().await else {
                    self.running = None;
                    continue;
                };
                running.take(first);
                running.heard_some = true;
            }
            tokio::time::sleep(SETTLE).await;
            while let Ok(more) = running.heard.try_recv() {
                running.take(more);
            }
            running.heard_some = false;
            let groups = running.view.drain();
            let troubles = running.troubles.values().cloned().collect();
            let told = Changes { groups: Vec::new(), complete: running.view.is_complete(), troubles };
            if !groups.is_empty() || told != self.told {
                self.told = told.clone();
                return Changes { groups, ..told };
            }
        }
    }
}

#[cfg(test)]
mod tests;
