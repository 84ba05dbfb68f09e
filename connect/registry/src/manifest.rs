//! What a manifest says: an image of a configuration and layers, or an index of further manifests. Source: OCI image specification 1.1, and Docker's image
//! manifest version 2, schema 2. The bytes are kept as they came, for their digest is their name. It fetches nothing.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Digest, Platform, RegistryError, Result};

/// The types of manifests.
pub mod media {
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// All of them, as they are asked for.
    pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
}

/// Layers of an image, or images of an index: more are an attack on memory.
const PARTS_MAX: usize = 10_000;

/// A reference to content by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size_bytes: u64,
    pub platform: Option<Platform>,
    pub artifact_type: String,
    pub annotations: Map<String, Value>,
}

impl Descriptor {
    pub fn new(media_type: &str, digest: Digest, size_bytes: u64) -> Descriptor {
        let (media_type, artifact_type, annotations) = (media_type.to_owned(), String::new(), Map::new());
        Descriptor { media_type, digest, size_bytes, platform: None, artifact_type, annotations }
    }

    fn read(value: &Value) -> Option<Descriptor> {
        Some(Descriptor {
            media_type: value["mediaType"].as_str().unwrap_or_default().to_owned(),
            digest: value["digest"].as_str()?.parse().ok()?,
            size_bytes: value["size"].as_u64()?,
            platform: Platform::read(&value["platform"]),
            artifact_type: value["artifactType"].as_str().unwrap_or_default().to_owned(),
            annotations: value["annotations"].as_object().cloned().unwrap_or_default(),
        })
    }

    pub(crate) fn write(&self) -> Value {
        let mut value = json!({"mediaType": self.media_type, "digest": self.digest.as_str(), "size": self.size_bytes});
        if !self.artifact_type.is_empty() {
            value["artifactType"] = json!(self.artifact_type);
        }
        if !self.annotations.is_empty() {
            value["annotations"] = json!(self.annotations);
        }
        value
    }

    /// Layers that their maker forbids to keep elsewhere; they stay where they are.
    pub(crate) fn is_foreign(&self) -> bool {
        self.media_type.contains(".foreign.") || self.media_type.contains(".nondistributable.")
    }
}

/// A manifest as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub digest: Digest,
    pub bytes: Bytes,
}

/// What it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Index(Vec<Descriptor>),
    Image { config: Descriptor, layers: Vec<Descriptor> },
}

impl Manifest {
    /// One that is to be sent: its digest is computed.
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Manifest {
        let bytes = bytes.into();
        Manifest { media_type: media_type.to_owned(), digest: Digest::of(&bytes), bytes }
    }

    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest.clone(), self.bytes.len() as u64)
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.bad(error.to_string()))
    }

    fn bad(&self, reason: String) -> RegistryError {
        RegistryError::Garbled { doing: format!("read the manifest {}", self.digest), reason }
    }

    /// Reads it. One that can be taken for two things is refused (CVE-2021-41190).
    pub fn content(&self) -> Result<Content> {
        let value = self.json()?;
        let said = value["mediaType"].as_str().unwrap_or(&self.media_type);
        if said != self.media_type {
            return Err(self.bad(format!("it calls itself {said}, and the registry calls it {}", self.media_type)));
        }
        let has = |key: &str| value.get(key).is_some();
        if has("manifests") && (has("layers") || has("config")) || has("fsLayers") {
            return Err(self.bad("it can be taken for an index and for an image".to_owned()));
        }
        let all = |key: &str| {
            let items = value[key].as_array().ok_or_else(|| self.bad(format!("it has no `{key}`")))?;
            if items.len() > PARTS_MAX {
                return Err(self.bad(format!("it has more than {PARTS_MAX} `{key}`")));
            }
            let read = |item: &Value| {
                Descriptor::read(item).ok_or_else(|| self.bad(format!("a part of `{key}` has no digest or no size")))
            };
            items.iter().map(read).collect::<Result<Vec<_>>>()
        };
        match self.media_type.as_str() {
            media::OCI_INDEX | media::DOCKER_LIST => Ok(Content::Index(all("manifests")?)),
            media::OCI_MANIFEST | media::DOCKER_MANIFEST => {
                let config = Descriptor::read(&value["config"]).ok_or_else(|| self.bad("it has no `config`".into()))?;
                Ok(Content::Image { config, layers: all("layers")? })
            }
            other => {
                Err(self.bad(format!("`{other}` is no manifest that can be read: schema 1 has ended with Docker 26")))
            }
        }
    }

    /// What it belongs to, if it belongs to another: a signature, a list of parts.
    pub fn subject(&self) -> Option<Descriptor> {
        Descriptor::read(&self.json().ok()?["subject"])
    }

    /// How its kind is called in a list of what belongs to an image.
    pub(crate) fn as_referrer(&self) -> Descriptor {
        let value = self.json().unwrap_or_default();
        let own = value["artifactType"].as_str().filter(|text| !text.is_empty());
        let artifact_type = own.or_else(|| value["config"]["mediaType"].as_str()).unwrap_or_default().to_owned();
        let annotations = value["annotations"].as_object().cloned().unwrap_or_default();
        Descriptor { artifact_type, annotations, ..self.descriptor() }
    }
}

/// The part of an index for a platform.
pub(crate) fn choose<'a>(index: &'a [Descriptor], wanted: &Platform) -> Result<&'a Descriptor> {
    let suits = |part: &&Descriptor| part.platform.as_ref().is_some_and(|platform| platform.suits(wanted));
    index.iter().find(suits).ok_or_else(|| {
        let there = index.iter().filter_map(|part| part.platform.as_ref()).filter(|platform| !platform.is_none());
        let there: Vec<_> = there.take(50).map(ToString::to_string).collect();
        RegistryError::NoPlatform { wanted: wanted.to_string(), there: there.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(os: &str, architecture: &str, variant: &str) -> Value {
        let digest = Digest::of(format!("{os}{architecture}{variant}").as_bytes());
        json!({"mediaType": media::OCI_MANIFEST, "digest": digest.as_str(), "size": 7, "platform": {"os": os, "architecture": architecture, "variant": variant}})
    }

    #[test]
    fn the_part_for_a_platform_is_chosen() {
        let parts = [
            part("unknown", "unknown", ""),
            part("linux", "arm", "v6"),
            part("linux", "arm", "v7"),
            part("linux", "arm64", ""),
            part("linux", "amd64", ""),
        ];
        let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": parts});
        let manifest = Manifest::new(media::OCI_INDEX, index.to_string());
        let Ok(Content::Index(index)) = manifest.content() else { panic!("an index") };
        let check = |wanted: &str, expect: &str| {
            let wanted = wanted.parse().expect("a platform");
            let chosen = choose(&index, &wanted).map(|part| part.platform.clone().expect("has one").to_string());
            assert_eq!(chosen.unwrap_or_else(|error| error.to_string()), expect);
        };
        check("linux/amd64", "linux/amd64");
        check("linux/arm", "linux/arm/v6");
        check("linux/arm/v7", "linux/arm/v7");
        check("linux/arm64/v8", "linux/arm64");
        check(
            "linux/s390x",
            "the image has no part for linux/s390x; there are linux/arm/v6, linux/arm/v7, linux/arm64, linux/amd64",
        );
        assert!("linux".parse::<Platform>().is_err() && "/".parse::<Platform>().is_err());
    }

    #[test]
    fn what_can_be_taken_for_two_things_is_taken_for_none() {
        let check = |media_type: &str, body: Value, expect: &str| {
            let error = Manifest::new(media_type, body.to_string()).content().expect_err("refused");
            assert!(error.to_string().contains(expect), "{error}");
        };
        let layer = part("linux", "amd64", "");
        check(media::OCI_INDEX, json!({"manifests": [], "layers": []}), "taken for an index and for an image");
        check(media::OCI_MANIFEST, json!({"mediaType": media::OCI_INDEX, "manifests": []}), "calls itself");
        check(media::OCI_MANIFEST, json!({"config": layer}), "has no `layers`");
        check(
            media::OCI_MANIFEST,
            json!({"config": layer, "layers": [{"digest": "sha256:1", "size": 1}]}),
            "no digest or no size",
        );
        check(
            media::OCI_MANIFEST,
            json!({"config": layer, "layers": [{"digest": layer["digest"], "size": -1}]}),
            "no digest or no size",
        );
        check("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({}), "schema 1 has ended");
        let many: Vec<_> = (0..10_001).map(|_| layer.clone()).collect();
        check(media::OCI_INDEX, json!({"manifests": many}), "more than 10000");
        let error = Manifest::new(media::OCI_INDEX, "{").content().expect_err("refused");
        assert!(error.to_string().contains("EOF"), "{error}");
    }
}
