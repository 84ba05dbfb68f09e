//! What belongs to an image: signatures, lists of parts, attestations. By the referrers API, and at registries that do not have it by the tag that the
//! specification gives such a list (`sha256-…`). It does not know what a signature is worth.

use serde_json::{Value, json};

use crate::error::Kind;
use crate::manifest::{Content, media};
use crate::{Client, Descriptor, Digest, Manifest, Reference, RegistryError, Result};

impl Client {
    /// Manifests that name this one as their subject; of one kind, unless `artifact_type` is empty.
    pub async fn referrers(&self, image: &Reference, digest: &Digest, artifact_type: &str) -> Result<Vec<Descriptor>> {
        let doing = format!("list what belongs to `{}@{digest}`", image.familiar());
        let mut url = self.url(&image.registry, &format!("{}/referrers/{digest}", image.repository))?;
        if !artifact_type.is_empty() {
            url.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        let mut found = match self.pages(image, url, &doing).await {
            Ok(pages) => {
                let mut found = Vec::new();
                for page in pages {
                    found.extend(parts(&page, &doing)?);
                }
                found
            }
            // Older registries do not know the path, and say so in several ways.
            Err(error) if error.is_not_found() || error.kind() == Kind::Invalid => self.by_tag(image, digest).await?,
            Err(error) => return Err(error),
        };
        // The registry may filter and need not.
        found.retain(|part| artifact_type.is_empty() || part.artifact_type == artifact_type);
        Ok(found)
    }

    fn list_tag(image: &Reference, digest: &Digest) -> Reference {
        Reference { tag: Some(digest.as_tag()), digest: None, ..image.clone() }
    }

    async fn by_tag(&self, image: &Reference, digest: &Digest) -> Result<Vec<Descriptor>> {
        let list = match self.manifest(&Self::list_tag(image, digest)).await {
            Ok(list) => list,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let value: Value = serde_json::from_slice(&list.bytes).unwrap_or_default();
        parts(&value, &format!("read the list of what belongs to {digest}"))
    }

    /// Adds to the list under the tag, for registries that keep none. Two writers at once may lose one of their entries: the protocol has no lock.
    pub(crate) async fn add_referrer(&self, image: &Reference, subject: &Digest, manifest: &Manifest) -> Result<()> {
        let mut list = self.by_tag(image, subject).await?;
        if list.iter().any(|part| part.digest == manifest.digest) {
            return Ok(());
        }
        list.push(manifest.as_referrer());
        let parts: Vec<_> = list.iter().map(Descriptor::write).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": parts});
        let index = Manifest::new(media::OCI_INDEX, index.to_string());
        // An index has no subject, so this ends here.
        Box::pin(self.put_manifest(&Self::list_tag(image, subject), &index)).await
    }
}

fn parts(page: &Value, doing: &str) -> Result<Vec<Descriptor>> {
    let manifest = Manifest::new(media::OCI_INDEX, page.to_string());
    match manifest.content() {
        Ok(Content::Index(parts)) => Ok(parts),
        Ok(Content::Image { .. }) => Ok(Vec::new()),
        Err(error) => Err(RegistryError::Garbled { doing: doing.to_owned(), reason: error.to_string() }),
    }
}
