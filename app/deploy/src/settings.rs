//! The sections of `apm.yaml` that a release is made from: `project`, `services`, `judge`, `freezes`, `windows`,
//! `notify`. It knows no engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use app_adapt::{Places, Webhook};
use app_config::{ByteSize, ConfigError, Node, Span, Tree, Value};
use base_explain::Report;
use base_http::Secret;
use base_world::Disk;
use operate_build::BuildSettings;
use operate_deploy::{Extra, Masked, Strategy};
use operate_execute::{Deliver, Occasion};
use operate_gate::{Freeze, Slo, UserCheck};
use operate_plan::Window;
use operate_scan::ScanSettings;
use serde::Deserialize;

use crate::cluster::KubernetesSettings;
use crate::env_files::EnvFile;
use crate::health::HealthSettings;

/// What the file says about a project.
#[derive(Debug, Clone, Default)]
pub struct Project {
    pub name: String,
    pub environment: String,
    pub services: BTreeMap<String, ServiceSettings>,
    pub judge: JudgeSettings,
    /// No changes from … to.
    pub freezes: Vec<Freeze>,
    /// Compose files that say what the services are, relative to the folder of the settings.
    pub compose: Vec<PathBuf>,
    /// Whether the settings say what the project is called.
    pub named: bool,
    /// With any, changes are made within one of them only.
    pub windows: Vec<Window>,
    /// Who is told of runs.
    pub notify: Vec<NotifySettings>,
    /// Those that the file names, in its order.
    pub environments: Vec<String>,
    /// The way of a version through the environments, as a promotion goes it.
    pub promotion: Vec<String>,
}

/// A receiver of notices.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct NotifySettings {
    /// Where notices are POSTed; it may hold a token, so it is shown nowhere.
    pub webhook: String,
    /// Of which events; all when left out.
    pub events: Vec<Occasion>,
    /// A file that holds what requests are signed with.
    pub secret: Option<PathBuf>,
}

impl std::fmt::Debug for NotifySettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NotifySettings").field("events", &self.events).finish_non_exhaustive()
    }
}

impl NotifySettings {
    /// The receiver; settings that cannot be meant are refused, and never repeated.
    pub(crate) fn receiver(&self, disk: &dyn Disk) -> Result<Arc<dyn Deliver>, Report> {
        if !["http://", "https://"].iter().any(|scheme| self.webhook.starts_with(scheme)) {
            let report = Report::new("`webhook` of `notify` is no address");
            return Err(report.hint("write `notify: [{ webhook: https://example.org/hook }]`"));
        }
        let secret = match &self.secret {
            None => None,
            Some(path) => Some(disk.read(path, SECRET_BYTES_MAX).map_err(|error| Report::of(&error))?),
        };
        let secret = secret.as_deref().map(|secret| secret.strip_suffix(b"\n").unwrap_or(secret));
        let url = Secret::new(self.webhook.clone());
        let webhook = Webhook::new(url, secret, &self.events);
        Ok(Arc::new(webhook.map_err(|error| Report::of(&error))?))
    }
}

/// A key is not longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// One service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ServiceSettings {
    /// What `apm run` starts.
    pub run: Option<String>,
    pub language: Option<String>,
    /// Where it listens; the port of checks that name none.
    pub port: Option<u16>,
    pub tier: Option<String>,
    /// With a tag, or without: then the version is the tag.
    pub image: Option<String>,
    pub env: BTreeMap<String, String>,
    /// Those of `env` that a secret variable of this process or of a file fills in; they are not in `env` any more.
    #[serde(skip)]
    pub hidden: Masked,
    /// Files of variables; `env` wins over them, and a later one over an earlier one.
    pub env_file: Vec<EnvFile>,
    /// Name of the variable to a file that holds its value.
    pub secrets: BTreeMap<String, PathBuf>,
    pub slo: Slo,
    pub deploy: DeploySettings,
    /// How its image is built, and how its agent comes to it.
    pub build: BuildSettings,
}

/// How it is deployed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct DeploySettings {
    /// `docker`, so far.
    pub target: String,
    /// For the target `kubernetes`.
    pub kubernetes: KubernetesSettings,
    /// Left out: blue-green where there is a front, else recreate.
    pub strategy: Option<Strategy>,
    /// Owns the service's port, so that it never has to move.
    pub front: Option<FrontSettings>,
    pub canary: CanarySettings,
    pub replicas: u32,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    /// As `docker run -p` takes them: `8080:80`, `127.0.0.1:8080:80`.
    pub ports: Vec<String>,
    /// As `docker run -v` takes them: `data:/data`, `/etc/x:/x:ro`.
    pub volumes: Vec<String>,
    pub networks: Vec<String>,
    pub memory: Option<ByteSize>,
    /// 0.5 is half a processor.
    pub cpus: f64,
    pub pids: u64,
    pub user: Option<String>,
    pub read_only: bool,
    pub restart: String,
    pub checks: Vec<CheckSettings>,
    /// Docker's own check, inside the container.
    pub health: Option<HealthSettings>,
    /// The rarer settings of a container.
    pub container: Extra,
    /// How long a new container may take until it answers.
    pub ready: Span,
    pub stop_grace: Span,
    /// Whether a person is asked first.
    pub approval: bool,
    /// Whether telemetry decides.
    pub judged: bool,
    /// Whether the image is looked into before anything is changed, and what is too bad.
    pub scan: Option<ScanSettings>,
}

impl DeploySettings {
    /// How it is released when nobody says.
    pub fn usual_strategy(&self) -> Strategy {
        let usual = if self.front.is_some() { Strategy::BlueGreen } else { Strategy::Recreate };
        self.strategy.unwrap_or(usual)
    }
}

impl Default for DeploySettings {
    fn default() -> DeploySettings {
        DeploySettings {
            target: "docker".into(),
            kubernetes: KubernetesSettings::default(),
            strategy: None,
            front: None,
            canary: CanarySettings::default(),
            replicas: 1,
            command: None,
            entrypoint: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            networks: Vec::new(),
            memory: None,
            cpus: 0.0,
            pids: 0,
            user: None,
            read_only: false,
            restart: String::new(),
            checks: Vec::new(),
            health: None,
            container: Extra::default(),
            ready: Span::from_secs(60),
            stop_grace: Span::from_secs(10),
            approval: false,
            judged: true,
            scan: None,
        }
    }
}

/// The front of a service. Everything may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct FrontSettings {
    /// `127.0.0.1:8080`; left out: the first published port of `ports`.
    pub listen: Option<String>,
    /// The path of its control socket.
    pub control: Option<PathBuf>,
    /// Ports of the machine's loopback, blue's and green's.
    pub ports: Option<[u16; 2]>,
}

/// How a canary gets its traffic.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct CanarySettings {
    /// Percent of the requests, rising.
    pub steps: Vec<u32>,
    /// How long each step is watched; the judge's own bake when left out.
    pub bake: Option<Span>,
}

impl Default for CanarySettings {
    fn default() -> CanarySettings {
        CanarySettings { steps: vec![10, 50, 100], bake: None }
    }
}

/// What must answer before the new version counts as up; exactly one of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct CheckSettings {
    /// A path.
    pub http: Option<String>,
    /// A port.
    pub tcp: Option<u16>,
    /// For `http`: the service's own when left out.
    pub port: Option<u16>,
}

/// The judge: where it asks, and how strict it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct JudgeSettings {
    /// Base URL of a Prometheus; the engine when left out.
    pub prometheus: Option<String>,
    /// Base URL of a Loki; the engine when left out.
    pub loki: Option<String>,
    /// Base URL of a Jaeger, asked whether spans arrive; the engine when left out.
    pub jaeger: Option<String>,
    /// Base URL of an Alertmanager, whose firing alerts hold a release back beside those of the Prometheus; none when left out.
    pub alertmanager: Option<String>,
    pub checks: Vec<UserCheck>,
    /// The judge's own, in Kayenta's words: `bake`, `past`, `min_traffic`, …
    pub settings: operate_gate::Settings,
}

/// A file or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl JudgeSettings {
    /// Whom the judge asks, with an engine for all that is not named.
    pub fn places(&self, engine: String, token: Option<String>) -> Places {
        let (prometheus, loki) = (self.prometheus.clone(), self.loki.clone());
        let (jaeger, alertmanager) = (self.jaeger.clone(), self.alertmanager.clone());
        Places { engine, token, prometheus, loki, jaeger, alertmanager }
    }
}

/// Variables that a secret fills in are taken out of those that a plan shows; a secret elsewhere in what a plan shows is refused.
fn hide(node: &Node, service: &mut ServiceSettings) -> Result<(), ConfigError> {
    for part in ["image", "deploy"] {
        if let Some((at, filled)) = node.get(part).and_then(Node::secret) {
            let name = &filled.name;
            let report = Report::new(format!("the value of the secret `{name}` would stand in the plan in clear"));
            let hint =
                format!("give it to the program as a variable: `env: {{ {name}: ${{{name}}} }}`; those are sealed");
            return Err(ConfigError::new(at.origin.on(report.hint(hint))));
        }
    }
    let Some(Value::Map(variables)) = node.get("env").map(|env| &env.value) else { return Ok(()) };
    for (key, _) in variables.iter().filter(|(_, value)| value.secret().is_some()) {
        if let Some(value) = service.env.remove(&key.name) {
            service.hidden.put(&key.name, &value);
        }
    }
    Ok(())
}

impl Project {
    /// Reads them, with what the environment says laid over.
    pub fn read(mut tree: Tree, environment: Option<&str>, folder_name: &str) -> Result<Project, ConfigError> {
        let environment = environment.unwrap_or("default");
        let environments = match tree.node("environments").map(|node| &node.value) {
            Some(Value::Map(members)) => members.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => Vec::new(),
        };
        tree.choose_environment(environment)?;
        let mut services: BTreeMap<String, ServiceSettings> = tree.section("services")?;
        for (name, service) in &mut services {
            if let Some(node) = tree.node("services").and_then(|all| all.get(name)) {
                hide(node, service)?;
            }
        }
        let name: Option<String> = tree.section("project")?;
        Ok(Project {
            named: name.is_some(),
            name: name.unwrap_or_else(|| folder_name.to_owned()),
            environment: environment.to_owned(),
            services,
            judge: tree.section("judge")?,
            freezes: tree.section::<Option<Vec<Freeze>>>("freezes")?.unwrap_or_default(),
            windows: tree.section::<Option<Vec<Window>>>("windows")?.unwrap_or_default(),
            notify: tree.section::<Option<Vec<NotifySettings>>>("notify")?.unwrap_or_default(),
            compose: match tree.section::<Option<OneOrMore>>("compose")? {
                None => Vec::new(),
                Some(OneOrMore::One(path)) => vec![path],
                Some(OneOrMore::More(paths)) => paths,
            },
            promotion: tree.section::<Option<Vec<String>>>("promotion")?.unwrap_or_default(),
            environments,
        })
    }
}

#[cfg(test)]
mod tests {
    use app_config::Variable;

    use super::*;

    fn read(text: &str) -> Result<Project, ConfigError> {
        let mut tree = Tree::default();
        let lookup = |_: &[&str], name: &str| {
            let secret = name.starts_with("SECRET");
            (name != "NOBODY").then(|| Variable { value: if secret { "hush" } else { "info" }.to_owned(), secret })
        };
        tree.add_file_asking("apm.yaml", text, &lookup)?;
        Project::read(tree, Some("prod"), "shop")
    }

    #[test]
    fn a_variable_that_a_secret_fills_in_is_hidden() {
        let text = "services:\n  web:\n    env: { LEVEL: \"${LEVEL}\", URL: \"http://${SECRET_X}@db\", OWN: x }\nenvironments:\n  prod: { services: { web: { env: { OWN: \"${SECRET_Y}\" } } } }\n  dev: { services: { web: { image: \"${NOBODY}\" } } }\n";
        let project = read(text).expect("settings");
        let web = &project.services["web"];
        assert_eq!(web.env, [("LEVEL".to_owned(), "info".to_owned())].into());
        let hidden: Vec<_> = web.hidden.values().collect();
        assert_eq!(hidden, [("OWN", "hush"), ("URL", "http://hush@db")]);
        assert!(!format!("{project:?}").contains("hush"));
    }

    #[test]
    fn a_secret_where_a_plan_would_show_it_is_refused() {
        let check = |service: &str, place: &str| {
            let error = read(&format!("services: {{ web: {{ {service} }} }}\n")).expect_err(service).to_string();
            let expect =
                format!("the value of the secret `SECRET_X` would stand in the plan in clear (at apm.yaml:1:{place})");
            assert!(error.starts_with(&expect) && !error.contains("hush"), "{error}");
        };
        check("image: \"shop/${SECRET_X}\"", "27");
        check("deploy: { command: [serve, \"--key=${SECRET_X}\"] }", "47");
        assert!(read("services: { web: { secrets: { X: \"/run/${SECRET_X}\" } } }\n").is_ok());
    }
}
