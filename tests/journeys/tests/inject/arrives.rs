//! Injection that truly arrives: real agents in real pods, and a release that goes on only when their first span, line and sample are in the engine. One that
//! sends to where nobody listens is told from one that has nothing to send, and is undone.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests_journeys::{Cluster, Dockerd, Engine, engine, tools, wait};

/// The app with a page that the kubelet asks for every second; the agent's times are a developer's.
const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {name}}
spec:
  selector: {matchLabels: {app: {name}}}
  template:
    metadata: {labels: {app: {name}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: journey/web-{language}
        env:
        - {name: OTEL_METRIC_EXPORT_INTERVAL, value: '2000'}
        - {name: OTEL_BSP_SCHEDULE_DELAY, value: '500'}
        - {name: OTEL_BLRP_SCHEDULE_DELAY, value: '500'}
        {more}
        readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
";

struct Stage {
    docker: &'static Dockerd,
    engine: Engine,
    cluster: Cluster,
}

/// One service, and its folder with the settings.
struct Service<'a> {
    stage: &'a Stage,
    name: &'a str,
    language: &'a str,
    home: TempDir,
}

impl Service<'_> {
    fn settings(&self, endpoint: &str, arrival: &str, more: &str) {
        let (name, language) = (self.name, self.language);
        let source = if language == "java" { "/opt/apm/agent/opentelemetry-javaagent.jar" } else { "/opt/apm/agent/." };
        let yaml = format!(
            "project: shop\nservices:\n  {name}:\n    image: journey/web-{language}\n    deploy:\n      target: kubernetes\n      ready: 120s\n      \
             judged: false\n      kubernetes:\n        namespace: default\n        manifests: [k8s]\n        arrival: {arrival}\n        \
             inject: {{ language: {language}, image: 'journey/agent-{language}:1', source: {source}, endpoint: '{endpoint}' }}\n"
        );
        std::fs::write(self.home.path().join("apm.yaml"), yaml).expect("written");
        std::fs::create_dir_all(self.home.path().join("k8s")).expect("a folder");
        let web = WEB.replace("{name}", name).replace("{language}", language).replace("{more}", more);
        std::fs::write(self.home.path().join("k8s/web.yaml"), web).expect("written");
    }

    /// Its code and what it said.
    fn deploy(&self, version: &str) -> (Option<i32>, String) {
        let mut command = engine::command(self.home.path(), &engine::apm());
        command.env("DOCKER_HOST", &self.stage.docker.host).env("USER", "ann");
        command.env("KUBECONFIG", self.stage.cluster.kubeconfig("admin"));
        command.args(["deploy", "--version", version, "--yes", "--url", &self.stage.engine.url]);
        let output = command.output().expect("apm starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let log = self.stage.engine.artefacts().join(format!("{}-{version}.log", self.name));
        std::fs::write(log, &text).expect("written");
        (output.status.code(), text)
    }

    #[track_caller]
    fn expect(&self, version: &str, code: i32, words: &[&str]) -> String {
        let (ended, text) = self.deploy(version);
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        assert!(
            ended == Some(code) && missing.is_empty(),
            "code {ended:?}, not {code}; not said: {missing:?}; said:\n{text}"
        );
        text
    }

    fn pod(&self) -> String {
        let label = format!("app={}", self.name);
        let path = "jsonpath={.items[0].metadata.name} {.items[0].metadata.uid}";
        self.stage.cluster.kubectl(&["get", "pods", "-l", &label, "-o", path])
    }

    fn template(&self) -> Value {
        let text = self.stage.cluster.kubectl(&["get", "deployment", self.name, "-o", "json"]);
        let all: Value = serde_json::from_str(&text).expect("JSON");
        all["spec"]["template"].clone()
    }
}

impl Stage {
    /// The app's image, in versions, and the image with its agent: what `apm docker build` puts beside such an app.
    fn images(&self, language: &str, dockerfile: &str, files: &[(&str, &Path)]) {
        for version in ["1", "2"] {
            self.docker.build(&format!("journey/web-{language}:{version}"), dockerfile, files);
        }
        let project = self.engine.home().join(format!("built-{language}"));
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/built").join(language), &project);
        if language == "java" {
            let mut javac = Command::new(tools::system("javac"));
            let status = javac.args(["--release", "11", "Shop.java"]).current_dir(&project).status();
            assert!(status.expect("javac starts").success());
        }
        let built = format!("journey/agent-of-{language}:1");
        let mut command = Command::new(engine::apm());
        command.env("DOCKER_HOST", &self.docker.host).env("XDG_STATE_HOME", self.engine.home().join("state"));
        command.env("XDG_CACHE_HOME", tools::cache().join("run")).current_dir(self.engine.home());
        command.args(["docker", "build", project.to_str().expect("ASCII"), "--tag", &built]);
        let output = command.output().expect("apm starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Where OpenTelemetry's operator has Node's agent begin.
        let begin = "require('@opentelemetry/auto-instrumentations-node/register');";
        let agent = format!(
            "FROM {built}\nUSER 0\nRUN [\"/bin/sh\", \"-c\", \"echo \\\"{begin}\\\" > /opt/apm/agent/autoinstrumentation.js\"]\n"
        );
        let image = format!("journey/agent-{language}:1");
        self.docker.build(&image, &agent, &[]);
        for image in [image, format!("journey/web-{language}:1"), format!("journey/web-{language}:2")] {
            self.cluster.load(self.docker, &image);
        }
    }

    fn service<'a>(&'a self, name: &'a str, language: &'a str) -> Service<'a> {
        let home = tempfile::Builder::new().prefix("apm-arrives-").tempdir().expect("a folder");
        Service { stage: self, name, language, home }
    }

    /// Where pods send to.
    fn endpoint(&self) -> String {
        let port = self.engine.otlp_http.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        format!("http://{}:{}", self.cluster.machine(), self.cluster.let_in(port.expect("a port")))
    }

    /// What is in the engine of a pod: its sample, span and line, by the names that an injection gives.
    fn holds(&self, service: &str, pod: &str, signals: &[&str]) {
        let (name, uid) = pod.split_once(' ').expect("name and uid");
        for signal in signals {
            wait::until(&format!("a {signal} of {name}"), 30, || {
                let found = match *signal {
                    "sample" => {
                        let query = format!(
                            "count(target_info{{k8s_pod_name=\"{name}\",k8s_pod_uid=\"{uid}\",k8s_container_name=\"web\",job=\"{service}\"}})"
                        );
                        self.engine.prometheus("query", &[("query", &query)])["result"].clone()
                    }
                    "span" => {
                        let tags = format!("{{\"k8s.pod.uid\":\"{uid}\",\"k8s.deployment.name\":\"{service}\"}}");
                        self.engine.jaeger("traces", &[("service", service), ("tags", &tags), ("limit", "1")])
                    }
                    _ => {
                        let query =
                            format!("{{service_name=\"{service}\",k8s_pod_name=\"{name}\"}} |= \"somebody asks\"");
                        self.engine.loki("query_range", &[("query", &query), ("limit", "1"), ("since", "10m")])["result"].clone()
                    }
                };
                if found.as_array().is_some_and(|all| !all.is_empty()) { Ok(()) } else { Err(found) }
            });
        }
    }
}

#[test]
fn a_release_goes_on_when_its_pods_are_heard_of() {
    let docker = Dockerd::shared();
    docker.python_image();
    docker.node_image();
    docker.java_image();
    let (engine, cluster) = (Engine::start("arrives"), Cluster::start("arrives", &[]));
    let stage = Stage { docker, engine, cluster };
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/injected");
    let python = "FROM journey/python:1\nCOPY app.py /app/app.py\nUSER 1000\nCMD [\"python\", \"/app/app.py\"]\n";
    stage.images("python", python, &[("app.py", &apps.join("python/app.py"))]);
    let node = "FROM journey/node:1\nCOPY server.js /app/server.js\nUSER 1000\nCMD [\"node\", \"/app/server.js\"]\n";
    stage.images("node", node, &[("server.js", &apps.join("node/server.js"))]);
    let mut javac = Command::new(tools::system("javac"));
    javac
        .args(["--release", "11", "-d", stage.engine.home().to_str().expect("ASCII")])
        .arg(apps.join("java/Till.java"));
    assert!(javac.status().expect("javac starts").success());
    let java = "FROM journey/java:1\nCOPY Till.class /app/Till.class\nUSER 1000\nCMD [\"java\", \"-Xmx128m\", \"-cp\", \"/app\", \"Till\"]\n";
    stage.images("java", java, &[("Till.class", &stage.engine.home().join("Till.class"))]);
    let endpoint = stage.endpoint();

    let flask = stage.service("flask", "python");
    flask.settings(&endpoint, "{ within: 90s }", "");
    let plan = "telemetry of Deployment default/flask arrives";
    flask.expect("1", 0, &["complete", plan, "the first sample came", "the first span", "the first log line"]);
    stage.holds("flask", &flask.pod(), &["sample", "span", "line"]);

    // An agent that nobody hears of: the next release is undone, and says why.
    let before = flask.template();
    flask.settings(&format!("http://{}:9", stage.cluster.machine()), "{ within: 25s }", "");
    let why = ["rolled-back", "no sample, span and log line of pod flask-", "where nobody answers", ":9"];
    flask.expect("2", 1, &why);
    assert_eq!(flask.template(), before, "what is there is not what was there");
    // One that was told to keep its spans to itself: they are not expected, and the rest comes.
    flask.settings(&endpoint, "{ within: 90s }", "- {name: OTEL_TRACES_EXPORTER, value: none}");
    let text = flask.expect("2", 0, &["complete", "the first sample came", "the first log line"]);
    assert!(!text.contains("the first span"), "{text}");

    // Nobody takes a line from Node's console: the release goes on, and that is said.
    let shop = stage.service("shop", "node");
    shop.settings(&endpoint, "{ within: 90s }", "");
    shop.expect("1", 0, &["complete", "the first sample came", "the first span", "no log line of pod shop-", "go on"]);
    stage.holds("shop", &shop.pod(), &["sample", "span"]);

    // Java's agent takes lines from the library that every JDK has.
    let till = stage.service("till", "java");
    till.settings(&endpoint, "{ within: 120s }", "");
    till.expect("1", 0, &["complete", "the first sample came", "the first span", "the first log line"]);
    stage.holds("till", &till.pod(), &["sample", "span", "line"]);

    drop((flask, shop, till));
    let left = stage.cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("the app is there") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
