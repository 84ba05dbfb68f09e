//! Calls on images: looked at, pulled, named, built. A build makes an image of its last `FROM`'s, and remembers what it was given; `RUN false` fails as the
//! classic builder fails.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::{Answer, refuse};
use crate::files::{Files, unpack};
use crate::state::{State, World};
use crate::{Ask, Program};

/// An image as a test wants it.
#[derive(Clone, Debug, Default)]
pub struct ImageSpec {
    /// Beside `Env`, in Docker's words: `{"Cmd": ["/serve"], "Labels": {…}}`.
    pub config: Value,
    pub env: Vec<String>,
    pub program: Program,
    /// What certain commands do instead, by the beginning of entry point and command, one blank between words: `python3 -c`.
    pub commands: Vec<(String, Program)>,
    /// By path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl ImageSpec {
    pub fn of(program: Program) -> ImageSpec {
        ImageSpec { program, ..ImageSpec::default() }
    }
}

#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) spec: ImageSpec,
    digests: Vec<String>,
}

impl Image {
    /// Its own settings, with all variables.
    pub(crate) fn config(&self) -> Value {
        let mut config = if self.spec.config.is_object() { self.spec.config.clone() } else { json!({}) };
        config["Env"] = json!(self.spec.env);
        config
    }
}

/// A build that came to an end, or not.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// The call's query: `t`, `buildargs`, `labels`, …
    pub query: Vec<(String, String)>,
    pub dockerfile: String,
    /// Paths of the context: `/src/app.py`.
    pub files: Vec<String>,
    /// The image's id; `None` where it failed.
    pub id: Option<String>,
}

impl World {
    pub(crate) fn add_image(&mut self, reference: &str, spec: ImageSpec) -> String {
        let id = format!("sha256:{}", self.id());
        self.images.insert(reference.to_owned(), Image { id: id.clone(), spec, digests: Vec::new() });
        id
    }

    /// By reference, with or without `:latest`, or by id.
    pub(crate) fn find_image(&self, name: &str) -> Option<&Image> {
        let direct = self.images.get(name).or_else(|| self.images.get(&format!("{name}:latest")));
        direct.or_else(|| {
            self.images.values().find(|image| image.id == name || image.id.trim_start_matches("sha256:") == name)
        })
    }
}

/// `/images/…`, whose names hold slashes.
pub(crate) fn route(state: &State, ask: &Ask, rest: &[&str]) -> Answer {
    let mut world = state.world.lock();
    let missing = |name: &str| refuse(404, &format!("No such image: {name}"));
    match (ask.method.as_str(), rest) {
        ("POST", ["create"]) => pull(&mut world, ask),
        ("GET", [name @ .., "json"]) => {
            let name = name.join("/");
            let Some(image) = world.find_image(&name) else { return missing(&name) };
            let tags: Vec<&String> =
                world.images.iter().filter(|(_, other)| other.id == image.id).map(|(tag, _)| tag).collect();
            Answer::json(
                200,
                json!({
                    "Id": image.id, "RepoTags": tags, "RepoDigests": image.digests, "Os": "linux", "Architecture": "amd64",
                    "Config": image.config(),
                }),
            )
        }
        ("POST", [name @ .., "tag"]) => {
            let name = name.join("/");
            let Some(image) = world.find_image(&name).cloned() else { return missing(&name) };
            world.images.insert(format!("{}:{}", ask.query("repo"), ask.query("tag")), image);
            Answer::text(201, "")
        }
        ("DELETE", name) => match world.images.remove(&name.join("/")) {
            Some(_) => Answer::json(200, json!([])),
            None => missing(&name.join("/")),
        },
        _ => refuse(404, "page not found"),
    }
}

fn pull(world: &mut World, ask: &Ask) -> Answer {
    let (name, tag) = (ask.query("fromImage"), ask.query("tag"));
    let reference = if tag.contains(':') { format!("{name}@{tag}") } else { format!("{name}:{tag}") };
    let Some(spec) = world.pullable.get(&reference).cloned() else {
        return refuse(
            404,
            &format!("pull access denied for {name}, repository does not exist or may require 'docker login'"),
        );
    };
    let id = world.add_image(&reference, spec);
    if let Some(image) = world.images.get_mut(&reference) {
        image.digests.push(format!("{name}@{id}"));
    }
    Answer::lines(&[
        json!({"status": format!("Pulling from {name}"), "id": tag}),
        json!({"status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 2_500_000}, "id": "a3ed95caeb02"}),
        json!({"status": format!("Digest: {id}")}),
    ])
}

/// `POST /build`
pub(crate) fn build(state: &State, ask: &Ask) -> Answer {
    let files: Files = unpack(&ask.body, "");
    let path = match ask.query("dockerfile") {
        "" => "/Dockerfile".to_owned(),
        path => format!("/{}", path.trim_start_matches('/')),
    };
    let Some(text) = files.get(&path).map(|text| String::from_utf8_lossy(text).into_owned()) else {
        return refuse(500, &format!("Cannot locate specified Dockerfile: {}", path.trim_start_matches('/')));
    };
    let mut world = state.world.lock();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut messages = Vec::new();
    let mut base = None;
    let mut failed = None;
    for (number, line) in lines.iter().enumerate() {
        messages.push(json!({"stream": format!("Step {}/{} : {line}\n", number + 1, lines.len())}));
        if let Some(name) = line.strip_prefix("FROM ").and_then(|rest| rest.split_whitespace().next()) {
            base = world.find_image(name).map(|image| image.spec.clone());
            if base.is_none() && name != "scratch" {
                failed = Some(format!("manifest for {name} not found: manifest unknown"));
                break;
            }
        }
        if *line == "RUN false" {
            failed = Some("The command '/bin/sh -c false' returned a non-zero code: 1".to_owned());
            break;
        }
    }
    let id = match failed {
        Some(why) => {
            messages.push(json!({"errorDetail": {"message": why}, "error": why}));
            None
        }
        None => {
            let id = world.add_image("", base.unwrap_or_default());
            // An image without a name is found by its id.
            if let Some(image) = world.images.remove("") {
                world.images.insert(id.clone(), image);
            }
            messages.push(json!({"aux": {"ID": id}}));
            messages.push(json!({"stream": format!("Successfully built {}\n", id.get(7..19).unwrap_or_default())}));
            Some(id)
        }
    };
    let files = files.into_keys().collect();
    world.builds.push(BuiltImage { query: ask.query.clone(), dockerfile: text, files, id });
    Answer::lines(&messages)
}
