//! A release as Docker's create call: names, labels and the body of `POST /containers/create` (Engine API 1.41). Values that are secret
//! are not in it; they travel beside it, sealed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{Release, label};

/// The names of the service's containers: one for one, numbered for many.
pub fn names(release: &Release) -> Vec<String> {
    let base = base(release);
    match release.replicas {
        0 | 1 => vec![base],
        replicas => (1..=replicas).map(|number| format!("{base}-{number}")).collect(),
    }
}

/// What all names of the service's containers begin with.
pub(crate) fn base(release: &Release) -> String {
    container_name(&release.project, &release.environment, &release.service)
}

/// The name of a service's container in an environment.
pub fn container_name(project: &str, environment: &str, service: &str) -> String {
    match environment {
        "" | "default" => format!("{project}-{service}"),
        environment => format!("{project}-{environment}-{service}"),
    }
}

/// The digest of all that was asked for, secrets by their marks.
pub(crate) fn config(release: &Release) -> String {
    let mut container = release.container.clone();
    // Sealed anew each time, and so never the same.
    container.secrets.values_mut().for_each(|secret| secret.sealed.clear());
    operate_plan::digest(&(release.exact(), &release.version, &container)).short().to_owned()
}

/// What is handed to the engine; `env` without secrets.
pub fn body(release: &Release) -> Value {
    let container = &release.container;
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let env: Vec<_> = environment(release).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    set("Image", Some(json!(release.exact())));
    set("Cmd", container.command.as_ref().map(|words| json!(words)));
    set("Entrypoint", container.entrypoint.as_ref().map(|words| json!(words)));
    set("Env", Some(json!(env)));
    set("Labels", Some(labels(release)));
    set("User", container.user.as_ref().map(|user| json!(user)));
    set("StopTimeout", (container.stop_grace_s > 0).then(|| json!(container.stop_grace_s)));
    set(
        "Healthcheck",
        container.health.as_ref().map(|health| {
            let ns = |ms: u64| ms.saturating_mul(1_000_000);
            json!({"Test": health.test, "Interval": ns(health.interval_ms), "Timeout": ns(health.timeout_ms), "Retries": health.retries, "StartPeriod": ns(health.start_period_ms)})
        }),
    );
    let exposed: Map<_, _> =
        container.ports.iter().map(|port| (format!("{}/tcp", port.container), json!({}))).collect();
    set("ExposedPorts", (!exposed.is_empty()).then(|| json!(exposed)));
    set("HostConfig", Some(host(release)));
    container.extra.put(&mut body, container.networks.first());
    Value::Object(body)
}

/// The networks that are joined after the container was made: by name, or with how it is known there.
pub(crate) fn joins(release: &Release) -> Vec<Value> {
    let extra = &release.container.extra;
    let join = |name: &String| extra.endpoint(name).map_or_else(|| json!(name), |endpoint| json!([name, endpoint]));
    release.container.networks.iter().skip(1).map(join).collect()
}

/// The service's own, and what its telemetry is told apart by; a person's setting wins, attribute by attribute.
pub(crate) fn environment(release: &Release) -> BTreeMap<String, String> {
    let mut env = release.container.env.clone();
    env.entry("OTEL_SERVICE_NAME".into()).or_insert_with(|| release.service.clone());
    let attributes = env.entry("OTEL_RESOURCE_ATTRIBUTES".into()).or_default();
    *attributes = resource_attributes(attributes, &release.version, &release.environment);
    env
}

/// `OTEL_RESOURCE_ATTRIBUTES` with version and environment, where they do not stand in it already.
pub fn resource_attributes(given: &str, version: &str, environment: &str) -> String {
    let mut attributes = given.to_owned();
    let known: Vec<String> = given
        .split(',')
        .filter_map(|pair| Some(pair.split_once('=')?.0.trim().to_owned()))
        .filter(|key| !key.is_empty())
        .collect();
    let ours = [("service.version", version), ("deployment.environment.name", environment)];
    for (key, value) in ours.into_iter().filter(|(key, _)| !known.iter().any(|known| known == key)) {
        if !attributes.is_empty() {
            attributes.push(',');
        }
        attributes.push_str(&format!("{key}={}", escaped(value)));
    }
    attributes
}

/// As the OpenTelemetry specification wants the values of OTEL_RESOURCE_ATTRIBUTES: what would end one is written in percent.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b",=%;\"\\".contains(&byte);
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What says whose a container is.
pub(crate) fn labels(release: &Release) -> Value {
    let mut labels = json!(release.container.extra.labels);
    for (name, value) in [
        (label::PROJECT, &release.project),
        (label::SERVICE, &release.service),
        (label::ENVIRONMENT, &release.environment),
        (label::VERSION, &release.version),
        (label::CONFIG, &config(release)),
    ] {
        labels[name] = json!(value);
    }
    if release.pinned.is_some() {
        labels[label::IMAGE] = json!(release.image);
    }
    labels
}

fn host(release: &Release) -> Value {
    let container = &release.container;
    let mut host = Map::new();
    let restart = if container.restart.is_empty() { "unless-stopped" } else { &container.restart };
    host.insert("RestartPolicy".into(), json!({"Name": restart}));
    let binds: Vec<_> = container
        .volumes
        .iter()
        .map(|volume| format!("{}:{}{}", volume.source, volume.path, if volume.read_only { ":ro" } else { "" }))
        .collect();
    let mut set = |key: &str, wanted: bool, value: Value| {
        if wanted {
            host.insert(key.to_owned(), value);
        }
    };
    set("Binds", !binds.is_empty(), json!(binds));
    set("Memory", container.memory_bytes > 0, json!(container.memory_bytes));
    // Docker counts processors in thousand millions.
    set("NanoCpus", container.cpu_millis > 0, json!(container.cpu_millis.saturating_mul(1_000_000)));
    set("PidsLimit", container.pids > 0, json!(container.pids));
    set("ReadonlyRootfs", container.read_only_root, json!(true));
    if let Some(first) = container.networks.first() {
        set("NetworkMode", true, json!(first));
    }
    // One port of the container may be published at several places.
    let mut bindings: Map<String, Value> = Map::new();
    for (port, publish) in container.ports.iter().filter_map(|port| Some((port.container, port.publish.as_ref()?))) {
        let binding = json!({"HostIp": publish.address, "HostPort": publish.port.to_string()});
        match bindings.entry(format!("{port}/tcp")).or_insert_with(|| json!([])) {
            Value::Array(list) => list.push(binding),
            other => *other = json!([binding]),
        }
    }
    set("PortBindings", !bindings.is_empty(), json!(bindings));
    Value::Object(host)
}
