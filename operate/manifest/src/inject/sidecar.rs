//! What runs beside the program: a Collector for traces and scraped metrics, Fluent Bit for log files. As init containers that go on running (Kubernetes
//! 1.29 and later): they are there before the program starts and leave after it, and a job ends although they run.
//!
//! Their whole configuration is in the pod; no ConfigMap has to be there. Sources: the Collector's `--config=env:NAME`, Fluent Bit's command line and its
//! output `opentelemetry`.

use serde_json::{Value, json};

use super::environment::FACTS;
use super::settings::Sidecar;
use super::{InjectError, Work};

/// What the sidecars mean for the program's container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    /// Where on loopback OTLP over HTTP is taken.
    pub(crate) otlp_port: Option<u16>,
    pub(crate) logs: Vec<Logs>,
}

/// A folder that the program shares with the log's sidecar.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    /// Index of the program's container.
    pub(crate) container: usize,
    pub(crate) volume: String,
    pub(crate) folder: String,
    /// The program did not have it mounted.
    pub(crate) is_new: bool,
}

/// Puts the sidecars into the pod.
pub(crate) fn sidecars(work: &mut Work<'_>, containers: &[usize]) -> Result<Beside, InjectError> {
    let mut beside = Beside::default();
    let wants = |one: Sidecar| work.settings.sidecars.contains(&one);
    let (metrics, traces, logs) = (wants(Sidecar::Metrics), wants(Sidecar::Traces), wants(Sidecar::Logs));
    if metrics || traces {
        beside.otlp_port = traces.then(|| free_port(work, 4318));
        let scraped = if metrics { Some(scraped(work)?) } else { None };
        collector(work, beside.otlp_port, scraped);
    }
    if logs {
        for at in containers {
            let shared = folder(work, *at);
            beside.logs.push(shared);
        }
        tail(work, &beside.logs);
    }
    Ok(beside)
}

/// A port of the pod that none of its containers declares.
fn free_port(work: &Work<'_>, wanted: u16) -> u16 {
    let lists = ["containers", "initContainers"].into_iter();
    let taken: Vec<u64> = lists
        .flat_map(|list| work.pod.spec(list).as_array().into_iter().flatten())
        .flat_map(|one| one["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["containerPort"].as_u64())
        .collect();
    let mut candidates = [wanted].into_iter().chain(wanted + 10_000..u16::MAX);
    candidates.find(|port| !taken.contains(&u64::from(*port))).unwrap_or(wanted)
}

/// The program's port and path for Prometheus, by the annotations that scrape configs look for.
fn scraped(work: &Work<'_>) -> Result<(u16, String), InjectError> {
    let annotated = || work.pod.annotation("prometheus.io/port").and_then(|port| port.parse().ok());
    let port = work.settings.metrics_port.or_else(annotated).filter(|port| *port > 0);
    let path = work.pod.annotation("prometheus.io/path").filter(|path| path.starts_with('/')).unwrap_or("/metrics");
    Ok((port.ok_or(InjectError::NoMetricsPort)?, path.to_owned()))
}

/// What a sidecar has to know of its pod.
fn facts(names: &[&str]) -> Vec<Value> {
    let wanted = FACTS.iter().filter(|(name, _)| names.contains(name));
    wanted.map(|(name, field)| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}})).collect()
}

fn collector(work: &mut Work<'_>, otlp_port: Option<u16>, scraped: Option<(u16, String)>) {
    let limiter = json!({"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20});
    let mut processors = json!({"memory_limiter": limiter, "batch": {"timeout": "1s"}});
    let mut env = facts(&["APM_NODE_IP"]);
    let mut receivers = serde_json::Map::new();
    let mut pipelines = serde_json::Map::new();
    let pipeline = |from: &[&str]| json!({"receivers": from, "processors": ["memory_limiter", "batch"], "exporters": ["otlphttp"]});
    if let Some(port) = otlp_port {
        let endpoint = format!("127.0.0.1:{port}");
        receivers.insert("otlp".to_owned(), json!({"protocols": {"http": {"endpoint": endpoint}}}));
        pipelines.insert("traces".to_owned(), pipeline(&["otlp"]));
        pipelines.insert("logs".to_owned(), pipeline(&["otlp"]));
        pipelines.insert("metrics".to_owned(), pipeline(&["otlp"]));
    }
    if let Some((port, path)) = scraped {
        let job = work.pod.service(work.settings).unwrap_or_else(|| "pod".to_owned());
        let target = json!({"targets": [format!("127.0.0.1:{port}")]});
        let config = json!({"scrape_configs": [{"job_name": job, "scrape_interval": "15s", "metrics_path": path, "static_configs": [target]}]});
        receivers.insert("prometheus".to_owned(), json!({"config": config}));
        let mut scraped = pipeline(&["prometheus"]);
        scraped["processors"] = json!(["memory_limiter", "resource", "batch"]);
        pipelines.insert("metrics/scraped".to_owned(), scraped);
        env = facts(&["APM_NODE_IP", "APM_POD_NAME", "APM_POD_NAMESPACE", "APM_POD_UID"]);
        // What is scraped on loopback is alike in every pod but for this.
        let said = [
            ("k8s.namespace.name", "$(APM_POD_NAMESPACE)"),
            ("k8s.pod.name", "$(APM_POD_NAME)"),
            ("k8s.pod.uid", "$(APM_POD_UID)"),
            ("service.instance.id", "$(APM_POD_NAMESPACE).$(APM_POD_NAME)"),
        ];
        let said = said.map(|(key, value)| json!({"key": key, "value": value, "action": "upsert"}));
        processors["resource"] = json!({"attributes": said});
    }
    let config = json!({
        "receivers": receivers,
        "processors": processors,
        "exporters": {"otlphttp": {"endpoint": work.settings.endpoint}},
        // Its own metrics would listen on a port of the pod.
        "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": pipelines},
    });
    env.push(json!({"name": "APM_COLLECTOR", "value": config.to_string()}));
    let container = json!({
        "name": work.free_container("apm-collector"),
        "image": work.settings.collector_image,
        "args": ["--config=env:APM_COLLECTOR"],
        "restartPolicy": "Always",
        "env": env,
        "resources": work.resources(),
        "securityContext": work.security(),
    });
    work.init.push(container);
}

/// The folder of the log, shared with the container: what it has mounted there already, or a new one.
fn folder(work: &mut Work<'_>, container: usize) -> Logs {
    let folder = work.settings.log_folder.trim_end_matches('/').to_owned();
    let own = work.pod.spec("containers").get(container).unwrap_or(&Value::Null);
    let mounts = own["volumeMounts"].as_array().into_iter().flatten();
    let there = mounts
        .filter(|mount| mount["subPath"].is_null() && mount["subPathExpr"].is_null())
        .find(|mount| mount["mountPath"].as_str().is_some_and(|path| path.trim_end_matches('/') == folder))
        .and_then(|mount| mount["name"].as_str())
        .map(str::to_owned);
    let is_new = there.is_none();
    let volume = there.unwrap_or_else(|| work.folder("apm-logs"));
    Logs { container, volume, folder, is_new }
}

fn tail(work: &mut Work<'_>, logs: &[Logs]) {
    let mounts: Vec<Value> = logs
        .iter()
        .enumerate()
        .map(|(number, one)| json!({"name": one.volume, "mountPath": format!("/logs/{number}"), "readOnly": true}))
        .collect();
    let (host, port) = host_and_port(&work.settings.endpoint);
    let service = work.pod.service(work.settings).unwrap_or_default();
    let words = [
        "-i",
        "tail",
        "-p",
        "path=/logs/*/*.log",
        "-p",
        "read_from_head=true",
        "-p",
        "skip_long_lines=true",
        "-p",
        "mem_buf_limit=8MB",
        "-F",
        "modify",
        "-m",
        "*",
        "-p",
    ];
    let mut args: Vec<String> = words.map(str::to_owned).to_vec();
    args.push(format!("add=service.name {service}"));
    args.extend(["-p", "add=k8s.pod.name $(APM_POD_NAME)", "-p", "add=k8s.pod.uid $(APM_POD_UID)"].map(str::to_owned));
    args.extend(["-o", "opentelemetry", "-m", "*", "-p"].map(str::to_owned));
    args.extend([format!("host={host}"), "-p".to_owned(), format!("port={port}")]);
    args.extend(["-p", "logs_uri=/v1/logs", "-p", "logs_body_key=log"].map(str::to_owned));
    // Else it sends the line alone. By its command line it says nothing of a resource (fluent/fluent-bit#7649): these are attributes of the line.
    args.extend(["-p", "logs_body_key_attributes=true"].map(str::to_owned));
    let container = json!({
        "name": work.free_container("apm-logs"),
        "image": work.settings.log_image,
        "args": args,
        "restartPolicy": "Always",
        "env": facts(&["APM_NODE_IP", "APM_POD_NAME", "APM_POD_UID"]),
        "resources": work.resources(),
        "securityContext": work.security(),
        "volumeMounts": mounts,
    });
    work.init.push(container);
}

fn host_and_port(endpoint: &str) -> (String, String) {
    let rest = endpoint.split("://").nth(1).unwrap_or(endpoint);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => (host.to_owned(), port.to_owned()),
        _ => (authority.to_owned(), if endpoint.starts_with("https:") { "443" } else { "80" }.to_owned()),
    }
}
