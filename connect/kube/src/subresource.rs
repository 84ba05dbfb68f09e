//! What lies below an object: its scale, the eviction of a pod. Logs have a file of their own; `status` is a write with `subresource`.

use http::Method;
use serde_json::{Value, json};

use crate::call::{Call, JSON};
use crate::object::text;
use crate::{Cluster, DeleteOptions, ObjectAt, Result, WriteOptions, Written};

/// Of anything that can be scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// Wanted.
    pub replicas: u64,
    /// There.
    pub replicas_now: u64,
    /// Labels of its pods: `app=web`.
    pub selector: String,
}

impl Scale {
    fn of(scale: &Value) -> Self {
        let number = |pointer| scale.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let selector = text(scale, "/status/selector").to_owned();
        Self { replicas: number("/spec/replicas"), replicas_now: number("/status/replicas"), selector }
    }
}

impl Cluster {
    pub async fn scale(&self, at: &ObjectAt) -> Result<Scale> {
        let scale = self.json(Call::get(at.path(Some("scale")), "get the scale of", at.target())).await?;
        Ok(Scale::of(&scale))
    }

    /// Sets how many are wanted; gives what was there before admission of controllers: the new scale.
    pub async fn set_scale(&self, at: &ObjectAt, replicas: u32, options: &WriteOptions) -> Result<Scale> {
        let options = WriteOptions { subresource: Some("scale".into()), ..options.clone() };
        let patch = crate::Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let Written { object, .. } = self.patch(at, &patch, &options).await?;
        Ok(Scale::of(&object))
    }

    /// Asks for a pod to go, as `kubectl drain` does: a PodDisruptionBudget may say [`crate::KubeError::DisruptionBudget`].
    pub async fn evict(&self, pod: &ObjectAt, options: &DeleteOptions) -> Result<()> {
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"namespace": pod.namespace, "name": pod.name},
            "deleteOptions": options.body(),
        });
        let call = Call::new(Method::POST, pod.path(Some("eviction")), "evict", pod.target());
        self.bytes(call.body(JSON, &body)).await.map(|_| ())
    }
}
