//! What is there, and the calls on networks and volumes. Ids are invented in order.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Ask;
use crate::answer::{Answer, refuse};
use crate::containers::Container;
use crate::fault::{Fault, Rule};
use crate::files::Files;
use crate::images::{BuiltImage, Image, ImageSpec};

#[derive(Default)]
pub(crate) struct State {
    pub(crate) world: Mutex<World>,
    pub(crate) faults: Mutex<Vec<Rule>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl State {
    /// Keeps the request, and says what is to go wrong with it.
    pub(crate) fn note(&self, line: &str) -> Option<Fault> {
        let number = {
            let mut asked = self.asked.lock();
            asked.push(line.to_owned());
            asked.len() as u64
        };
        Rule::meet(&mut self.faults.lock(), line, number)
    }
}

#[derive(Default)]
pub(crate) struct World {
    /// By id, in the order in which they were made.
    pub(crate) containers: BTreeMap<String, Container>,
    /// By reference.
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) pullable: BTreeMap<String, ImageSpec>,
    pub(crate) builds: Vec<BuiltImage>,
    networks: BTreeMap<String, Value>,
    pub(crate) volumes: BTreeMap<String, Volume>,
    made: u64,
}

pub(crate) struct Volume {
    labels: Value,
    pub(crate) files: Files,
}

impl World {
    /// 64 hexadecimal digits.
    pub(crate) fn id(&mut self) -> String {
        self.made += 1;
        // The short form, its first twelve, must differ.
        format!("{:012x}{:052x}", self.made, 0xfa)
    }

    pub(crate) fn has_network(&self, name: &str) -> bool {
        matches!(name, "default" | "bridge" | "host" | "none") || self.networks.contains_key(name)
    }
}

/// `/networks/…` and `/volumes/…`
pub(crate) fn route(state: &State, ask: &Ask, parts: &[&str]) -> Answer {
    let mut world = state.world.lock();
    let body = ask.json();
    let named = body["Name"].as_str().unwrap_or_default().to_owned();
    match (ask.method.as_str(), parts) {
        ("POST", ["networks", "create"]) => {
            if world.has_network(&named) {
                return refuse(409, &format!("network with name {named} already exists"));
            }
            let id = world.id();
            let record = json!({"Name": named, "Id": id, "Driver": body["Driver"], "Labels": body["Labels"]});
            world.networks.insert(named, record);
            Answer::json(201, json!({ "Id": id }))
        }
        ("POST", ["networks", name, "connect"]) => {
            let wanted = body["Container"].as_str().unwrap_or_default();
            let Some(container) = world.containers.values_mut().find(|one| one.is(wanted)) else {
                return refuse(404, &format!("No such container: {wanted}"));
            };
            container.join(name, &body["EndpointConfig"]);
            Answer::text(200, "")
        }
        ("GET", ["networks", name]) => match world.networks.get(*name) {
            Some(record) => Answer::json(200, record.clone()),
            None => refuse(404, &format!("network {name} not found")),
        },
        ("DELETE", ["networks", name]) => {
            if world.containers.values().any(|one| one.is_in(name)) {
                return refuse(403, &format!("error while removing network: network {name} has active endpoints"));
            }
            match world.networks.remove(*name) {
                Some(_) => Answer::done(true),
                None => refuse(404, &format!("network {name} not found")),
            }
        }
        ("POST", ["volumes", "create"]) => {
            let volume = Volume { labels: body["Labels"].clone(), files: Files::default() };
            world.volumes.entry(named.clone()).or_insert(volume);
            Answer::json(201, json!({ "Name": named }))
        }
        ("GET", ["volumes", name]) => match world.volumes.get(*name) {
            Some(volume) => Answer::json(200, json!({"Name": name, "Driver": "local", "Labels": volume.labels})),
            None => refuse(404, &format!("get {name}: no such volume")),
        },
        ("DELETE", ["volumes", name]) => match world.volumes.remove(*name) {
            Some(_) => Answer::done(true),
            None => refuse(404, &format!("get {name}: no such volume")),
        },
        _ => refuse(404, "page not found"),
    }
}
