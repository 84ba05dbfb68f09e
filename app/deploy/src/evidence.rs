//! What a failed container said and what was found in an image is kept with the run, as an artefact of the history. It masks nothing itself: that is done before.

use std::sync::Arc;

use app_adapt::KeepReport;
use async_trait::async_trait;
use base_explain::Report;
use base_world::Clock;
use operate_execute::RunId;
use operate_history::{Artefact, ArtefactError, ArtefactFilter, NewArtefact, SqlHistory};
use operate_plan::{Class, Digest, Failure};
use operate_target_docker::Evidence;

use crate::{Desk, DeskError};

/// Three months: longer than anybody looks for why a release failed.
const KEPT_MS: i64 = 90 * 24 * 3_600_000;
/// Artefacts of one run that are listed.
const LISTED_MAX: usize = 200;

pub(crate) struct Kept {
    pub(crate) history: SqlHistory,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Kept {
    async fn put(
        &self,
        run: &RunId,
        name: &str,
        media_type: &str,
        kind: &str,
        bytes: &[u8],
    ) -> Result<(), ArtefactError> {
        let now_ms = self.clock.now_ms();
        let new = NewArtefact {
            run: Some(run.clone()),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            tags: [("kind".to_owned(), kind.to_owned())].into(),
            expires_ms: Some(now_ms.saturating_add(KEPT_MS)),
        };
        self.history.put_artefact(now_ms, &new, bytes).await.map(drop)
    }

    /// Whether this very thing is there already.
    async fn has(&self, run: &RunId, name: &str, bytes: &[u8]) -> Result<bool, ArtefactError> {
        let filter = ArtefactFilter { run: Some(run.clone()), limit: LISTED_MAX, ..ArtefactFilter::default() };
        let sha256 = Digest::of_bytes(bytes);
        let all = self.history.artefacts(&filter).await?;
        Ok(all.iter().any(|one| one.name == name && one.sha256 == sha256.as_str()))
    }
}

#[async_trait]
impl Evidence for Kept {
    async fn keep(&self, run: &RunId, name: &str, text: &str) {
        if let Err(error) = self.put(run, name, "text/plain; charset=utf-8", "container-log", text.as_bytes()).await {
            tracing::warn!(%run, name, %error, "what a failed container said could not be kept");
        }
    }
}

#[async_trait]
impl KeepReport for Kept {
    async fn keep(&self, run: &RunId, name: &str, media_type: &str, bytes: &[u8]) -> Result<(), Failure> {
        let kept = match self.has(run, name, bytes).await {
            Ok(true) => return Ok(()),
            Ok(false) => self.put(run, name, media_type, "image-scan", bytes).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| {
            let next = "make room, or look why the history is away";
            Failure::new(Class::Transient, "scan.unkept", format!("the report `{name}` could not be kept"), next)
                .caused_by(&error)
        })
    }
}

impl Desk {
    /// What is kept with a run: its plan, before-images and verdicts, then what was put down, the oldest first.
    pub async fn artefacts(&self, run: &RunId) -> Result<Vec<Artefact>, DeskError> {
        let filter = ArtefactFilter { run: Some(run.clone()), limit: LISTED_MAX, ..ArtefactFilter::default() };
        let mut all = self.history.artefacts(&filter).await?;
        all.extend(self.views(run).await?.into_iter().map(|(artefact, _)| artefact).rev());
        all.reverse();
        Ok(all)
    }

    /// The bytes of the newest artefact of this name; refused when they are not what was put there.
    pub async fn artefact(&self, run: &RunId, name: &str) -> Result<Vec<u8>, DeskError> {
        if let Some((_, bytes)) = self.views(run).await?.into_iter().find(|(artefact, _)| artefact.name == name) {
            return Ok(bytes);
        }
        let all = self.artefacts(run).await?;
        let Some(found) = all.iter().rev().find(|artefact| artefact.name == name) else {
            let names: Vec<_> = all.iter().map(|artefact| artefact.name.as_str()).collect();
            let report = Report::new(format!("the run {run} has no artefact `{name}`"));
            let hint = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            return Err(DeskError::Absent { code: "no-artefact", report: report.hint(hint) });
        };
        let (_, bytes) = self.history.artefact(found.id).await.map_err(|error| DeskError::Told(Report::of(&error)))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use base_world::World;
    use operate_execute::{Command, History as _, Order};
    use operate_plan::{Draft, Inventory, OnFailure, Plan};

    use super::*;

    #[tokio::test]
    async fn a_report_that_comes_twice_is_kept_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World::real();
        let place = folder.path().join("history.db").display().to_string();
        let history = SqlHistory::open(&*world.disk, &place).await.expect("a history");
        let draft = Draft {
            title: "deploy".into(),
            reason: String::new(),
            target: "t".into(),
            labels: Default::default(),
            made_ms: 0,
            time_limit_ms: 1_000,
            on_failure: OnFailure::Undo,
            steps: Vec::new(),
        };
        let (run, plan) = (RunId("cart-2".into()), Plan::new(draft, &Inventory::new("t")));
        let command = Command { order: Order::Resume, actor: "ann".into(), reason: String::new() };
        history.create(&run, &plan, 1, &command).await.expect("a run");
        let kept = Kept { history: history.clone(), clock: world.clock };
        let keep = async |run: &RunId, text: &str| {
            KeepReport::keep(&kept, run, "image-scan.json", "application/json", text.as_bytes()).await
        };
        for text in ["{}", "{}", "[]", "{}"] {
            keep(&run, text).await.expect("kept");
        }
        let filter = ArtefactFilter { run: Some(run), limit: 9, ..ArtefactFilter::default() };
        let all = history.artefacts(&filter).await.expect("a list");
        assert_eq!(all.iter().map(|one| one.size_bytes).collect::<Vec<_>>(), [2, 2]);
        assert_eq!((all[0].tags["kind"].as_str(), all[0].media_type.as_str()), ("image-scan", "application/json"));
        // A run that is not there is no reason to be silent about it.
        let refused = keep(&RunId("nobody".into()), "{}").await.expect_err("no run");
        assert_eq!(refused.code, "scan.unkept");
    }
}
