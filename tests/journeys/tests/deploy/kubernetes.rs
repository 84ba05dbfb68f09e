//! The demo's store on a real Kubernetes: a good version stays, one with errors is noticed by its telemetry and undone, one that never gets ready
//! too, and what is in the cluster afterwards is what was there before, ConfigMap and Secret included.

use std::time::Instant;

use serde_json::Value;
use tests_journeys::{Cluster, http, wait};

use super::customers::{Answer, Customers, hurt};
use super::shop::{BAKE, Ended, Shop, Stage};

/// What a release is made of.
const KINDS: &str = "deployment,service,configmap,secret";

/// The store with its settings in a ConfigMap and a Secret beside it; `{machine}` is where a pod finds this machine.
const MANIFESTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-store}
data:
  PORT: '8080'
  LISTEN: 0.0.0.0
  FEED: http://{machine}:{feed}
  OTEL_EXPORTER_OTLP_ENDPOINT: http://{machine}:{otlp}
  OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf
  OTEL_BSP_SCHEDULE_DELAY: '1000'
  OTEL_BLRP_SCHEDULE_DELAY: '1000'
  OTEL_METRIC_EXPORT_INTERVAL: '5000'
---
apiVersion: v1
kind: Secret
metadata: {name: kube-store}
stringData: {password: correct-horse}
---
apiVersion: v1
kind: Service
metadata: {name: kube-store}
spec: {selector: {app: kube-store}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kube-store}
spec:
  replicas: 2
  selector: {matchLabels: {app: kube-store}}
  template:
    metadata: {labels: {app: kube-store}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: store
        image: journey/store
        imagePullPolicy: Never
        envFrom: [{configMapRef: {name: kube-store}}, {secretRef: {name: kube-store}}]
        readinessProbe: {httpGet: {path: {probe}, port: 8080}, periodSeconds: 1}
";

struct Store<'a> {
    shop: Shop<'a>,
    cluster: &'a Cluster,
}

impl Store<'_> {
    /// The manifests, with this path of the probe.
    fn manifests(&self, probe: &str) {
        let stage = self.shop.stage;
        let port =
            |url: &str| url.rsplit(':').next().map(|port| port.trim_end_matches('/').to_owned()).expect("a port");
        let let_in = |url: &str| self.cluster.let_in(port(url).parse().expect("a port"));
        let (feed, otlp) = (let_in(&stage.feed_url), let_in(&stage.engine.otlp_http));
        let text = MANIFESTS.replace("{machine}", &self.cluster.machine()).replace("{probe}", probe);
        let text = text.replace("{feed}", &feed.to_string()).replace("{otlp}", &otlp.to_string());
        let folder = self.shop.home.path().join("k8s");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("store.yaml"), text).expect("written");
    }

    fn settings(&self, judged: bool) {
        let judge = format!("judge: {{ {BAKE} }}");
        let yaml = format!(
            "project: shop\nservices:\n  kube-store:\n    image: journey/store\n    deploy:\n      target: kubernetes\n      ready: 30s\n      \
             judged: {judged}\n      kubernetes: {{ namespace: default, manifests: [k8s] }}\n{judge}\n"
        );
        std::fs::write(self.shop.home.path().join("apm.yaml"), yaml).expect("the settings can be written");
    }

    fn deploy(&self, words: &[&str]) -> Ended {
        self.shop.deploy_with(words, &[("KUBECONFIG", self.cluster.kubeconfig("admin").display().to_string())])
    }

    fn objects(&self) -> Value {
        objects(self.cluster, "default")
    }

    /// The images of the pods that run.
    fn runs(&self) -> String {
        let path = "jsonpath={.items[*].spec.containers[0].image}";
        self.cluster.kubectl(&[
            "get",
            "pods",
            "-l",
            "app=kube-store",
            "--field-selector",
            "status.phase=Running",
            "-o",
            path,
        ])
    }
}

/// Everything that releases of a namespace are made of, without what the server, its controllers and Helm write.
pub(super) fn objects(cluster: &Cluster, namespace: &str) -> Value {
    let text = cluster.kubectl(&["get", KINDS, "--namespace", namespace, "-o", "json"]);
    let mut list: Value = serde_json::from_str(&text).expect("JSON");
    let items = list["items"].as_array_mut().expect("a list");
    items.retain(|item| item["type"] != "helm.sh/release.v1");
    for item in items {
        item.as_object_mut().expect("an object").remove("status");
        let metadata = item["metadata"].as_object_mut().expect("an object");
        for name in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
            metadata.remove(name);
        }
        if let Some(annotations) = item.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
        }
    }
    list["items"].take()
}

pub(crate) fn a_cluster_is_released_to_judged_and_put_back(stage: &Stage) {
    let store = Store { shop: Shop::new(stage, "kube-store"), cluster: stage.cluster() };
    store.manifests("/readyz");
    store.settings(false);
    let begun = Instant::now();
    store.deploy(&["--version", "1"]).expect(0, &["complete"]);
    stage.note(&format!("kubernetes: the first release, of two pods, took {:.1} s", begun.elapsed().as_secs_f64()));
    store.settings(true);
    let service = store.cluster.kubectl(&["get", "service", "kube-store", "-o", "jsonpath={.spec.clusterIP}"]);
    let url = format!("http://{service}");
    wait::until("the store to answer", 60, || match http::try_get(&format!("{url}/quotes"), &[]) {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let customers = Customers::of(&url);

    // One with errors serves, and its telemetry tells.
    let before = store.objects();
    let begun = Instant::now();
    store.deploy(&["--version", "errors"]).expect(1, &["rolled-back: undone, because", "error"]);
    let took_s = begun.elapsed().as_secs_f64();
    assert_eq!(store.objects(), before, "what is there is not what was there");
    customers.good_answers(20);
    let requests = customers.leave();
    let first = requests.iter().find(|request| request.at >= begun && request.answer == Answer::Error);
    let hurt_s = hurt(&requests, first.map_or(begun, |request| request.at)).unwrap_or_default().as_secs_f64();
    stage.note(&format!(
        "kubernetes errors: undone {took_s:.1} s after it began; {hurt_s:.1} s from the first bad answer to the last"
    ));
    assert!(hurt_s < 60.0, "{hurt_s:.1} s");
    assert!(!store.runs().contains("errors"), "{}", store.runs());

    // One that never gets ready serves nobody.
    let customers = Customers::of(&url);
    let begun = Instant::now();
    store.manifests("/nowhere");
    store.deploy(&["--version", "2"]).expect(1, &["rolled-back", "Readiness probe failed", "404"]);
    assert_eq!(store.objects(), before, "what is there is not what was there");
    // And a good one goes through, noticed by nobody but for a connection to a pod that goes.
    store.manifests("/readyz");
    let good = Instant::now();
    store.deploy(&["--version", "2"]).expect(0, &["complete"]);
    stage.note(&format!("kubernetes: a good release, judged for 60 s, took {:.1} s", good.elapsed().as_secs_f64()));
    let requests = customers.leave();
    let errors = requests.iter().filter(|request| request.at >= begun && request.answer == Answer::Error).count();
    assert_eq!(errors, 0, "customers saw errors of a version that never served, or of a good one");
    assert!(store.runs().split(' ').all(|image| image.ends_with("store:2")), "{}", store.runs());
    let list = store.deploy(&["list"]).expect(0, &["complete", "rolled-back"]).text;
    assert!(!list.contains("correct-horse"), "{list}");

    // Back to the objects that the first version had.
    store.settings(false);
    store.deploy(&["rollback", "--to", "1", "--yes"]).expect(0, &["deploy kube-store 1 to default", "complete"]);
    let config = |objects: &Value, kind: &str| {
        let found = objects
            .as_array()
            .expect("a list")
            .iter()
            .find(|item| item["kind"] == kind && item["metadata"]["name"] == "kube-store");
        found.map(|item| (item["data"].clone(), item["spec"]["template"].clone()))
    };
    for kind in ["ConfigMap", "Secret", "Deployment"] {
        assert_eq!(config(&store.objects(), kind), config(&before, kind), "{kind}");
    }
}
