//! What a release would change, as facts that a person compares: image, variables, ports, limits. Pure. Of a secret it says only that it
//! changes; it has nothing else in hand.

use std::collections::{BTreeMap, BTreeSet};

use operate_plan::Inventory;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::refusal::labelled;
use crate::standing::serving;
use crate::{Release, container, container_id, label, names};

/// One thing that would be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub container: String,
    /// `image`, `env LOG_LEVEL`, `port 80/tcp`.
    pub what: String,
    /// `None`: it is not there now.
    pub was: Option<String>,
    /// `None`: it will not be there.
    pub becomes: Option<String>,
}

/// The release and the names of the containers it is compared with. Behind a front that is the color that serves: the next one takes turns with
/// it, which is no difference that anybody means.
fn shown(release: &Release, seen: &Inventory) -> (Release, Vec<String>) {
    match &release.front {
        Some(front) if release.strategy.needs_front() => {
            let color = serving(release, front, seen);
            (color.release(release, front), vec![color.container(release)])
        }
        _ => (release.clone(), names(release)),
    }
}

/// What stands in the place of a secret's value.
pub(crate) const HIDDEN: &str = "(secret)";

/// What would be otherwise. `earlier` finds what a container was made from, by its label `apm.config`: the `with` of the step that created
/// it. A container whose making nobody remembers is compared by what was seen of it alone.
pub fn differences(release: &Release, seen: &Inventory, earlier: impl Fn(&str) -> Option<Value>) -> Vec<Difference> {
    let (release, names) = &shown(release, seen);
    let wanted = facts(&json!({"body": container::body(release), "joins": container::joins(release)}));
    let secrets: BTreeMap<String, String> =
        release.container.secrets.iter().map(|(name, secret)| (name.clone(), secret.mark.clone())).collect();
    let mut found = Vec::new();
    for name in names {
        let mut add = |what: String, was: Option<String>, becomes: Option<String>| {
            found.push(Difference { container: name.clone(), what, was, becomes });
        };
        let Some(now) = seen.present(&container_id(name)) else {
            add("container".into(), None, Some("created".into()));
            wanted.iter().for_each(|(what, value)| add(what.clone(), None, Some(value.clone())));
            secrets.keys().for_each(|secret| add(format!("secret {secret}"), None, Some(HIDDEN.into())));
            continue;
        };
        match labelled(now, label::CONFIG).and_then(&earlier) {
            Some(with) => {
                for (what, was, becomes) in changed(&facts(&with), &wanted) {
                    add(what, was, becomes);
                }
                let hide = |mark: Option<String>| mark.map(|_| HIDDEN.to_owned());
                for (secret, was, becomes) in changed(&marks(&with), &secrets) {
                    add(format!("secret {secret}"), hide(was), hide(becomes));
                }
            }
            None => {
                let was = now["image"].as_str().unwrap_or_default();
                if was != release.exact() {
                    add("image".into(), Some(was.to_owned()), Some(release.exact().to_owned()));
                }
                if labelled(now, label::CONFIG) != Some(&container::config(release)) {
                    let was = "unknown: no run that is kept here made it".to_owned();
                    add("settings".into(), Some(was), Some("those of this release".into()));
                }
            }
        }
        // The same name may stand for another image by now.
        let image = operate_plan::ObjectId::new("image", release.exact());
        let id = |value: &Value, key: &str| value[key].as_str().map(|id| id.chars().take(19).collect::<String>());
        let (was, becomes) = (id(now, "image_id"), seen.present(&image).and_then(|image| id(image, "id")));
        if now["image"].as_str() == Some(release.exact()) && becomes.is_some() && was != becomes {
            add("image id".into(), was, becomes);
        }
        if now["running"] == Value::Bool(false) {
            add("state".into(), Some("stopped".into()), Some("running".into()));
        }
    }
    found
}

/// Keys of which the values differ, in their order.
pub(crate) fn changed(
    was: &BTreeMap<String, String>,
    becomes: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let keys: BTreeSet<&String> = was.keys().chain(becomes.keys()).collect();
    let one = |key: &&String| (was.get(*key).cloned(), becomes.get(*key).cloned());
    keys.iter()
        .filter(|key| was.get(**key) != becomes.get(**key))
        .map(|key| {
            let (was, becomes) = one(key);
            ((*key).clone(), was, becomes)
        })
        .collect()
}

/// The marks of sealed variables; equal marks are equal values.
pub(crate) fn marks(with: &Value) -> BTreeMap<String, String> {
    let secrets = with["secrets"].as_object().into_iter().flatten();
    secrets.map(|(name, secret)| (name.clone(), secret["mark"].as_str().unwrap_or_default().to_owned())).collect()
}

/// A create call as facts with names that people use.
pub(crate) fn facts(with: &Value) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut set = |what: String, value: String| {
        facts.insert(what, value);
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let items = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let (body, host) = (&with["body"], &with["body"]["HostConfig"]);
    for variable in items(&body["Env"]) {
        let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
        set(format!("env {name}"), value.to_owned());
    }
    if let Some(version) = body["Labels"][label::VERSION].as_str() {
        set("version".into(), version.to_owned());
    }
    if let Some(exact) = body["Image"].as_str() {
        // What it was asked for by, where the plan took what that was.
        let asked = body["Labels"][label::IMAGE].as_str();
        set("image".into(), asked.map_or_else(|| exact.to_owned(), |asked| format!("{asked} ({exact})")));
    }
    for (port, bindings) in host["PortBindings"].as_object().into_iter().flatten() {
        let place = |binding: &Value| {
            let (address, port_of_host) = (text(&binding["HostIp"]), text(&binding["HostPort"]));
            format!("{address}{}{port_of_host}", if address.is_empty() { "" } else { ":" })
        };
        let places: Vec<String> = bindings.as_array().into_iter().flatten().map(place).collect();
        set(format!("port {port}"), places.join(", "));
    }
    for bind in items(&host["Binds"]) {
        let (source, path) = bind.split_once(':').unwrap_or((&bind, ""));
        set(format!("volume {}", path.split(':').next().unwrap_or(path)), format!("{source}:{path}"));
    }
    let first = body["NetworkingConfig"]["EndpointsConfig"].as_object().into_iter().flatten();
    let mut known: Vec<(String, Value)> =
        first.map(|(network, endpoint)| (network.clone(), endpoint.clone())).collect();
    for join in with["joins"].as_array().into_iter().flatten() {
        // By name, or with how it is known there.
        let (network, endpoint) = if join.is_array() { (&join[0], &join[1]) } else { (join, &Value::Null) };
        set(format!("network {}", text(network)), "joined".into());
        known.push((text(network), endpoint.clone()));
    }
    for (network, endpoint) in known {
        let (aliases, addresses) = (items(&endpoint["Aliases"]), endpoint["IPAMConfig"].as_object());
        let told: Vec<String> =
            aliases.into_iter().chain(addresses.into_iter().flatten().map(|(_, at)| text(at))).collect();
        if !told.is_empty() {
            set(format!("known in {network}"), told.join(", "));
        }
    }
    for (name, value) in body["Labels"].as_object().into_iter().flatten() {
        if !name.starts_with("apm.") {
            set(format!("label {name}"), text(value));
        }
    }
    if let Some(restart) = host["RestartPolicy"]["Name"].as_str() {
        set("restart".into(), restart.to_owned());
    }
    let plain = [
        (body, "Cmd", "command"),
        (body, "Entrypoint", "entrypoint"),
        (body, "User", "user"),
        (body, "StopTimeout", "stop grace, s"),
        (body, "Healthcheck", "health check"),
        (host, "Memory", "memory, bytes"),
        (host, "NanoCpus", "processors, 10⁻⁹"),
        (host, "PidsLimit", "processes"),
        (host, "ReadonlyRootfs", "read-only root"),
        (host, "NetworkMode", "network"),
    ];
    for (object, key, name) in plain {
        if let Some(value) = object.get(key).filter(|value| !value.is_null()) {
            set(name.to_owned(), text(value));
        }
    }
    // The rarer ones by Docker's own names.
    let told = ["Env", "Labels", "Image", "HostConfig", "ExposedPorts", "PortBindings", "Binds", "NetworkingConfig"];
    for (object, key, value) in [body, host]
        .into_iter()
        .flat_map(|object| object.as_object().into_iter().flatten().map(move |(key, value)| (object, key, value)))
    {
        let is_plain = plain.iter().any(|(of, known, _)| std::ptr::eq(*of, object) && known == key);
        if !is_plain && !told.contains(&key.as_str()) && key != "RestartPolicy" && !value.is_null() {
            set(key.clone(), text(value));
        }
    }
    if let Some(most) = host["RestartPolicy"].get("MaximumRetryCount") {
        set("restarts at most".into(), text(most));
    }
    facts
}

#[cfg(test)]
mod tests {
    use operate_plan::{ObjectId, Seen};

    use super::*;

    const EARLIER: &str = r#"{
        "body": {
            "Image": "shop/cart:1", "Env": ["LEVEL=info", "GONE=1"], "Cmd": ["serve"],
            "Labels": {"apm.version": "1", "apm.service": "cart", "apm.environment": "dev"},
            "HostConfig": {
                "RestartPolicy": {"Name": "unless-stopped"}, "Binds": ["data:/data"],
                "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
            }
        },
        "secrets": {"KEEP": {"mark": "a", "sealed": "?"}, "TURN": {"mark": "b", "sealed": "?"}, "DROP": {"mark": "c", "sealed": "?"}}
    }"#;

    fn release() -> Release {
        let secret = |mark: &str| json!({"mark": mark, "sealed": "hunter2"});
        serde_json::from_value(json!({
            "project": "shop", "service": "cart", "environment": "dev", "version": "2", "image": "shop/cart:2",
            "target": "docker:shop", "strategy": "recreate", "replicas": 1, "ready_ms": 1, "judge_ms": 1, "actor": "ann",
            "container": {
                "command": ["serve"],
                "env": {
                    "LEVEL": "debug", "OTEL_SERVICE_NAME": "cart", "OTEL_RESOURCE_ATTRIBUTES": "team=x"
                },
                "secrets": {"KEEP": secret("a"), "TURN": secret("other"), "NEW": secret("d")},
                "ports": [{"container": 80, "publish": {"address": "127.0.0.1", "port": 8080}}],
                "volumes": [{"source": "data", "path": "/data", "read_only": true}],
                "memory_bytes": 1024,
            },
        }))
        .expect("a release")
    }

    fn check(container: Option<Value>, earlier: Option<&str>, expect: &[&str]) {
        let mut seen = Inventory::new("docker:shop");
        seen.add(container_id("shop-dev-cart"), container.map_or(Seen::Absent, Seen::Present), "test", 0);
        seen.add(ObjectId::new("image", "shop/cart:2"), Seen::Present(json!({"id": "sha256:new"})), "test", 0);
        let found = differences(&release(), &seen, |config| {
            assert_eq!(config, "made-1");
            earlier.map(|with| serde_json::from_str(with).expect("JSON"))
        });
        let shown = |value: &Option<String>| value.clone().unwrap_or("-".into());
        let lines: Vec<String> =
            found.iter().map(|one| format!("{}: {} > {}", one.what, shown(&one.was), shown(&one.becomes))).collect();
        assert_eq!(lines, expect);
        assert!(!format!("{found:?}").contains("hunter2"), "what is sealed is not shown");
    }

    fn runs(image: &str, running: bool) -> Option<Value> {
        let labels = json!({"apm.config": "made-1"});
        Some(json!({"id": "1", "image": image, "image_id": "sha256:old", "running": running, "labels": labels}))
    }

    #[test]
    fn what_would_be_otherwise_is_named_and_secrets_are_not_shown() {
        let settings = [
            "env GONE: 1 > -",
            "env LEVEL: info > debug",
            "env OTEL_RESOURCE_ATTRIBUTES: - > team=x,service.version=2,deployment.environment.name=dev",
            "env OTEL_SERVICE_NAME: - > cart",
            "image: shop/cart:1 > shop/cart:2",
            "memory, bytes: - > 1024",
            "port 80/tcp: 8080 > 127.0.0.1:8080",
            "version: 1 > 2",
            "volume /data: data:/data > data:/data:ro",
            "secret DROP: (secret) > -",
            "secret NEW: - > (secret)",
            "secret TURN: (secret) > (secret)",
        ];
        check(runs("shop/cart:1", true), Some(EARLIER), &settings);
        let stopped = ["state: stopped > running"];
        check(runs("shop/cart:1", false), Some(EARLIER), &[&settings[..], &stopped].concat());
    }

    #[test]
    fn behind_a_front_the_color_that_serves_is_compared() {
        let mut release = release();
        release.strategy = crate::Strategy::BlueGreen;
        release.front = Some(crate::Front {
            listen: "127.0.0.1:8080".into(),
            control: "/run/cart.sock".into(),
            port: 80,
            ports: [20480, 20481],
        });
        let front = release.front.clone().expect("a front");
        let green = crate::color::Color::Green.release(&release, &front);
        let labels = json!({"apm.config": container::config(&green)});
        let mut seen = Inventory::new("docker:shop");
        let now = json!({"id": "1", "image": "shop/cart:2", "running": true, "labels": labels});
        seen.add(container_id("shop-dev-cart-green"), Seen::Present(now), "test", 0);
        let upstream = json!({"name": "green", "address": "127.0.0.1:20481", "weight": 1, "protocol": "auto"});
        let sends = json!({"listen": front.listen, "generation": 2, "upstreams": [upstream]});
        seen.add(ObjectId::new("front", front.control), Seen::Present(sends), "test", 0);
        assert_eq!(differences(&release, &seen, |_| None), []);
        let found = differences(&Release { version: "3".into(), ..release }, &seen, |_| None);
        assert_eq!(found.first().map(|one| one.container.as_str()), Some("shop-dev-cart-green"), "{found:?}");
    }

    #[test]
    fn a_container_that_nobody_remembers_is_compared_by_what_is_seen() {
        let settings = "settings: unknown: no run that is kept here made it > those of this release";
        check(runs("shop/cart:1", true), None, &["image: shop/cart:1 > shop/cart:2", settings]);
        // The tag was moved since.
        check(runs("shop/cart:2", true), None, &[settings, "image id: sha256:old > sha256:new"]);
    }

    #[test]
    fn a_secret_that_is_sealed_anew_is_the_same_secret() {
        let (one, mut other) = (release(), release());
        let sealed_anew = |secret: &mut crate::Secret| secret.sealed = "sealed once more".into();
        other.container.secrets.values_mut().for_each(sealed_anew);
        assert_eq!(container::config(&one), container::config(&other));
        other.container.secrets.values_mut().for_each(|secret| secret.mark = "another".into());
        assert_ne!(container::config(&one), container::config(&other));
    }

    #[test]
    fn the_same_release_again_differs_in_nothing() {
        let release = release();
        let with = json!({"body": container::body(&release), "secrets": release.container.secrets});
        let mut seen = Inventory::new("docker:shop");
        let now = json!({"image": release.image, "running": true, "labels": {"apm.config": "it"}});
        seen.add(container_id("shop-dev-cart"), Seen::Present(now), "test", 0);
        assert_eq!(differences(&release, &seen, |_| Some(with.clone())), []);
    }
}
