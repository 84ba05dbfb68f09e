//! What requests about deployments may say, and how much of it. It does not know what becomes of it.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use base_explain::Report;
use operate_deploy::Strategy;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Refused, RefusedKind};
use crate::Api;
use crate::auth::{By, Caller};
use crate::body::BodyError;

/// A request is a few names and a sentence.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A compose project with the files that its containers see.
const PROJECT_BYTES_MAX: usize = 8 << 20;
const ACTOR_CHARS_MAX: usize = 200;
const REASON_CHARS_MAX: usize = 2_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CreateBody {
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) image: Option<String>,
    pub(super) version: Option<String>,
    pub(super) strategy: Option<Strategy>,
    pub(super) adopt: bool,
    pub(super) force: bool,
    pub(super) repair: bool,
    pub(super) dry_run: bool,
    pub(super) compose: Option<serde_json::Value>,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PromoteBody {
    pub(super) service: Option<String>,
    pub(super) version: Option<String>,
    pub(super) image: Option<String>,
    pub(super) from: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

/// A yes or a no to a promotion.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct YesBody {
    pub(super) dry_run: bool,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// A version, a run, an image's digest, or a run's tag.
    pub(super) to: Option<String>,
    pub(super) dry_run: bool,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OrderBody {
    pub(super) step: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

/// A body of JSON; one that is empty says nothing.
pub(super) async fn read<T: DeserializeOwned + Default>(
    api: &Api,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refused> {
    read_up_to(api, headers, body, BODY_BYTES_MAX).await
}

/// The same for a body that may hold a project with its files.
pub(super) async fn read_large<T: DeserializeOwned + Default>(
    api: &Api,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refused> {
    read_up_to(api, headers, body, PROJECT_BYTES_MAX).await
}

async fn read_up_to<T: DeserializeOwned + Default>(
    api: &Api,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, Refused> {
    let body = api.bodies.read(headers, body).await;
    let body = body.map_err(|error| match error {
        BodyError::Busy { .. } => Refused::new(RefusedKind::Away, "busy", Report::of(&error)),
        _ => Refused::invalid(error.to_string(), "send a small object of JSON"),
    })?;
    if body.bytes.is_empty() {
        return Ok(T::default());
    }
    if body.bytes.len() > bytes_max {
        let message = format!("the request has more than {bytes_max} bytes");
        return Err(Refused::invalid(message, "send a small object of JSON"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Refused::invalid(
            format!("`{kind}` is not understood here"),
            "send `Content-Type: application/json`",
        ));
    }
    // By way of an object: a list would be taken for the members in their order.
    let read = serde_json::from_slice::<serde_json::Map<_, _>>(&body.bytes);
    read.and_then(|members| T::deserialize(serde_json::Value::Object(members))).map_err(|error| {
        Refused::invalid(format!("the request is not understood: {error}"), "its form is told in /apm/v1/openapi.json")
    })
}

/// Who asks: the name that the request says, and what was shown for it.
pub(super) fn actor(caller: Caller, says: Option<&str>) -> Result<String, Refused> {
    let shown = match caller.by {
        By::Nothing => "no token",
        By::Token | By::Cookie => caller.role.word(),
    };
    let name = line("actor", says.unwrap_or_default(), ACTOR_CHARS_MAX)?;
    Ok(if name.is_empty() { format!("somebody ({shown})") } else { format!("{name} ({shown})") })
}

pub(super) fn reason(says: Option<&str>) -> Result<String, Refused> {
    line("reason", says.unwrap_or_default(), REASON_CHARS_MAX)
}

/// One line: people read it on terminals, where a control character could do more than stand there.
fn line(name: &str, text: &str, chars_max: usize) -> Result<String, Refused> {
    if text.chars().count() > chars_max {
        return Err(Refused::invalid(format!("`{name}` has more than {chars_max} characters"), "say it shorter"));
    }
    Ok(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned())
}

/// A name as one part of a path (RFC 3986, §2.3).
pub(super) fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
