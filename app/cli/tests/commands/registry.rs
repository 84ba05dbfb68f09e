//! `apm registry` with a registry on paper, which keeps what it is sent and lets nobody in without a password where it is told so. The same on a real
//! one, with Docker's own client beside, are the connector's tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::home::{Ended, Home};
use crate::http::{Answer, Request, Server};
use crate::paper::says;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// ann:hunter2
const ANN: &str = "Basic YW5uOmh1bnRlcjI=";

#[derive(Default)]
struct Shelf {
    /// Of all repositories, by digest.
    blobs: BTreeMap<String, Vec<u8>>,
    /// `shop/cart:1` or `shop/cart@sha256:…` to media type and bytes.
    manifests: BTreeMap<String, (&'static str, Vec<u8>)>,
    is_closed: bool,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Shelf {
    /// Keeps a manifest under its digest, and under this tag; gives the digest.
    fn put(&mut self, repository: &str, tag: &str, media_type: &'static str, bytes: Vec<u8>) -> String {
        let name = digest(&bytes);
        self.manifests.insert(format!("{repository}:{tag}"), (media_type, bytes.clone()));
        self.manifests.insert(format!("{repository}@{name}"), (media_type, bytes));
        name
    }

    /// An image of one layer; gives its part of an index.
    fn image(&mut self, tag: &str, processor: &str) -> Value {
        let config = json!({"os": "linux", "architecture": processor, "created": "2026-01-02T03:04:05Z"}).to_string();
        let layer = format!("the layer of {processor}");
        let mut part = |media_type: &str, bytes: &str| {
            let name = digest(bytes.as_bytes());
            self.blobs.insert(name.clone(), bytes.as_bytes().to_vec());
            json!({"mediaType": media_type, "digest": name, "size": bytes.len()})
        };
        let config = part("application/vnd.oci.image.config.v1+json", &config);
        let layer = part("application/vnd.oci.image.layer.v1.tar+gzip", &layer);
        let manifest = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer]}).to_string();
        let size = manifest.len();
        let name = self.put("shop/cart", tag, IMAGE, manifest.into_bytes());
        json!({"mediaType": IMAGE, "digest": name, "size": size, "platform": {"os": "linux", "architecture": processor}})
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if self.is_closed && request.header("authorization") != ANN {
            let body = r#"{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}"#;
            let who = ("www-authenticate", "Basic realm=\"paper\"".to_owned());
            return Answer { headers: vec![who], ..Answer::new(401, body) };
        }
        let path = request.path.trim_start_matches("/v2/");
        let missing =
            || Answer::new(404, r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}"#);
        if let Some(repository) = path.strip_suffix("/tags/list") {
            let tags = self.manifests.keys().filter_map(|name| name.strip_prefix(&format!("{repository}:")));
            return Answer::new(200, json!({"name": repository, "tags": tags.collect::<Vec<_>>()}).to_string());
        }
        if let Some((repository, name)) = path.split_once("/manifests/") {
            let between = if name.starts_with("sha256:") { '@' } else { ':' };
            return match request.method.as_str() {
                "PUT" => {
                    let media_type = if request.header("content-type") == INDEX { INDEX } else { IMAGE };
                    self.put(repository, name, media_type, request.body.clone());
                    Answer::new(201, "")
                }
                "DELETE" => {
                    self.manifests.retain(|_, (_, bytes)| digest(bytes) != name);
                    Answer::new(202, "")
                }
                _ => match self.manifests.get(&format!("{repository}{between}{name}")) {
                    Some((media_type, bytes)) => Answer {
                        headers: vec![
                            ("content-type", (*media_type).to_owned()),
                            ("docker-content-digest", digest(bytes)),
                            ("ratelimit-limit", "100;w=21600".into()),
                            ("ratelimit-remaining", "76;w=21600".into()),
                        ],
                        ..Answer::new(200, bytes.clone())
                    },
                    None => missing(),
                },
            };
        }
        match (request.method.as_str(), path.split_once("/blobs/")) {
            ("POST", Some((repository, _))) => {
                let location = ("location", format!("/v2/{repository}/blobs/uploads/1"));
                Answer { headers: vec![location], ..Answer::new(202, "") }
            }
            ("PUT", Some(_)) => {
                self.blobs.insert(request.parameter("digest").to_owned(), request.body.clone());
                Answer::new(201, "")
            }
            (_, Some((repository, name))) => match self.blobs.get(name).filter(|_| repository == "shop/cart") {
                Some(bytes) => Answer::new(200, bytes.clone()),
                None => missing(),
            },
            _ => Answer::new(200, "{}"),
        }
    }
}

/// A registry with `shop/cart:1`, an image, and `shop/cart:2`, which is one for each of two processors.
struct Registry {
    home: Home,
    server: Server,
    shelf: Arc<Mutex<Shelf>>,
    /// Of `:1`, of `:2`, and of its part for arm64.
    digests: [String; 3],
}

impl Registry {
    fn start() -> Registry {
        let mut shelf = Shelf::default();
        let name = |part: &Value| part["digest"].as_str().expect("it has one").to_owned();
        let (amd, arm) = (shelf.image("1", "amd64"), shelf.image("arm", "arm64"));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [amd, arm]}).to_string();
        let whole = shelf.put("shop/cart", "2", INDEX, index.into_bytes());
        let digests = [name(&amd), whole, name(&arm)];
        let shelf = Arc::new(Mutex::new(shelf));
        let answering = Arc::clone(&shelf);
        let server = Server::answering(move |request| answering.lock().answer(request));
        Registry { home: Home::new(), server, shelf, digests }
    }

    /// `AT` stands for the registry.
    fn run(&self, line: &str, told: &str) -> Ended {
        let line = line.replace("AT", &self.server.address);
        let words: Vec<_> = ["registry"].into_iter().chain(line.split_whitespace()).collect();
        self.home.start_told(&mut self.home.apm(&words), told).ended()
    }

    fn check(&self, line: &str, code: i32, expect: &[&str]) -> Ended {
        let ended = self.run(line, "");
        says(line, &ended, code, expect);
        ended
    }
}

#[test]
fn an_image_is_shown_as_its_registry_has_it() {
    let registry = Registry::start();
    let [one, two, arm] = &registry.digests;
    let tags = registry.check("tags AT/shop/cart", 0, &[]).stdout;
    assert_eq!(tags, "1\n2\narm\n");
    registry.check("digest AT/shop/cart:1", 0, &[one]);
    registry.check("digest AT/shop/cart:2", 0, &[two]);
    registry.check("digest --platform linux/arm64 AT/shop/cart:2", 0, &[arm]);
    registry.check("digest --platform linux/s390x AT/shop/cart:2", 3, &["linux/s390x", "linux/amd64"]);
    registry.check("digest AT/shop/cart:9", 3, &["manifest unknown", "check name and tag"]);
    registry.check(
        "inspect AT/shop/cart:1",
        0,
        &[
            "image     127.0.0.1:",
            "digest    ",
            one,
            "type      ",
            IMAGE,
            "platform  linux/amd64",
            "created   2026-01-02",
            "layers    1 (18 bytes)",
            "  18 bytes",
            "limit     ",
        ],
    );
    registry.check("inspect AT/shop/cart:2", 0, &[two, INDEX, one, "  linux/amd64", arm, "  linux/arm64"]);
    registry.check("inspect --platform linux/arm64 AT/shop/cart:2", 0, &[arm, "platform  linux/arm64"]);
    let json = registry.check("inspect AT/shop/cart:1 -o json", 0, &[]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((json["digest"].as_str(), &json["layers"][0]["size_bytes"]), (Some(one.as_str()), &json!(18)));
    assert_eq!((&json["config"]["os"], &json["parts"]), (&json!("linux"), &json!([])));
    let json = registry.check("inspect AT/shop/cart:2 -o json", 0, &[]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["parts"][1]["platform"], &json["config"]), (&json!("linux/arm64"), &Value::Null));
}

#[test]
fn a_copy_keeps_the_digest_and_sends_nothing_twice() {
    let registry = Registry::start();
    let [one, two, arm] = &registry.digests;
    registry.check("copy AT/shop/cart:2 AT/shop/cart:copy", 0, &["copied ", two, "(0 blobs sent, 0 bytes)"]);
    registry.check("digest AT/shop/cart:copy", 0, &[two]);
    registry.check(
        "copy AT/shop/cart:1 AT/other/cart:1",
        0,
        &["to 127.0.0.1:", "/other/cart:1: ", one, "(2 blobs sent, "],
    );
    registry.check("copy --platform linux/arm64 AT/shop/cart:2 AT/other/cart:arm", 0, &[arm, "(2 blobs sent, "]);
    registry.check("digest AT/other/cart:arm", 0, &[arm]);
}

#[test]
fn nothing_is_deleted_before_somebody_says_so() {
    let registry = Registry::start();
    let one = &registry.digests[0];
    registry.check(
        "delete AT/shop/cart:1",
        4,
        &["shop/cart@", one, "would be deleted, and with it every tag", "`--yes` does it"],
    );
    registry.check("digest AT/shop/cart:1", 0, &[one]);
    registry.check("delete AT/shop/cart:1 --yes", 0, &["deleted 127.0.0.1:", one]);
    registry.check("digest AT/shop/cart:1", 3, &["manifest unknown"]);
}

#[test]
fn a_login_is_tried_before_it_is_kept_where_docker_keeps_it() {
    let registry = Registry::start();
    registry.shelf.lock().is_closed = true;
    registry.check("tags AT/shop/cart", 4, &["authentication required"]);
    let wrong = registry.run("login AT -u ann --password-stdin", "guess\n");
    says("login", &wrong, 4, &["authentication required"]);
    assert!(!registry.home.path(".docker/config.json").exists(), "a login that was refused was kept");
    let right = registry.run("login http://AT/v2/ -u ann --password-stdin", "hunter2\r\n");
    says(
        "login",
        &right,
        0,
        &["logged in to http://127.0.0.1:", " as ann; kept in ", "config.json", "readable by you alone"],
    );
    assert!(!format!("{right:?}{wrong:?}").contains("hunter2"));
    registry.check("tags AT/shop/cart", 0, &["1\n2\n"]);
    registry.check("logout AT", 0, &["logged out of 127.0.0.1:"]);
    registry.check("logout AT", 0, &["no login for 127.0.0.1:", " was kept"]);
    registry.check("tags AT/shop/cart", 4, &["authentication required"]);
}
