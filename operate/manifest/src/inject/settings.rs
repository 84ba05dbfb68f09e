//! What may be said about injection: `services.NAME.deploy.kubernetes.inject` in `apm.yaml`, and the flags of the command. Environments override it as
//! they override every setting. Knows no file and no flag.

use operate_agents::Language;
use serde::{Deserialize, Serialize};

/// A language whose programs can be given an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentLanguage {
    Java,
    Python,
    #[serde(alias = "nodejs")]
    Node,
    Go,
    Ruby,
    Php,
    DotNet,
}

impl AgentLanguage {
    pub const ALL: [AgentLanguage; 7] = [
        AgentLanguage::Java,
        AgentLanguage::Python,
        AgentLanguage::Node,
        AgentLanguage::Go,
        AgentLanguage::Ruby,
        AgentLanguage::Php,
        AgentLanguage::DotNet,
    ];

    /// As annotations write it: OpenTelemetry's operator says `nodejs`.
    pub fn word(self) -> &'static str {
        match self {
            AgentLanguage::Java => "java",
            AgentLanguage::Python => "python",
            AgentLanguage::Node => "nodejs",
            AgentLanguage::Go => "go",
            AgentLanguage::Ruby => "ruby",
            AgentLanguage::Php => "php",
            AgentLanguage::DotNet => "dotnet",
        }
    }

    pub(crate) fn known(self) -> Language {
        match self {
            AgentLanguage::Java => Language::Java,
            AgentLanguage::Python => Language::Python,
            AgentLanguage::Node => Language::Node,
            AgentLanguage::Go => Language::Go,
            AgentLanguage::Ruby => Language::Ruby,
            AgentLanguage::Php => Language::Php,
            AgentLanguage::DotNet => Language::DotNet,
        }
    }

    pub(crate) fn of(language: Language) -> Option<AgentLanguage> {
        AgentLanguage::ALL.into_iter().find(|one| one.known() == language)
    }
}

/// What may run beside the program in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sidecar {
    /// A Collector that scrapes the program's Prometheus port.
    Metrics,
    /// A Collector that takes the program's OTLP on the pod's own loopback.
    Traces,
    /// Fluent Bit, for a program that writes its log to files.
    Logs,
}

/// How pods are injected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct InjectSettings {
    /// Left out, an annotation of the pod decides, then its command and image.
    pub language: Option<AgentLanguage>,
    /// The containers that get the agent; the pod's first when empty. The annotation `instrumentation.opentelemetry.io/container-names` wins.
    pub containers: Vec<String>,
    /// `service.name`; else the label `app.kubernetes.io/name`, else the workload's name.
    pub service: Option<String>,
    /// `service.version`; else the label `app.kubernetes.io/version`, else the image's tag.
    pub version: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// Where OTLP over HTTP is taken; `$(APM_NODE_IP)` is the node's address.
    pub endpoint: String,
    /// The image with the agent's files, instead of OpenTelemetry's own.
    pub image: Option<String>,
    /// What of that image is copied: a file, or a folder with `/.` at its end.
    pub source: Option<String>,
    pub sidecars: Vec<Sidecar>,
    pub collector_image: String,
    pub log_image: String,
    /// The folder into which the program writes `*.log`.
    pub log_folder: String,
    /// The program's port for Prometheus; else the annotation `prometheus.io/port`.
    pub metrics_port: Option<u16>,
    /// Let Istio add its proxy: by its label, the rest is Istio's.
    pub istio: bool,
    /// The most that an added container may take.
    pub cpu: String,
    pub memory: String,
}

impl Default for InjectSettings {
    fn default() -> InjectSettings {
        InjectSettings {
            language: None,
            containers: Vec::new(),
            service: None,
            version: None,
            environment: None,
            endpoint: "http://$(APM_NODE_IP):4318".to_owned(),
            image: None,
            source: None,
            sidecars: Vec::new(),
            // Both are published: github.com/open-telemetry/opentelemetry-collector-releases (tag v0.122.1), and the table of tags in
            // docs.fluentbit.io/manual/installation/downloads/docker (4.0.3).
            collector_image: "otel/opentelemetry-collector-contrib:0.122.1".to_owned(),
            log_image: "fluent/fluent-bit:4.0.3".to_owned(),
            log_folder: "/var/log/app".to_owned(),
            metrics_port: None,
            istio: false,
            cpu: "500m".to_owned(),
            memory: "128Mi".to_owned(),
        }
    }
}
