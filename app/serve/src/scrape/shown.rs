//! What is scraped at this moment, for whoever asks. It scrapes nothing itself.

use std::sync::Arc;

use app_api::{ActiveTarget, DroppedTarget, LastScrape, Targets};
use parking_lot::Mutex;

use super::Running;
use super::plan::FoundTarget;

/// Cheap to clone; clones show the same.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    active: Vec<(FoundTarget, Arc<Mutex<Option<LastScrape>>>)>,
    dropped: Vec<DroppedTarget>,
}

impl Shown {
    pub(super) fn set<'r>(&self, running: impl Iterator<Item = &'r Running>, dropped: Vec<DroppedTarget>) {
        let active = running.map(|running| (running.found.clone(), running.last.clone())).collect();
        *self.0.lock() = Inner { active, dropped };
    }

    pub(crate) fn targets(&self) -> Targets {
        let inner = self.0.lock();
        let active = |(found, last): &(FoundTarget, Arc<Mutex<Option<LastScrape>>>)| ActiveTarget {
            job: found.job.config.job_name.clone(),
            discovered: found.target.discovered.clone(),
            labels: found.target.labels.clone(),
            url: found.target.url.clone(),
            interval_ms: found.target.interval_ms,
            timeout_ms: found.target.timeout_ms,
            last: last.lock().clone(),
        };
        Targets { active: inner.active.iter().map(active).collect(), dropped: inner.dropped.clone() }
    }
}
