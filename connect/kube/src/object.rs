//! What every object has: its metadata, read without a type for the rest. It changes nothing.

use serde_json::Value;

use crate::{ObjectKey, Resource};

/// Of `metadata`, what tells one state of an object from another.
pub(crate) struct Identity {
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) version: String,
}

pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn identity(object: &Value) -> Identity {
    let text = |pointer| text(object, pointer).to_owned();
    let key = ObjectKey { namespace: text("/metadata/namespace"), name: text("/metadata/name") };
    Identity { key, uid: text("/metadata/uid"), version: text("/metadata/resourceVersion") }
}

/// Items of a list come without kind and version; with them they are as a `get` gives them.
pub(crate) fn complete(object: &mut Value, resource: &Resource) {
    if let Value::Object(fields) = object {
        fields.entry("apiVersion").or_insert_with(|| resource.api_version().into());
        fields.entry("kind").or_insert_with(|| resource.kind.as_str().into());
    }
}
