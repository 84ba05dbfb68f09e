//! The API's own schemas: OpenAPI v3, a document for each group and version. What is kept of them, and for how long, is the caller's.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::call::Call;
use crate::{Cluster, Result, Target};

/// Where a document is. Another `hash` means another document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenApiDocument {
    /// `apis/apps/v1`
    pub group_version: String,
    /// Empty where the server names none.
    pub hash: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paths {
    paths: BTreeMap<String, Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    #[serde(rename = "serverRelativeURL")]
    server_relative_url: String,
}

impl Cluster {
    /// All documents there are; small.
    pub async fn openapi(&self) -> Result<Vec<OpenApiDocument>> {
        let call = Call::get("/openapi/v3".into(), "get", Target::words("the list of OpenAPI documents"));
        let Paths { paths } = self.typed(call).await?.value;
        let document = |(group_version, path): (String, Path)| {
            // Only below our server: the list could name any address.
            let path = format!("/{}", path.server_relative_url.trim_start_matches('/'));
            let hash = path.split_once("hash=").map(|(_, hash)| hash.split('&').next().unwrap_or_default());
            OpenApiDocument { group_version, hash: hash.unwrap_or_default().to_owned(), path }
        };
        Ok(paths.into_iter().map(document).collect())
    }

    /// A document, as the server gives it: JSON of up to some MiB.
    pub async fn openapi_document(&self, document: &OpenApiDocument) -> Result<Bytes> {
        let target = Target::words(&format!("the OpenAPI document of {}", document.group_version));
        Ok(self.bytes(Call::get(document.path.clone(), "get", target)).await?.value)
    }
}
