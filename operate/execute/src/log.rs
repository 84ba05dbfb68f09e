//! The writing end of one run's journal. An entry that was begun is written and taken into account even when the step that wrote it is let
//! go meanwhile, so that the state in memory is never behind what is kept. It does not know what the entries mean.

use std::sync::Arc;

use base_world::Clock;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use crate::{Entry, Event, Executor, Fence, History, HistoryError, RunId, State};

pub(crate) struct Log {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    run: RunId,
    fence: Fence,
    pub(crate) state: Mutex<State>,
    watch: broadcast::Sender<Entry>,
    /// Rung at each entry, so that a step that waits for a person looks again.
    pub(crate) changed: watch::Sender<u64>,
    /// One append at a time: entries have an order. Only tasks of their own wait here, for a step that is not polled would keep the turn.
    order: tokio::sync::Mutex<()>,
    /// Entries on their way.
    pending: watch::Sender<u64>,
}

impl Log {
    pub(crate) fn new(executor: &Executor, run: &RunId, fence: Fence, state: State) -> Log {
        Log {
            history: Arc::clone(&executor.history),
            clock: Arc::clone(&executor.clock),
            run: run.clone(),
            fence,
            state: Mutex::new(state),
            watch: executor.watch.clone(),
            changed: watch::Sender::new(0),
            order: tokio::sync::Mutex::new(()),
            pending: watch::Sender::new(0),
        }
    }

    /// Writes an entry and takes it into account.
    pub(crate) async fn note(self: Arc<Self>, event: Event) -> Result<(), HistoryError> {
        self.pending.send_modify(|count| *count += 1);
        // A task of its own: dropping the caller does not cut it off.
        let written = tokio::spawn(async move {
            let kept = self.keep(event).await;
            self.pending.send_modify(|count| *count -= 1);
            kept
        });
        let gone = |error: tokio::task::JoinError| HistoryError::Store { verb: "written", message: error.to_string() };
        written.await.map_err(gone)?
    }

    async fn keep(&self, event: Event) -> Result<(), HistoryError> {
        let _order = self.order.lock().await;
        let entry = self.history.append(&self.run, self.fence, self.clock.now_ms(), event).await?;
        self.state.lock().add(&entry);
        // Nobody may be listening; that is fine.
        let _ = self.watch.send(entry);
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Returns when nothing is being written.
    pub(crate) async fn settled(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.pending.subscribe().wait_for(|count| *count == 0).await;
    }
}
