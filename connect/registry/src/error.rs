//! What can go wrong with a registry, in kinds a caller can act on, each with the registry's own words and with what to do. It knows no caller.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::{Digest, RateLimit};

/// Of a registry's words, what is worth showing.
const WORDS_LETTERS_MAX: usize = 1000;

/// What kind of trouble it is: decides whether a later try can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// We are not who we say, or said nothing.
    Auth,
    /// We are known and not allowed.
    Permission,
    NotFound,
    Conflict,
    Throttled,
    /// It may work a moment later.
    Transient,
    /// What was asked for cannot be.
    Invalid,
    Unknown,
}

/// The registry's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub status: u16,
    /// `MANIFEST_UNKNOWN`, of the first error; empty where there was none.
    pub code: String,
    pub message: String,
}

impl Said {
    /// Registries say `{"errors": [{"code", "message", "detail"}]}`, token servers `{"details"}` or `{"error_description"}`, proxies anything.
    pub(crate) fn read(status: u16, bytes: &[u8]) -> Said {
        let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
        let first = parsed.as_ref().map(|value| &value["errors"][0]);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let code = first.and_then(|first| text(&first["code"])).unwrap_or_default();
        let message = first.and_then(|first| text(&first["message"])).or_else(|| {
            let parsed = parsed.as_ref()?;
            ["details", "error_description", "message", "error"].iter().find_map(|key| text(&parsed[*key]))
        });
        let raw = || if code.is_empty() { String::from_utf8_lossy(bytes).trim().to_owned() } else { String::new() };
        let message = message.unwrap_or_else(raw);
        let short = |text: String| text.chars().filter(|letter| !letter.is_control()).take(WORDS_LETTERS_MAX).collect();
        Said { status, code: short(code), message: short(message) }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => write!(to, "status {}", self.status),
            ("", message) => write!(to, "{message} (status {})", self.status),
            (code, "") => write!(to, "{code} (status {})", self.status),
            (code, message) => write!(to, "{message} ({code}, status {})", self.status),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error("`{text}` names no image: {problem}")]
    Reference { text: String, problem: String },
    #[error("`{text}` is no platform")]
    Platform { text: String },
    #[error("the client of registries could not be set up: {reason}")]
    Setup { reason: String },
    #[error("the registry {registry} cannot be reached: {reason}")]
    NotReachable { registry: String, reason: String },
    #[error("{doing}: the registry does not know us: {said}")]
    Unauthorized { doing: String, said: Said },
    #[error("{doing}: the registry does not allow it: {said}")]
    Denied { doing: String, said: Said },
    #[error("{doing}: it is not there: {said}")]
    NotFound { doing: String, said: Said },
    #[error("{doing}: something is in the way: {said}")]
    Conflict { doing: String, said: Said },
    #[error("{doing}: asked too often: {said}")]
    Throttled { doing: String, retry_after: Option<Duration>, limit: Option<RateLimit>, said: Said },
    #[error("{doing}: the registry does not do that: {said}")]
    Unsupported { doing: String, said: Said },
    #[error("{doing}: the registry refuses what was asked: {said}")]
    Invalid { doing: String, said: Said },
    #[error("{doing}: the registry failed: {said}")]
    Failed { doing: String, said: Said },
    #[error("{doing}: no end within {after_ms} ms")]
    Timeout { doing: String, after_ms: u128 },
    #[error("{doing}: the connection broke: {reason}")]
    Broken { doing: String, reason: String },
    /// The bytes are not those that were asked for. They were thrown away.
    #[error("{doing}: the registry lies: it says {wanted}, and what it sent is {got}")]
    WrongDigest { doing: String, wanted: Digest, got: Digest },
    #[error("{doing}: the registry lies: {wanted_bytes} bytes were announced, and {got_bytes} came")]
    WrongSize { doing: String, wanted_bytes: u64, got_bytes: u64 },
    #[error("{doing}: the answer has more than {limit} {unit}")]
    TooLarge { doing: String, limit: u64, unit: &'static str },
    #[error("{doing}: the answer cannot be used: {reason}")]
    Garbled { doing: String, reason: String },
    #[error("{doing}: the registry sends us to {to}: {reason}")]
    Redirect { doing: String, to: String, reason: String },
    #[error("the token server {realm} gives no token: {reason}")]
    Token { realm: String, kind: Kind, reason: String },
    #[error("the login for {registry} cannot be used: {problem}")]
    Login { registry: String, problem: String },
    #[error("the image has no part for {wanted}; there are {there}")]
    NoPlatform { wanted: String, there: String },
    #[error("what was to be sent could not be read: {reason}")]
    Source { reason: String },
}

impl RegistryError {
    /// See [`Kind`].
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unauthorized { .. } | Self::Login { .. } => Kind::Auth,
            Self::Token { kind, .. } => *kind,
            Self::Denied { .. } => Kind::Permission,
            Self::NotFound { .. } | Self::NoPlatform { .. } => Kind::NotFound,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Throttled { .. } => Kind::Throttled,
            Self::NotReachable { .. } | Self::Timeout { .. } | Self::Broken { .. } => Kind::Transient,
            Self::Failed { said, .. } if matches!(said.status, 500 | 502..=504) => Kind::Transient,
            Self::Failed { .. } | Self::Garbled { .. } | Self::Source { .. } => Kind::Unknown,
            Self::Reference { .. }
            | Self::Platform { .. }
            | Self::Setup { .. }
            | Self::Unsupported { .. }
            | Self::Invalid { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. } => Kind::Invalid,
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The same call may succeed later with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), Kind::Transient | Kind::Throttled)
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "write REGISTRY/NAME:TAG, such as registry.example.org/shop/cart:1",
            Self::Platform { .. } => "write OS/PROCESSOR or OS/PROCESSOR/VARIANT, such as linux/arm64",
            Self::Setup { .. } => "look at SSL_CERT_FILE and at the proxy variables",
            Self::NotReachable { .. } => {
                "check the name and the network; a registry without TLS away from this machine must be named as insecure; one with its own authority needs SSL_CERT_FILE"
            }
            Self::Unauthorized { .. } => "log in: `apm registry login`, or `docker login`",
            Self::Denied { .. } => "log in with an account that has this right, or ask for it",
            Self::NotFound { .. } => {
                "check name and tag, and log in: registries hide private images from those who may not see them"
            }
            Self::Conflict { .. } => "tags may be immutable there: choose another tag, or remove what is in the way",
            Self::Throttled { .. } => {
                "wait as long as the registry asks, or log in: most allow more to those they know"
            }
            Self::Unsupported { .. } => {
                "the registry's owner decides: docker-registry deletes only with `storage: { delete: { enabled: true } }`"
            }
            Self::Invalid { .. } => "the registry's words say what is wrong with it",
            Self::Failed { .. } | Self::Timeout { .. } | Self::Broken { .. } => {
                "try again; if it stays so, the registry's own log says why"
            }
            Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                "nothing of it was kept. A cache or a proxy between may be at fault, or somebody changed it: do not run this image"
            }
            Self::TooLarge { .. } | Self::Garbled { .. } => {
                "is this a registry? a proxy may have answered in its place"
            }
            Self::Redirect { .. } => "ask the registry's owner: what it answers is against the rules of the protocol",
            Self::Token { .. } => {
                "check name and password: `apm registry login`; if they are right, the token server's log says why"
            }
            Self::Login { .. } => "log in anew, or repair Docker's config.json",
            Self::NoPlatform { .. } => "choose one of them, or have the image built for it",
            Self::Source { .. } => "look at the file",
        }
    }
}

/// Classes a refusal by its code, then by its status. `retry_after` and `limit` come from the headers.
pub(crate) fn refusal(
    doing: String,
    said: Said,
    retry_after: Option<Duration>,
    limit: Option<RateLimit>,
) -> RegistryError {
    match (said.code.as_str(), said.status) {
        ("TOOMANYREQUESTS", _) | (_, 429) => RegistryError::Throttled { doing, retry_after, limit, said },
        ("UNSUPPORTED", _) | (_, 405 | 501) => RegistryError::Unsupported { doing, said },
        // Docker Hub answers 401 with DENIED to what we may not see although it knows us.
        ("UNAUTHORIZED", _) | (_, 401) => RegistryError::Unauthorized { doing, said },
        ("DENIED", _) | (_, 403) => RegistryError::Denied { doing, said },
        (_, 404) => RegistryError::NotFound { doing, said },
        ("TAG_IMMUTABLE", _) | (_, 409 | 412) => RegistryError::Conflict { doing, said },
        (_, 400..=499) => RegistryError::Invalid { doing, said },
        _ => RegistryError::Failed { doing, said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of an answer, and what is told of it.
    fn check(status: u16, body: &str, kind: Kind, words: &str) {
        let error = refusal("read `a:1`".into(), Said::read(status, body.as_bytes()), None, None);
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn refusals_have_their_kind() {
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"1"}}]}"#;
        check(404, unknown, Kind::NotFound, "manifest unknown (MANIFEST_UNKNOWN, status 404)");
        let hub = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        check(429, hub, Kind::Throttled, "reached your pull rate limit");
        check(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            Kind::Auth,
            "does not know us",
        );
        check(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#, Kind::Permission, "does not allow");
        check(
            405,
            r#"{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}"#,
            Kind::Invalid,
            "does not do that",
        );
        check(400, r#"{"errors":[{"code":"TAG_IMMUTABLE","message":"exists"}]}"#, Kind::Conflict, "in the way");
        check(400, r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#, Kind::Invalid, "MANIFEST_INVALID (status 400)");
        check(503, "<html>busy</html>", Kind::Transient, "busy");
        check(500, "", Kind::Transient, "status 500");
        check(507, "", Kind::Unknown, "status 507");
        check(401, r#"{"details":"incorrect username or password"}"#, Kind::Auth, "incorrect username");
    }
}
