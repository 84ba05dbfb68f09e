//! A namespace of its own for each test, a service in it, and releases of that.

use std::path::PathBuf;
use std::sync::Arc;

use base_world::World;
use connect_kube::{Choice, Cluster, DeleteOptions, Resource, Surroundings, WriteOptions, find};
use operate_deploy::{
    ClusterRelease, Item, Refusal, Secret, Strategy, cluster_findings, cluster_object, cluster_objects,
    cluster_objects_left, cluster_surroundings, plan_cluster,
};
use operate_execute::{Context, Entry, Event, Fence, History as _, Image, RunId, Seal, Status, Target};
use operate_plan::{Finding, Inventory, ObjectId, Plan};
use operate_target_fake::{Kill, Lives};
use operate_target_kube::{Helm, KubeTarget, PostRenderer, secret_name};
use serde_json::{Value, json};

pub(crate) struct Rig {
    pub(crate) namespace: String,
    pub(crate) lives: Lives,
    /// On pretended nodes, whose pods are ready at once.
    pretended: bool,
    /// Who releases: a user of the cluster's kubeconfigs.
    pub(crate) user: &'static str,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Rig {
    /// On the real node.
    pub(crate) fn new(namespace: &str) -> Rig {
        Rig::on(namespace, false)
    }

    pub(crate) fn pretended(namespace: &str) -> Rig {
        Rig::on(namespace, true)
    }

    fn on(namespace: &str, pretended: bool) -> Rig {
        let seal = Arc::new(Seal::new(&[3; 32], World::real().random).expect("a key"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let rig = Rig { namespace: namespace.to_owned(), lives: Lives::new(seal), pretended, user: "admin", runtime };
        rig.make(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        rig
    }

    /// Where the cluster of these tests keeps what it is.
    pub(crate) fn folder() -> std::path::PathBuf {
        let folder = std::env::var("APM_TEST_KUBERNETES")
            .expect("APM_TEST_KUBERNETES is not set: these tests are run by `cargo xtask journeys connectors`");
        std::path::Path::new(&folder).join("apm-cluster/apm")
    }

    pub(crate) fn cluster() -> Cluster {
        Rig::cluster_of("admin")
    }

    fn cluster_of(user: &str) -> Cluster {
        let kubeconfig = Rig::folder().join("kubeconfig").join(user);
        let choice = Choice { kubeconfig: Some(kubeconfig), ..Choice::default() };
        let world = World::real();
        let found = find(&Surroundings::default(), &choice, &*world.disk).expect("a kubeconfig");
        Cluster::new(found, world)
    }

    /// Where `cargo xtask tools` puts what it gets.
    pub(crate) fn tools() -> PathBuf {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let tools = variable("APM_TOOLS")
            .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("apm-tools")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/apm-tools")));
        tools.expect("a place of the tools")
    }

    pub(crate) fn helm() -> Helm {
        let program = Rig::tools().join("bin/helm");
        let kubeconfig = Some(Rig::folder().join("kubeconfig/admin"));
        let words = vec!["--file".into()];
        let post_renderer = Some(PostRenderer { program: "/usr/bin/sed".into(), words });
        Helm { program, kubeconfig, context: None, folder: Rig::folder().join("helm"), post_renderer }
    }

    fn target_of(user: &str, seal: &Arc<Seal>) -> KubeTarget {
        KubeTarget::new(Rig::cluster_of(user), Arc::clone(seal), World::real().clock).with_helm(Rig::helm())
    }

    pub(crate) fn target(&self) -> KubeTarget {
        Rig::target_of(self.user, &self.lives.seal)
    }

    pub(crate) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Somebody else makes or changes an object.
    pub(crate) fn make(&self, body: &Value) {
        let target = self.target();
        let id = cluster_object(body);
        let plural = format!("{}s", body["kind"].as_str().expect("a kind").to_ascii_lowercase());
        let (version, kind) = (body["apiVersion"].as_str().expect("a version"), body["kind"].as_str().expect("a kind"));
        let resource = match id.name.contains('/') {
            true => Resource::namespaced(version, kind, &plural),
            false => Resource::cluster_wide(version, kind, &plural),
        };
        let (namespace, name) = id.name.split_once('/').unwrap_or(("", &id.name));
        let at = resource.at(namespace, name);
        let applied = async { Rig::cluster().apply(&at, body, &WriteOptions::by("somebody").forced()).await };
        self.runtime.block_on(applied).expect("it can be made");
        drop(target);
    }

    fn meta(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace})
    }

    /// A ConfigMap, a Secret, a Service and a Deployment of two pods that serve.
    pub(crate) fn release(&self, version: &str) -> ClusterRelease {
        let serves = "echo $MODE > /tmp/index.html; exec httpd -f -p 8080 -h /tmp";
        let mut pod = json!({
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": "apm.test/busybox:1", "command": ["sh", "-c", serves],
                "env": [{"name": "VERSION", "value": format!("version-{version}")}],
                "envFrom": [{"configMapRef": {"name": "cart"}}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}],
        });
        if self.pretended {
            pod["nodeSelector"] = json!({"type": "kwok"});
            pod["tolerations"] = json!([{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]);
        }
        let labels = json!({"app": "cart"});
        let bodies = [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.meta("cart"), "data": {"MODE": format!("v{version}")}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": self.meta("cart"), "type": "Opaque"}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": self.meta("cart"),
                "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self.meta("cart"), "spec": {
                "replicas": 2, "selector": {"matchLabels": labels}, "progressDeadlineSeconds": 60,
                "template": {"metadata": {"labels": labels}, "spec": pod}}}),
        ];
        let mut items = bodies.map(|body| Item { body, secrets: Default::default(), source: "k8s/cart.yaml".into() });
        let id = cluster_object(&items[1].body);
        // `correct-horse`, as a Secret has it.
        let encoded = "Y29ycmVjdC1ob3JzZQ==";
        let sealed = self.lives.seal.seal(&secret_name(&id, "/data/password"), encoded.as_bytes()).expect("sealed");
        let mark = self.lives.seal.mark(format!("{encoded}{version}").as_bytes());
        items[1].secrets.insert("/data/password".into(), Secret { sealed, mark });
        ClusterRelease {
            project: "shop".into(),
            service: "cart".into(),
            environment: "dev".into(),
            version: version.into(),
            target: format!("kube:test/{}", self.namespace),
            context: String::new(),
            namespace: self.namespace.clone(),
            items: items.into(),
            helm: None,
            strategy: Strategy::Rolling,
            canary: None,
            route: Default::default(),
            ready_ms: 60_000,
            gate: None,
            judge: Some(json!({})),
            arrival: None,
            judge_ms: 10_000,
            approval: None,
            calendar: Default::default(),
            adopt: false,
            force_conflicts: false,
            force: false,
            prune: true,
            actor: "ann".into(),
            reason: String::new(),
        }
    }

    pub(crate) fn survey(&self, release: &ClusterRelease) -> Inventory {
        self.runtime.block_on(async {
            let target = self.target();
            let mut seen = target.survey(&cluster_objects(release)).await;
            let more = target.survey(&cluster_objects_left(release, &seen)).await;
            seen.facts.extend(more.facts);
            seen
        })
    }

    pub(crate) fn plan(&self, release: &ClusterRelease) -> Result<Plan, Refusal> {
        plan_cluster(release, &self.survey(release), self.lives.world.clock.now_ms())
    }

    /// What is told before the release begins.
    pub(crate) fn findings(&self, release: &ClusterRelease) -> Vec<Finding> {
        let around = self.runtime.block_on(async { self.target().survey(&cluster_surroundings(release)).await });
        cluster_findings(release, &self.survey(release), &around)
    }

    /// Plans and runs to the end; each life but the last ends as its kill says.
    pub(crate) fn deploy(&self, release: &ClusterRelease, kills: &[Kill]) -> (RunId, Status) {
        let plan = self.plan(release).unwrap_or_else(|refusal| panic!("{refusal}; {}", refusal.hint()));
        let run = RunId(format!("cart-{}-{}", release.version, self.lives.world.clock.now_ns()));
        let (seal, user) = (&self.lives.seal, self.user);
        self.lives.create(&run, &plan).expect("a run");
        let ended = self.lives.run(&run, kills, || Arc::new(Rig::target_of(user, seal)));
        (run, ended.expect("it was killed in its last life").expect("an end"))
    }

    /// What of the service is in the cluster, as the journal would record it and a restore would compare it.
    pub(crate) fn objects(&self) -> Vec<(ObjectId, Image)> {
        let context = Context { run: RunId("look".into()), step: "look".into(), fence: Fence(0) };
        let target = Rig::target_of("admin", &self.lives.seal);
        let names = ["cart", "cart-blue", "cart-green", "cart-canary", "old", "extra", "apm-release-cart"];
        let kinds = ["ConfigMap", "Secret", "Service", "Deployment.apps", "helm"];
        let ids = kinds.iter().flat_map(|kind| names.iter().map(move |name| (kind, name)));
        self.runtime.block_on(async {
            let mut found = Vec::new();
            for (kind, name) in ids {
                let id = ObjectId::new(*kind, format!("{}/{name}", self.namespace));
                match target.image(&context, &id).await.expect("an image") {
                    Image::Absent => {}
                    image => found.push((id, image)),
                }
            }
            found
        })
    }

    pub(crate) fn image(&self, id: &ObjectId) -> Image {
        let context = Context { run: RunId("look".into()), step: "look".into(), fence: Fence(0) };
        self.runtime.block_on(self.target().image(&context, id)).expect("an image")
    }

    /// Whether everything is what it was, byte for byte but for what the server writes.
    pub(crate) fn is_as(&self, before: &[(ObjectId, Image)]) -> Result<(), String> {
        let now = self.objects();
        let ids = |all: &[(ObjectId, Image)]| all.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
        if ids(&now) != ids(before) {
            return Err(format!("{:?}, not {:?}", ids(&now), ids(before)));
        }
        let target = self.target();
        let other = before.iter().zip(&now).find(|((_, was), (_, is))| !target.is_same(was, is));
        other.map_or(Ok(()), |(was, is)| Err(format!("{was:?}\nis\n{is:?}")))
    }

    pub(crate) fn journal(&self, run: &RunId) -> Vec<Entry> {
        let entries = self.runtime.block_on(self.lives.history.entries(run, 0, usize::MAX)).expect("entries");
        assert_eq!(Entry::broken(&entries), None);
        let text = serde_json::to_string(&entries).expect("JSON");
        assert!(!text.contains("correct-horse") && !text.contains("Y29ycmVjdC1ob3JzZQ"), "the journal holds a secret");
        entries
    }

    /// Why a step failed, as people are told.
    pub(crate) fn reason(&self, run: &RunId) -> String {
        let told = |entry: &Entry| match &entry.event {
            Event::StepFailed { failure, .. } => Some(failure.to_string()),
            _ => None,
        };
        self.journal(run).iter().find_map(told).unwrap_or_default()
    }
}

/// Whatever became of the test, its namespace goes.
impl Drop for Rig {
    fn drop(&mut self) {
        let at = Resource::cluster_wide("v1", "Namespace", "namespaces").at("", &self.namespace);
        let gone = async { Rig::cluster().delete_if_there(&at, &DeleteOptions::default()).await };
        let gone = self.runtime.block_on(gone);
        assert!(gone.is_ok() || std::thread::panicking(), "{gone:?}");
    }
}
