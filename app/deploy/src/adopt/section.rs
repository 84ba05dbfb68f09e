//! One container as the section `services.NAME` of `apm.yaml`: what [`crate::ServiceSettings`] reads, written. What is a default is left out.

use std::collections::BTreeSet;

use lib_yaml_edit::Data;
use operate_deploy::{Adopted, Container, Extra, Health, Port, Volume};
use serde_json::{Number, Value};

/// Docker's own, and the settings'.
const STOP_GRACE_S: u32 = 10;

/// The file that holds a secret, relative to the folder of the settings.
pub(super) fn secret_path(service: &str, variable: &str) -> String {
    format!("secrets/{service}/{variable}")
}

type Pairs = Vec<(String, Data)>;

pub(super) fn of(adopted: &Adopted, service: &str) -> Data {
    let container = &adopted.container;
    let mut all: Pairs = vec![("image".into(), text(&adopted.image))];
    let ports: BTreeSet<u16> = container.ports.iter().map(|port| port.container).collect();
    // Where it listens, if there is no choice.
    if let [port] = ports.into_iter().collect::<Vec<_>>()[..] {
        put(&mut all, "port", Data::from(i64::from(port)));
    }
    put(&mut all, "env", Data::Map(container.env.iter().map(|(name, value)| (name.clone(), text(value))).collect()));
    let secrets = adopted.secret_names().map(|name| (name.to_owned(), text(&secret_path(service, name))));
    put(&mut all, "secrets", Data::Map(secrets.collect()));
    put(&mut all, "deploy", Data::Map(deploy(container)));
    Data::Map(all)
}

fn deploy(container: &Container) -> Pairs {
    let mut all = Pairs::new();
    put(&mut all, "ports", Data::List(container.ports.iter().map(|port| text(&port_text(port))).collect()));
    put(&mut all, "volumes", Data::List(container.volumes.iter().map(|volume| text(&volume_text(volume))).collect()));
    put(&mut all, "networks", texts(&container.networks));
    let words = |words: &Option<Vec<String>>| words.as_deref().map(texts);
    // An entry point may be set to none, which is a list of nothing.
    all.extend(words(&container.entrypoint).map(|list| ("entrypoint".to_owned(), list)));
    all.extend(words(&container.command).map(|list| ("command".to_owned(), list)));
    if container.memory_bytes > 0 {
        put(&mut all, "memory", text(&size(container.memory_bytes)));
    }
    if let Some(cpus) = Number::from_f64(container.cpu_millis as f64 / 1000.0).filter(|_| container.cpu_millis > 0) {
        put(&mut all, "cpus", Data::Number(cpus));
    }
    if container.pids > 0 {
        put(&mut all, "pids", Data::Number(container.pids.into()));
    }
    all.extend(container.user.as_ref().map(|user| ("user".to_owned(), text(user))));
    if container.read_only_root {
        put(&mut all, "read_only", Data::Bool(true));
    }
    if !container.restart.is_empty() {
        put(&mut all, "restart", text(&container.restart));
    }
    if container.stop_grace_s != STOP_GRACE_S {
        put(&mut all, "stop_grace", text(&format!("{}s", container.stop_grace_s)));
    }
    put(&mut all, "health", Data::Map(container.health.as_ref().map(health).unwrap_or_default()));
    let (mut extra, usual) = (json(&container.extra), json(&Extra::default()));
    for endpoint in extra["endpoints"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
        if let Some(members) = endpoint.as_object_mut() {
            members
                .retain(|_, value| value.as_str() != Some("") && value.as_array().is_none_or(|list| !list.is_empty()));
        }
    }
    let said = extra.as_object().into_iter().flatten().filter(|(name, value)| usual.get(name) != Some(value));
    let said = said.map(|(name, value)| (name.clone(), escaped(value.clone().into())));
    put(&mut all, "container", Data::Map(said.collect()));
    all
}

fn json(extra: &Extra) -> Value {
    serde_json::to_value(extra).unwrap_or_default()
}

/// Nothing where there is nothing to say.
fn put(all: &mut Pairs, key: &str, value: Data) {
    let nothing = match &value {
        Data::List(items) => items.is_empty(),
        Data::Map(pairs) => pairs.is_empty(),
        _ => false,
    };
    if !nothing {
        all.push((key.to_owned(), value));
    }
}

fn health(health: &Health) -> Pairs {
    let mut all = Pairs::new();
    match health.test.first().map(String::as_str) {
        Some("NONE") => put(&mut all, "disable", Data::Bool(true)),
        _ => put(&mut all, "test", texts(&health.test)),
    }
    for (key, ms) in
        [("interval", health.interval_ms), ("timeout", health.timeout_ms), ("start_period", health.start_period_ms)]
    {
        if ms > 0 {
            let span = if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") };
            put(&mut all, key, text(&span));
        }
    }
    if health.retries > 0 {
        put(&mut all, "retries", Data::Number(health.retries.into()));
    }
    all
}

fn port_text(port: &Port) -> String {
    match &port.publish {
        None => port.container.to_string(),
        Some(publish) if publish.address.is_empty() => format!("{}:{}", publish.port, port.container),
        Some(publish) => format!("{}:{}:{}", publish.address, publish.port, port.container),
    }
}

fn volume_text(volume: &Volume) -> String {
    format!("{}:{}{}", volume.source, volume.path, if volume.read_only { ":ro" } else { "" })
}

/// In the largest unit that it is a whole number of.
fn size(bytes: u64) -> String {
    for (unit, shift) in [("GB", 30), ("MB", 20), ("KB", 10)] {
        if bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

fn texts(words: &[String]) -> Data {
    Data::List(words.iter().map(|word| text(word)).collect())
}

/// A dollar is a variable's in `apm.yaml`, and two are one.
fn text(value: &str) -> Data {
    Data::Text(value.replace('$', "$$"))
}

fn escaped(data: Data) -> Data {
    match data {
        Data::Text(value) => text(&value),
        Data::List(items) => Data::List(items.into_iter().map(escaped).collect()),
        Data::Map(pairs) => Data::Map(pairs.into_iter().map(|(key, value)| (key, escaped(value))).collect()),
        other => other,
    }
}
