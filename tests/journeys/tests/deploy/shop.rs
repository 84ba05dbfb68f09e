//! What the journeys of releases stand on: the shared stage, and for each of them a shop of one service with settings, history and port of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use tests_journeys::{Cluster, Dockerd, Engine, Peer, artefacts, engine, http, peer, wait};

/// The store of the demo in a container: address, feed and faults come from its surroundings.
const STORE: &str = "exec /bin/apm __demo store --listen ${LISTEN:-127.0.0.1}:$PORT --feed-url $FEED --data-dir /data --start-faults \\\"$FAULTS\\\"";
/// It ends by itself after some seconds, again and again.
const CRASH: &str = "/bin/apm __demo store --listen 127.0.0.1:$PORT --feed-url $FEED --data-dir /data & p=$!; sleep 6; kill -9 $p; exit 3";
/// It holds more and more memory until next to nothing is left below its limit, of cgroup v1 or v2.
const LEAK: &str = "cd /sys/fs/cgroup; [ -d memory ] && cd memory; \
    used() { u=$(cat memory.usage_in_bytes memory.current 2>/dev/null); f=$(awk '$1 ~ /^(total_)?inactive_file$/ {v=$2} END {print v}' memory.stat); echo $((u - f)); }; \
    (i=0; while [ $(used) -lt 73400000 ]; do i=$((i+1)); dd if=/dev/zero of=/dev/shm/$i bs=1M count=1 2>/dev/null; sleep 0.2; done) & ";
/// Long enough for everything that the journeys get wrong.
pub(crate) const BAKE: &str = "settings: { bake: 60s }";
/// Tags and what is wrong with them.
const VERSIONS: [(&str, &str); 5] =
    [("1", "{}"), ("2", "{}"), ("3", "{}"), ("errors", "{\"error_ratio\": 0.3}"), ("slow", "{\"slow_store_ms\": 400}")];

/// What all of them share.
pub(crate) struct Stage {
    pub(crate) docker: &'static Dockerd,
    pub(crate) engine: Engine,
    pub(crate) feed_url: String,
    _feed: Peer,
    cluster: OnceLock<Cluster>,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let docker = Dockerd::shared();
        images(docker);
        let engine = Engine::start_with("deploy", &["--docker", &docker.host], &[]);
        let port = peer::free_port();
        let mut feed = engine::command(engine.home(), &engine::apm());
        feed.args(["__demo", "feed", "--listen", &format!("127.0.0.1:{port}")]).envs(otlp(&engine));
        feed.env("OTEL_SERVICE_NAME", "market-feed");
        // It ends with the thread that starts it, which is the test's own.
        let feed = Peer::start(&mut feed, engine.artefacts().join("feed.log"));
        let feed_url = format!("http://127.0.0.1:{port}");
        wait::until("the feed", 60, || answers(&format!("{feed_url}/healthz")));
        Stage { docker, engine, feed_url, _feed: feed, cluster: OnceLock::new() }
    }

    /// A cluster with the demo's store in it, started for the first who asks.
    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.get_or_init(|| {
            let cluster = Cluster::start("deploy", &[]);
            for version in ["1", "2", "errors"] {
                cluster.load(self.docker, &format!("journey/store:{version}"));
            }
            cluster
        })
    }

    /// Takes the cluster away, if there is one, and says what is left of it.
    pub(crate) fn left(&mut self) -> Vec<String> {
        self.cluster.take().map(Cluster::stop).unwrap_or_default()
    }

    /// A measurement for whoever reads the output; it is kept in the artefacts too.
    pub(crate) fn note(&self, line: &str) {
        let file = std::fs::File::options().create(true).append(true).open(self.notes());
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.expect("the artefacts can be written");
    }

    pub(crate) fn notes(&self) -> PathBuf {
        self.engine.artefacts().join("measured.txt")
    }

    /// The id of a container, if there is one of that name.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.docker.try_docker(&["container", "inspect", "-f", "{{.Id}}", name]).ok()
    }

    /// Names, ids and images of all containers, networks and volumes that belong to no journey of a release.
    pub(crate) fn others(&self) -> Vec<String> {
        let lists = [
            &["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}} {{.Image}} {{.State}}"][..],
            &["network", "ls", "--no-trunc", "--format", "{{.Name}} {{.ID}}"],
            &["volume", "ls", "--format", "{{.Name}}"],
        ];
        let lines = lists.map(|words| self.docker.docker(words)).join("\n");
        // Of a compose project's network the name has another sign.
        let of_a_release = |line: &&str| line.starts_with("shop-") || line.starts_with("shop_");
        let mut lines: Vec<_> = lines.lines().filter(|line| !of_a_release(line)).map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

pub(crate) fn images(docker: &Dockerd) {
    let base = docker.apm_image("store", &[]);
    let certificates = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
    let with_certificates = format!("FROM {base}\nCOPY certificates /etc/ssl/certs/ca-certificates.crt\n");
    docker.build("journey/store-base:1", &with_certificates, &[("certificates", &certificates)]);
    let build = |tag: &str, faults: &str, script: &str| {
        let faults = faults.replace('"', "\\\"");
        let dockerfile = format!(
            "FROM journey/store-base:1\nENV FAULTS=\"{faults}\"\nENTRYPOINT [\"/bin/sh\", \"-c\", \"{script}\"]\n"
        );
        docker.build(&format!("journey/store:{tag}"), &dockerfile, &[]);
    };
    VERSIONS.iter().for_each(|(tag, faults)| build(tag, faults, STORE));
    build("crash", "{}", CRASH);
    build("leak", "{}", &format!("{LEAK}{STORE}"));
}

pub(crate) fn otlp(engine: &Engine) -> [(&'static str, String); 5] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", engine.otlp_http.clone()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".into()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1000".into()),
        ("OTEL_BLRP_SCHEDULE_DELAY", "1000".into()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000".into()),
    ]
}

/// Whether a page answers 200.
pub(crate) fn answers(url: &str) -> Result<(), String> {
    match http::try_get(url, &[]) {
        Ok(reply) if reply.status == 200 => Ok(()),
        Ok(reply) => Err(format!("{}: {}", reply.status, reply.text())),
        Err(error) => Err(error),
    }
}

/// How an `apm deploy` ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Ended {
    /// Itself, if it ended with this code and said all of this.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Ended {
        let missing: Vec<_> = words.iter().filter(|word| !self.text.contains(**word)).collect();
        assert!(
            self.code == Some(code) && missing.is_empty(),
            "code {:?}, not {code}; not said: {missing:?}; said:\n{}",
            self.code,
            self.text
        );
        self
    }
}

/// One service, deployed by `apm deploy` in a folder of its own.
pub(crate) struct Shop<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) docker: &'a Dockerd,
    /// Of journey and service.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) home: TempDir,
    pub(crate) artefacts: PathBuf,
    /// The keys of `judge` in its settings.
    pub(crate) judge: String,
    runs: AtomicUsize,
}

impl<'a> Shop<'a> {
    pub(crate) fn new(stage: &'a Stage, name: &'static str) -> Shop<'a> {
        Shop::on(stage, stage.docker, name)
    }

    /// The same on another engine of Docker.
    pub(crate) fn on(stage: &'a Stage, docker: &'a Dockerd, name: &'static str) -> Shop<'a> {
        let home = tempfile::Builder::new().prefix("apm-shop-").tempdir().expect("a temporary folder");
        let artefacts = artefacts::folder(&format!("deploy_{name}"));
        let (port, judge, runs) = (peer::free_port(), BAKE.to_owned(), AtomicUsize::new(0));
        let shop = Shop { stage, docker, name, port, home, artefacts, judge, runs };
        shop.settings("judged: false", "");
        shop
    }

    /// Version 1, unjudged: what the journey begins with. Gives its id. Releases are judged from here on.
    pub(crate) fn with_version_1(stage: &'a Stage, name: &'static str) -> (Shop<'a>, String) {
        let shop = Shop::new(stage, name);
        shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
        shop.settings("", "");
        let id = shop.id();
        (shop, id)
    }

    /// Writes `apm.yaml` anew for the demo's store, with more lines for the service's `deploy` and for the service.
    pub(crate) fn settings(&self, deploy: &str, service: &str) {
        let env = [("PORT", self.port.to_string()), ("FEED", self.stage.feed_url.clone())].into_iter();
        let env = env.chain(otlp(&self.stage.engine)).map(|(name, value)| format!("\n  {name}: \"{value}\""));
        let service = format!("port: {}\nenv:{}\n{service}", self.port, env.collect::<String>());
        let deploy = format!("networks: [host]\nchecks: [{{ http: /readyz }}]\nready: 60s\nstop_grace: 5s\n{deploy}");
        self.settings_of("journey/store", &deploy, &service);
    }

    /// The same behind a front on the shop's port: the container is in the engine's own network, and reaches the machine's loopback by its gateway.
    pub(crate) fn settings_behind_a_front(&self, deploy: &str, service: &str) {
        let inside = |url: &str| {
            let port = url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
            format!("http://{}", self.docker.let_in(port.expect("a URL with a port")))
        };
        let mut env = vec![("PORT", "8080".to_owned()), ("LISTEN", "0.0.0.0".into())];
        env.push(("FEED", inside(&self.stage.feed_url)));
        env.extend(otlp(&self.stage.engine).into_iter().map(|(name, value)| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => (name, inside(&value)),
            _ => (name, value),
        }));
        let env: String = env.into_iter().map(|(name, value)| format!("\n  {name}: \"{value}\"")).collect();
        let service = format!("port: 8080\nenv:{env}\n{service}");
        let front = format!("front: {{ listen: \"127.0.0.1:{}\" }}", self.port);
        let deploy = format!("{front}\nchecks: [{{ http: /readyz }}]\nready: 60s\nstop_grace: 5s\n{deploy}");
        self.settings_of("journey/store", &deploy, &service);
    }

    /// The same for any image.
    pub(crate) fn settings_of(&self, image: &str, deploy: &str, service: &str) {
        let indented = |text: &str, spaces: &str| {
            let lines = text.lines().map(|line| format!("{spaces}{line}\n"));
            lines.collect::<String>()
        };
        let (service, deploy) = (indented(service, "    "), indented(deploy, "      "));
        let service = format!("  {}:\n    image: {image}\n{service}    deploy:\n{deploy}", self.name);
        let judge = &self.judge;
        let yaml = format!("project: shop\nservices:\n{service}judge: {{ {judge} }}\n");
        std::fs::write(self.home.path().join("apm.yaml"), yaml).expect("the settings can be written");
    }

    /// To its end, with more in its surroundings.
    pub(crate) fn deploy_with(&self, words: &[&str], surroundings: &[(&str, String)]) -> Ended {
        end(&mut self.begin_with(words, surroundings))
    }

    /// `apm deploy WORDS`, running; the bare verb is a release that nobody has to agree to.
    pub(crate) fn begin(&self, words: &[&str]) -> Peer {
        self.begin_with(words, &[])
    }

    /// The same with more in its surroundings.
    pub(crate) fn begin_with(&self, words: &[&str], surroundings: &[(&str, String)]) -> Peer {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let log = self.artefacts.join(format!("{number:02}.log"));
        let mut command = self.command(words);
        command.envs(surroundings.iter().map(|(name, value)| (name, value)));
        Peer::start(&mut command, log)
    }

    /// To its end.
    pub(crate) fn deploy(&self, words: &[&str]) -> Ended {
        end(&mut self.begin(words))
    }

    /// A release that nobody has to agree to, to its end, on a pseudo-terminal of its own.
    pub(crate) fn on_a_terminal(&self, words: &[&str]) -> Ended {
        let mut command = engine::command(self.home.path(), std::path::Path::new("script"));
        let typed =
            format!("{} deploy --yes {} --url {}", engine::apm().display(), words.join(" "), self.stage.engine.url);
        command.env("DOCKER_HOST", &self.docker.host).env("USER", "ann").env("TERM", "xterm-256color");
        command.args(["-q", "-e", "-c", &typed, "/dev/null"]);
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        end(&mut Peer::start(&mut command, self.artefacts.join(format!("{number:02}.log"))))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = engine::command(self.home.path(), &engine::apm());
        command.env("DOCKER_HOST", &self.docker.host).env("USER", "ann").arg("deploy").args(words);
        if words.first().is_some_and(|word| word.starts_with("--")) {
            command.arg("--yes");
        }
        command.args(["--url", &self.stage.engine.url]);
        command
    }

    /// The name of its container.
    pub(crate) fn container(&self) -> String {
        format!("shop-{}", self.name)
    }

    pub(crate) fn inspect(&self, what: &str) -> String {
        self.docker.docker(&["container", "inspect", "-f", what, &self.container()])
    }

    pub(crate) fn id(&self) -> String {
        self.inspect("{{.Id}}")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The containers of this shop and nothing else: their names.
    pub(crate) fn containers(&self) -> Vec<String> {
        let filter = format!("name=^/{}", self.container());
        let text = self.docker.docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until `apm deploy status`, asked from another process, says this.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> String {
        wait::until(&format!("the status of {} to say `{words}`", self.name), 90, || {
            let text = self.deploy(&["status"]).text;
            if text.contains(words) { Ok(text) } else { Err(text) }
        })
    }

    /// Waits until the new version is being watched.
    #[track_caller]
    pub(crate) fn is_watched(&self) -> String {
        wait::until(&format!("{} to be watched", self.name), 90, || {
            let text = self.deploy(&["status"]).text;
            let watched = text.lines().any(|line| line.trim_start().starts_with("running") && line.contains(" judge "));
            if watched { Ok(text) } else { Err(text) }
        })
    }

    /// The very container that served before serves again, and nothing of the release is left.
    #[track_caller]
    pub(crate) fn is_restored(&self, id: &str) {
        assert_eq!(self.containers(), [self.container()]);
        assert_eq!(self.id(), id, "another container of the same name");
        assert_eq!(self.inspect("{{.State.Running}}"), "true");
        wait::until("the old version to answer", 30, || answers(&format!("{}/quotes", self.url())));
    }
}

impl Drop for Shop<'_> {
    fn drop(&mut self) {
        // Without judging what the journey left: whoever looks on has seen it.
        let rests = ["", "-next", "-previous", "-blue", "-green"];
        let names = rests.map(|rest| format!("{}{rest}", self.container()));
        // It outlives whoever started it, and so it would this test.
        let _ = self.asked("POST", "/v1/stop");
        let _ = std::fs::copy(self.control().with_extension("log"), self.artefacts.join("front.log"));
        let logs =
            names.iter().filter_map(|name| Some((name, self.docker.command().args(["logs", name]).output().ok()?)));
        for (name, output) in logs {
            let _ = std::fs::write(self.artefacts.join(format!("{name}.log")), [output.stdout, output.stderr].concat());
        }
        let _ = self.docker.command().args(["rm", "-f"]).args(names).output();
    }
}

/// Waits for the end of an `apm deploy`.
#[track_caller]
pub(crate) fn end(running: &mut Peer) -> Ended {
    let status = wait::until("apm deploy to end", 240, || running.ended().ok_or_else(|| running.printed()));
    Ended { code: status.code(), text: running.printed() }
}

/// What `docker inspect` says, as JSON.
pub(crate) fn inspected(docker: &Dockerd, name: &str) -> Value {
    let text = docker.docker(&["container", "inspect", name]);
    serde_json::from_str::<Value>(&text).expect("docker speaks JSON")[0].take()
}
