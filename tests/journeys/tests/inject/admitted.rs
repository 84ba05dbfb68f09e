//! A release whose pods the webhook injects when they are admitted: neither the manifests nor the settings say what they send, the record on the admitted pods
//! does. Its first sample, span and line are waited for, and a kill within that step changes nothing about the end, be it the good one or the bad one.
//! The program in the pod sends by itself what an agent would, by nothing but the variables that it was given.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests_journeys::{Cluster, Dockerd, Engine, Peer, artefacts, engine, peer, wait};

use super::{authority, certificate, webhook};

/// A shell and the usual small programs.
const IMAGE: &str = "journey/busybox:1";

/// It sends a sample, a span and a line as OTLP's JSON every second, as the resource that the variables name.
const PROGRAM: &str = r#"IFS=,; all=
for one in $OTEL_RESOURCE_ATTRIBUTES; do all="$all{\"key\":\"${one%%=*}\",\"value\":{\"stringValue\":\"${one#*=}\"}},"; done
resource="\"resource\":{\"attributes\":[$all{\"key\":\"service.name\",\"value\":{\"stringValue\":\"$OTEL_SERVICE_NAME\"}}]}"
send() { wget -q -O - --header 'Content-Type: application/json' --post-data "$2" "$OTEL_EXPORTER_OTLP_ENDPOINT/v1/$1"; }
while sleep 1; do
  now="\"$(date +%s)000000000\""; id=$(date +%s)
  send metrics "{\"resourceMetrics\":[{$resource,\"scopeMetrics\":[{\"metrics\":[{\"name\":\"up_for\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":$now,\"asDouble\":1}]}}]}]}]}"
  send traces "{\"resourceSpans\":[{$resource,\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0123456789abcdef012345$id\",\"spanId\":\"012345$id\",\"name\":\"look\",\"kind\":2,\"startTimeUnixNano\":$now,\"endTimeUnixNano\":$now}]}]}]}"
  send logs "{\"resourceLogs\":[{$resource,\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":$now,\"body\":{\"stringValue\":\"still here\"}}]}]}]}"
done
"#;

fn manifest() -> String {
    let program = PROGRAM.replace('\n', "\n          ");
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata:
      labels: {{app: web}}
      annotations: {{instrumentation.opentelemetry.io/inject-python: \"true\"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: {IMAGE}
        env:
        - {{name: GENERATION, value: first}}
        command: [sh, -c]
        args:
        - |
          {program}
"
    )
}

struct Stage {
    engine: Engine,
    cluster: Cluster,
    /// Of the project.
    home: TempDir,
    /// Of the webhook.
    keys: TempDir,
    authority: String,
}

impl Stage {
    fn settings(&self, within: &str) {
        let yaml = format!(
            "project: shop\nservices:\n  web:\n    image: registry.example.org/shop/web\n    deploy:\n      target: kubernetes\n      judged: false\n      ready: 90s\n      \
             kubernetes: {{ namespace: shop, manifests: [web.yaml], arrival: {{ within: {within} }} }}\n"
        );
        std::fs::write(self.home.path().join("apm.yaml"), yaml).expect("written");
    }

    fn version(&self, word: &str) {
        let text = manifest().replace("value: first", &format!("value: {word}"));
        std::fs::write(self.home.path().join("web.yaml"), text).expect("written");
    }

    /// A webhook whose pods send to this port of the machine; it is asked from now on.
    fn injects(&self, port: u16) -> Peer {
        let machine = self.cluster.machine();
        let address = format!("{machine}:{}", peer::free_port());
        let endpoint = format!("http://{machine}:{port}");
        let mut command = Command::new(engine::apm());
        command.args(["k8s", "inject", "--serve", &address, "--cert", "tls.crt", "--key", "tls.key"]);
        command.args(["--image", IMAGE, "--source", "/bin/busybox", "--endpoint", &endpoint]).env("APM_LOG", "info");
        command.current_dir(self.keys.path());
        let log = format!("webhook-{port}.log");
        let server = Peer::start(&mut command, artefacts::folder("admitted").join(log));
        wait::until("the webhook to listen", 20, || {
            let printed = server.printed();
            if printed.contains("admissions are answered") { Ok(()) } else { Err(printed) }
        });
        self.cluster.apply(&webhook(&format!("https://{address}/inject"), &self.authority));
        let one = ["run", "one", "-n", "shop", "--image", "python:3", "--dry-run=server", "-o", "yaml"];
        wait::until("the API server to ask this webhook", 30, || match self.cluster.try_kubectl("admin", &one) {
            Ok(pod) if pod.contains(&endpoint) => Ok(()),
            other => Err(other),
        });
        server
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = engine::command(self.home.path(), &engine::apm());
        command.env("USER", "ann").env("KUBECONFIG", self.cluster.kubeconfig("admin"));
        command.arg("deploy").args(words).args(["--url", &self.engine.url]);
        command
    }

    #[track_caller]
    fn expect(&self, words: &[&str], code: i32, says: &[&str]) {
        let output = self.command(words).output().expect("apm starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let missing: Vec<_> = says.iter().filter(|word| !text.contains(**word)).collect();
        let ended = output.status.code();
        assert!(
            ended == Some(code) && missing.is_empty(),
            "{words:?}: code {ended:?}, not {code}; not said: {missing:?}; said:\n{text}"
        );
    }

    /// A release that is killed while it waits for the telemetry of its pods.
    fn killed_while_it_waits(&self, version: &str) {
        let log = artefacts::folder("admitted").join(format!("killed-{version}.log"));
        let mut running = Peer::start(&mut self.command(&["--version", version, "--yes"]), log);
        wait::until("the step that waits for telemetry", 120, || {
            let output = self.command(&["status"]).output().expect("apm starts");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let waits =
                |line: &str| line.trim_start().starts_with("running") && line.contains("arrives-deployment-web");
            if text.contains(&format!("deploy web {version} ")) && text.lines().any(waits) {
                return Ok(());
            }
            assert!(running.ended().is_none(), "it ended: {}", running.printed());
            Err(text)
        });
        running.kill();
    }

    fn template(&self) -> Value {
        let text = self.cluster.kubectl(&["get", "deployment", "web", "-n", "shop", "-o", "json"]);
        let all: Value = serde_json::from_str(&text).expect("JSON");
        all["spec"]["template"].clone()
    }
}

#[test]
fn a_release_that_the_webhook_injects_waits_for_its_telemetry_and_is_killed_meanwhile() {
    let (engine, cluster) = (Engine::start("admitted"), Cluster::start("admitted", &[]));
    let docker = Dockerd::shared();
    assert_eq!(docker.busybox_image(), IMAGE);
    cluster.load(docker, IMAGE);
    let (home, keys) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let authority = authority(keys.path());
    certificate(keys.path(), &cluster.machine(), "first");
    let stage = Stage { engine, cluster, home, keys, authority };
    let port = stage.engine.otlp_http.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
    let port: u16 = port.expect("a port");

    // Pods are up, and nobody is there yet who would take what they send.
    let first = stage.injects(port);
    stage.settings("120s");
    stage.version("first");
    stage.killed_while_it_waits("1");
    stage.cluster.let_in(port);
    let came = ["goes on with it", "complete", "the first sample came", "the first span", "the first log line"];
    stage.expect(&["watch"], 0, &came);
    let template = stage.template();
    let in_template = template["spec"].get("initContainers");
    assert!(in_template.is_none(), "the pods were to be injected, not their template: {template}");

    // Whose pods send to where nobody listens is undone, killed meanwhile too.
    drop(first);
    let second = stage.injects(9);
    stage.settings("30s");
    stage.version("second");
    stage.killed_while_it_waits("2");
    let why =
        ["goes on with it", "rolled-back", "no sample, span and log line of pod web-", "where nobody answers", ":9"];
    stage.expect(&["watch"], 1, &why);
    assert_eq!(stage.template(), template, "what is there is not what was there");

    drop(second);
    let left = stage.cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// The program is text for a shell in a block of YAML.
#[test]
fn the_program_of_the_pods_is_told_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("web.yaml");
    std::fs::write(&file, manifest()).expect("written");
    let path: &Path = &file;
    let output = Command::new(engine::apm()).args(["k8s", "render", "--output", "json"]).arg(path).output();
    let text = output.expect("apm starts").stdout;
    let list: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(list["items"][0]["spec"]["template"]["spec"]["containers"][0]["args"][0], PROGRAM);
}
