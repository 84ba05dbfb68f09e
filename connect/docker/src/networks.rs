//! Calls on networks. It chooses no subnet: that is the engine's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::{Call, segment};
use crate::containers::absent_is_none;
use crate::{DockerError, Engine, Object, Result};

/// A network to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    pub name: String,
    /// Empty means `bridge`.
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    /// No way out of it.
    pub internal: bool,
}

fn object(name: &str) -> Object {
    Object::new("network", name)
}

fn path(name: &str) -> String {
    format!("/networks/{}", segment(name, false))
}

impl Engine {
    /// Everything the engine knows about a network, as it says it.
    pub async fn inspect_network(&self, name: &str) -> Result<Value> {
        self.json(Call::get(path(name), "inspect", object(name))).await
    }

    /// Makes it unless one of this name is there, whoever made that; true when it was made now.
    pub async fn ensure_network(&self, spec: &NetworkSpec) -> Result<bool> {
        if absent_is_none(self.inspect_network(&spec.name).await)?.is_some() {
            return Ok(false);
        }
        let driver = if spec.driver.is_empty() { "bridge" } else { &spec.driver };
        let body = json!({
            "Name": spec.name, "Driver": driver, "Labels": spec.labels, "Internal": spec.internal, "CheckDuplicate": true
        });
        match self.json(Call::post("/networks/create".into(), "create", object(&spec.name)).json(body)).await {
            Ok(_) => Ok(true),
            // Another was faster between the look and the act.
            Err(DockerError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// False when there was none. One that containers are still in is a `Conflict`.
    pub async fn remove_network_if_there(&self, name: &str) -> Result<bool> {
        Ok(absent_is_none(self.done(Call::delete(path(name), "remove", object(name))).await)?.is_some())
    }
}
