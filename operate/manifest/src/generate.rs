//! ConfigMaps and Secrets made of literals, files and lines of variables, in kustomize's words, and named after what they hold: a pod that refers to one
//! is another pod when the content is another. The suffix is kustomize's own (kubernetes-sigs/kustomize `api/hasher/hasher.go`, as of 5.8), so that both
//! make the same objects.
//!
//! It opens no file: whoever calls hands their bytes over.

mod content;
mod refer;
mod suffix;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::format::{config_key, dns_subdomain};
use crate::transform::TransformSettings;
pub use content::GenerateError;
pub use refer::refer;
pub use suffix::suffix;

/// One ConfigMap or Secret, as a kustomization says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "a map of settings")]
pub struct Generator {
    pub name: String,
    /// That of the release when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of a Secret; `Opaque` when left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `KEY=VALUE`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub literals: Vec<String>,
    /// `FILE`, whose name is the key, or `KEY=FILE`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Files of lines `KEY=VALUE`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub envs: Vec<String>,
    #[serde(skip_serializing_if = "GeneratorOptions::is_plain")]
    pub options: GeneratorOptions,
}

/// How generated objects are marked and named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase", expecting = "a map of settings")]
pub struct GeneratorOptions {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The server lets nobody change it.
    pub immutable: bool,
    /// Its name is as it is written.
    pub disable_name_suffix_hash: bool,
}

impl GeneratorOptions {
    fn is_plain(&self) -> bool {
        *self == GeneratorOptions::default()
    }

    /// With those of all generators, which its own win over.
    pub fn over(&self, all: &GeneratorOptions) -> GeneratorOptions {
        let both = |all: &BTreeMap<String, String>, own: &BTreeMap<String, String>| {
            all.iter().chain(own).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        GeneratorOptions {
            labels: both(&all.labels, &self.labels),
            annotations: both(&all.annotations, &self.annotations),
            immutable: self.immutable || all.immutable,
            disable_name_suffix_hash: self.disable_name_suffix_hash || all.disable_name_suffix_hash,
        }
    }
}

/// An object that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// `ConfigMap` or `Secret`.
    pub kind: &'static str,
    pub namespace: String,
    /// As manifests refer to it.
    pub plain: String,
    /// With the suffix.
    pub name: String,
    pub object: Value,
}

/// All that the settings want, in their order; `read` gives the bytes of a file by the name that the settings have for it.
pub fn generate(
    settings: &TransformSettings,
    namespace: &str,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Vec<Generated>, GenerateError> {
    let mut made: Vec<Generated> = Vec::new();
    let maps = settings.config_map_generator.iter().map(|one| ("ConfigMap", one));
    for (kind, generator) in maps.chain(settings.secret_generator.iter().map(|one| ("Secret", one))) {
        let one = one(kind, generator, settings, namespace, read)?;
        let same =
            |known: &Generated| known.kind == kind && known.namespace == one.namespace && known.plain == one.plain;
        if made.iter().any(same) {
            return Err(GenerateError::Twice { kind, name: one.plain });
        }
        made.push(one);
    }
    Ok(made)
}

fn one(
    kind: &'static str,
    generator: &Generator,
    settings: &TransformSettings,
    namespace: &str,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Generated, GenerateError> {
    let plain = generator.name.clone();
    // With the suffix it must still be a name.
    if !dns_subdomain(&plain) || plain.len() > 242 {
        return Err(GenerateError::Name { kind, name: plain });
    }
    if kind == "ConfigMap" && generator.kind.is_some() {
        return Err(GenerateError::Typed { name: plain });
    }
    let pairs = content::pairs(kind, generator, read)?;
    let options = generator.options.over(&settings.generator_options);
    // The namespace of the environment is that of every object.
    let namespace = settings.namespace.as_deref().or(generator.namespace.as_deref()).unwrap_or(namespace).to_owned();
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": plain}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = Value::from(namespace.as_str());
    }
    for (key, values) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !values.is_empty() {
            object["metadata"][key] = json!(values);
        }
    }
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in pairs {
        match String::from_utf8(bytes) {
            Ok(text) if kind == "ConfigMap" => drop(data.insert(key, Value::from(text))),
            Ok(text) => drop(data.insert(key, Value::from(suffix::base64(text.as_bytes())))),
            Err(error) if kind == "ConfigMap" => {
                drop(binary.insert(key, Value::from(suffix::base64(error.as_bytes()))))
            }
            Err(error) => drop(data.insert(key, Value::from(suffix::base64(error.as_bytes())))),
        }
    }
    if kind == "Secret" {
        object["type"] = Value::from(generator.kind.as_deref().unwrap_or("Opaque"));
        object["data"] = Value::Object(data);
    } else if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        object["binaryData"] = Value::Object(binary);
    }
    if options.immutable {
        object["immutable"] = Value::from(true);
    }
    let name = match options.disable_name_suffix_hash {
        true => plain.clone(),
        false => format!("{plain}-{}", suffix(&object)),
    };
    object["metadata"]["name"] = Value::from(name.as_str());
    Ok(Generated { kind, namespace, plain, name, object })
}

fn is_key(key: &str) -> bool {
    config_key(key)
}

#[cfg(test)]
mod tests;
