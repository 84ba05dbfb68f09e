//! OpenTelemetry's environment, alike for every language: names, endpoint, exporters, resource.
//! The user's own `OTEL_*` variables win. Does not know how an agent gets into a process.
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP exporter configuration".

use crate::project::{Project, project_name};

/// What the person chose and what their shell already says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Given on the command line: wins over everything.
    pub service: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// Base URL for OTLP over HTTP: `http://127.0.0.1:4318`.
    pub otlp_endpoint: String,
    /// `service.version`: the commit.
    pub version: Option<String>,
    /// `service.instance.id`, unique to this launch.
    pub instance: String,
    /// The variables of the user's shell that matter here, see [`is_inherited`].
    pub inherited: Vec<(String, String)>,
}

/// Whether a variable of the user's shell belongs into [`Settings::inherited`].
pub fn is_inherited(name: &str) -> bool {
    let lower = name.to_lowercase();
    name.starts_with("OTEL_") || matches!(name, "PYTHONPATH" | "FLASK_DEBUG") || lower.ends_with("_proxy")
}

impl Settings {
    /// A variable of the user's shell; an empty one counts as unset, as OpenTelemetry has it.
    pub fn inherited(&self, name: &str) -> Option<&str> {
        self.inherited.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// The part of a launch that no language changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Common {
    pub(crate) service: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) warnings: Vec<String>,
}

/// The service's name: given, else `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else the project's.
pub fn service_name(project: &Project, settings: &Settings) -> String {
    let given = settings.service.clone().filter(|name| !name.trim().is_empty());
    given
        .or_else(|| settings.inherited("OTEL_SERVICE_NAME").map(str::to_owned))
        .or_else(|| resource_attribute(settings.inherited("OTEL_RESOURCE_ATTRIBUTES")?, "service.name"))
        .unwrap_or_else(|| project_name(project))
}

/// The value of one key in `OTEL_RESOURCE_ATTRIBUTES`, percent-decoding left undone.
pub fn resource_attribute(list: &str, key: &str) -> Option<String> {
    list.split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

pub(crate) fn common(project: &Project, settings: &Settings) -> Common {
    let service = service_name(project, settings);
    let mut warnings = Vec::new();
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let own_endpoint = settings.inherited(endpoint);
    if let Some(theirs) = own_endpoint
        && theirs.trim_end_matches('/') != settings.otlp_endpoint.trim_end_matches('/')
    {
        warnings.push(format!(
            "Telemetry goes to {theirs}, because {endpoint} is set in your shell; unset it to send to {}.",
            settings.otlp_endpoint
        ));
    }
    let mut env = vec![
        ("OTEL_SERVICE_NAME".to_owned(), service.clone()),
        ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), resource_attributes(settings)),
    ];
    let mut default = |name: &str, value: &str| {
        if settings.inherited(name).is_none() {
            env.push((name.to_owned(), value.to_owned()));
        }
    };
    default(endpoint, &settings.otlp_endpoint);
    default(protocol, "http/protobuf");
    for signal in ["TRACES", "METRICS", "LOGS"] {
        default(&format!("OTEL_{signal}_EXPORTER"), "otlp");
    }
    default("OTEL_PROPAGATORS", "tracecontext,baggage");
    // A developer waits for the first trace: ship every half second, metrics every five.
    default("OTEL_BSP_SCHEDULE_DELAY", "500");
    default("OTEL_BLRP_SCHEDULE_DELAY", "500");
    default("OTEL_METRIC_EXPORT_INTERVAL", "5000");
    if let Some(theirs) = settings.inherited(protocol)
        && theirs != "http/protobuf"
        && own_endpoint.is_none()
    {
        warnings.push(format!(
            "{protocol}={theirs} is set in your shell, but {} speaks http/protobuf; the program was given http/protobuf.",
            settings.otlp_endpoint
        ));
        env.push((protocol.to_owned(), "http/protobuf".to_owned()));
    }
    env.extend(no_proxy(settings, own_endpoint.unwrap_or(&settings.otlp_endpoint)));
    Common { service, env, warnings }
}

/// A company's proxy cannot reach this machine's own ports, but exporters would ask it to.
fn no_proxy(settings: &Settings, endpoint: &str) -> Vec<(String, String)> {
    let either = |name: &str| settings.inherited(name).or_else(|| settings.inherited(&name.to_uppercase()));
    let hosts = ["127.0.0.1", "localhost", "[::1]"];
    let here = hosts.iter().any(|host| endpoint.split("://").nth(1).is_some_and(|rest| rest.starts_with(host)));
    let proxied = ["http_proxy", "https_proxy", "all_proxy"].iter().any(|name| either(name).is_some());
    let theirs = either("no_proxy").unwrap_or("");
    let excepted = |host: &str| theirs.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == host);
    if !here || !proxied || (excepted("127.0.0.1") && excepted("localhost")) {
        return Vec::new();
    }
    let list =
        if theirs.is_empty() { "127.0.0.1,localhost".to_owned() } else { format!("{theirs},127.0.0.1,localhost") };
    ["no_proxy", "NO_PROXY"].map(|name| (name.to_owned(), list.clone())).into()
}

/// The user's attributes as they are, and ours for the keys they did not set.
fn resource_attributes(settings: &Settings) -> String {
    let theirs = settings.inherited("OTEL_RESOURCE_ATTRIBUTES").unwrap_or("").trim_end_matches(',');
    let ours = [
        ("service.version", settings.version.as_deref()),
        ("deployment.environment.name", settings.environment.as_deref()),
        ("service.instance.id", Some(settings.instance.as_str())),
    ];
    let mut pairs: Vec<String> = Vec::new();
    if !theirs.is_empty() {
        pairs.push(theirs.to_owned());
    }
    for (key, value) in ours {
        if let Some(value) = value.filter(|value| !value.is_empty())
            && resource_attribute(theirs, key).is_none()
        {
            pairs.push(format!("{key}={}", percent_encode(value)));
        }
    }
    pairs.join(",")
}

/// Values follow W3C Baggage: what could be read as structure is percent-encoded.
pub fn percent_encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b'+') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
