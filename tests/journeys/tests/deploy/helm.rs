//! The demo's store as a chart, on a real node: a good version goes through, one with errors and one that never gets ready are undone, a killed `apm` is gone on
//! with, and what a killed helm leaves is repaired. Helm's own program tells the same story.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tests_journeys::{Cluster, http, tools, wait};

use super::customers::Customers;
use super::kubernetes::objects;
use super::shop::{BAKE, Ended, Shop, Stage};

/// Service, release, and what the objects are called.
const NAME: &str = "helm-store";
const NAMESPACE: &str = "charts";

const CHART: &str = "apiVersion: v2\nname: store\nversion: 1.2.3\n";
/// What a chart is given by its own files; the version comes from whoever releases.
const VALUES: &str = "image: {tag: '0'}\nprobe: /readyz\nwait: 0\npassword: correct-horse\n";
/// It says no word of its version to telemetry: that is put in on the way.
const TEMPLATES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: helm-store}
data:
  PORT: '8080'
  LISTEN: 0.0.0.0
  FEED: {{ .Values.feed }}
  VERSION: {{ .Values.image.tag | quote }}
  OTEL_EXPORTER_OTLP_ENDPOINT: {{ .Values.otlp }}
  OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf
  OTEL_BSP_SCHEDULE_DELAY: '1000'
  OTEL_BLRP_SCHEDULE_DELAY: '1000'
  OTEL_METRIC_EXPORT_INTERVAL: '5000'
---
apiVersion: v1
kind: Secret
metadata: {name: helm-store}
stringData: {password: {{ .Values.password }}}
---
apiVersion: v1
kind: Service
metadata: {name: helm-store}
spec: {selector: {app: helm-store}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: helm-store}
spec:
  replicas: 2
  selector: {matchLabels: {app: helm-store}}
  template:
    metadata: {labels: {app: helm-store}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: store
        image: journey/store:{{ .Values.image.tag }}
        imagePullPolicy: Never
        envFrom: [{configMapRef: {name: helm-store}}, {secretRef: {name: helm-store}}]
        readinessProbe: {httpGet: {path: {{ .Values.probe }}, port: 8080}, periodSeconds: 1}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: before
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: wait
        image: journey/store:1
        imagePullPolicy: Never
        command: [sleep, {{ .Values.wait | quote }}]
"#;

struct Store<'a> {
    shop: Shop<'a>,
    cluster: &'a Cluster,
}

impl Store<'_> {
    fn chart(&self) -> PathBuf {
        self.shop.home.path().join("chart")
    }

    fn write_chart(&self) {
        let folder = self.chart();
        std::fs::create_dir_all(folder.join("templates")).expect("a folder");
        for (name, text) in [("Chart.yaml", CHART), ("values.yaml", VALUES), ("templates/all.yaml", TEMPLATES)] {
            std::fs::write(folder.join(name), text).expect("written");
        }
    }

    /// The settings, with more of the chart's values.
    fn settings(&self, judged: bool, set: &str) {
        let stage = self.shop.stage;
        let let_in = |url: &str| {
            let port = url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
            let port = self.cluster.let_in(port.expect("a URL with a port"));
            format!("http://{}:{port}", self.cluster.machine())
        };
        let (feed, otlp) = (let_in(&stage.feed_url), let_in(&stage.engine.otlp_http));
        let yaml = format!(
            "project: shop\nservices:\n  {NAME}:\n    image: journey/store\n    deploy:\n      target: kubernetes\n      ready: 20s\n      \
             judged: {judged}\n      kubernetes:\n        namespace: {NAMESPACE}\n        transform: {{ labels: {{ team: shop }} }}\n        \
             helm:\n          chart: ./chart\n          create_namespace: true\n          \
             set: {{ feed: '{feed}', otlp: '{otlp}', {set} }}\njudge: {{ {BAKE} }}\n"
        );
        std::fs::write(self.shop.home.path().join("apm.yaml"), yaml).expect("the settings can be written");
    }

    fn surroundings(&self) -> [(&'static str, String); 2] {
        let tools = tools::tool("helm").parent().expect("a folder").display().to_string();
        let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
        [("KUBECONFIG", self.cluster.kubeconfig("admin").display().to_string()), ("PATH", path)]
    }

    fn deploy(&self, words: &[&str]) -> Ended {
        self.shop.deploy_with(words, &self.surroundings())
    }

    /// Helm's own program.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(tools::tool("helm"));
        command.args(words).args(["--namespace", NAMESPACE]).env("KUBECONFIG", self.cluster.kubeconfig("admin"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn helm(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("helm can be started");
        assert!(output.status.success(), "helm {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `REVISION STATUS DESCRIPTION` of each revision, as Helm tells them.
    fn history(&self) -> Vec<String> {
        let all: Value = serde_json::from_str(&self.helm(&["history", NAME, "--output", "json"])).expect("JSON");
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let line = |one: &Value| format!("{} {} {}", one["revision"], text(one, "status"), text(one, "description"));
        all.as_array().expect("revisions").iter().map(line).collect()
    }

    /// That the newest revision stands, with this version in its values, and tells this.
    #[track_caller]
    fn stands(&self, version: &str, tells: &str) {
        let history = self.history();
        let newest = history.last().expect("a revision");
        assert!(newest.contains(" deployed ") && newest.contains(tells), "no `{tells}` stands: {history:#?}");
        let standing = history.iter().filter(|line| line.contains(" deployed ")).count();
        assert_eq!(standing, 1, "{history:#?}");
        assert!(self.helm(&["status", NAME]).contains("STATUS: deployed"));
        let values = self.helm(&["get", "values", NAME]);
        assert!(values.contains(&format!("tag: \"{version}\"")), "{values}");
    }

    fn objects(&self) -> Value {
        objects(self.cluster, NAMESPACE)
    }

    fn settled(&self) {
        self.cluster.kubectl(&["rollout", "status", "deployment", NAME, "--namespace", NAMESPACE, "--timeout=60s"]);
    }

    /// Until Helm waits for the hook, which it does after it wrote its record.
    fn is_upgrading(&self) {
        wait::until("helm to be in the middle of its work", 60, || {
            let hook = self.cluster.try_kubectl("admin", &["get", "job", "before", "--namespace", NAMESPACE]);
            let history = self.history();
            let pending = history.last().is_some_and(|line| line.contains(" pending-upgrade "));
            if hook.is_ok() && pending { Ok(()) } else { Err(format!("{hook:?} {history:#?}")) }
        });
    }
}

pub(crate) fn a_chart_is_released_judged_undone_and_repaired(stage: &Stage) {
    let store = Store { shop: Shop::new(stage, NAME), cluster: stage.cluster() };
    let begun = Instant::now();
    store.write_chart();
    store.settings(false, "");
    store.deploy(&["--version", "1"]).expect(0, &["complete"]);
    store.stands("1", "helm-store 1, by apm");
    // What the settings do to manifests, they do to the chart's; a hook stays as it is.
    let manifest = store.helm(&["get", "manifest", NAME]);
    assert!(manifest.contains("team: shop") && manifest.contains("service.version=1"), "{manifest}");
    assert!(!store.helm(&["get", "hooks", NAME]).contains("team: shop"));
    let service = ["get", "service", NAME, "--namespace", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}"];
    let url = format!("http://{}", store.cluster.kubectl(&service));
    wait::until("the store to answer", 60, || match http::try_get(&format!("{url}/quotes"), &[]) {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });

    let customers = Customers::of(&url);
    let before = store.objects();
    an_errant_one_is_undone(&store, &before);
    drop(customers);
    one_that_never_gets_ready_is_undone(&store, &before);
    a_killed_one_is_gone_on_with(&store);
    what_a_killed_helm_leaves_is_repaired(&store);
    an_earlier_one_comes_back(&store);
    let took_s = begun.elapsed().as_secs_f64();
    stage.note(&format!("helm: six releases of a chart, good and bad, took {took_s:.1} s"));
}

/// It serves, and its telemetry tells.
fn an_errant_one_is_undone(store: &Store, before: &Value) {
    let begun = Instant::now();
    store.settings(true, "");
    store.deploy(&["--version", "errors"]).expect(1, &["rolled-back: undone, because", "error"]);
    store.shop.stage.note(&format!("helm errors: undone {:.1} s after it began", begun.elapsed().as_secs_f64()));
    assert_eq!(store.objects(), *before, "what is there is not what was there");
    store.stands("1", "Rollback to 1");
    let history = store.history();
    assert!(history.iter().any(|line| line.contains("helm-store errors, by apm")), "{history:#?}");
}

fn one_that_never_gets_ready_is_undone(store: &Store, before: &Value) {
    store.settings(true, "probe: /nowhere");
    store.deploy(&["--version", "2"]).expect(1, &["rolled-back", "Readiness probe failed", "404"]);
    assert_eq!(store.objects(), *before, "what is there is not what was there");
    store.stands("1", "Rollback to");
}

/// The helm that it started lives on, and makes the revision; whoever goes on with the run makes no second one.
fn a_killed_one_is_gone_on_with(store: &Store) {
    store.settings(false, "wait: 3");
    store.settled();
    let revisions = store.history().len();
    let mut running = store.shop.begin_with(&["--version", "2"], &store.surroundings());
    store.is_upgrading();
    running.kill();
    let killed = Instant::now();
    store.deploy(&["watch"]).expect(0, &["goes on with it", "complete"]);
    store.shop.stage.note(&format!("helm killed: complete {:.1} s after the kill", killed.elapsed().as_secs_f64()));
    store.stands("2", "helm-store 2, by apm");
    assert_eq!(store.history().len(), revisions + 1, "{:#?}", store.history());
}

/// Somebody's helm, killed in the middle: whatever comes next is refused by Helm, and by us unless somebody knows better.
fn what_a_killed_helm_leaves_is_repaired(store: &Store) {
    let chart = store.chart().display().to_string();
    let mut helm =
        store.command(&["upgrade", NAME, &chart, "--reuse-values", "--set", "wait=600"]).spawn().expect("helm");
    store.is_upgrading();
    helm.kill().expect("killed");
    helm.wait().expect("over");
    let hangs = store.history().len();
    let hanging = format!("{NAMESPACE}/{NAME} says pending-upgrade at revision {hangs} since");
    store.deploy(&["status"]).expect(0, &[&hanging, "`apm deploy --repair`", "rollback helm-store"]);
    store.deploy(&["--version", "1"]).expect(4, &["pending-upgrade", "--repair"]);
    store.settings(false, "wait: 0");
    store.deploy(&["--version", "1", "--repair"]).expect(0, &["repair the Helm release", "complete"]);
    store.stands("1", "helm-store 1, by apm");
    let history = store.history();
    assert!(history.get(hangs - 1).is_some_and(|line| line.contains(" failed ")), "{history:#?}");
    let status = store.deploy(&["status"]).expect(0, &["complete"]).text;
    assert!(!status.contains("says pending-"), "{status}");
}

/// The chart as it was then, although it is not there any more.
fn an_earlier_one_comes_back(store: &Store) {
    std::fs::remove_dir_all(store.chart()).expect("removed");
    store.settings(false, "wait: 0, probe: /nowhere");
    store.deploy(&["rollback", "--to", "2", "--yes"]).expect(0, &["deploy helm-store 2 to default", "complete"]);
    store.stands("2", "helm-store 2, by apm");
    store.settled();
    let values = store.helm(&["get", "values", NAME]);
    assert!(!values.contains("nowhere"), "{values}");
    let list = store.deploy(&["list"]).expect(0, &["complete", "rolled-back"]).text;
    assert!(!list.contains("correct-horse"), "{list}");
}
