//! A registry in memory, by the OCI distribution specification, so that what is tried on a real one (`tests/shared`) is tried without one too. Like Debian's it
//! keeps no list of referrers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use connect_registry::Digest;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::server::{Answer, Asked, answer, serve};

pub(crate) struct Registry {
    pub(crate) address: String,
}

/// Lets everybody in.
pub(crate) fn open(_: &Path) -> String {
    String::new()
}

/// Lets `user` in with `secret`.
pub(crate) fn password(_: &Path) -> String {
    "Basic dXNlcjpzZWNyZXQ=".to_owned()
}

impl Registry {
    /// `auth` says what must stand in `authorization`.
    pub(crate) fn start(auth: impl FnOnce(&Path) -> String) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket's setting");
        let address = listener.local_addr().expect("bound").to_string();
        let listener = TcpListener::from_std(listener).expect("inside a runtime");
        let kept = Arc::new(Mutex::new(Kept { auth: auth(Path::new("/")), ..Kept::default() }));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move { serve(stream, &Mutex::default(), |asked| kept.lock().say(asked)).await });
            }
        });
        Self { address }
    }
}

#[derive(Default)]
struct Kept {
    auth: String,
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By repository and tag: digests.
    tags: BTreeMap<(String, String), String>,
    /// By number.
    uploads: BTreeMap<usize, Vec<u8>>,
    begun: usize,
}

fn refuse(status: u16, code: &str) -> Answer {
    answer(status, json!({"errors": [{"code": code, "message": "it is so"}]}).to_string())
}

fn query(path: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://x{path}")).expect("a path");
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

impl Kept {
    fn say(&mut self, asked: &Asked) -> Answer {
        if !self.auth.is_empty() && asked.header("authorization") != Some(self.auth.as_str()) {
            return refuse(401, "UNAUTHORIZED").with("www-authenticate", "Basic realm=\"test\"");
        }
        let path = asked.path.split('?').next().unwrap_or_default().trim_start_matches("/v2/").to_owned();
        if path.is_empty() {
            return answer(200, "{}");
        }
        let part = ["/blobs/uploads/", "/blobs/", "/manifests/", "/tags/list"].into_iter().find_map(|middle| {
            path.split_once(middle).map(|(repository, rest)| (middle, repository.to_owned(), rest.to_owned()))
        });
        match part {
            Some(("/blobs/uploads/", repository, rest)) => self.upload(asked, repository, &rest),
            Some(("/blobs/", repository, digest)) => match self.blobs.get(&(repository, digest)) {
                Some(bytes) if asked.method == "HEAD" => answer(200, "").with("content-length", bytes.len()),
                Some(bytes) => answer(200, bytes),
                None => refuse(404, "BLOB_UNKNOWN"),
            },
            Some(("/manifests/", repository, wanted)) => self.manifest(asked, repository, wanted),
            Some((_, repository, _)) => {
                let tags: Vec<&String> =
                    self.tags.keys().filter(|(own, _)| *own == repository).map(|(_, tag)| tag).collect();
                answer(200, json!({"name": repository, "tags": tags}).to_string())
            }
            None => refuse(404, "UNSUPPORTED"),
        }
    }

    fn upload(&mut self, asked: &Asked, repository: String, rest: &str) -> Answer {
        let place = |number: usize| format!("/v2/{repository}/blobs/uploads/{number}");
        let number = rest.parse().unwrap_or(0);
        match asked.method.as_str() {
            "POST" => {
                if let (Some(digest), Some(from)) = (query(&asked.path, "mount"), query(&asked.path, "from"))
                    && let Some(bytes) = self.blobs.get(&(from, digest.clone())).cloned()
                {
                    self.blobs.insert((repository.clone(), digest), bytes);
                    return answer(201, "");
                }
                self.begun += 1;
                self.uploads.insert(self.begun, Vec::new());
                answer(202, "").with("location", place(self.begun))
            }
            "PATCH" => {
                let Some(bytes) = self.uploads.get_mut(&number) else { return refuse(404, "BLOB_UPLOAD_UNKNOWN") };
                bytes.extend(&asked.body);
                answer(202, "").with("location", place(number)).with("range", format!("0-{}", bytes.len() - 1))
            }
            "PUT" => {
                let Some(mut bytes) = self.uploads.remove(&number) else { return refuse(404, "BLOB_UPLOAD_UNKNOWN") };
                bytes.extend(&asked.body);
                let digest = query(&asked.path, "digest").unwrap_or_default();
                if Digest::of(&bytes).as_str() != digest {
                    return refuse(400, "DIGEST_INVALID");
                }
                self.blobs.insert((repository, digest), bytes);
                answer(201, "")
            }
            _ => {
                self.uploads.remove(&number);
                answer(204, "")
            }
        }
    }

    fn manifest(&mut self, asked: &Asked, repository: String, wanted: String) -> Answer {
        let tag = (repository.clone(), wanted.clone());
        let digest = self.tags.get(&tag).cloned().unwrap_or(wanted);
        let key = (repository.clone(), digest.clone());
        match asked.method.as_str() {
            "PUT" => {
                let value: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
                let parts = value["layers"].as_array().into_iter().flatten().chain([&value["config"]]);
                let mut wanted = parts.filter_map(|part| part["digest"].as_str());
                if wanted.any(|part| !self.blobs.contains_key(&(repository.clone(), part.to_owned()))) {
                    return refuse(400, "MANIFEST_BLOB_UNKNOWN");
                }
                let digest = Digest::of(&asked.body).to_string();
                if !tag.1.contains(':') {
                    self.tags.insert(tag, digest.clone());
                }
                let media_type = asked.header("content-type").unwrap_or_default().to_owned();
                self.manifests.insert((repository, digest.clone()), (media_type, asked.body.clone()));
                answer(201, "").with("docker-content-digest", digest)
            }
            "DELETE" => match self.manifests.remove(&key) {
                Some(_) => {
                    self.tags.retain(|(own, _), named| *own != repository || *named != digest);
                    answer(202, "")
                }
                None => refuse(404, "MANIFEST_UNKNOWN"),
            },
            method => match self.manifests.get(&key) {
                Some((media_type, bytes)) => {
                    let said = answer(200, if method == "HEAD" { &[][..] } else { bytes });
                    let said = said.with("content-type", media_type).with("docker-content-digest", digest);
                    if method == "HEAD" { said.with("content-length", bytes.len()) } else { said }
                }
                None => refuse(404, "MANIFEST_UNKNOWN"),
            },
        }
    }
}
