//! The life of files that were sent with compose projects: as long as a run or a container needs them. It is found by looking, so that no death of this
//! process leaves one behind for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::{Disk, DiskError};
use connect_docker::{Engine, find};
use operate_execute::{Filter, RunId, RunRow, Status};
use operate_plan::digest;

use super::Keeper;
use crate::compose::given_folder;
use crate::{Desk, DeskError};

/// Runs that are read at once.
const PAGE: usize = 500;

fn told(error: &(dyn std::error::Error + 'static)) -> DeskError {
    DeskError::Told(Report::of(error))
}

impl Keeper {
    /// Removes files that were sent and that nothing needs any more: no run that has not ended, none whose undo may be tried again, not the one that stands on
    /// its target, and no container that the engine has. While a run goes on nothing is removed: what it may go back to is in no plan.
    pub(super) async fn clear(&self) -> Result<(), DeskError> {
        let inner = &self.0;
        let folder = given_folder(&inner.state_folder, &inner.history);
        if contents(&*inner.world.disk, &folder).is_empty() {
            return Ok(());
        }
        // Between the files and their run somebody may be right now.
        let _one = inner.beginning.lock().await;
        let Some(desk) = self.desk_if_any().await? else { return Ok(()) };
        // Nothing has changed since the last look.
        let newest = desk.runs(&Filter { limit: PAGE, ..Filter::default() }).await?;
        let newest: Vec<_> = newest.iter().map(|row| (&row.run.0, row.status.word())).collect();
        let seen = digest(&(newest, contents(&*inner.world.disk, &folder))).as_str().to_owned();
        if *inner.cleared.lock() == seen {
            return Ok(());
        }
        let rows = runs(desk).await?;
        if rows.iter().any(|row| row.status.is_begun()) {
            return Ok(());
        }
        let mut left: BTreeSet<PathBuf> = contents(&*inner.world.disk, &folder).into_iter().collect();
        for run in that_count(&rows) {
            // One that was pruned meanwhile needs nothing.
            let Ok(plan) = desk.plan_of(&run).await else { continue };
            let text = serde_json::to_string(&*plan).map_err(|error| told(&error))?;
            left.retain(|folder| !names(&text, folder));
        }
        if !left.is_empty() {
            let mounted = self.mounted().await?;
            left.retain(|folder| !mounted.iter().any(|text| names(text, folder)));
        }
        for folder in &left {
            removed(&*inner.world.disk, folder).map_err(|error| told(&error))?;
        }
        if !left.is_empty() {
            tracing::info!(files = left.len(), "files that were sent and are needed no more were removed");
        }
        *inner.cleared.lock() = seen;
        Ok(())
    }

    /// What Docker tells of each of its containers; an engine that cannot be asked may have any.
    async fn mounted(&self) -> Result<Vec<String>, DeskError> {
        let Some(surroundings) = &self.0.docker else { return Ok(Vec::new()) };
        let found = find(surroundings, &*self.0.world.disk).map_err(|error| told(&error))?;
        let engine = Engine::new(found).map_err(|error| told(&error))?;
        let mut texts = Vec::new();
        for container in engine.containers(&BTreeMap::new()).await.map_err(|error| told(&error))? {
            // One that goes meanwhile needs nothing.
            if engine.container_if_there(&container.id).await.map_err(|error| told(&error))?.is_some() {
                texts.push(engine.inspect_container(&container.id).await.map_err(|error| told(&error))?.to_string());
            }
        }
        Ok(texts)
    }
}

/// The folders of contents.
fn contents(disk: &dyn Disk, folder: &Path) -> Vec<PathBuf> {
    // It is made with the first file.
    let entries = disk.list(folder).unwrap_or_default();
    entries.into_iter().filter(|entry| entry.is_folder).map(|entry| folder.join(entry.name)).collect()
}

fn names(text: &str, folder: &Path) -> bool {
    text.contains(&format!("{}/", folder.display()))
}

fn removed(disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
    for entry in disk.list(folder)? {
        disk.remove(&folder.join(entry.name))?;
    }
    disk.remove_folder(folder)
}

async fn runs(desk: &Desk) -> Result<Vec<RunRow>, DeskError> {
    let mut filter = Filter { limit: PAGE, ..Filter::default() };
    let mut all = Vec::new();
    loop {
        let page = desk.runs(&filter).await?;
        filter.before = page.last().map(|row| row.run.clone());
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Runs whose files may be needed; the newest come first.
fn that_count(rows: &[RunRow]) -> Vec<RunId> {
    let mut stands: BTreeSet<&str> = BTreeSet::new();
    let mut counted = Vec::new();
    for row in rows {
        let counts = match row.status {
            Status::Complete => stands.insert(&row.target),
            Status::RolledBack => false,
            _ => true,
        };
        counted.extend(counts.then(|| row.run.clone()));
    }
    counted
}
