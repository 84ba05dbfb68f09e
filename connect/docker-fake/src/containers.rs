//! Calls on containers. A record is what `docker inspect` shows, and all that is known of a container; what runs is beside it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::Ask;
use crate::answer::{Answer, refuse};
use crate::files::{Files, pack, unpack};
use crate::program::{Listening, Program};
use crate::state::{State, World};

pub(crate) struct Container {
    pub(crate) record: Value,
    program: Program,
    files: Files,
    said: Vec<String>,
    ports: Vec<Listening>,
    starts: u64,
}

const NEVER: &str = "0001-01-01T00:00:00Z";

impl Container {
    pub(crate) fn name(&self) -> String {
        self.record["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned()
    }

    /// By name, by id, or by the beginning of the id.
    pub(crate) fn is(&self, name: &str) -> bool {
        let id = self.record["Id"].as_str().unwrap_or_default();
        self.name() == name || (name.len() >= 4 && id.starts_with(name))
    }

    pub(crate) fn join(&mut self, network: &str, endpoint: &Value) {
        let id = self.record["Id"].as_str().unwrap_or_default();
        let mut aliases: Vec<Value> = endpoint["Aliases"].as_array().cloned().unwrap_or_default();
        aliases.push(json!(id.get(..12)));
        self.record["NetworkSettings"]["Networks"][network] =
            json!({"NetworkID": network, "IPAddress": "", "Aliases": aliases, "IPAMConfig": endpoint["IPAMConfig"]});
    }

    pub(crate) fn is_in(&self, network: &str) -> bool {
        self.record["NetworkSettings"]["Networks"].get(network).is_some() && self.runs()
    }

    fn runs(&self) -> bool {
        self.record["State"]["Running"] == true
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let env = self.record["Config"]["Env"].as_array()?.iter().filter_map(Value::as_str);
        env.filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// A line with its variables put in.
    fn spoken(&self, line: &str) -> String {
        let mut out = String::new();
        for (number, part) in line.split('$').enumerate() {
            if number == 0 {
                out.push_str(part);
                continue;
            }
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let _ = write!(out, "{}{rest}", self.variable(name).unwrap_or_default());
        }
        out
    }

    fn ended(&mut self, code: i64) {
        let state = &mut self.record["State"];
        (state["Status"], state["Running"]) = (json!("exited"), json!(false));
        (state["ExitCode"], state["FinishedAt"]) = (json!(code), json!("2026-01-01T00:01:00Z"));
        self.record["NetworkSettings"]["Ports"] = json!({});
    }
}

fn missing(name: &str) -> Answer {
    refuse(404, &format!("No such container: {name}"))
}

/// `/containers/…`
pub(crate) async fn route(state: &State, ask: &Ask, rest: &[&str]) -> Answer {
    match (ask.method.as_str(), rest) {
        ("GET", ["json"]) => list(&state.world.lock(), ask),
        ("POST", ["create"]) => create(&mut state.world.lock(), ask),
        (_, [name, rest @ ..]) => {
            let found =
                state.world.lock().containers.values().find(|one| one.is(name)).map(|one| one.record["Id"].clone());
            let Some(id) = found.as_ref().and_then(Value::as_str) else { return missing(name) };
            one(state, ask, id, rest).await
        }
        _ => refuse(404, "page not found"),
    }
}

async fn one(state: &State, ask: &Ask, id: &str, rest: &[&str]) -> Answer {
    match (ask.method.as_str(), rest) {
        ("POST", ["start"]) => return start(state, id).await,
        ("POST", ["stop" | "kill"]) => return stop(state, id).await,
        ("POST", ["wait"]) => return wait(state, id).await,
        ("DELETE", []) => {
            stop(state, id).await;
            state.world.lock().containers.remove(id);
            return Answer::done(true);
        }
        _ => {}
    }
    let mut world = state.world.lock();
    let taken =
        world.containers.values().find(|one| one.name() == ask.query("name")).map(|one| one.record["Id"].clone());
    let World { containers, volumes, .. } = &mut *world;
    let Some(container) = containers.get_mut(id) else { return missing(id) };
    match (ask.method.as_str(), rest) {
        ("GET", ["json"]) => Answer::json(200, container.record.clone()),
        ("POST", ["rename"]) => {
            if let Some(holder) = taken {
                return in_use(ask.query("name"), &holder);
            }
            container.record["Name"] = json!(format!("/{}", ask.query("name")));
            Answer::done(true)
        }
        ("GET", ["logs"]) => {
            let all = container.said.len();
            let last = ask.query("tail").parse().unwrap_or(all).min(all);
            let mut bytes = Vec::new();
            for line in container.said.iter().skip(all - last) {
                // Docker's frames: the stream's number, three zeros, the length.
                bytes.extend([1, 0, 0, 0]);
                bytes.extend((line.len() as u32 + 1).to_be_bytes());
                bytes.extend(line.as_bytes());
                bytes.push(b'\n');
            }
            Answer::text(200, bytes)
        }
        ("HEAD" | "GET", ["archive"]) => match pack(&container.files, ask.query("path")) {
            Some(_) if ask.method == "HEAD" => Answer::text(200, ""),
            Some(tar) => Answer::text(200, tar),
            None => refuse(404, &format!("Could not find the file {} in container", ask.query("path"))),
        },
        ("PUT", ["archive"]) => {
            let files = unpack(&ask.body, ask.query("path"));
            for mount in container.record["HostConfig"]["Mounts"].as_array().into_iter().flatten() {
                let (source, target) =
                    (mount["Source"].as_str().unwrap_or_default(), mount["Target"].as_str().unwrap_or_default());
                if let Some(volume) = volumes.get_mut(source) {
                    volume.files.extend(files.clone().into_iter().filter(|(path, _)| path.starts_with(target)));
                }
            }
            container.files.extend(files);
            Answer::text(200, "")
        }
        _ => refuse(404, "page not found"),
    }
}

fn in_use(name: &str, holder: &Value) -> Answer {
    let holder = holder.as_str().unwrap_or_default();
    refuse(
        409,
        &format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
        ),
    )
}

fn list(world: &World, ask: &Ask) -> Answer {
    let filters: Value = serde_json::from_str(ask.query("filters")).unwrap_or_default();
    let wanted: Vec<&str> = filters["label"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fits = |one: &&Container| {
        let labels = &one.record["Config"]["Labels"];
        wanted.iter().all(|word| match word.split_once('=') {
            Some((key, value)) => labels[key] == value,
            None => labels.get(*word).is_some(),
        })
    };
    let item = |one: &Container| {
        json!({
            "Id": one.record["Id"], "Names": [one.record["Name"]], "Image": one.record["Config"]["Image"],
            "ImageID": one.record["Image"], "State": one.record["State"]["Status"], "Labels": one.record["Config"]["Labels"],
        })
    };
    Answer::json(200, world.containers.values().filter(fits).map(item).collect())
}

fn create(world: &mut World, ask: &Ask) -> Answer {
    let (name, body) = (ask.query("name"), ask.json());
    if let Some(holder) = world.containers.values().find(|one| one.name() == name) {
        return in_use(name, &holder.record["Id"]);
    }
    let reference = body["Image"].as_str().unwrap_or_default().to_owned();
    let Some(image) = world.find_image(&reference).cloned() else {
        return refuse(404, &format!("No such image: {reference}"));
    };
    let id = world.id();
    let mut config = image.config();
    for (key, value) in body
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !matches!(key.as_str(), "HostConfig" | "NetworkingConfig"))
    {
        config[key] = match (key.as_str(), value) {
            ("Env", own) => env(own, &config["Env"]),
            ("Labels", own) => merged(&config["Labels"], own),
            (_, own) => own.clone(),
        };
    }
    config["Hostname"] = json!(id.get(..12));
    let words: Vec<&str> = ["Entrypoint", "Cmd"]
        .iter()
        .flat_map(|key| config[*key].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let command = words.join(" ");
    let special = image.spec.commands.iter().find(|(begin, _)| command.starts_with(begin));
    let program = special.map_or(&image.spec.program, |(_, program)| program).clone();
    let mut host = body["HostConfig"].clone();
    let mode = host["NetworkMode"].as_str().unwrap_or("default").to_owned();
    host["NetworkMode"] = json!(mode);
    let record = json!({
        "Id": id, "Name": format!("/{name}"), "Created": "2026-01-01T00:00:00Z", "Image": image.id, "RestartCount": 0,
        "State": {"Status": "created", "Running": false, "Paused": false, "ExitCode": 0, "Pid": 0, "StartedAt": NEVER, "FinishedAt": NEVER},
        "Config": config, "HostConfig": host, "Mounts": [], "NetworkSettings": {"Ports": {}, "Networks": {}},
    });
    let mut container =
        Container { record, program, files: image.spec.files.clone(), said: Vec::new(), ports: Vec::new(), starts: 0 };
    let endpoint = &body["NetworkingConfig"]["EndpointsConfig"][&mode];
    container.join(if mode == "default" { "bridge" } else { &mode }, endpoint);
    world.containers.insert(id.clone(), container);
    Answer::json(201, json!({"Id": id, "Warnings": []}))
}

/// The container's own variables, then those of the image that it does not set.
fn env(own: &Value, image: &Value) -> Value {
    let name = |pair: &Value| pair.as_str().unwrap_or_default().split('=').next().unwrap_or_default().to_owned();
    let mut all: Vec<Value> = own.as_array().cloned().unwrap_or_default();
    let set: Vec<String> = all.iter().map(name).collect();
    all.extend(image.as_array().into_iter().flatten().filter(|pair| !set.contains(&name(pair))).cloned());
    Value::Array(all)
}

fn merged(under: &Value, over: &Value) -> Value {
    let mut all: Map<String, Value> = under.as_object().cloned().unwrap_or_default();
    all.extend(over.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

async fn start(state: &State, id: &str) -> Answer {
    let (wanted, serves) = {
        let world = state.world.lock();
        let Some(container) = world.containers.get(id) else { return missing(id) };
        if container.runs() {
            return Answer::done(false);
        }
        let mode = container.record["HostConfig"]["NetworkMode"].as_str().unwrap_or_default();
        if !world.has_network(mode) {
            return refuse(404, &format!("network {mode} not found"));
        }
        (container.record["HostConfig"]["PortBindings"].clone(), container.program.serves)
    };
    let mut ports = Vec::new();
    let mut shown = json!({});
    for (key, bindings) in wanted.as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            let address = binding["HostIp"].as_str().filter(|ip| !ip.is_empty()).unwrap_or("127.0.0.1").to_owned();
            let port = binding["HostPort"].as_str().and_then(|port| port.parse().ok()).unwrap_or(0);
            let Ok(listening) = Listening::begin(&address, port, serves).await else {
                return refuse(
                    500,
                    &format!(
                        "driver failed programming external connectivity on endpoint {id}: Bind for {address}:{port} failed: port is already allocated"
                    ),
                );
            };
            shown[key] = json!([{"HostIp": address, "HostPort": listening.port.to_string()}]);
            ports.push(listening);
        }
    }
    // One that ends gives its ports back.
    let Some(over) = begin(&mut state.world.lock(), id, ports, shown) else { return missing(id) };
    for port in over {
        port.end().await;
    }
    Answer::done(true)
}

fn begin(world: &mut World, id: &str, ports: Vec<Listening>, shown: Value) -> Option<Vec<Listening>> {
    let container = world.containers.get_mut(id)?;
    container.starts += 1;
    let program = container.program.clone();
    let said: Vec<String> = program.says.iter().map(|line| container.spoken(line)).collect();
    container.said.extend(said);
    container.ports = ports;
    container.record["NetworkSettings"]["Ports"] = shown;
    container.record["RestartCount"] = json!(program.restarts);
    container.record["State"] = json!({
        "Status": "running", "Running": true, "Paused": false, "ExitCode": 0, "Pid": 4711,
        "StartedAt": format!("2026-01-01T00:00:{:02}Z", container.starts % 60), "FinishedAt": NEVER,
    });
    if let Some(health) = program.health {
        container.record["State"]["Health"] = json!({"Status": health, "Log": [{"Output": "as the check says\n"}]});
    }
    let Some(code) = program.ends else { return Some(Vec::new()) };
    container.ended(code);
    Some(std::mem::take(&mut container.ports))
}

async fn stop(state: &State, id: &str) -> Answer {
    let ports = {
        let mut world = state.world.lock();
        let Some(container) = world.containers.get_mut(id) else { return missing(id) };
        if !container.runs() {
            return Answer::done(false);
        }
        container.ended(137);
        std::mem::take(&mut container.ports)
    };
    for port in ports {
        port.end().await;
    }
    Answer::done(true)
}

/// Of one that ended, at once. One that runs is waited for as long as anybody asks.
async fn wait(state: &State, id: &str) -> Answer {
    let ended = {
        let world = state.world.lock();
        let container = world.containers.get(id);
        container.filter(|one| !one.runs()).map(|one| one.record["State"]["ExitCode"].clone())
    };
    match ended {
        Some(code) => Answer::json(200, json!({ "StatusCode": code })),
        None => std::future::pending().await,
    }
}
