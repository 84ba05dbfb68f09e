//! The logs of a node's pods, on a thread of their own: where they come from and where they go, nothing between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app_adapt::NodePods;
use app_deploy::KubeSurroundings;
use base_explain::Report;
use base_world::World;
use connect_kube::{Choice, Cluster, find};
use observe_ingest::tail::{NoMetadata, Pace, PodMetadata, Tail, TailSettings, TailStats};
use observe_source::SourceError;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::lane::{Lanes, PodLines};

/// `settings` say where the lines are, of which node, and which belong together. `positions` is the folder in which is kept how far each file was read. Where a cluster is found, its pods name the lines; where none is, the paths do.
pub(crate) fn open(
    world: &World,
    settings: TailSettings,
    kube: &KubeSurroundings,
    positions: &Path,
) -> Result<Tail, Report> {
    let found = match settings.node_name.is_empty() {
        true => Err("without --node it is not known whose pods they are".to_owned()),
        false => find(kube, &Choice::default(), &*world.disk).map_err(|error| error.to_string()),
    };
    let metadata: Arc<dyn PodMetadata> = match found {
        Ok(found) => {
            let cluster = Cluster::new(found, world.clone());
            Arc::new(NodePods::watch(&cluster, &settings.node_name, world.clock.clone()))
        }
        Err(why) => {
            tracing::info!("logs of pods have the names that their paths say: {why}");
            Arc::new(NoMetadata)
        }
    };
    Tail::open(world.clone(), settings, positions, metadata).map_err(|error| Report::of(&error))
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
