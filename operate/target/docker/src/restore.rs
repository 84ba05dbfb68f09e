//! Makes an object what it was, from whatever it has become: a container under another name is named back, one that was removed is made
//! anew from its record, one that was not there is removed. It never removes what it cannot tell to be this release's.

use connect_docker::{ContainerView, Engine, NetworkSpec, State};
use operate_execute::Image;
use operate_plan::{Class, Failure, ObjectId};
use serde_json::Value;

use crate::failure::{failure, foreign, not_ours};
use crate::image::{inspect, is_running};

pub(crate) async fn restore(engine: &Engine, object: &ObjectId, before: &Image) -> Result<(), Failure> {
    match (object.kind.as_str(), before) {
        ("container", Image::Present(was)) => container(engine, object, was).await,
        ("container", Image::Absent) => no_container(engine, object).await,
        ("network", Image::Present(_)) => {
            let spec = NetworkSpec { name: object.name.clone(), ..NetworkSpec::default() };
            engine.ensure_network(&spec).await.map(drop).map_err(|error| failure(&error))
        }
        ("network", Image::Absent) => {
            engine.remove_network_if_there(&object.name).await.map(drop).map_err(|error| failure(&error))
        }
        ("image", _) => Err(Failure::new(
            Class::Invalid,
            "docker.image-restore",
            format!("{object} cannot be made what it was"),
            "images are never changed by a plan: report this",
        )),
        _ => Err(foreign("restore", object)),
    }
}

async fn container(engine: &Engine, object: &ObjectId, was: &Value) -> Result<(), Failure> {
    let id = was["id"].as_str().unwrap_or_default();
    let there = match engine.inspect_container(id).await {
        Ok(record) => Some(ContainerView::from_inspect(&record)),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(failure(&error)),
    };
    match &there {
        Some(view) if view.name == object.name => {}
        Some(view) => {
            if inspect(engine, &object.name).await?.is_some() {
                return Err(not_ours(object));
            }
            engine.rename_container(&view.id, &object.name).await.map_err(|error| failure(&error))?;
        }
        None => again(engine, object, was).await?,
    }
    let runs = there.as_ref().is_some_and(is_running);
    match was["running"].as_bool() {
        Some(true) if !runs => engine.start_container(&object.name).await.map(drop),
        Some(false) if runs => engine.stop_container(&object.name, crate::STOP_GRACE).await.map(drop),
        _ => Ok(()),
    }
    .map_err(|error| failure(&error))
}

/// Makes it anew, from the very image it had.
async fn again(engine: &Engine, object: &ObjectId, was: &Value) -> Result<(), Failure> {
    if let Some(record) = inspect(engine, &object.name).await? {
        // Made by an earlier restore that was cut off: the record says the same.
        let view = ContainerView::from_inspect(&record);
        let labels = &was["body"]["Labels"];
        let same = view.image_id == was["image_id"].as_str().unwrap_or_default()
            && view.labels.iter().all(|(name, value)| labels[name].as_str() == Some(value));
        return if same { Ok(()) } else { Err(not_ours(object)) };
    }
    let mut body = was["body"].clone();
    body["Image"] = was["image_id"].clone();
    let joins: Vec<(String, Value)> = serde_json::from_value(was["joins"].clone()).unwrap_or_default();
    engine.create_container_from(&object.name, body, &joins).await.map(drop).map_err(|error| failure(&error))
}

/// A container that ran, and that making its name free again will remove.
pub(crate) async fn doomed(engine: &Engine, object: &ObjectId) -> Result<Option<ContainerView>, Failure> {
    let record = inspect(engine, &object.name).await?;
    let view = record.map(|record| ContainerView::from_inspect(&record));
    Ok(view.filter(|view| view.labels.contains_key("apm.config") && view.state != State::Created))
}

/// Only what a release of ours made may go: the step began with nothing under this name.
async fn no_container(engine: &Engine, object: &ObjectId) -> Result<(), Failure> {
    let Some(record) = inspect(engine, &object.name).await? else { return Ok(()) };
    let view = ContainerView::from_inspect(&record);
    if !view.labels.contains_key("apm.config") {
        return Err(not_ours(object));
    }
    engine.remove_container_if_there(&view.id).await.map(drop).map_err(|error| failure(&error))
}
