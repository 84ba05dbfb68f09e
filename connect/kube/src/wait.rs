//! Waiting for a CustomResourceDefinition: made is not yet served. Two things must come: the conditions of the definition, and its kind in the list of
//! its version.

use std::time::Duration;

use serde_json::Value;

use crate::object::text;
use crate::{Cluster, KubeError, Resource, Result, Said};
use base_http::body::milliseconds;

/// The server needs about a second; asking more often would not make it quicker.
const PAUSE: Duration = Duration::from_millis(150);

impl Cluster {
    /// Waits until objects of the definition (`widgets.example.org`) can be written in `version`, at most `time`. Names that another definition has
    /// taken are an error at once.
    pub async fn wait_established(&self, definition: &str, version: &str, time: Duration) -> Result<()> {
        let waiting = async {
            loop {
                if self.is_established(definition, version).await? {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let doing = || format!("wait for the CustomResourceDefinition `{definition}` to be served as {version}");
        let took_too_long = |_| Err(KubeError::Timeout { doing: doing(), after_ms: milliseconds(time) });
        tokio::time::timeout(time, waiting).await.unwrap_or_else(took_too_long)
    }

    async fn is_established(&self, definition: &str, version: &str) -> Result<bool> {
        let definitions =
            Resource::cluster_wide("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
        let at = definitions.at("", definition);
        let object = self.get(&at).await?;
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let condition = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind);
        if let Some(refused) = condition("NamesAccepted").filter(|condition| condition["status"] == "False") {
            let message = format!("its names are taken: {}", text(refused, "/message"));
            let said = Said { status: 409, reason: text(refused, "/reason").to_owned(), message };
            return Err(KubeError::Conflict { target: at.target(), fields: Vec::new(), said });
        }
        let is_true = |condition: &Value| condition["status"] == "True";
        if !condition("Established").is_some_and(is_true) {
            return Ok(false);
        }
        let (group, plural) = (text(&object, "/spec/group"), text(&object, "/spec/names/plural"));
        let kinds = self.kinds_of(&format!("{group}/{version}")).await?.unwrap_or_default();
        Ok(kinds.iter().any(|kind| kind.resource.plural == plural))
    }
}
