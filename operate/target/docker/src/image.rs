//! What an object is: for the journal, with all that is needed to make it so again; for the planner, the few facts it decides by, without
//! anything secret. It changes nothing.

use connect_docker::{ContainerView, DockerError, Engine, State, create_body_again};
use operate_execute::Image;
use operate_plan::{Failure, ObjectId};
use serde_json::{Value, json};

use crate::failure::{failure, foreign};

/// A container's record, if one has exactly this name: the engine also takes the beginning of an id for a name.
pub(crate) async fn inspect(engine: &Engine, name: &str) -> Result<Option<Value>, Failure> {
    let found = absent(engine.inspect_container(name).await)?;
    Ok(found.filter(|value| value["Name"].as_str().map(|own| own.trim_start_matches('/')) == Some(name)))
}

fn absent<T>(answer: Result<T, DockerError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// Everything that a restore needs; it holds the variables in clear, for the journal seals it.
pub(crate) async fn of(engine: &Engine, object: &ObjectId) -> Result<Image, Failure> {
    let value = match object.kind.as_str() {
        "container" => inspect(engine, &object.name).await?.map(|record| container(&record)),
        "image" => absent(engine.inspect_image(&object.name).await)?.map(|record| json!({"id": record["Id"]})),
        "network" => {
            absent(engine.inspect_network(&object.name).await)?.map(|record| json!({"driver": record["Driver"]}))
        }
        "volume" => {
            absent(engine.inspect_volume(&object.name).await)?.map(|record| json!({"driver": record["Driver"]}))
        }
        _ => return Err(foreign("look at", object)),
    };
    Ok(value.map_or(Image::Absent, Image::Present))
}

/// `id` finds it again under another name; `body` and `joins` make it anew where it was removed.
fn container(record: &Value) -> Value {
    let view = ContainerView::from_inspect(record);
    let (body, joins) = create_body_again(record);
    json!({
        "id": view.id,
        "image_id": view.image_id,
        "running": is_running(&view),
        "body": body,
        "joins": joins,
    })
}

pub(crate) fn is_running(view: &ContainerView) -> bool {
    matches!(view.state, State::Running | State::Restarting | State::Paused)
}

/// Equal but for the id, which a container made anew cannot have again, and the name of its image, which is by then its id.
pub(crate) fn is_same(before: &Image, now: &Image) -> bool {
    let (Image::Present(before), Image::Present(now)) = (before, now) else { return before == now };
    let rest = |image: &Value| {
        let mut image = image.clone();
        if let Some(fields) = image.as_object_mut() {
            fields.remove("id");
            if let Some(body) = fields.get_mut("body").and_then(Value::as_object_mut) {
                body.remove("Image");
            }
        }
        said(image)
    };
    // Only containers have both; of a network or an image everything counts.
    if before.get("body").is_some() { rest(before) == rest(now) } else { before == now }
}

/// Without what says nothing. An engine that was started again reads its containers from disk, and what was null before (`Dns`, `DnsOptions`)
/// is an empty list from then on.
fn said(value: Value) -> Value {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| (name, said(member)));
            Value::Object(members.filter(|(_, member)| !is_nothing(member)).collect())
        }
        // Places in a list mean something, so nothing is taken out of one.
        Value::Array(items) => Value::Array(items.into_iter().map(said).collect()),
        other => other,
    }
}

/// What a planner sees: no variables, for they may be secret.
pub(crate) async fn summary(engine: &Engine, object: &ObjectId) -> Result<Option<Value>, Failure> {
    if object.kind == "image" {
        let record = absent(engine.inspect_image(&object.name).await)?;
        return Ok(record.map(|record| {
            // Also what registries call it, by which a planner tells one that was pulled from one that was made here; and when it was built, if
            // it says so (OCI image spec, annotations).
            let mut seen = json!({"id": record["Id"], "digests": record["RepoDigests"]});
            if let Value::String(built) = &record["Config"]["Labels"]["org.opencontainers.image.created"] {
                seen["built"] = json!(built);
            }
            seen
        }));
    }
    if object.kind != "container" {
        return Ok(match of(engine, object).await? {
            Image::Present(value) => Some(value),
            Image::Absent => None,
        });
    }
    let Some(record) = inspect(engine, &object.name).await? else { return Ok(None) };
    let view = ContainerView::from_inspect(&record);
    Ok(Some(json!({
        "id": view.id,
        "image": view.image,
        "image_id": view.image_id,
        "running": is_running(&view),
        "labels": view.labels,
        "lost": crate::lost::lost(&record),
    })))
}
