//! The changes. Each may be made again after it was cut off anywhere, and then ends where it would have ended. It asks for no proof; the
//! step's conditions do.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_docker::{ContainerView, NetworkSpec, State};
use futures_util::StreamExt as _;
use operate_execute::Done;
use operate_plan::{Act, Class, Failure, ObjectId};
use serde_json::{Value, json};

use crate::failure::{failure, foreign, not_ours};
use crate::image::inspect;
use crate::{DockerTarget, STOP_GRACE, auth};

/// The name under which a variable of a plan is sealed.
pub fn secret_name(variable: &str) -> String {
    format!("plan/env/{variable}")
}

pub(crate) async fn act(target: &DockerTarget, act: &Act) -> Result<Done, Failure> {
    let (engine, object) = (&target.engine, &act.object);
    let note = match (act.verb.as_str(), object.kind.as_str()) {
        ("pull", "image") => pull(target, &object.name).await?,
        ("create", "network") => {
            let spec = NetworkSpec { name: object.name.clone(), ..NetworkSpec::default() };
            engine.ensure_network(&spec).await.map_err(|error| failure(&error))?;
            String::new()
        }
        ("create", "volume") => {
            engine.ensure_volume(&object.name, &BTreeMap::new()).await.map_err(|error| failure(&error))?;
            String::new()
        }
        ("create", "container") => create(target, object, &act.with).await?,
        ("stop", "container") => {
            let grace = grace(target, object).await?;
            engine.stop_container(&object.name, grace).await.map_err(|error| failure(&error))?;
            String::new()
        }
        ("start", "container") => {
            engine.start_container(&object.name).await.map_err(|error| failure(&error))?;
            String::new()
        }
        ("rename", "container") => rename(target, object, &act.with).await?,
        ("remove", "container") => {
            engine.remove_container_if_there(&object.name).await.map_err(|error| failure(&error))?;
            String::new()
        }
        (verb, _) => return Err(foreign(verb, object)),
    };
    Ok(Done { touched: act.touches.clone(), note })
}

async fn pull(target: &DockerTarget, reference: &str) -> Result<String, Failure> {
    let auth = auth::of(&*target.logins, reference).await?;
    let pulling = target.engine.pull(reference, auth.as_ref(), "").await;
    let mut messages = pulling.map_err(|error| failure(&error))?;
    let (mut digest, mut layers) = (None, BTreeMap::new());
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| failure(&error))?;
        if let Some(found) = message.digest() {
            digest = Some(found.to_owned());
        }
        if let Some(total_bytes) = message.total_bytes.filter(|_| message.status == "Downloading") {
            layers.insert(message.id.clone(), total_bytes);
        }
    }
    let megabytes = layers.values().sum::<u64>().div_ceil(1_000_000);
    Ok(format!("{megabytes} MB, {}", digest.as_deref().unwrap_or("no digest")))
}

/// How long the container wants between SIGTERM and SIGKILL.
async fn grace(target: &DockerTarget, object: &ObjectId) -> Result<Duration, Failure> {
    let record = inspect(&target.engine, &object.name).await?.unwrap_or_default();
    let seconds = record["Config"]["StopTimeout"].as_u64();
    Ok(seconds.map_or(STOP_GRACE, Duration::from_secs))
}

async fn create(target: &DockerTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let mut body = with["body"].clone();
    if let Some(record) = inspect(&target.engine, &object.name).await? {
        // Made by an attempt that was cut off, perhaps before it had joined all its networks: made anew. Anything else is not ours to
        // remove, and one that ran may hold what nobody has elsewhere.
        let same = record["Config"]["Labels"]["apm.config"] == body["Labels"]["apm.config"];
        let view = ContainerView::from_inspect(&record);
        if !same || body["Labels"]["apm.config"].is_null() || view.state != State::Created {
            return Err(not_ours(object));
        }
        target.engine.remove_container(&view.id).await.map_err(|error| failure(&error))?;
    }
    for (variable, secret) in with["secrets"].as_object().into_iter().flatten() {
        let value = opened(target, variable, secret["sealed"].as_str().unwrap_or_default())?;
        if let Some(env) = body.get_mut("Env").and_then(Value::as_array_mut) {
            env.push(json!(format!("{variable}={value}")));
        }
    }
    let joins: Vec<(String, Value)> = with["joins"]
        .as_array()
        .into_iter()
        .flatten()
        // A name alone, or with how the container is known in that network.
        .filter_map(|join| match join {
            Value::String(name) => Some((name.clone(), json!({}))),
            join => Some((join[0].as_str()?.to_owned(), join[1].clone())),
        })
        .collect();
    let id = target.engine.create_container_from(&object.name, body, &joins).await.map_err(|error| failure(&error))?;
    Ok(id.chars().take(12).collect())
}

fn opened(target: &DockerTarget, variable: &str, sealed: &str) -> Result<String, Failure> {
    let next = "the key file of the machine that made the plan is needed; or plan again here";
    let refused = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Class::Invalid, "seal.failed", format!("the variable {variable} cannot be opened"), next)
            .caused_by(error)
    };
    let plain = target.seal.open(&secret_name(variable), sealed).map_err(|error| refused(&error))?;
    String::from_utf8(plain).map_err(|error| refused(&error.utf8_error()))
}

async fn rename(target: &DockerTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let to = with["to"].as_str().ok_or_else(|| foreign("rename to nothing", object))?;
    let from = inspect(&target.engine, &object.name).await?;
    if from.is_none() && inspect(&target.engine, to).await?.is_some() {
        // Done by an attempt that was cut off: the step began with nothing under that name.
        return Ok(String::new());
    }
    target.engine.rename_container(&object.name, to).await.map_err(|error| failure(&error))?;
    Ok(String::new())
}
