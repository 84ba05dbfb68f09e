//! Calls on named volumes. It does not look into them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::{Call, segment};
use crate::containers::absent_is_none;
use crate::{Engine, Object, Result};

fn object(name: &str) -> Object {
    Object::new("volume", name)
}

fn path(name: &str) -> String {
    format!("/volumes/{}", segment(name, false))
}

impl Engine {
    /// Everything the engine knows about a volume, as it says it.
    pub async fn inspect_volume(&self, name: &str) -> Result<Value> {
        self.json(Call::get(path(name), "inspect", object(name))).await
    }

    /// Makes it unless it is there; true when it was made now.
    pub async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<bool> {
        if absent_is_none(self.inspect_volume(name).await)?.is_some() {
            return Ok(false);
        }
        let body = json!({"Name": name, "Labels": labels});
        self.json(Call::post("/volumes/create".into(), "create", object(name)).json(body)).await?;
        Ok(true)
    }

    /// False when there was none. One that a container uses, running or not, is a `Conflict`. What is in it is gone.
    pub async fn remove_volume_if_there(&self, name: &str) -> Result<bool> {
        Ok(absent_is_none(self.done(Call::delete(path(name), "remove", object(name))).await)?.is_some())
    }
}
