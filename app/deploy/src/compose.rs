//! A compose project becomes services as `apm.yaml` would say them, and its networks, volumes, secrets and configs what a container is given.
//! What has no counterpart here is an error at its line, never left out. It asks no engine.

mod joins;
mod sent;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app_config::{ByteSize, Span};
use base_explain::{Place, Report};
use base_world::Disk;
use operate_compose::{Ask, Finding, Node};
use operate_deploy::{Extra, Limit};
use operate_plan::ObjectId;

use crate::health::{HealthSettings, Test};
use crate::settings::{DeploySettings, Project, ServiceSettings};

pub(crate) use sent::given_folder;
pub use sent::{Sent, parts};

/// A compose file is not larger.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Findings that are told at once.
const TOLD_MAX: usize = 20;

/// What a compose project says beside its services.
#[derive(Debug, Clone, Default)]
pub struct Composed {
    /// Services, what is needed first, each with those that it needs.
    pub order: Vec<(String, Vec<String>)>,
    /// Networks and volumes that must be there already.
    pub external: Vec<ObjectId>,
    /// What was seen and changes nothing, a line each.
    pub notes: Vec<String>,
}

/// What is read, and by what.
pub struct ComposeAsk<'a> {
    /// Whole paths; later files are laid over earlier ones.
    pub files: Vec<PathBuf>,
    pub profiles: Vec<String>,
    pub environment: &'a BTreeMap<String, String>,
    pub disk: &'a dyn Disk,
}

/// How a file of compose is read; `None`: there is none.
fn reader(disk: &dyn Disk) -> impl Fn(&Path) -> Result<Option<String>, String> {
    move |path| match disk.exists(path) {
        Ok(true) => {
            let bytes = disk.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
            String::from_utf8(bytes).map(Some).map_err(|_| "it is not UTF-8 text".to_owned())
        }
        Ok(false) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

impl Project {
    /// Takes in the services of a compose project. What `apm.yaml` says of a service's goals and strategy stays.
    pub fn take_in(&mut self, ask: &ComposeAsk<'_>) -> Result<Composed, Report> {
        let read = reader(ask.disk);
        let project = operate_compose::load(&Ask {
            files: ask.files.clone(),
            name: self.named.then(|| self.name.clone()),
            profiles: ask.profiles.clone(),
            environment: ask.environment,
            read: &read,
        });
        let project = project.map_err(|findings| told(&findings, &read))?;
        // What cannot be looked at is left to the engine of Docker.
        let there = |path: &Path| ask.disk.exists(path).unwrap_or(true);
        let mut taken = Taken::new(&project, Seen { there: &there, elsewhere: false });
        self.take(&project, &mut taken).map_err(|findings| told(&findings, &read))
    }

    fn take(&mut self, project: &operate_compose::Project, taken: &mut Taken<'_>) -> Result<Composed, Vec<Finding>> {
        self.name.clone_from(&project.name);
        let order = operate_compose::order(&project.root).map_err(|finding| vec![finding])?;
        let mut composed = Composed::default();
        let mut services = BTreeMap::new();
        for name in order {
            let Some(node) = project.root.get("services").and_then(|all| all.get(&name)) else { continue };
            let known = self.services.get(&name).cloned().unwrap_or_default();
            services.insert(name.clone(), taken.service(&name, node, known));
            let needs = node.get("depends_on").map(Node::pairs).unwrap_or_default();
            composed.order.push((name, needs.iter().map(|need| need.key.clone()).collect()));
        }
        composed.external = taken.external();
        if !taken.errors.is_empty() {
            return Err(std::mem::take(&mut taken.errors));
        }
        composed.notes = taken.notes.iter().map(|note| format!("{note}: {}", note.hint)).collect();
        self.services = services;
        Ok(composed)
    }
}

/// The first with its line shown, the others beside it.
fn told(findings: &[Finding], read: &dyn Fn(&Path) -> Result<Option<String>, String>) -> Report {
    let Some((first, rest)) = findings.split_first() else { return Report::new("there is no compose file") };
    let place = Place::new(first.place.file.to_string(), first.place.line, first.place.column);
    let place = match read(Path::new(&*first.place.file)) {
        Ok(Some(text)) => place.in_text(text, 1),
        _ => place,
    };
    let report = Report::new(first.message.clone()).at(place).hint(first.hint.clone());
    rest.iter().take(TOLD_MAX).fold(report, |report, finding| report.because(format!("{finding} ({})", finding.hint)))
}

/// What is there on this machine.
struct Seen<'a> {
    there: &'a dyn Fn(&Path) -> bool,
    /// The project was read on another machine; what is not here would silently be an empty folder.
    elsewhere: bool,
}

struct Taken<'a> {
    root: &'a Node,
    seen: Seen<'a>,
    errors: Vec<Finding>,
    notes: Vec<Finding>,
    /// Paths of another machine that are not there on this one, a sentence each.
    unseen: Vec<String>,
}

impl<'a> Taken<'a> {
    fn new(project: &'a operate_compose::Project, seen: Seen<'a>) -> Taken<'a> {
        let (errors, unseen) = (Vec::new(), Vec::new());
        Taken { root: &project.root, seen, errors, notes: project.notes.clone(), unseen }
    }

    /// Whether a path is there; where it has to be and is not, that is said.
    fn is_there(&mut self, path: &str, service: &str) -> bool {
        let there = (self.seen.there)(Path::new(path));
        if !there && self.seen.elsewhere {
            self.unseen.push(format!("{service} needs {path}, which is not there"));
        }
        there || self.seen.elsewhere
    }

    fn bad(&mut self, node: &Node, message: impl Into<String>, hint: &str) {
        self.errors.push(Finding { place: node.place.clone(), message: message.into(), hint: hint.to_owned() });
    }

    fn note(&mut self, node: &Node, message: impl Into<String>, hint: &str) {
        self.notes.push(Finding { place: node.place.clone(), message: message.into(), hint: hint.to_owned() });
    }

    fn full_name<'b>(&'b self, section: &str, name: &'b str) -> &'b str {
        let entry = self.root.get(section).and_then(|all| all.get(name));
        entry.and_then(|entry| entry.text_of("name")).unwrap_or(name)
    }

    /// Networks and volumes of other owners; and drivers, which nobody here sets.
    fn external(&mut self) -> Vec<ObjectId> {
        let mut found = Vec::new();
        for (section, kind, usual) in [("networks", "network", "bridge"), ("volumes", "volume", "local")] {
            for pair in self.root.get(section).map(Node::pairs).unwrap_or_default() {
                if pair.node.get("external").is_some_and(Node::is_true) {
                    found.push(ObjectId::new(kind, self.full_name(section, &pair.key)));
                } else if let Some(driver) = pair.node.get("driver").filter(|driver| driver.text() != Some(usual)) {
                    let message =
                        format!("the {kind} `{}` has a driver of its own, which is not set up here", pair.key);
                    self.bad(driver, message, "make it by hand and write `external: true`");
                }
                for key in ["labels", "attachable"] {
                    if let Some(node) = pair.node.get(key) {
                        self.note(
                            node,
                            format!("`{key}` of {kind} `{}` is not set", pair.key),
                            "make it by hand where it matters",
                        );
                    }
                }
            }
        }
        found
    }

    fn service(&mut self, name: &str, node: &Node, known: ServiceSettings) -> ServiceSettings {
        let text = |key: &str| node.text_of(key).map(str::to_owned);
        let list = |key: &str| node.get(key).map(texts).unwrap_or_default();
        let words = |key: &str| node.get(key).map(texts);
        let env = node.get("environment").map(Node::pairs).unwrap_or_default();
        let (mut limits, mut reserved) = (BTreeMap::new(), BTreeMap::new());
        if let Some(resources) = node.get("deploy").and_then(|deploy| deploy.get("resources")) {
            for (key, into) in [("limits", &mut limits), ("reservations", &mut reserved)] {
                into.extend(
                    resources
                        .get(key)
                        .map(Node::pairs)
                        .unwrap_or_default()
                        .iter()
                        .map(|pair| (pair.key.as_str(), &pair.node)),
                );
            }
        }
        let bytes = |node: Option<&Node>| node.and_then(Node::text).and_then(|text| text.parse::<i64>().ok());
        let positive = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        let memory = positive(bytes(node.get("mem_limit").or_else(|| limits.get("memory").copied())));
        let whole = |key: &str| node.get(key).and_then(Node::whole).unwrap_or(0);
        let mut extra = Extra {
            labels: pairs(node.get("labels")),
            hostname: text("hostname"),
            domainname: text("domainname"),
            working_dir: text("working_dir"),
            stop_signal: text("stop_signal"),
            tty: node.get("tty").is_some_and(Node::is_true),
            stdin_open: node.get("stdin_open").is_some_and(Node::is_true),
            privileged: node.get("privileged").is_some_and(Node::is_true),
            init: node.get("init").map(Node::is_true),
            cap_add: list("cap_add"),
            cap_drop: list("cap_drop"),
            security_opt: list("security_opt"),
            group_add: list("group_add"),
            ipc: text("ipc"),
            pid: text("pid"),
            userns_mode: text("userns_mode"),
            uts: text("uts"),
            cgroup_parent: text("cgroup_parent"),
            runtime: text("runtime"),
            sysctls: pairs(node.get("sysctls")),
            // Compose writes an equal sign, the engine takes a colon.
            extra_hosts: list("extra_hosts").into_iter().map(|host| host.replacen('=', ":", 1)).collect(),
            dns: list("dns"),
            dns_search: list("dns_search"),
            dns_opt: list("dns_opt"),
            shm_bytes: positive(bytes(node.get("shm_size"))),
            memory_reservation_bytes: positive(bytes(
                node.get("mem_reservation").or_else(|| reserved.get("memory").copied()),
            )),
            memory_swap_bytes: bytes(node.get("memswap_limit")).unwrap_or(0),
            cpu_shares: u64::try_from(whole("cpu_shares")).unwrap_or(0),
            cpuset: text("cpuset").unwrap_or_default(),
            oom_score_adj: whole("oom_score_adj"),
            ..Extra::default()
        };
        for (key, value) in [("ipc", &extra.ipc), ("pid", &extra.pid)] {
            if let (Some(node), Some(_)) = (node.get(key), value.as_ref().filter(|value| value.contains(':'))) {
                self.bad(node, format!("`{key}` of another container is not carried out"), "`host` is");
            }
        }
        if let Some(logging) = node.get("logging") {
            extra.logging.driver = logging.text_of("driver").unwrap_or_default().to_owned();
            extra.logging.options = pairs(logging.get("options"));
        }
        for pair in node.get("ulimits").map(Node::pairs).unwrap_or_default() {
            let both = pair.node.whole();
            let of = |key: &str| both.or_else(|| pair.node.get(key).and_then(Node::whole)).unwrap_or(-1);
            extra.ulimits.insert(pair.key.clone(), Limit { soft: of("soft"), hard: of("hard") });
        }
        for device in node.get("devices").map(Node::items).unwrap_or_default() {
            let of = |key: &str| device.text_of(key).unwrap_or_default();
            let target = if of("target").is_empty() { of("source") } else { of("target") };
            let rights = if of("permissions").is_empty() { "rwm" } else { of("permissions") };
            extra.devices.push(format!("{}:{target}:{rights}", of("source")));
        }
        for entry in list("tmpfs") {
            let (path, options) = entry.split_once(':').unwrap_or((&entry, ""));
            extra.tmpfs.insert(path.to_owned(), options.to_owned());
        }
        let restart = text("restart").unwrap_or_else(|| "no".to_owned());
        let (restart, most) = restart.split_once(':').unwrap_or((&restart, "0"));
        extra.restart_max = most.parse().unwrap_or(0);
        self.small_things(name, node);
        let mut deploy = DeploySettings {
            strategy: known.deploy.strategy,
            checks: known.deploy.checks.clone(),
            ready: known.deploy.ready,
            approval: known.deploy.approval,
            judged: known.deploy.judged,
            scan: known.deploy.scan.clone(),
            command: words("command"),
            entrypoint: words("entrypoint"),
            memory: (memory > 0).then_some(ByteSize(memory)),
            cpus: node.get("cpus").or_else(|| limits.get("cpus").copied()).and_then(Node::number).unwrap_or(0.0),
            pids: node
                .get("pids_limit")
                .or_else(|| limits.get("pids").copied())
                .and_then(Node::whole)
                .map_or(0, |pids| u64::try_from(pids).unwrap_or(0)),
            user: text("user"),
            read_only: node.get("read_only").is_some_and(Node::is_true),
            restart: restart.to_owned(),
            stop_grace: node.text_of("stop_grace_period").and_then(span).unwrap_or(Span::from_secs(10)),
            health: node.get("healthcheck").map(health),
            ..DeploySettings::default()
        };
        let replicas = node.get("deploy").and_then(|deploy| deploy.get("replicas")).or_else(|| node.get("scale"));
        if let Some(replicas) = replicas.and_then(Node::whole) {
            deploy.replicas = u32::try_from(replicas).unwrap_or(0);
        }
        self.ports(node, &mut deploy, &mut extra);
        self.networks(name, node, &mut deploy, &mut extra);
        self.volumes(name, node, &mut deploy, &mut extra);
        self.grants(name, node, &mut deploy);
        deploy.container = extra;
        ServiceSettings {
            image: text("image"),
            env: env.iter().filter_map(|pair| Some((pair.key.clone(), pair.node.text()?.to_owned()))).collect(),
            deploy,
            ..known
        }
    }

    /// What is called otherwise here, or has another meaning.
    fn small_things(&mut self, name: &str, node: &Node) {
        if let Some(own) = node.get("container_name") {
            let called = own.text().unwrap_or_default().to_owned();
            self.note(own, format!("`{name}` is not called `{called}`"), "apm names containers by project and service");
        }
        let deploy = node.get("deploy");
        if let Some(labels) = deploy.and_then(|deploy| deploy.get("labels")) {
            self.note(
                labels,
                "labels of a whole service have nowhere to stand",
                "labels under `labels` are the container's",
            );
        }
        if let Some(mode) =
            deploy.and_then(|deploy| deploy.get("mode")).filter(|mode| mode.text() != Some("replicated"))
        {
            self.bad(mode, "this mode is of a cluster", "`replicated` is carried out");
        }
        if let Some(cpus) = deploy.and_then(|deploy| deploy.get("resources")?.get("reservations")?.get("cpus")) {
            self.note(cpus, "processors cannot be reserved on one engine", "`limits` are carried out");
        }
        for need in node.get("depends_on").map(Node::pairs).unwrap_or_default() {
            if need.node.text_of("condition") == Some("service_completed_successfully") {
                self.bad(
                    &need.node,
                    format!("`{}` would have to end before `{name}` starts", need.key),
                    "run it by hand before; services are deployed here",
                );
            }
        }
    }
}

fn texts(node: &Node) -> Vec<String> {
    node.items().iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn pairs(node: Option<&Node>) -> BTreeMap<String, String> {
    let all = node.map(Node::pairs).unwrap_or_default();
    all.iter().map(|pair| (pair.key.clone(), pair.node.text().unwrap_or_default().to_owned())).collect()
}

fn span(text: &str) -> Option<Span> {
    operate_compose::nanos(text).map(|nanos| Span(std::time::Duration::from_nanos(nanos)))
}

fn health(node: &Node) -> HealthSettings {
    let disable = node.get("disable").is_some_and(Node::is_true);
    HealthSettings {
        test: node.get("test").filter(|_| !disable).map(|test| Test::Words(texts(test))),
        interval: node.text_of("interval").and_then(span),
        timeout: node.text_of("timeout").and_then(span),
        retries: node.get("retries").and_then(Node::whole).map_or(0, |retries| u32::try_from(retries).unwrap_or(0)),
        start_period: node.text_of("start_period").and_then(span),
        disable,
        ..HealthSettings::default()
    }
}

#[cfg(test)]
mod tests;
