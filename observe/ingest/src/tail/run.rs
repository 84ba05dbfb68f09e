//! The loop between a tail and whoever takes its lines: one batch after another, the same one again while it is refused. Knows no runtime: it waits
//! through [`Pace`]. Reading blocks, so it belongs on a thread of its own.

use std::future::Future;

use observe_source::{Appended, LogWrite, SourceError};

use super::{Tail, TailError};

/// After a refusal, the first pause and the longest.
const REFUSED_PAUSE_MS: (u32, u32) = (100, 10_000);

/// Who takes the lines: a store, or a forwarder.
pub trait TakeLogs: Send + Sync {
    /// Ends when what was accepted is durable. Items that were rejected are not sent again; after an error all of it is.
    fn take<'a>(&'a self, write: &'a LogWrite) -> impl Future<Output = Result<Appended, SourceError>> + Send + 'a;
}

/// Time, and the wish to stop.
pub trait Pace: Send + Sync {
    /// Waits so long, or shorter when the tail shall stop: then `false`, at every call from then on.
    fn pause(&self, at_most_ms: u32) -> impl Future<Output = bool> + Send;

    /// Told once for each refusal; `attempt` counts from 1.
    fn refused(&self, _error: &SourceError, _attempt: u32) {}

    /// Told after each batch, and now and then when nothing comes.
    fn seen(&self, _tail: &Tail) {}
}

/// Tails until [`Pace::pause`] says stop, then writes the positions. What is refused then is sent by the next start.
pub async fn run(mut tail: Tail, sink: &impl TakeLogs, pace: &impl Pace) -> Result<(), TailError> {
    loop {
        while let Some(batch) = tail.poll() {
            let mut attempt = 0;
            let appended = loop {
                match sink.take(batch.write()).await {
                    Ok(appended) => break appended,
                    Err(error) => {
                        attempt += 1;
                        pace.refused(&error, attempt);
                        let (first, longest) = REFUSED_PAUSE_MS;
                        if !pace.pause(first.saturating_mul(1 << (attempt - 1).min(10)).min(longest)).await {
                            return tail.close();
                        }
                    }
                }
            };
            tail.acknowledge(batch, &appended);
            pace.seen(&tail);
            // A full batch has more behind it; but an endless one must not keep us from being stopped.
            if !pace.pause(tail.pause_ms()).await {
                return tail.close();
            }
        }
        pace.seen(&tail);
        if !pace.pause(tail.pause_ms()).await {
            return tail.close();
        }
    }
}
