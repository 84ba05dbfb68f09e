//! The variables of a container and its mounts: OpenTelemetry's where the container has none of its own, the runtime's joined with what is there. Whatever is
//! referred to is declared before.

use operate_agents::{Join, Variable, percent_encode, resource_attribute};
use serde_json::{Value, json};

use super::agent::Agent;
use super::record::Touched;
use super::sidecar::Beside;
use super::{InjectError, Work, item, named};

/// What the pod says of itself, by the downward API; the first is always there.
pub(crate) const FACTS: [(&str, &str); 5] = [
    ("APM_NODE_IP", "status.hostIP"),
    ("APM_NODE_NAME", "spec.nodeName"),
    ("APM_POD_NAME", "metadata.name"),
    ("APM_POD_NAMESPACE", "metadata.namespace"),
    ("APM_POD_UID", "metadata.uid"),
];

/// Injects the container at an index.
pub(crate) fn container(
    work: &mut Work<'_>,
    at: usize,
    agent: Option<&Agent>,
    beside: &Beside,
) -> Result<(), InjectError> {
    let list = work.pod.at(&["spec", "containers"]);
    let path = item(&list, at);
    let container = work.draft.at(&path).cloned().unwrap_or_default();
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let mut touched = Touched::default();
    let mut own: Vec<Value> = container["env"].as_array().cloned().unwrap_or_default();
    let fresh = own.is_empty();

    let mut first = Vec::new();
    for (variable, field) in FACTS {
        let fact = json!({"name": variable, "valueFrom": {"fieldRef": {"fieldPath": field}}});
        match own.iter().find(|one| one["name"] == variable) {
            None => first.push(fact),
            // The API server adds the version of the field's path.
            Some(one) if one["valueFrom"]["fieldRef"]["fieldPath"] == field => {}
            Some(_) => return Err(InjectError::Taken { container: name, variable: variable.to_owned() }),
        }
    }
    let mut last = Vec::new();
    for Variable { name: variable, value, join } in wanted(work, &container, agent, beside) {
        let Some(index) = named(&own, &variable) else {
            last.push(json!({"name": variable, "value": value}));
            continue;
        };
        let is_runtimes = agent.is_some_and(|agent| agent.variables.iter().any(|one| one.name == variable));
        let there = own.get(index).map_or(&Value::Null, |one| one);
        if !there["valueFrom"].is_null() {
            if is_runtimes {
                return Err(InjectError::ValueFrom { container: name, variable });
            }
            // Who says it from elsewhere has said it.
            continue;
        }
        let was = there["value"].as_str().unwrap_or_default().to_owned();
        let Some(value) = joined(&was, &variable, &value, &join, is_runtimes) else { continue };
        let mut at = item(&[path.as_slice(), &["env".into()]].concat(), index);
        at.push("value".into());
        if (work.is_plain)(&name, &variable) {
            touched.plain.push(variable.clone());
        }
        touched.was.insert(variable, was);
        work.draft.set(&at, Value::String(value.clone()));
        if let Some(one) = own.get_mut(index) {
            one["value"] = Value::String(value);
        }
    }
    let names = |items: &[Value]| {
        items.iter().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect::<Vec<String>>()
    };
    touched.env = [names(&first), names(&last)].concat();
    let env = [path.as_slice(), &["env".into()]].concat();
    if fresh {
        first.append(&mut last);
    }
    let before = work.draft.made.len();
    work.draft.insert(&env, 0, first);
    work.draft.insert(&env, work.draft.items(&env).len(), last);
    let mounts = [path.as_slice(), &["volumeMounts".into()]].concat();
    let mounted = agent.and_then(|agent| agent.mount.clone()).into_iter();
    let mounted = mounted.map(|(volume, dir)| json!({"name": volume, "mountPath": dir, "readOnly": true}));
    let shared = beside.logs.iter().filter(|logs| logs.container == at && logs.is_new);
    let shared = shared.map(|logs| json!({"name": logs.volume, "mountPath": logs.folder}));
    let mounted: Vec<Value> = mounted.chain(shared).collect();
    touched.mounts = mounted.iter().filter_map(|one| one["mountPath"].as_str()).map(str::to_owned).collect();
    work.draft.insert(&mounts, work.draft.items(&mounts).len(), mounted);
    for made in work.draft.made.get(before..).unwrap_or(&[]) {
        if let Some(lib_yaml_edit::Step::Key(key)) = made.last() {
            touched.made.push(key.to_string());
        }
    }
    work.record.containers.insert(name, touched);
    Ok(())
}

/// The new value; nothing where the old one stays.
fn joined(was: &str, variable: &str, ours: &str, join: &Join, is_runtimes: bool) -> Option<String> {
    if variable == "OTEL_RESOURCE_ATTRIBUTES" {
        let missing: Vec<&str> = ours
            .split(',')
            .filter(|pair| pair.split_once('=').is_some_and(|(key, _)| resource_attribute(was, key).is_none()))
            .collect();
        let theirs = (!was.is_empty()).then_some(was).into_iter();
        return (!missing.is_empty()).then(|| theirs.chain(missing).collect::<Vec<_>>().join(","));
    }
    // OpenTelemetry counts an empty variable as one that is not set.
    match join {
        _ if was.is_empty() => Some(ours.to_owned()),
        Join::Replace if is_runtimes && was != ours && !variable.starts_with("OTEL_") => Some(ours.to_owned()),
        Join::Replace => None,
        Join::Before(gap) => (!was.contains(ours)).then(|| format!("{ours}{gap}{was}")),
        Join::After(gap) => (!was.contains(ours)).then(|| format!("{was}{gap}{ours}")),
    }
}

/// All variables in their order.
fn wanted(work: &Work<'_>, container: &Value, agent: Option<&Agent>, beside: &Beside) -> Vec<Variable> {
    let set = |name: &str, value: String| Variable { name: name.to_owned(), value, join: Join::Replace };
    let (pod, settings) = (&work.pod, work.settings);
    let mut all = agent.map(|agent| agent.variables.clone()).unwrap_or_default();
    all.extend(pod.service(settings).map(|service| set("OTEL_SERVICE_NAME", service)));
    let mut attributes =
        vec![("k8s.container.name".to_owned(), percent_encode(container["name"].as_str().unwrap_or_default()))];
    if let Some((kind, name)) = pod.owner() {
        attributes.push((format!("k8s.{kind}.name"), percent_encode(&name)));
    }
    for (key, fact) in [
        ("k8s.namespace.name", "$(APM_POD_NAMESPACE)"),
        ("k8s.node.name", "$(APM_NODE_NAME)"),
        ("k8s.pod.name", "$(APM_POD_NAME)"),
        ("k8s.pod.uid", "$(APM_POD_UID)"),
        ("service.instance.id", "$(APM_POD_NAMESPACE).$(APM_POD_NAME)"),
    ] {
        attributes.push((key.to_owned(), fact.to_owned()));
    }
    // Two containers of a pod are two instances.
    if let Some((_, instance)) = attributes.last_mut() {
        instance.push_str(&format!(".{}", container["name"].as_str().unwrap_or_default()));
    }
    let said = [
        ("service.version", pod.version(settings, container)),
        ("deployment.environment.name", settings.environment.clone()),
    ];
    attributes.extend(said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), percent_encode(&value?)))));
    let attributes: Vec<String> = attributes.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    all.push(set("OTEL_RESOURCE_ATTRIBUTES", attributes.join(",")));
    let endpoint = beside.otlp_port.map(|port| format!("http://127.0.0.1:{port}"));
    all.push(set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.unwrap_or_else(|| settings.endpoint.clone())));
    all.push(set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()));
    // What a sidecar brings, the agent need not bring a second time.
    let either = |by_sidecar: bool| if by_sidecar { "none" } else { "otlp" }.to_owned();
    all.push(set("OTEL_TRACES_EXPORTER", "otlp".to_owned()));
    all.push(set("OTEL_METRICS_EXPORTER", "otlp".to_owned()));
    all.push(set("OTEL_LOGS_EXPORTER", either(!beside.logs.is_empty())));
    all
}
