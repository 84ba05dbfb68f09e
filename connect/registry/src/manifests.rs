//! Calls on manifests: what a tag is now, the manifest itself, putting one, deleting one. Every manifest that is handed out has the digest that was asked
//! for, or the one that the registry named.

use bytes::Bytes;
use serde_json::Value;

use crate::call::Call;
use crate::error::Kind;
use crate::manifest::{choose, media};
use crate::{Client, Content, Digest, Manifest, Platform, Reference, RegistryError, Result};

/// The specification's own limit; registries refuse larger ones.
const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// An index in an index in an index is nobody's image.
const DEPTH_MAX: usize = 3;

/// What a tag is at the registry, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub digest: Digest,
    pub media_type: String,
    pub size_bytes: Option<u64>,
}

impl Client {
    /// What the reference is now. A HEAD, which Docker Hub does not count as a pull; where the registry answers it without a digest, the manifest is read.
    pub async fn resolve(&self, image: &Reference) -> Result<Resolved> {
        let answer = match self.send(self.manifest_call("HEAD", image, "look at")?).await {
            Ok(answer) => answer,
            // A HEAD has no words: the GET tells why. Some registries know no HEAD at all.
            Err(error) if matches!(error.kind(), Kind::Throttled | Kind::Transient) => return Err(error),
            Err(_) => return self.resolved_by_get(image).await,
        };
        let named = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let media_type = answer.header("content-type").map(essence);
        match (named, media_type) {
            (Some(digest), Some(media_type)) => {
                if let Some(wanted) = image.digest.as_ref().filter(|wanted| **wanted != digest) {
                    let (doing, wanted) = (doing("look at", image), wanted.clone());
                    return Err(RegistryError::WrongDigest { doing, wanted, got: digest });
                }
                let size_bytes = answer.header("content-length").and_then(|text| text.parse().ok());
                Ok(Resolved { digest, media_type, size_bytes })
            }
            _ => self.resolved_by_get(image).await,
        }
    }

    async fn resolved_by_get(&self, image: &Reference) -> Result<Resolved> {
        let manifest = self.manifest(image).await?;
        let size_bytes = Some(manifest.bytes.len() as u64);
        Ok(Resolved { digest: manifest.digest, media_type: manifest.media_type, size_bytes })
    }

    /// The manifest, an index where there is one.
    pub async fn manifest(&self, image: &Reference) -> Result<Manifest> {
        let call = self.manifest_call("GET", image, "read the manifest of")?;
        let doing = call.doing.clone();
        let answer = self.send(call).await?;
        let named = answer.header("docker-content-digest").map(str::to_owned);
        let sent_type = answer.header("content-type").map(essence);
        let bytes = self.whole(answer, &doing, &image.registry, MANIFEST_BYTES_MAX).await?;
        let named = match named.as_deref().map(str::parse::<Digest>) {
            Some(Ok(digest)) => Some(digest),
            Some(Err(error)) => return Err(RegistryError::Garbled { doing, reason: error.to_string() }),
            None => None,
        };
        // What was asked for counts first, then what the registry itself says it sent.
        for wanted in image.digest.iter().chain(&named) {
            let got = wanted.same_of(&bytes);
            if got != *wanted {
                return Err(RegistryError::WrongDigest { doing, wanted: wanted.clone(), got });
            }
        }
        let digest = image.digest.clone().or(named).unwrap_or_else(|| Digest::of(&bytes));
        // Registries on plain file storage send no useful type; the manifest knows its own.
        let generic = |text: &String| {
            text.is_empty() || text == "application/json" || text == "text/plain" || text == "application/octet-stream"
        };
        let media_type = sent_type.filter(|text| !generic(text)).or_else(|| own_type(&bytes)).unwrap_or_default();
        Ok(Manifest { media_type, digest, bytes })
    }

    /// The image for a platform: through indexes, down to its configuration and layers.
    pub async fn image(&self, image: &Reference, platform: &Platform) -> Result<Manifest> {
        let mut manifest = self.manifest(image).await?;
        for _ in 0..DEPTH_MAX {
            let Content::Index(index) = manifest.content()? else { return Ok(manifest) };
            let part = choose(&index, platform)?;
            manifest = self.manifest(&image.pinned(&part.digest)).await?;
        }
        let doing = doing("read the manifest of", image);
        Err(RegistryError::Garbled { doing, reason: format!("indexes lie more than {DEPTH_MAX} deep in each other") })
    }

    /// Puts a manifest under the reference's tag, or under its digest alone. What it is made of must be there already.
    pub async fn put_manifest(&self, image: &Reference, manifest: &Manifest) -> Result<()> {
        let doing = doing("put the manifest of", image);
        if manifest.bytes.len() > MANIFEST_BYTES_MAX {
            return Err(RegistryError::TooLarge { doing, limit: MANIFEST_BYTES_MAX as u64, unit: "bytes" });
        }
        if let Some(wanted) = image.digest.as_ref().filter(|wanted| **wanted != manifest.digest) {
            let (wanted, got) = (wanted.clone(), manifest.digest.clone());
            return Err(RegistryError::WrongDigest { doing, wanted, got });
        }
        let call = self.manifest_call("PUT", image, "put the manifest of")?;
        let call = Call { scopes: Vec::new(), ..call }.scope(&image.repository, "pull,push");
        let call = Call { headers: vec![("content-type", manifest.media_type.clone())], ..call };
        let answer = self.send(call.body(manifest.bytes.clone())).await?;
        let kept = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        if let Some(got) = kept
            .filter(|kept| *kept != manifest.digest.same_of(&manifest.bytes) && kept.as_str().starts_with("sha256:"))
        {
            return Err(RegistryError::WrongDigest { doing, wanted: manifest.digest.clone(), got });
        }
        let subject_known = answer.header("oci-subject").is_some();
        match manifest.subject() {
            Some(subject) if !subject_known => self.add_referrer(image, &subject.digest, manifest).await,
            _ => Ok(()),
        }
    }

    /// Deletes the manifest; every tag that names it goes with it. A reference without digest is refused: a tag may move meanwhile.
    pub async fn delete(&self, image: &Reference) -> Result<()> {
        if image.digest.is_none() {
            let problem = "only a digest can be deleted".to_owned();
            return Err(RegistryError::Reference { text: image.to_string(), problem });
        }
        let call = self.manifest_call("DELETE", image, "delete")?;
        let call = Call { scopes: Vec::new(), ..call }.scope(&image.repository, "delete");
        self.send(call).await.map(drop)
    }

    fn manifest_call(&self, method: &'static str, image: &Reference, verb: &str) -> Result<Call> {
        let url = self.url(&image.registry, &format!("{}/manifests/{}", image.repository, image.wanted()))?;
        let call = Call::new(method, url, &image.registry, doing(verb, image)).scope(&image.repository, "pull");
        Ok(if method == "DELETE" { call } else { call.header("accept", media::ACCEPT) })
    }
}

pub(crate) fn doing(verb: &str, image: &Reference) -> String {
    format!("{verb} `{image}`")
}

/// A media type without its parameters.
fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn own_type(bytes: &Bytes) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if let Some(own) = value["mediaType"].as_str() {
        return Some(own.to_owned());
    }
    let kind = if value["manifests"].is_array() { media::OCI_INDEX } else { media::OCI_MANIFEST };
    value.is_object().then(|| kind.to_owned())
}
