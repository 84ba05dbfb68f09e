//! A namespace of its own for each test on both clusters, a service in it, and releases of that on both as one run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use base_world::World;
use connect_kube::{Choice, Cluster, DeleteOptions, Resource, Surroundings, WriteOptions, find};
use operate_deploy::{ClusterPlan, ClusterRelease, cluster_objects, cluster_objects_left, join_clusters, plan_cluster};
use operate_execute::{Context, Entry, Event, Fence, History as _, Image, RunId, Seal, Status, Target};
use operate_plan::{ObjectId, Plan, lint};
use operate_target_fake::{Kill, Lives};
use operate_target_kube::KubeTarget;
use operate_target_many::ManyTargets;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use serde_json::{Value, json};

pub(crate) const NAMES: [&str; 2] = ["eu", "us"];

/// What of the service is on both clusters, as the journal would record it.
pub(crate) type Objects = Vec<(&'static str, ObjectId, Image)>;

/// What is released: a version, whether its pods on a cluster get ready, and whether the judge refuses it there.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) version: &'static str,
    pub(crate) unready_at: &'static str,
    pub(crate) refused_at: &'static str,
}

impl Wanted {
    pub(crate) fn good(version: &'static str) -> Wanted {
        Wanted { version, unready_at: "", refused_at: "" }
    }
}

/// Who kills an API server has both clusters alone.
static CLUSTERS: RwLock<()> = RwLock::new(());

enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

pub(crate) struct Rig {
    namespace: String,
    pub(crate) lives: Lives,
    runtime: tokio::runtime::Runtime,
    /// Given back last.
    _turn: Turn,
}

fn folder() -> PathBuf {
    let folder = std::env::var_os("APM_TEST_KUBERNETES_TWO")
        .expect("APM_TEST_KUBERNETES_TWO is not set: these tests are run by `cargo xtask journeys connectors`");
    PathBuf::from(folder)
}

fn cluster(name: &str) -> Cluster {
    let kubeconfig = Some(folder().join("apm-cluster").join(name).join("kubeconfig/admin"));
    let world = World::real();
    let choice = Choice { kubeconfig, ..Choice::default() };
    Cluster::new(find(&Surroundings::default(), &choice, &*world.disk).expect("a kubeconfig"), world)
}

/// Does something to the API server of a cluster: `kill` or `start`.
pub(crate) fn api_server(what: &str, name: &str) {
    let done = Command::new("sh").arg(folder().join(what)).arg(name).output().expect("a shell");
    assert!(done.status.success(), "{what} {name}: {}", String::from_utf8_lossy(&done.stderr));
}

fn namespace_at(name: &str) -> connect_kube::ObjectAt {
    Resource::cluster_wide("v1", "Namespace", "namespaces").at("", name)
}

impl Rig {
    pub(crate) fn new(namespace: &str) -> Rig {
        Rig::having(namespace, Turn::Shared(CLUSTERS.read()))
    }

    /// While no other test uses the clusters.
    pub(crate) fn alone(namespace: &str) -> Rig {
        Rig::having(namespace, Turn::Alone(CLUSTERS.write()))
    }

    fn having(namespace: &str, turn: Turn) -> Rig {
        let seal = Arc::new(Seal::new(&[3; 32], World::real().random).expect("a key"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let rig = Rig { namespace: namespace.to_owned(), lives: Lives::new(seal), runtime, _turn: turn };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        for name in NAMES {
            let made = async { cluster(name).apply(&namespace_at(namespace), &body, &WriteOptions::by("test")).await };
            rig.runtime.block_on(made).expect("a namespace");
        }
        rig
    }

    fn kube(&self, name: &str) -> KubeTarget {
        KubeTarget::new(cluster(name), Arc::clone(&self.lives.seal), World::real().clock)
    }

    fn release(&self, name: &str, wanted: Wanted) -> ClusterRelease {
        let meta = json!({"name": "cart", "namespace": self.namespace});
        let mut labels = json!({"app": "cart"});
        if wanted.unready_at == name {
            labels["apm.test/fate"] = Value::from("unready");
        }
        let pod = json!({
            "nodeSelector": {"type": "kwok"}, "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
            "containers": [{"name": "app", "image": format!("cart:{}", wanted.version), "env": [{"name": "WHERE", "value": name}]}],
        });
        let bodies = [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"version": wanted.version, "where": name}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80}]}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 2,
                "selector": {"matchLabels": {"app": "cart"}}, "template": {"metadata": {"labels": labels}, "spec": pod}}}),
        ];
        let items: Vec<Value> = bodies.map(|body| json!({"body": body, "source": "k8s/cart.yaml"})).into();
        // Controllers of an API server that was just killed come back only after their own pauses.
        let ready_ms = if wanted.unready_at.is_empty() { 90_000 } else { 15_000 };
        let release = json!({
            "project": "shop", "service": "cart", "environment": "prod", "version": wanted.version, "context": name,
            "target": format!("kube:{name}/{}", self.namespace), "namespace": self.namespace, "items": items,
            "strategy": "rolling", "ready_ms": ready_ms, "judge": {"fail": wanted.refused_at == name}, "judge_ms": 10_000, "actor": "ann",
        });
        serde_json::from_value(release).expect("a release")
    }

    /// One plan for both.
    pub(crate) fn plan(&self, wanted: Wanted, parallel: usize) -> Plan {
        let now_ms = self.lives.world.clock.now_ms();
        let single = |name: &str| {
            let (release, target) = (self.release(name, wanted), self.kube(name));
            let seen = self.runtime.block_on(async {
                let mut seen = target.survey(&cluster_objects(&release)).await;
                let more = target.survey(&cluster_objects_left(&release, &seen)).await;
                seen.facts.extend(more.facts);
                seen
            });
            let plan = plan_cluster(&release, &seen, now_ms);
            let plan = plan.unwrap_or_else(|refusal| panic!("{name}: {refusal}; {}", refusal.hint()));
            ClusterPlan { name: name.to_owned(), plan, seen }
        };
        let (plan, seen) = join_clusters(&NAMES.map(single), parallel, now_ms).expect("two clusters");
        assert_eq!(lint(&plan, &seen, now_ms), [], "a plan of ours has no findings");
        plan
    }

    /// Carries a plan out to its end; each life but the last ends as its kill says.
    pub(crate) fn carry_out(&self, plan: &Plan, kills: &[Kill]) -> (RunId, Status) {
        let run = RunId(format!("cart-{}", self.lives.world.clock.now_ns()));
        self.begin(&run, plan);
        (run.clone(), self.go_on(&run, kills))
    }

    pub(crate) fn begin(&self, run: &RunId, plan: &Plan) {
        self.lives.create(run, plan).expect("a run");
    }

    pub(crate) fn go_on(&self, run: &RunId, kills: &[Kill]) -> Status {
        let target = || {
            let place = |name: &str| (name.to_owned(), Arc::new(self.kube(name)) as Arc<dyn Target>);
            let places: BTreeMap<String, Arc<dyn Target>> = NAMES.map(place).into();
            Arc::new(ManyTargets::new("both", places)) as Arc<dyn Target>
        };
        self.lives.run(run, kills, target).expect("it was killed in its last life").expect("an end")
    }

    pub(crate) fn deploy(&self, wanted: Wanted, kills: &[Kill]) -> (RunId, Status) {
        self.carry_out(&self.plan(wanted, 1), kills)
    }

    pub(crate) fn objects(&self) -> Objects {
        NAMES.into_iter().flat_map(|name| self.objects_at(name)).collect()
    }

    pub(crate) fn objects_at(&self, name: &'static str) -> Objects {
        let context = Context { run: RunId("look".into()), step: "look".into(), fence: Fence(0) };
        let kinds = ["ConfigMap/cart", "ConfigMap/apm-release-cart", "Service/cart", "Deployment.apps/cart"];
        let ids = kinds.iter().filter_map(|id| id.split_once('/'));
        let ids: Vec<_> = ids.map(|(kind, id)| ObjectId::new(kind, format!("{}/{id}", self.namespace))).collect();
        let target = self.kube(name);
        let image = |id: &ObjectId| self.runtime.block_on(target.image(&context, id)).expect("an image");
        let found = ids.into_iter().map(|id| (name, image(&id), id));
        found.filter(|(_, image, _)| *image != Image::Absent).map(|(name, image, id)| (name, id, image)).collect()
    }

    /// Whether these are what they were, byte for byte but for what the server writes.
    pub(crate) fn same(&self, before: &Objects, now: &Objects) -> Result<(), String> {
        let ids = |all: &Objects| all.iter().map(|(name, id, _)| format!("{name}:{id}")).collect::<Vec<_>>();
        if ids(now) != ids(before) {
            return Err(format!("{:?}, not {:?}", ids(now), ids(before)));
        }
        let target = self.kube("eu");
        let other = before.iter().zip(now).find(|((_, _, was), (_, _, is))| !target.is_same(was, is));
        other.map_or(Ok(()), |(was, is)| Err(format!("{was:?}\nis\n{is:?}")))
    }

    /// Which version each cluster has, by its Deployment.
    pub(crate) fn versions(&self) -> Vec<String> {
        let version = |name: &'static str| {
            let of = |(_, id, image): (&str, ObjectId, Image)| match image {
                Image::Present(value) if id.kind == "Deployment.apps" => {
                    let container = &value["spec"]["template"]["spec"]["containers"][0];
                    let place = container["env"][0]["value"].as_str().unwrap_or_default().to_owned();
                    Some(format!("{place} {}", container["image"].as_str().unwrap_or_default()))
                }
                _ => None,
            };
            self.objects_at(name).into_iter().find_map(of).unwrap_or_default()
        };
        NAMES.map(version).into()
    }

    pub(crate) fn journal(&self, run: &RunId) -> Vec<Entry> {
        let entries = self.runtime.block_on(self.lives.history.entries(run, 0, usize::MAX)).expect("entries");
        assert_eq!(Entry::broken(&entries), None);
        entries
    }

    /// What the end says, and why a step failed.
    pub(crate) fn told(&self, run: &RunId) -> String {
        let told = |entry: &Entry| match &entry.event {
            Event::StepFailed { failure, .. } | Event::UndoFailed { failure, .. } => Some(failure.to_string()),
            Event::Ended { sentence, .. } => Some(sentence.clone()),
            _ => None,
        };
        self.journal(run).iter().filter_map(told).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the journal has such a line.
    pub(crate) fn await_line(&self, run: &RunId, wanted: impl Fn(&Event) -> bool) {
        for _ in 0..2_400 {
            if self.journal(run).iter().any(|entry| wanted(&entry.event)) {
                return;
            }
            self.runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_millis(50)).await });
        }
        panic!("it did not come within two minutes: {:?}", self.journal(run).last());
    }
}

/// Whatever became of the test, its namespaces go.
impl Drop for Rig {
    fn drop(&mut self) {
        for name in NAMES {
            let gone = async {
                cluster(name).delete_if_there(&namespace_at(&self.namespace), &DeleteOptions::default()).await
            };
            let gone = self.runtime.block_on(gone);
            assert!(gone.is_ok() || std::thread::panicking(), "{gone:?}");
        }
    }
}
