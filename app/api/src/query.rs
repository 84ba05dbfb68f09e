//! How a query is run: off the async threads, a few at once, each with a share of memory, a time limit, and an end when its
//! client goes away.

use std::sync::Arc;
use std::time::Duration;

use observe_source::{Budget, Cancel};
use tokio::sync::Semaphore;

#[derive(Clone, Debug)]
pub struct QueryLimits {
    pub concurrency: usize,
    /// Of each query, waiting included.
    pub timeout: Duration,
    /// Of each query.
    pub memory_bytes: u64,
}

/// Runs queries within limits.
#[derive(Clone)]
pub struct Queries {
    limits: QueryLimits,
    permits: Arc<Semaphore>,
}

/// Why a query has no answer although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("query timed out in expression evaluation")]
    Timeout,
    #[error("the query ended in an internal error; the log has its trace")]
    Panicked,
}

/// Cancels when dropped: the request's future goes when its client does.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Queries {
    pub fn new(limits: QueryLimits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        Queries { limits, permits }
    }

    /// Runs `work` on a thread where it may take its time. A shorter time limit of the client is heeded.
    pub async fn run<T: Send + 'static>(
        &self,
        timeout: Option<Duration>,
        work: impl FnOnce(&Budget, &Cancel) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let cancel = Cancel::default();
        let _guard = CancelOnDrop(cancel.clone());
        let budget = Budget::new(self.limits.memory_bytes);
        let timeout = timeout.map_or(self.limits.timeout, |wanted| wanted.min(self.limits.timeout));
        let running = async {
            let permit = self.permits.clone().acquire_owned().await;
            let task = tokio::task::spawn_blocking(move || {
                let answer = work(&budget, &cancel);
                // Held until the thread is free again, not until the client stops waiting.
                drop(permit);
                answer
            });
            task.await.map_err(|_| Refused::Panicked)
        };
        tokio::time::timeout(timeout, running).await.unwrap_or(Err(Refused::Timeout))
    }
}
