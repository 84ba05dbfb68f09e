//! What is known of a pod before it is injected: whose it is, what it asks for by annotations, which of its containers are meant. Changes nothing.

use lib_yaml_edit::Step;
use operate_agents::{Project, detect};
use serde_json::Value;

use super::patch::walk;
use super::settings::{AgentLanguage, InjectSettings};
use super::{InjectError, OPT_OUT, Skipped};
use crate::object::pod_path;

const OPERATOR: &str = "instrumentation.opentelemetry.io";

/// A pod in its object.
pub(crate) struct Pod<'v> {
    pub(crate) object: &'v Value,
    /// Leads to the pod's `metadata` and `spec`.
    pub(crate) path: Vec<Step>,
    pub(crate) pod: &'v Value,
}

impl<'v> Pod<'v> {
    /// The pod that an object makes or is; nothing if its kind makes none.
    pub(crate) fn of(object: &'v Value) -> Option<Pod<'v>> {
        let version = object.get("apiVersion")?.as_str()?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let path: Vec<Step> =
            pod_path(group, object.get("kind")?.as_str()?)?.iter().map(|key| Step::from(*key)).collect();
        Some(Pod { object, pod: walk(object, &path)?, path })
    }

    pub(crate) fn at(&self, keys: &[&str]) -> Vec<Step> {
        self.path.iter().cloned().chain(keys.iter().map(|key| Step::from(*key))).collect()
    }

    pub(crate) fn spec(&self, key: &str) -> &'v Value {
        &self.pod["spec"][key]
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&'v str> {
        self.pod["metadata"]["annotations"][key].as_str()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&'v str> {
        self.pod["metadata"]["labels"][key].as_str().filter(|value| !value.is_empty())
    }

    pub(crate) fn operator(&self, key: &str) -> Option<&'v str> {
        self.annotation(&format!("{OPERATOR}/{key}"))
    }

    /// Why the pod is left alone, if it is.
    pub(crate) fn skipped(&self) -> Option<Skipped> {
        if self.spec("hostNetwork") == &Value::Bool(true) {
            return Some(Skipped::HostNetwork);
        }
        if self.annotation(OPT_OUT).is_some_and(is_no) {
            return Some(Skipped::OptedOut { annotation: OPT_OUT.to_owned() });
        }
        if self.spec("os")["name"] == "windows" {
            return Some(Skipped::Windows);
        }
        self.annotation("kubernetes.io/config.mirror").map(|_| Skipped::Mirror)
    }

    /// The language of the agent: an annotation, then the setting, then the container's command, then its image.
    pub(crate) fn language(
        &self,
        settings: &InjectSettings,
        container: Option<&Value>,
    ) -> Result<AgentLanguage, Skipped> {
        let asked = |language: &AgentLanguage| self.operator(&format!("inject-{}", language.word()));
        if let Some(yes) = AgentLanguage::ALL.into_iter().find(|one| asked(one).is_some_and(|word| !is_no(word))) {
            return Ok(yes);
        }
        let guessed = || container.and_then(guess);
        let language = settings.language.or_else(guessed).ok_or(Skipped::NoLanguage)?;
        match asked(&language) {
            // Every other word was a yes.
            Some(_) => Err(Skipped::OptedOut { annotation: format!("{OPERATOR}/inject-{}", language.word()) }),
            None => Ok(language),
        }
    }

    /// The indexes of the containers that are meant.
    pub(crate) fn containers(&self, settings: &InjectSettings) -> Result<Vec<usize>, InjectError> {
        let all = self.spec("containers").as_array().filter(|all| !all.is_empty());
        let all = all.ok_or(InjectError::NoContainers)?;
        let names: Vec<&str> = match self.operator("container-names") {
            Some(names) => names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect(),
            None => settings.containers.iter().map(String::as_str).collect(),
        };
        if names.is_empty() {
            return Ok(vec![0]);
        }
        let find = |name: &&str| {
            let missing = || InjectError::NoContainer { container: (*name).to_owned() };
            all.iter().position(|one| one["name"] == **name).ok_or_else(missing)
        };
        names.iter().map(find).collect()
    }

    /// Kind and name of what owns the pod, as OpenTelemetry calls kinds: `deployment`, `cart`.
    pub(crate) fn owner(&self) -> Option<(&'static str, String)> {
        let attribute = |kind: &str| match kind {
            "Deployment" => Some("deployment"),
            "StatefulSet" => Some("statefulset"),
            "DaemonSet" => Some("daemonset"),
            "ReplicaSet" => Some("replicaset"),
            "Job" => Some("job"),
            "CronJob" => Some("cronjob"),
            _ => None,
        };
        let name = |value: &Value| value["name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        if self.object["kind"] != "Pod" {
            return Some((attribute(self.object["kind"].as_str()?)?, name(&self.object["metadata"])?));
        }
        let owners = self.pod["metadata"]["ownerReferences"].as_array()?;
        let owner = owners.iter().find(|owner| owner["controller"] == true)?;
        let (kind, name) = (owner["kind"].as_str()?, name(owner)?);
        let of_deployment = self
            .label("pod-template-hash")
            .filter(|_| kind == "ReplicaSet")
            .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
        match of_deployment {
            Some(deployment) => Some(("deployment", deployment.to_owned())),
            None => Some((attribute(kind)?, name)),
        }
    }

    pub(crate) fn service(&self, settings: &InjectSettings) -> Option<String> {
        let own = || self.object["metadata"]["name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        settings
            .service
            .clone()
            .or_else(|| self.label("app.kubernetes.io/name").map(str::to_owned))
            .or_else(|| self.owner().map(|(_, name)| name))
            .or_else(own)
    }

    pub(crate) fn version(&self, settings: &InjectSettings, container: &Value) -> Option<String> {
        let tag = || image_tag(container["image"].as_str()?).filter(|tag| *tag != "latest").map(str::to_owned);
        settings.version.clone().or_else(|| self.label("app.kubernetes.io/version").map(str::to_owned)).or_else(tag)
    }
}

fn is_no(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "disabled")
}

/// `1.2` of `registry:5000/shop/cart:1.2@sha256:…`.
fn image_tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    name.split_once(':').map(|(_, tag)| tag)
}

/// Images that are a language's own, by the last part of their name.
const IMAGES: &[(AgentLanguage, &[&str])] = &[
    (AgentLanguage::Java, &["openjdk", "eclipse-temurin", "amazoncorretto", "tomcat", "jetty", "ibm-semeru-runtimes"]),
    (AgentLanguage::Python, &["python", "pypy"]),
    (AgentLanguage::Node, &["node"]),
    (AgentLanguage::Ruby, &["ruby", "jruby"]),
    (AgentLanguage::Php, &["php"]),
    (AgentLanguage::DotNet, &["aspnet"]),
];

/// What the container's command or image tells of its language.
fn guess(container: &Value) -> Option<AgentLanguage> {
    let words = |key: &str| container[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command: Vec<String> = words("command").chain(words("args")).map(str::to_owned).collect();
    let told = detect(&Project { command, ..Project::default() }).language;
    AgentLanguage::of(told).or_else(|| {
        let image = container["image"].as_str()?.split('@').next()?;
        let name = image.rsplit('/').next()?.split(':').next()?;
        IMAGES.iter().find(|(_, names)| names.contains(&name)).map(|(language, _)| *language)
    })
}
