//! What can go wrong, in classes a caller can act on, each with the engine's own words. It knows the sentences of Docker's answers, not who asked.

use std::fmt;
use std::time::Duration;

use base_http::body::BodyError;

/// An object of the engine: "container `web`".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// container, image, network, volume, exec, engine
    pub kind: &'static str,
    /// As the caller named it; empty for the engine itself.
    pub name: String,
}

impl Object {
    pub(crate) fn new(kind: &'static str, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { write!(to, "the {}", self.kind) } else { write!(to, "{} `{}`", self.kind, self.name) }
    }
}

/// The engine's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `None` when the words came inside of a stream that had begun with 200.
    pub status: Option<u16>,
    pub message: String,
}

impl fmt::Display for Said {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(to, "{} (status {status})", self.message),
            None => to.write_str(&self.message),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerError {
    #[error("{found_by} gives no usable address of a Docker engine: {problem}")]
    BadAddress { found_by: String, problem: String },
    #[error("no Docker engine answers at {place} (from {found_by}): {reason}")]
    NotReachable { place: String, found_by: String, reason: String },
    #[error("the Docker engine's socket {place} (from {found_by}) may not be opened: permission denied")]
    PermissionDenied { place: String, found_by: String },
    #[error("the Docker engine speaks API {theirs}, spoken here is {ours}")]
    Version { theirs: String, ours: String },
    #[error("{object} is not there: {said}")]
    NotFound { object: Object, said: Said },
    #[error("there is no image `{image}`: {said}")]
    ImageMissing { image: String, said: Said },
    /// `holder` is the id of the container that has the name, if that is what is wrong.
    #[error("{object} is in the way or in use: {said}")]
    Conflict { object: Object, holder: Option<String>, said: Said },
    /// `address` as the engine names it: `127.0.0.1:8080`.
    #[error("the port {} is taken: {said}", address.as_deref().unwrap_or("wanted"))]
    PortTaken { address: Option<String>, said: Said },
    #[error("access to {object} is refused: {said}")]
    Unauthorized { object: Object, said: Said },
    #[error("the disk of the Docker engine is full: {said}")]
    NoSpace { said: Said },
    #[error("{doing}: no end within {after_ms} ms")]
    Timeout { doing: String, after_ms: u64 },
    #[error("{object}: asked too often: {said}")]
    Throttled { object: Object, retry_after: Option<Duration>, said: Said },
    #[error("{doing}: the answer has more than {limit_bytes} bytes")]
    TooLarge { doing: String, limit_bytes: usize },
    #[error("{doing}: the answer cannot be read: {reason}")]
    Garbled { doing: String, reason: String },
    #[error("{doing}: the connection broke: {reason}")]
    Broken { doing: String, reason: String },
    #[error("the Docker engine refuses what was asked of {object}: {said}")]
    Invalid { object: Object, said: Said },
    #[error("the Docker engine failed at {object}: {said}")]
    Engine { object: Object, said: Said },
}

impl From<BodyError> for DockerError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Timeout { doing, after_ms } => Self::Timeout { doing, after_ms },
            BodyError::TooLarge { doing, limit_bytes } => Self::TooLarge { doing, limit_bytes },
            BodyError::Broken { doing, reason } => Self::Broken { doing, reason },
        }
    }
}

impl DockerError {
    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.said().and_then(|said| said.status)
    }

    /// The engine's own words, where it said any.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::NotFound { said, .. }
            | Self::ImageMissing { said, .. }
            | Self::Conflict { said, .. }
            | Self::PortTaken { said, .. }
            | Self::Unauthorized { said, .. }
            | Self::NoSpace { said }
            | Self::Throttled { said, .. }
            | Self::Invalid { said, .. }
            | Self::Engine { said, .. } => Some(said),
            _ => None,
        }
    }

    /// The object, or the image, is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::ImageMissing { .. })
    }

    /// The same call may succeed later with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotReachable { .. } | Self::Timeout { .. } | Self::Broken { .. } | Self::Throttled { .. } => true,
            Self::Engine { said, .. } => matches!(said.status, Some(502..=504)),
            _ => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadAddress { .. } => "correct the address, or unset it to use Docker's default socket",
            Self::NotReachable { .. } => {
                "is the engine running (`systemctl start docker`, Docker Desktop)? if it listens elsewhere, say so by DOCKER_HOST or `docker context use`"
            }
            Self::PermissionDenied { .. } => {
                "add your user to the group `docker` (`sudo usermod -aG docker $USER`, then log in again), or use a rootless engine"
            }
            Self::Version { .. } => "Docker 20.10 (API 1.41) is the oldest engine that works",
            Self::ImageMissing { .. } => {
                "check name and tag, and log in: registries hide private images from those who may not see them"
            }
            Self::Conflict { holder: Some(_), .. } => "choose another name, or remove or rename its holder",
            Self::PortTaken { .. } => "find who listens (`docker ps`, `ss -ltnp`) and stop it, or choose another port",
            Self::Unauthorized { .. } => "log in to the registry with an account that has this right",
            Self::NoSpace { .. } => "free some (`docker system df`, `docker image prune`)",
            Self::Throttled { .. } => {
                "wait as long as the registry asks, or log in: most allow more to those they know"
            }
            _ => return None,
        })
    }
}

/// Classes a refusal by its status and the engine's words. The words come first: Docker answers 500 to much that is not its own fault.
pub(crate) fn classify(object: Object, said: Said, retry_after: Option<Duration>) -> DockerError {
    let words = said.message.to_ascii_lowercase();
    let says = |part: &str| words.contains(part);
    // What a build's own command is called proves nothing about the engine.
    if says("returned a non-zero code") {
        return DockerError::Engine { object, said };
    }
    if says("no space left on device") {
        return DockerError::NoSpace { said };
    }
    if says("port is already allocated") || says("address already in use") || says("ports are not available") {
        return DockerError::PortTaken { address: address(&said.message), said };
    }
    if said.status == Some(429) || says("toomanyrequests") || says("too many requests") {
        let retry_after = retry_after.or_else(|| retry_after_in(&words));
        return DockerError::Throttled { object, retry_after, said };
    }
    if says("no such image")
        || says("manifest unknown")
        || says("pull access denied")
        || (says("manifest for ") && says("not found"))
        || (says("an image does not exist locally"))
    {
        let image = if object.kind == "image" { object.name } else { image(&said.message) };
        return DockerError::ImageMissing { image, said };
    }
    let denied =
        ["unauthorized", "authentication required", "no basic auth credentials", "access to the resource is denied"];
    if matches!(said.status, Some(401 | 403)) || denied.iter().any(|part| says(part)) {
        // 403 without such words is the engine refusing the operation, not a registry refusing the person.
        if said.status == Some(403) && !denied.iter().any(|part| says(part)) {
            return DockerError::Conflict { object, holder: None, said };
        }
        return DockerError::Unauthorized { object, said };
    }
    match said.status {
        Some(404) => DockerError::NotFound { object, said },
        Some(409) => DockerError::Conflict { object, holder: holder(&said.message), said },
        Some(400 | 405 | 406) => DockerError::Invalid { object, said },
        _ => DockerError::Engine { object, said },
    }
}

/// `… is already in use by container "4f0e…". You have to remove …`
fn holder(message: &str) -> Option<String> {
    let rest = message.split_once("in use by container ")?.1;
    let id: String = rest.chars().skip_while(|letter| *letter == '"').take_while(char::is_ascii_alphanumeric).collect();
    (!id.is_empty()).then_some(id)
}

/// `Bind for 127.0.0.1:8080 failed: port is already allocated`, `listen tcp4 0.0.0.0:80: bind: address already in use`
fn address(message: &str) -> Option<String> {
    let mut words = message.split([' ', ',']).map(|word| word.trim_end_matches(':'));
    let port =
        |word: &str| word.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    // The last: the name of an endpoint with a colon may stand before it.
    words.rfind(|word| port(word)).map(str::to_owned)
}

/// `No such image: shop/cart:1`
fn image(message: &str) -> String {
    let after = ["No such image: ", "manifest for ", "pull access denied for "];
    let rest = after.iter().find_map(|before| Some(message.split_once(before)?.1)).unwrap_or_default();
    rest.split([' ', ',']).next().unwrap_or_default().to_owned()
}

/// Registries say it inside the words: `toomanyrequests: retry-after: 1.5s, allowed: …`, as Go writes durations.
fn retry_after_in(words: &str) -> Option<Duration> {
    let rest = words.split_once("retry-after: ")?.1;
    let number: String = rest.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let unit: String = rest.chars().skip(number.len()).take_while(|letter| letter.is_alphabetic()).collect();
    let factor = match unit.as_str() {
        "ns" => 1e-9,
        "µs" | "us" => 1e-6,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => 1.0,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::{DockerError, Object, Said, classify};

    /// The class and what was read out of the engine's words, which are those of Docker 20.10 and its registries.
    fn check(kind: &'static str, status: Option<u16>, message: &str, expect: &str) {
        let said = Said { status, message: message.to_owned() };
        let error = classify(Object::new(kind, "web"), said, None);
        let found = match &error {
            DockerError::NotFound { object, .. } => format!("not found: {object}"),
            DockerError::ImageMissing { image, .. } => format!("image missing: {image}"),
            DockerError::Conflict { holder, .. } => format!("conflict: {holder:?}"),
            DockerError::PortTaken { address, .. } => format!("port: {address:?}"),
            DockerError::Throttled { retry_after, .. } => format!("throttled: {retry_after:?}"),
            DockerError::Unauthorized { object, .. } => format!("unauthorized: {object}"),
            DockerError::NoSpace { .. } => "no space".to_owned(),
            DockerError::Invalid { .. } => "invalid".to_owned(),
            DockerError::Engine { .. } => "engine".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expect, "{message}");
        assert_eq!(error.status(), status);
        assert!(error.to_string().contains(message), "{error} keeps the engine's words");
    }

    #[test]
    fn recorded_answers_are_classed() {
        check("container", Some(404), "No such container: web", "not found: container `web`");
        check("network", Some(404), "network web not found", "not found: network `web`");
        check("container", Some(404), "No such image: shop/cart:1", "image missing: shop/cart:1");
        check(
            "image",
            None,
            "manifest for 127.0.0.1:5000/a:9 not found: manifest unknown: manifest unknown",
            "image missing: web",
        );
        check(
            "image",
            Some(404),
            "pull access denied for shop, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            "image missing: web",
        );
        check(
            "container",
            Some(409),
            "Conflict. The container name \"/web\" is already in use by container \"4f0e12\". You have to remove (or rename) that container to be able to reuse that name.",
            "conflict: Some(\"4f0e12\")",
        );
        check(
            "image",
            Some(409),
            "conflict: unable to remove repository reference \"a\" (must force) - container 12 is using its referenced image 34",
            "conflict: None",
        );
        check(
            "network",
            Some(403),
            "error while removing network: network n id 12 has active endpoints",
            "conflict: None",
        );
        check(
            "container",
            Some(500),
            "driver failed programming external connectivity on endpoint web (12ab): Bind for 127.0.0.1:8080 failed: port is already allocated",
            "port: Some(\"127.0.0.1:8080\")",
        );
        check(
            "container",
            Some(500),
            "driver failed programming external connectivity on endpoint web (12ab): Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
            "port: Some(\"127.0.0.1:8080\")",
        );
        check("image", Some(500), "Get https://r/v2/: no basic auth credentials", "unauthorized: image `web`");
        check("image", None, "unauthorized: authentication required", "unauthorized: image `web`");
        check("image", Some(500), "write /var/lib/docker/tmp/x: no space left on device", "no space");
        check("image", Some(429), "slow down", "throttled: None");
        check("image", Some(500), "toomanyrequests: retry-after: 1.5s, allowed: 44000/minute", "throttled: Some(1.5s)");
        check("image", Some(500), "toomanyrequests: retry-after: 250.1µs, allowed: 1", "throttled: Some(250.1µs)");
        check("container", Some(400), "invalid reference format", "invalid");
        check("container", Some(500), "something else", "engine");
        check("image", None, "The command '/bin/sh -c ./check-unauthorized' returned a non-zero code: 1", "engine");
    }

    #[test]
    fn unreachable_says_where_and_what_to_do() {
        let error = DockerError::NotReachable {
            place: "unix:///x".into(),
            found_by: "DOCKER_HOST".into(),
            reason: "no such file".into(),
        };
        assert!(error.to_string().contains("unix:///x (from DOCKER_HOST)"));
        assert!(error.hint().is_some_and(|hint| hint.contains("is the engine running")));
        assert!(error.is_transient());
    }
}
