//! Writing: create, replace, patch, server-side apply, delete; each tried out by the server alone when asked so. It decides nothing and writes no
//! field of its own.

use http::Method;
use serde_json::{Map, Value, json};

use crate::call::{Call, JSON, Read};
use crate::{Cluster, KubeError, ObjectAt, Resource, Result};

/// How a write is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Who manages the fields that are written: `apm`.
    pub manager: String,
    /// Takes fields over from other managers; for server-side apply only.
    pub force: bool,
    /// Everything is checked, admission included, and nothing is written.
    pub dry_run: bool,
    /// `status`, `scale` …
    pub subresource: Option<String>,
    /// Unknown and double fields are refused; otherwise they are warnings.
    pub strict: bool,
}

impl WriteOptions {
    pub fn by(manager: &str) -> Self {
        Self { manager: manager.to_owned(), force: false, dry_run: false, subresource: None, strict: true }
    }

    pub fn dry(mut self) -> Self {
        self.dry_run = true;
        self
    }

    pub fn forced(mut self) -> Self {
        self.force = true;
        self
    }

    fn on(&self, call: Call) -> Call {
        let call = call
            .query("fieldManager", self.manager.clone())
            .query("fieldValidation", if self.strict { "Strict" } else { "Warn" });
        if self.dry_run { call.query("dryRun", "All") } else { call }
    }
}

/// The object as the server has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub object: Value,
    /// It was not there before.
    pub created: bool,
    /// Deprecated versions, unknown fields, pod security.
    pub warnings: Vec<String>,
}

impl From<Read<Value>> for Written {
    fn from(read: Read<Value>) -> Self {
        Self { object: read.value, created: read.status == 201, warnings: read.warnings }
    }
}

/// A change of some fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902: a list of operations; with `test` it is refused as invalid when the object is not as expected.
    Json(Value),
    /// RFC 7386: null removes, lists are exchanged whole.
    Merge(Value),
    /// Kubernetes' own: lists are merged by their keys. Not for custom resources.
    Strategic(Value),
}

/// What is deleted with an object, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// The object goes at once, what it owns after it.
    #[default]
    Background,
    /// What it owns goes first.
    Foreground,
    /// What it owns stays.
    Orphan,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only this very object, not another one with its name.
    pub uid: Option<String>,
    /// Only in this state.
    pub version: Option<String>,
    pub propagation: Propagation,
    /// Seconds; the object's own when not set.
    pub grace_s: Option<u32>,
    pub dry_run: bool,
}

impl DeleteOptions {
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": format!("{:?}", self.propagation)});
        let mut preconditions = Map::new();
        for (key, value) in [("uid", &self.uid), ("resourceVersion", &self.version)] {
            if let Some(value) = value {
                preconditions.insert(key.into(), value.as_str().into());
            }
        }
        if !preconditions.is_empty() {
            body["preconditions"] = preconditions.into();
        }
        if let Some(grace_s) = self.grace_s {
            body["gracePeriodSeconds"] = grace_s.into();
        }
        if self.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        body
    }
}

/// What became of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum Deleted {
    Gone,
    /// It goes when its grace has passed and its finalizers are done.
    Going(Value),
}

impl Cluster {
    /// Server-side apply: the fields of `object` are ours from now on, those we applied before and are not in it any more go. The object needs its
    /// `apiVersion` and `kind`; fields of other managers are a [`crate::KubeError::Conflict`] unless forced.
    pub async fn apply(&self, at: &ObjectAt, object: &Value, options: &WriteOptions) -> Result<Written> {
        let call = Call::new(Method::PATCH, at.path(options.subresource.as_deref()), "apply", at.target());
        let call = options.on(call).query("force", options.force.to_string());
        // JSON is YAML.
        Ok(self.typed(call.body("application/apply-patch+yaml", object)).await?.into())
    }

    /// Makes a new one; its name comes from the object, or from the server when there is only a `generateName`.
    pub async fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &Value,
        options: &WriteOptions,
    ) -> Result<Written> {
        let name = crate::object::text(object, "/metadata/name");
        let target = resource.target(Some(namespace), name);
        let call = Call::new(Method::POST, resource.collection(Some(namespace)), "create", target);
        Ok(self.typed(options.on(call).body(JSON, object)).await?.into())
    }

    /// Exchanges it whole; with a `resourceVersion` inside only in that state.
    pub async fn replace(&self, at: &ObjectAt, object: &Value, options: &WriteOptions) -> Result<Written> {
        let call = Call::new(Method::PUT, at.path(options.subresource.as_deref()), "replace", at.target());
        Ok(self.typed(options.on(call).body(JSON, object)).await?.into())
    }

    pub async fn patch(&self, at: &ObjectAt, patch: &Patch, options: &WriteOptions) -> Result<Written> {
        let (content_type, body) = match patch {
            Patch::Json(body) => ("application/json-patch+json", body),
            Patch::Merge(body) => ("application/merge-patch+json", body),
            Patch::Strategic(body) => ("application/strategic-merge-patch+json", body),
        };
        let call = Call::new(Method::PATCH, at.path(options.subresource.as_deref()), "patch", at.target());
        Ok(self.typed(options.on(call).body(content_type, body)).await?.into())
    }

    pub async fn delete(&self, at: &ObjectAt, options: &DeleteOptions) -> Result<Deleted> {
        let call = Call::new(Method::DELETE, at.path(None), "delete", at.target()).body(JSON, &options.body());
        let answer = self.json(call).await?;
        // A Status: it is gone; the object itself: it has a grace or finalizers.
        Ok(if answer["kind"] == "Status" { Deleted::Gone } else { Deleted::Going(answer) })
    }

    /// `false` when it was not there.
    pub async fn delete_if_there(&self, at: &ObjectAt, options: &DeleteOptions) -> Result<bool> {
        match self.delete(at, options).await {
            Ok(_) => Ok(true),
            Err(KubeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
