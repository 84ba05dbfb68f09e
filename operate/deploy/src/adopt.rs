//! A container that somebody made by hand, as the settings that would make it: [`crate::body`] read backwards. What stands in the record and in no
//! setting is named; nothing is guessed and nothing is left out without a word. It reads the record of a restore, which is the create call that
//! would make the container again, and asks no engine.

mod host;
mod left;
mod mask;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::diff::{changed, facts, marks};
use crate::{Container, Difference, Endpoint, Health, Port, Release, Secret, container, label};
use left::Left;
pub use mask::{Masked, looks_secret};

/// What was seen of a container.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The body of the create call that makes it again (Engine API 1.41).
    pub body: &'a Value,
    /// The networks joined after it, each with how it is known there: `[["backend", {"Aliases": […]}]]`.
    pub joins: &'a Value,
    /// `Config` of its image's record: what the image says is no setting of the container.
    pub image: &'a Value,
}

/// A container as settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adopted {
    /// As it was asked for: `shop/cart:2`.
    pub image: String,
    /// Without the variables that look secret.
    pub container: Container,
    /// Variables that look secret. Their values are shown nowhere.
    pub secrets: Masked,
    /// Where it says that it belongs to apm already: service and environment.
    pub ours: Option<(String, String)>,
    /// What no setting says, so that a release would leave it out; a phrase for each.
    pub unsaid: Vec<String>,
}

impl Adopted {
    /// Names of the variables that look secret.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.secrets.names()
    }

    /// The container with its secrets, each sealed by `seal` (name, value).
    pub fn sealed<E>(&self, mut seal: impl FnMut(&str, &str) -> Result<Secret, E>) -> Result<Container, E> {
        let mut container = self.container.clone();
        for (name, value) in self.secrets.values() {
            container.secrets.insert(name.to_owned(), seal(name, value)?);
        }
        Ok(container)
    }
}

/// The settings that would make this container.
pub fn adopt(found: &Found<'_>) -> Adopted {
    let mut config = Left::of(found.body);
    let mut host = Left::of(&config.take("HostConfig"));
    let image = found.image;
    let mut adopted = Adopted { image: text(&config.take("Image")), ..Adopted::default() };
    process(&mut config, image, &mut adopted);
    variables(&config.take("Env"), &image["Env"], &mut adopted);
    labels(&config.take("Labels"), &image["Labels"], &mut adopted);
    adopted.container.health = health(&mut config, image, &mut adopted.unsaid);
    host::ports(&mut config, &mut host, image, &mut adopted);
    host::volumes(&mut config, &mut host, image, &mut adopted);
    networks(&mut config, &mut host, found.joins, &mut adopted);
    host::limits(&mut host, &mut adopted);
    host::rights(&mut host, &mut adopted);
    // Of a client that is attached, of builds, and of the record itself: nothing that a container is.
    for noise in ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce", "OnBuild", "Shell", "ArgsEscaped"] {
        config.take(noise);
    }
    config.tell(&mut adopted.unsaid);
    host.tell(&mut adopted.unsaid);
    adopted
}

/// What a release would change of a container that was made by hand, by the settings that it has in `apm.yaml`; `now` holds the container with
/// its secrets marked by the same seal as the release's.
pub fn changes(name: &str, image: &str, now: &Container, release: &Release) -> Vec<Difference> {
    let was = Release {
        container: now.clone(),
        image: image.to_owned(),
        // It was asked for by a name too; what that was then, its record no longer says.
        pinned: None,
        replicas: 1,
        ..release.clone()
    };
    let becomes = Release { pinned: None, ..release.clone() };
    let with = |release: &Release| json!({"body": container::body(release), "joins": container::joins(release), "secrets": release.container.secrets});
    let (was, becomes) = (with(&was), with(&becomes));
    let one = |what: String, was, becomes| Difference { container: name.to_owned(), what, was, becomes };
    let hide = |mark: Option<String>| mark.map(|_| crate::diff::HIDDEN.to_owned());
    let plain = changed(&facts(&was), &facts(&becomes)).into_iter().map(|(what, was, becomes)| one(what, was, becomes));
    let secret = changed(&marks(&was), &marks(&becomes))
        .into_iter()
        .map(|(name, was, becomes)| one(format!("secret {name}"), hide(was), hide(becomes)));
    plain.chain(secret).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The text, where there is one and the image does not say the same.
fn own(value: Value, image: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && Some(*text) != image.as_str()).map(str::to_owned)
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(line) => vec![line.clone()],
        other => other.as_array().into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect(),
    }
}

/// Names of a set, as Docker writes one: `{"80/tcp": {}}`.
fn names(value: &Value) -> Vec<String> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// What is started in it, as whom and where.
fn process(config: &mut Left, image: &Value, adopted: &mut Adopted) {
    let (command, entrypoint) = (words(&config.take("Cmd")), words(&config.take("Entrypoint")));
    let (image_command, image_entrypoint) = (words(&image["Cmd"]), words(&image["Entrypoint"]));
    let container = &mut adopted.container;
    if entrypoint != image_entrypoint || command.is_empty() && !image_command.is_empty() {
        // With an entry point of its own, the image's words no longer count.
        container.entrypoint = Some(entrypoint);
        container.command = (!command.is_empty()).then_some(command);
    } else if command != image_command {
        container.command = Some(command);
    }
    for (words, what) in [(&mut container.command, "command"), (&mut container.entrypoint, "entry point")] {
        if let Some(at) = words.as_ref().and_then(|words| words.iter().position(|word| mask::is_secret_word(word))) {
            *words = None;
            adopted.unsaid.push(format!(
                "its {what}: word {} looks like a secret, which belongs into a file of `secrets`",
                at + 1
            ));
        }
    }
    container.user = own(config.take("User"), &image["User"]);
    let extra = &mut container.extra;
    extra.hostname = own(config.take("Hostname"), &Value::Null);
    extra.domainname = own(config.take("Domainname"), &Value::Null);
    let root = if image["WorkingDir"].as_str().is_none_or(str::is_empty) { json!("/") } else { Value::Null };
    extra.working_dir =
        own(config.take("WorkingDir"), &image["WorkingDir"]).filter(|folder| Some(folder.as_str()) != root.as_str());
    // What the engine sends anyway.
    let usual = |signal: &String| signal != "SIGTERM" || image["StopSignal"].is_string();
    extra.stop_signal = own(config.take("StopSignal"), &image["StopSignal"]).filter(usual);
    extra.tty = config.take("Tty") == json!(true);
    extra.stdin_open = config.take("OpenStdin") == json!(true);
    // Docker's own is ten seconds.
    let grace_s = config.take("StopTimeout").as_u64().unwrap_or(10);
    container.stop_grace_s = u32::try_from(grace_s).unwrap_or(u32::MAX);
    if grace_s == 0 {
        container.stop_grace_s = 10;
        adopted.unsaid.push("it is killed at once when it is stopped (--stop-timeout 0)".to_owned());
    }
}

fn variables(env: &Value, image: &Value, adopted: &mut Adopted) {
    let image = words(image);
    let own = words(env);
    for variable in own.iter().filter(|variable| !image.contains(variable)) {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if looks_secret(name, value) {
            adopted.secrets.put(name, value);
        } else {
            adopted.container.env.insert(name.to_owned(), value.to_owned());
        }
    }
    let name = |variable: &String| variable.split('=').next().unwrap_or_default().to_owned();
    let there: Vec<String> = own.iter().map(name).collect();
    for gone in image.iter().map(name).filter(|name| !there.contains(name)) {
        adopted.unsaid.push(format!("the image sets the variable {gone}, and the container has none of that name"));
    }
}

fn labels(labels: &Value, image: &Value, adopted: &mut Adopted) {
    let mut composed = false;
    let of = |name: &str| labels[name].as_str().map(str::to_owned);
    adopted.ours = of(label::SERVICE).zip(of(label::ENVIRONMENT));
    for (name, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if image[name].as_str() == Some(value) || name.starts_with("apm.") {
            continue;
        }
        if name.starts_with("com.docker.compose.") {
            composed = true;
        } else if looks_secret(name, value) {
            adopted.unsaid.push(format!("the label {name}: it looks like a secret, and labels are shown to everybody"));
        } else {
            adopted.container.extra.labels.insert(name.clone(), value.to_owned());
        }
    }
    if composed {
        let why = "with them docker compose would take the new container for its own";
        adopted.unsaid.push(format!("the labels of docker compose: {why}"));
    }
}

fn health(config: &mut Left, image: &Value, unsaid: &mut Vec<String>) -> Option<Health> {
    let record = config.take("Healthcheck");
    let said = |value: &Value| value.as_object().is_some_and(|members| !members.is_empty());
    if !said(&record) || record == image["Healthcheck"] {
        return None;
    }
    let mut record = Left::named("Healthcheck", &record);
    let mut ms = |key: &str| {
        let ns = record.take(key).as_u64().unwrap_or(0);
        if !ns.is_multiple_of(1_000_000) {
            unsaid.push(format!("the health check's {key} of {ns} ns: apm counts in milliseconds"));
        }
        ns / 1_000_000
    };
    let (interval_ms, timeout_ms, start_period_ms) = (ms("Interval"), ms("Timeout"), ms("StartPeriod"));
    let test = words(&record.take("Test"));
    let retries = u32::try_from(record.take("Retries").as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
    record.tell(unsaid);
    if test.iter().any(|word| mask::is_secret_word(word)) {
        unsaid.push("its health check: it holds what looks like a secret".to_owned());
        return None;
    }
    let health = Health { test, interval_ms, timeout_ms, retries, start_period_ms };
    let nothing = Health { test: Vec::new(), interval_ms: 0, timeout_ms: 0, retries: 0, start_period_ms: 0 };
    (health != nothing).then_some(health)
}

fn networks(config: &mut Left, host: &mut Left, joins: &Value, adopted: &mut Adopted) {
    let mode = text(&host.take("NetworkMode"));
    let first = config.take("NetworkingConfig")["EndpointsConfig"].clone();
    let mut all: Vec<(String, Value)> = first.as_object().cloned().unwrap_or_default().into_iter().collect();
    let joined: Vec<(String, Value)> = serde_json::from_value(joins.clone()).unwrap_or_default();
    match mode.as_str() {
        other if other.starts_with("container:") => {
            adopted.unsaid.push(format!("it shares the network of another container ({other})"));
        }
        "host" | "none" => {
            all = vec![(mode.clone(), Value::Null)];
            // The machine's own name, or what the engine wrote there.
            adopted.container.extra.hostname = None;
        }
        // Docker's own, which needs no word where it is the only one.
        "" | "default" | "bridge" if joined.is_empty() => {}
        "" | "default" | "bridge" => all.insert(0, ("bridge".to_owned(), Value::Null)),
        other if all.is_empty() => all.push((other.to_owned(), Value::Null)),
        _ => {}
    }
    all.extend(joined);
    for (name, endpoint) in all {
        let endpoint = endpoint_of(&name, &endpoint, &mut adopted.unsaid);
        if endpoint != Endpoint::default() {
            adopted.container.extra.endpoints.insert(name.clone(), endpoint);
        }
        adopted.container.networks.push(name);
    }
}

fn endpoint_of(network: &str, value: &Value, unsaid: &mut Vec<String>) -> Endpoint {
    let mut endpoint = Left::named(&format!("the network {network}'s"), value);
    let mut addresses = Left::named(&format!("the network {network}'s"), &endpoint.take("IPAMConfig"));
    let found = Endpoint {
        aliases: words(&endpoint.take("Aliases")),
        ipv4_address: text(&addresses.take("IPv4Address")),
        ipv6_address: text(&addresses.take("IPv6Address")),
    };
    endpoint.tell(unsaid);
    addresses.tell(unsaid);
    found
}

/// `80/tcp` in its parts.
fn port_of(name: &str) -> Option<(u16, &str)> {
    let (port, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
    Some((port.parse().ok()?, protocol))
}

fn put_port(adopted: &mut Adopted, protocol: &str, port: Port) {
    match protocol {
        "udp" => adopted.container.extra.udp.push(port),
        _ => adopted.container.ports.push(port),
    }
}

/// As a map of texts; what is none is left out.
fn texts(value: &Value) -> BTreeMap<String, String> {
    let all = value.as_object().cloned().unwrap_or_else(Map::new);
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}
