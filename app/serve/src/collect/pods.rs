//! The logs of a node's pods, on a thread of their own: where they come from and where they go, nothing between.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base_explain::Report;
use base_world::World;
use observe_ingest::tail::{NoMetadata, Pace, Tail, TailSettings, TailStats};
use observe_source::SourceError;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::lane::{Lanes, PodLines};

/// `positions` is the folder in which is kept how far each file was read.
pub(crate) fn open(world: &World, folder: PathBuf, node_name: String, positions: &Path) -> Result<Tail, Report> {
    let settings = TailSettings { folder, node_name, ..TailSettings::default() };
    Tail::open(world.clone(), settings, positions, Arc::new(NoMetadata)).map_err(|error| Report::of(&error))
}

/// Tails until `stop`.
pub(crate) async fn run(
    tail: Tail,
    lanes: Arc<Lanes>,
    told: Arc<Mutex<Option<TailStats>>>,
    stop: watch::Receiver<bool>,
) {
    let runtime = tokio::runtime::Handle::current();
    // It reads files for most of its time.
    let tailing = tokio::task::spawn_blocking(move || {
        let pace = Clocked { told, stop };
        runtime.block_on(observe_ingest::tail::run(tail, &PodLines(lanes), &pace))
    });
    match tailing.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "how far the logs of pods were read is not kept"),
        Err(error) => tracing::error!(%error, "reading the logs of pods failed"),
    }
}

struct Clocked {
    told: Arc<Mutex<Option<TailStats>>>,
    stop: watch::Receiver<bool>,
}

impl Pace for Clocked {
    async fn pause(&self, at_most_ms: u32) -> bool {
        let mut stop = self.stop.clone();
        if at_most_ms > 0 && !*stop.borrow() {
            let _ = tokio::time::timeout(Duration::from_millis(u64::from(at_most_ms)), stop.changed()).await;
        }
        let stopped = *stop.borrow();
        !stopped
    }

    fn refused(&self, error: &SourceError, attempt: u32) {
        if attempt == 1 {
            tracing::warn!(%error, "lines of pods wait in their files until there is room");
        }
    }

    fn seen(&self, tail: &Tail) {
        *self.told.lock() = Some(tail.stats().clone());
    }
}
