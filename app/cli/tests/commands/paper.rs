//! An engine of Docker on paper, and a shop that is deployed on it: images are names, a container runs when it is started and ends when its image is one that
//! ends. It speaks as much of Docker's API as releases, builds and looks at them need. Nothing is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::home::{Ended, Home};
use crate::http::{Answer, Request, Server};

/// See the module.
pub(crate) struct Paper {
    server: Server,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// Names to ids.
    images: BTreeMap<String, String>,
    /// Ids of those that end with code 7 as soon as they are started.
    ending: BTreeSet<String>,
    containers: Vec<Container>,
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    /// Counts up, for ids.
    made: usize,
}

struct Container {
    id: String,
    name: String,
    /// As the engine was asked to make it.
    body: Value,
    state: &'static str,
}

impl Paper {
    /// With these images.
    pub(crate) fn start(images: &[&str]) -> Paper {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        images.iter().for_each(|image| drop(shelf.lock().image(image)));
        let answering = Arc::clone(&shelf);
        let server = Server::answering(move |request| answering.lock().answer(request));
        Paper { server, shelf }
    }

    /// The image ends as soon as it is started.
    pub(crate) fn ends(&self, image: &str) {
        let mut shelf = self.shelf.lock();
        let id = shelf.image(image);
        shelf.ending.insert(id);
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("tcp://{}", self.server.address)
    }

    /// How many requests were answered.
    pub(crate) fn asked(&self) -> usize {
        self.server.asked()
    }

    /// Names, versions and states, such as `shop-dev-cart 1 running`.
    pub(crate) fn containers(&self) -> Vec<String> {
        let shelf = self.shelf.lock();
        let line = |one: &Container| {
            let version = one.body["Labels"]["apm.version"].as_str().unwrap_or("-").to_owned();
            format!("{} {version} {}", one.name, one.state)
        };
        let mut lines: Vec<String> = shelf.containers.iter().map(line).collect();
        lines.sort();
        lines
    }
}

fn json(status: u16, body: &Value) -> Answer {
    Answer { headers: vec![("content-type", "application/json".into())], ..Answer::new(status, body.to_string()) }
}

fn missing(what: &str) -> Answer {
    json(404, &json!({"message": format!("No such {what}")}))
}

fn done() -> Answer {
    Answer::new(204, "")
}

/// A frame of a log: 1 is stdout, 2 stderr (Docker Engine API, "Attach to a container").
fn frame(channel: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short line");
    let mut bytes = vec![channel, 0, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.bytes());
    bytes
}

impl Shelf {
    /// Its id; it is made where it is not there.
    fn image(&mut self, name: &str) -> String {
        let id = format!("sha256:{:0<64}", format!("{:x}", 0x5f2c1a + self.images.len()));
        self.images.entry(name.to_owned()).or_insert(id).clone()
    }

    fn image_id(&self, name: &str) -> Option<String> {
        let by_id = || self.images.values().find(|id| *id == name);
        self.images.get(name).or_else(by_id).cloned()
    }

    fn find(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|one| one.name == name || one.id == name)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        // `/v1.41/containers/json`
        let path = request.path.trim_start_matches('/');
        let path = path.strip_prefix("v1.41/").unwrap_or(path).to_owned();
        let (kind, rest) = path.split_once('/').unwrap_or((&path, ""));
        let (name, what) = rest.rsplit_once('/').unwrap_or((rest, ""));
        match (request.method.as_str(), kind, what) {
            ("GET", "version", _) => json(
                200,
                &json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}),
            ),
            ("GET", "containers", "") if rest == "json" => self.list(request.parameter("filters")),
            ("POST", "containers", "") if rest == "create" => self.create(request),
            (_, "containers", _) => self.container(request, name, what),
            ("GET", "images", "json") => match self.image_id(name) {
                Some(id) => json(
                    200,
                    &json!({"Id": id, "Created": "2026-01-02T03:04:05Z", "Architecture": "amd64", "Os": "linux"}),
                ),
                None => missing(&format!("image: {name}")),
            },
            ("POST", "images", "tag") => {
                let Some(id) = self.image_id(name) else { return missing("image") };
                self.images.insert(format!("{}:{}", request.parameter("repo"), request.parameter("tag")), id);
                Answer::new(201, "")
            }
            ("POST", "build", _) => {
                let id = self.image(&format!("built-{}", self.images.len()));
                let lines = [json!({"stream": "Step 1/1 : FROM scratch\n"}), json!({"aux": {"ID": id}})];
                json(200, &Value::Null).with(lines.map(|line| format!("{line}\n")).concat())
            }
            ("POST", "networks", "") if rest == "create" => {
                let name = request.json()["Name"].as_str().unwrap_or_default().to_owned();
                self.networks.insert(name.clone());
                json(201, &json!({"Id": name}))
            }
            ("GET", "networks", _) if self.networks.contains(rest) => {
                json(200, &json!({"Id": rest, "Name": rest, "Driver": "bridge"}))
            }
            ("POST", "volumes", "") if rest == "create" => {
                let name = request.json()["Name"].as_str().unwrap_or_default().to_owned();
                self.volumes.insert(name.clone());
                json(201, &json!({"Name": name}))
            }
            ("GET", "volumes", _) if self.volumes.contains(rest) => {
                json(200, &json!({"Name": rest, "Driver": "local"}))
            }
            _ => missing("page"),
        }
    }

    fn list(&self, filters: &str) -> Answer {
        let filters: Value = serde_json::from_str(filters).unwrap_or_default();
        let wanted: Vec<&str> = filters["label"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fits = |one: &&Container| {
            wanted.iter().all(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                one.body["Labels"][name].as_str() == Some(value)
            })
        };
        let item = |one: &Container| {
            json!({
                "Id": one.id, "Names": [format!("/{}", one.name)], "Image": one.body["Image"],
                "ImageID": self.image_id(one.body["Image"].as_str().unwrap_or_default()),
                "State": one.state, "Labels": one.body["Labels"], "Created": 1,
            })
        };
        json(200, &self.containers.iter().filter(fits).map(item).collect())
    }

    fn create(&mut self, request: &Request) -> Answer {
        let (name, body) = (request.parameter("name").to_owned(), request.json());
        if self.find(&name).is_some() {
            let said = format!("Conflict. The container name \"/{name}\" is already in use by container \"1\".");
            return json(409, &json!({"message": said}));
        }
        let image = body["Image"].as_str().unwrap_or_default();
        if self.image_id(image).is_none() {
            return missing(&format!("image: {image}"));
        }
        self.made += 1;
        let id = format!("{:064x}", self.made);
        self.containers.push(Container { id: id.clone(), name, body, state: "created" });
        json(201, &json!({"Id": id}))
    }

    fn container(&mut self, request: &Request, name: &str, what: &str) -> Answer {
        // DELETE names nothing behind it.
        let name = if request.method == "DELETE" { request.path.rsplit('/').next().unwrap_or_default() } else { name };
        let image = self.find(name).and_then(|one| one.body["Image"].as_str().map(str::to_owned)).unwrap_or_default();
        let image = self.image_id(&image).unwrap_or_default();
        let ends = self.ending.contains(&image);
        let Some(one) = self.find(name) else { return missing("container") };
        match (request.method.as_str(), what) {
            ("GET", "json") => json(200, &one.inspected(&image)),
            ("GET", "logs") => {
                let last = if ends { "the till is stuck" } else { "the till is open" };
                let stamp = if request.parameter("timestamps") == "true" { "2026-01-02T03:04:05.006Z " } else { "" };
                let version = one.body["Labels"]["apm.version"].as_str().unwrap_or_default().to_owned();
                let mut bytes = frame(1, &format!("{stamp}this is {version}\n"));
                bytes.extend(frame(2, &format!("{stamp}{last}\x1b[2J\n")));
                Answer::new(200, bytes)
            }
            ("POST", "start") => {
                one.state = if ends { "exited" } else { "running" };
                done()
            }
            ("POST", "stop") => {
                one.state = "exited";
                done()
            }
            ("POST", "rename") => {
                one.name = request.parameter("name").to_owned();
                done()
            }
            ("DELETE", _) => {
                let id = one.id.clone();
                self.containers.retain(|one| one.id != id);
                done()
            }
            _ => missing("page"),
        }
    }
}

impl Answer {
    fn with(self, body: impl Into<Vec<u8>>) -> Answer {
        Answer { body: body.into(), ..self }
    }
}

impl Container {
    fn inspected(&self, image: &str) -> Value {
        let mut config = self.body.clone();
        let host = config["HostConfig"].take();
        let networks = config["NetworkingConfig"]["EndpointsConfig"].take();
        if let Some(members) = config.as_object_mut() {
            members.retain(|name, _| name != "HostConfig" && name != "NetworkingConfig");
        }
        let code = if self.state == "exited" { 7 } else { 0 };
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "Image": image, "Created": "2026-01-02T03:04:05Z",
            "State": {"Status": self.state, "ExitCode": code, "StartedAt": "2026-01-02T03:04:05Z"},
            "Config": config, "HostConfig": host, "RestartCount": 0,
            "NetworkSettings": {"Networks": networks, "Ports": {}},
        })
    }
}

/// A project in a home of its own, deployed to an engine on paper.
pub(crate) struct Shop {
    pub(crate) home: Home,
    pub(crate) docker: Paper,
}

impl Shop {
    /// With these settings, and the images `shop/cart:1`, `:2`, and `:bad` that ends when it is started.
    pub(crate) fn new(settings: &str) -> Shop {
        let (home, docker) = (Home::new(), Paper::start(&["shop/cart:1", "shop/cart:2"]));
        docker.ends("shop/cart:bad");
        home.write("apm.yaml", settings);
        Shop { home, docker }
    }

    /// `apm` with these words, which blanks part.
    pub(crate) fn apm(&self, line: &str) -> Command {
        let mut command = self.home.apm(&line.split_whitespace().collect::<Vec<_>>());
        command.env("DOCKER_HOST", self.docker.host()).env("USER", "ann");
        command
    }

    /// It ends with this code and says these words, in this order, the answer before the complaints.
    pub(crate) fn check(&self, line: &str, code: i32, expect: &[&str]) -> Ended {
        let ended = self.home.start(&mut self.apm(line)).ended();
        says(line, &ended, code, expect);
        ended
    }
}

/// A program ended with this code and said these words, in this order, its answer before its complaints.
pub(crate) fn says(line: &str, ended: &Ended, code: i32, expect: &[&str]) {
    let shown = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "apm {line}\n{shown}");
    let mut rest = shown.as_str();
    for words in expect {
        let Some((_, after)) = rest.split_once(words) else {
            panic!("apm {line}\n`{words}` is not said (there) in\n{shown}")
        };
        rest = after;
    }
}
