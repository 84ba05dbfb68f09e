//! `apm` inside a real cluster, by its chart and the real Helm: the engine keeps, the collector on the node gathers what pods write, show and send, what the
//! kubelet measures of them, and may do no more than it needs; and all of it goes away again.

mod conform;

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use tests_journeys::{Cluster, Dockerd, engine, http, tools, wait};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/charts/apm");
const GATHERED_S: u64 = 120;

/// A volume on the node: nothing in this cluster makes one.
const VOLUME: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: journey}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: journey
  local: {path: {folder}}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]}]}}
";

/// Pods that show a metric, write lines, and send a span to their node. The first is there before the collector, the second comes after it.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: shop
  labels: {app: demo}
  annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '8080', prometheus.io/path: /metrics.txt}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: talk
    image: apm.test/busybox:1
    env:
    - {name: NODE_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    command:
    - sh
    - -c
    - |
      mkdir /www; echo 'demo_answer 42' >/www/metrics.txt; httpd -p 8080 -h /www
      now=$(date +%s)
      body='{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"{name}\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0af7651916cd43dd8448eb211c8031{id}\",\"spanId\":\"b7ad6b7169203331\",\"name\":\"hello\",\"kind\":2,\"startTimeUnixNano\":\"'$now'000000000\",\"endTimeUnixNano\":\"'$now'500000000\"}]}]}]}'
      until wget -q -O /www/answer --header 'Content-Type: application/json' --post-data \"$body\" http://$NODE_IP:4318/v1/traces 2>/www/refused; do sleep 1; done
      i=0; while true; do i=$((i+1)); echo \"{name} says $i\"; sleep 1; done
";

fn pod(name: &str) -> String {
    // Each has a trace of its own.
    POD.replace("{name}", name).replace("{id}", if name == "early" { "01" } else { "02" })
}

struct Stage {
    cluster: Cluster,
    image: String,
    /// Stands for the node's disk: the volume, and what the collector keeps.
    disk: tempfile::TempDir,
}

impl Stage {
    fn helm(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(tools::tool("helm"));
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig("admin")).args(words);
        ended(&mut command)
    }

    fn apm(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(engine::apm());
        command.env("KUBECONFIG", self.cluster.kubeconfig("admin")).args(words);
        ended(&mut command)
    }

    /// What both need to know.
    fn sets(&self) -> String {
        let queue = self.disk.path().join("queue");
        let sets = "imagePullPolicy=Never,engine.storage.className=journey,collector.queueFolder";
        format!("image={},{sets}={}", self.image, queue.display())
    }

    /// The engine's address with a token that may look.
    fn engine(&self) -> String {
        let address =
            self.cluster.kubectl(&["get", "service", "-n", "apm", "apm-engine", "-o", "jsonpath={.spec.clusterIP}"]);
        let token = self.token("viewer");
        format!("http://viewer:{token}@{address}:4300")
    }

    fn token(&self, role: &str) -> String {
        let words = ["get", "secret", "-n", "apm", "apm-tokens", "-o", "go-template={{.data.tokens | base64decode}}"];
        let lines = self.cluster.kubectl(&words);
        let token = lines.lines().find_map(|line| line.strip_prefix(role));
        token.expect("a line of each role").trim().to_owned()
    }

    /// What is in the namespace, as `kind/name`.
    fn left(&self) -> Vec<String> {
        let kinds = "all,secret,configmap,serviceaccount,networkpolicy,poddisruptionbudget,pvc";
        let names = self.cluster.kubectl(&["get", kinds, "-n", "apm", "-o", "name"]);
        let wide = "clusterrole,clusterrolebinding,mutatingwebhookconfiguration";
        let wide = self.cluster.kubectl(&["get", wide, "-l", "app.kubernetes.io/part-of=apm", "-o", "name"]);
        names.lines().chain(wide.lines()).map(str::to_owned).collect()
    }

    fn wait_until_gone(&self) {
        let left = ["configmap/kube-root-ca.crt", "serviceaccount/default", "persistentvolumeclaim/data-apm-engine-0"];
        wait::until("all but the claim to be gone", 60, || {
            let now = self.left();
            if now == left { Ok(()) } else { Err(now) }
        });
    }
}

fn ended(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// The series of an instant query.
fn series(engine: &str, query: &str) -> Vec<Value> {
    let Ok(reply) = http::try_get(&format!("{engine}/api/v1/query"), &[("query", query)]) else { return Vec::new() };
    reply.json()["data"]["result"].as_array().cloned().unwrap_or_default()
}

fn wait_for_series(engine: &str, query: &str) -> Value {
    wait::until(query, GATHERED_S, || series(engine, query).into_iter().next().ok_or("no series"))
}

/// The lines of a container, the newest last.
fn lines(engine: &str, pod: &str) -> Vec<String> {
    let query = format!("{{k8s_namespace_name=\"shop\",k8s_container_name=\"talk\"}} | k8s_pod_name=\"{pod}\"");
    let start = format!("{}", wait::now_ns() - 3_600_000_000_000);
    let parameters =
        [("query", query.as_str()), ("start", start.as_str()), ("limit", "1000"), ("direction", "forward")];
    let Ok(reply) = http::try_get(&format!("{engine}/loki/api/v1/query_range"), &parameters) else { return Vec::new() };
    let streams = reply.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().cloned().unwrap_or_default());
    values.filter_map(|value| Some(value[1].as_str()?.to_owned())).collect()
}

#[test]
fn helm_installs_it_the_collector_gathers_and_all_of_it_goes_away() {
    let cluster = Cluster::start("installed", &[]);
    let docker = Dockerd::shared();
    let image = docker.apm_image("installed", &[]);
    cluster.load(docker, &image);
    let disk = tempfile::tempdir().expect("a folder for the volume");
    let volume = disk.path().join("volume");
    std::fs::create_dir(&volume).expect("made");
    cluster.apply(&VOLUME.replace("{folder}", volume.to_str().expect("ASCII")));
    cluster.kubectl(&["create", "namespace", "shop"]);
    cluster.apply(&pod("early"));
    let stage = Stage { cluster, image, disk };

    checked(&stage);
    let words = ["install", "apm", CHART, "-n", "apm", "--create-namespace", "--wait", "--timeout", "120s"];
    stage.helm(&[&words[..], &["--set", &stage.sets()]].concat()).expect("Helm installs it");
    // Helm takes one node's collector for one that may be missing.
    stage.cluster.kubectl(&["rollout", "status", "-n", "apm", "daemonset/apm-collector", "--timeout", "90s"]);
    stage.cluster.apply(&pod("late"));
    gathered(&stage);
    closed(&stage);
    engine_lost(&stage);

    // An upgrade keeps the tokens, and brings the webhook.
    let before = stage.token("admin");
    let sets = format!("{},engine.memory=256MB,{}", stage.sets(), webhook(&stage));
    let upgrade = ["upgrade", "apm", CHART, "-n", "apm", "--wait", "--timeout", "120s", "--set", &sets];
    stage.helm(&upgrade).expect("Helm upgrades it");
    assert_eq!(stage.token("admin"), before, "an upgrade shuts nobody out");
    let one = ["run", "one", "-n", "shop", "--image", "python:3", "--dry-run=server", "-o", "yaml"];
    wait::until("the API server to ask the webhook", 30, || match stage.cluster.kubectl(&one) {
        pod if pod.contains("apm.dev/injected") => Ok(()),
        pod => Err(pod),
    });
    stage.helm(&["uninstall", "apm", "-n", "apm", "--wait"]).expect("Helm takes it away");
    stage.cluster.kubectl(&["delete", "secret", "-n", "apm", "apm-inject"]);
    stage.wait_until_gone();

    // Without Helm, the engine alone where nothing but restricted pods may run, on the same volume: what was measured is still there.
    stage.cluster.kubectl(&["label", "namespace", "apm", "pod-security.kubernetes.io/enforce=restricted"]);
    let sets = format!("{},collector.enabled=false", stage.sets());
    let install = ["k8s", "install", "--set", &sets];
    let told = stage.apm(&[&install[..], &["--dry-run"]].concat()).expect("the server would take it");
    assert!(told.contains("would create StatefulSet apm/apm-engine"), "{told}");
    assert!(
        !stage.left().iter().any(|name| name.contains("apm-engine") && !name.contains("claim")),
        "nothing was made"
    );
    stage.apm(&install).expect("it is installed");
    stage.cluster.kubectl(&["rollout", "status", "-n", "apm", "statefulset/apm-engine", "--timeout", "90s"]);
    wait_for_series(&stage.engine(), "count_over_time(demo_answer{pod=\"early\"}[1h]) > 0");
    let again = stage.apm(&install).expect("twice is once");
    assert!(again.lines().take_while(|line| !line.is_empty()).all(|line| line.starts_with("unchanged")), "{again}");
    let told = stage.apm(&["k8s", "uninstall"]).expect("it is taken away");
    assert!(told.contains("deleted      StatefulSet apm/apm-engine") && told.contains("data-apm-engine-0"), "{told}");
    stage.wait_until_gone();

    let left = stage.cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// A certificate for the webhook's service, made as the guide says, in a Secret; the values that name it.
fn webhook(stage: &Stage) -> String {
    let (certificate, key) = (stage.disk.path().join("tls.crt"), stage.disk.path().join("tls.key"));
    let mut openssl = Command::new(tools::system("openssl"));
    openssl.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-subj", "/CN=apm-inject", "-addext", "subjectAltName=DNS:apm-inject.apm.svc"]);
    ended(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).expect("a certificate");
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let words = ["create", "secret", "tls", "-n", "apm", "apm-inject", "--cert", &certificate, "--key", &key];
    stage.cluster.kubectl(&words);
    stage.cluster.kubectl(&["label", "namespace", "shop", "telemetry=apm"]);
    let authority = ended(Command::new(tools::system("base64")).args(["-w0", &certificate])).expect("it is a file");
    format!("inject.enabled=true,inject.certificateSecret=apm-inject,inject.authority={authority}")
}

/// Helm, kubeconform, our own check and the API server find nothing wrong, and Helm and we make the same objects.
fn checked(stage: &Stage) {
    let sets = format!(
        "{},collector.scrapeServices=true,inject.enabled=true,inject.certificateSecret=tls,inject.authority=QQ==",
        stage.sets()
    );
    let lint = stage.helm(&["lint", "--strict", CHART, "--set", &sets]).expect("nothing to complain of");
    assert!(lint.contains("0 chart(s) failed"), "{lint}");
    let rendered = stage.helm(&["template", "apm", CHART, "-n", "apm", "--set", &sets]).expect("rendered");
    let ours = stage.apm(&["k8s", "install", "--set", &sets, "--output", "yaml"]).expect("rendered");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("ASCII").to_owned()
    };
    let (helms, ours) = (write("helm.yaml", &rendered), write("apm.yaml", &ours));
    let mut with_helm = stage.objects(&helms);
    with_helm.remove("Secret/apm-tokens").expect("Helm makes the tokens too");
    assert_eq!(with_helm, stage.objects(&ours));

    for file in [&helms, &ours] {
        let told = stage.apm(&["k8s", "check", file]).expect("our own check finds nothing");
        assert!(told.contains("nothing found; 3 ignored"), "{told}");
    }
    conform::check(&stage.cluster, &ours, folder.path());
    stage.cluster.kubectl(&["create", "namespace", "apm"]);
    stage.cluster.kubectl(&["apply", "--dry-run=server", "-f", &ours]);
    stage.cluster.kubectl(&["delete", "namespace", "apm"]);
}

impl Stage {
    /// The objects of a file by kind and name, as kubectl reads them, whoever manages them.
    fn objects(&self, file: &str) -> BTreeMap<String, Value> {
        let words = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file];
        let text = self.cluster.kubectl(&words).replace("\"Helm\"", "\"apm\"");
        let stream = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let all = stream.map(|object| object.expect("JSON"));
        let all = all.flat_map(|object| match object["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![object],
        });
        let name = |object: &Value| {
            format!("{}/{}", object["kind"].as_str().unwrap_or(""), object["metadata"]["name"].as_str().unwrap_or(""))
        };
        all.map(|object| (name(&object), object)).collect()
    }
}

fn gathered(stage: &Stage) {
    let engine = stage.engine();
    for name in ["early", "late"] {
        // Scraped by its annotations, listed or followed.
        let answer = wait_for_series(&engine, &format!("demo_answer{{pod=\"{name}\"}}"));
        assert_eq!(answer["value"][1], "42");
        for (label, value) in [("namespace", "shop"), ("job", "pods"), ("node", "node-1"), ("app", "demo")] {
            assert_eq!(answer["metric"][label], value, "{answer}");
        }
        // Its lines, each once and in order.
        let said = wait::until("its lines", GATHERED_S, || match lines(&engine, name) {
            lines if lines.len() > 3 => Ok(lines),
            lines => Err(lines),
        });
        assert_eq!(said[..3], [1, 2, 3].map(|i| format!("{name} says {i}")), "{said:?}");
        // What the kubelet's cAdvisor measures of it.
        wait_for_series(&engine, &format!("container_cpu_usage_seconds_total{{namespace=\"shop\",pod=\"{name}\"}}"));
        // The span that it sent to its node's address.
        wait::until("its span", GATHERED_S, || {
            let reply = http::try_get(&format!("{engine}/api/traces"), &[("service", name), ("limit", "5")])?;
            let span = reply.json()["data"][0]["spans"][0]["operationName"].clone();
            if span == "hello" { Ok(()) } else { Err(span.to_string()) }
        });
    }
    assert_eq!(wait_for_series(&engine, "up{job=\"kubelet\",node=\"node-1\"}")["value"][1], "1");
    wait_for_series(&engine, "kubelet_running_pods{node=\"node-1\"} > 2");
}

/// Read-only roots, no capability, no root; and of the API server nothing that is not needed.
fn closed(stage: &Stage) {
    let collector = ["get", "pods", "-n", "apm", "-l", "app.kubernetes.io/component=collector", "-o", "name"];
    let collector = stage.cluster.kubectl(&collector);
    for pod in ["pod/apm-engine-0", collector.as_str()] {
        let exec =
            |words: &[&str]| stage.cluster.try_kubectl("admin", &[&["exec", "-n", "apm", pod, "--"], words].concat());
        let refused = exec(&["touch", "/file"]).expect_err("the root is read-only");
        assert!(refused.contains("Read-only file system"), "{pod}: {refused}");
        let status = exec(&["cat", "/proc/1/status"]).expect("it can be read");
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        assert_eq!(line("Uid:").split_whitespace().next(), Some("65532"), "{pod}");
        assert_eq!((line("CapEff:"), line("NoNewPrivs:"), line("Seccomp:")), ("0000000000000000", "1", "2"), "{pod}");
    }
    let token = stage.cluster.try_kubectl(
        "admin",
        &["exec", "-n", "apm", "apm-engine-0", "--", "ls", "/var/run/secrets/kubernetes.io/serviceaccount"],
    );
    assert!(token.is_err_and(|said| said.contains("No such file")), "the engine has no token for the API server");

    let may = |who: &str, words: &[&str]| {
        let who = format!("system:serviceaccount:apm:apm-{who}");
        let asked = [&["auth", "can-i", "--as", &who, "--all-namespaces"], words].concat();
        stage.cluster.try_kubectl("admin", &asked).is_ok_and(|said| said.starts_with("yes"))
    };
    for words in [&["list", "pods"][..], &["watch", "pods"], &["get", "nodes", "--subresource=metrics"]] {
        assert!(may("collector", words), "{words:?}");
        assert!(!may("engine", words), "{words:?}");
    }
    for words in [
        &["get", "secrets"][..],
        &["list", "secrets"],
        &["get", "configmaps"],
        &["get", "pods"],
        &["create", "pods"],
        &["delete", "pods"],
        &["create", "pods", "--subresource=exec"],
        &["get", "pods", "--subresource=log"],
        &["get", "nodes", "--subresource=proxy"],
        &["list", "nodes"],
        &["patch", "nodes"],
        &["list", "services"],
        &["list", "endpointslices.discovery.k8s.io"],
        &["create", "clusterrolebindings.rbac.authorization.k8s.io"],
        &["impersonate", "users"],
    ] {
        assert!(!may("collector", words) && !may("engine", words), "{words:?}");
    }
}

/// While there is no engine the collector keeps what comes, and the volume what was there.
fn engine_lost(stage: &Stage) {
    let engine = stage.engine();
    let before = lines(&engine, "late").len();
    stage.cluster.kubectl(&["scale", "-n", "apm", "statefulset/apm-engine", "--replicas=0"]);
    stage.cluster.kubectl(&["wait", "-n", "apm", "--for=delete", "pod/apm-engine-0", "--timeout", "60s"]);
    // Some lines that nobody takes.
    let spoken = |least: usize| {
        let said = stage.cluster.kubectl(&["logs", "-n", "shop", "late"]);
        let count = said.lines().filter(|line| line.starts_with("late says")).count();
        if count >= least { Ok(count) } else { Err(count) }
    };
    let at = wait::until("the pod to speak", 30, || spoken(1));
    let upto = wait::until("the pod to speak on", 60, || spoken(at + 5));
    stage.cluster.kubectl(&["scale", "-n", "apm", "statefulset/apm-engine", "--replicas=1"]);
    stage.cluster.kubectl(&["rollout", "status", "-n", "apm", "statefulset/apm-engine", "--timeout", "90s"]);
    assert!(upto > before);
    let said = wait::until("the lines of meanwhile", GATHERED_S, || match lines(&engine, "late") {
        lines if lines.len() >= upto => Ok(lines),
        lines => Err(lines.len()),
    });
    for (at, line) in said.iter().enumerate() {
        assert_eq!(*line, format!("late says {}", at + 1), "a line is missing, or there twice");
    }
}
