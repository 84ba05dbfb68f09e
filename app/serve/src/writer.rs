//! Group commit: one thread a store appends what is queued, syncs once for all of it, and only then answers.
//!
//! While a sync runs the next requests queue, so there is no timer: a lone request waits for one sync, a thousand share one.
//! The store is locked while appending and never while syncing, so that queries go on. Writes that wait for nobody
//! (scrapes, our own metrics) are synced at least once a second. Knows nothing of what is written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use base_world::Clock;
use observe_block::SyncHandle;
use observe_source::{Appended, SourceError};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A single-threaded store as the writer drives it.
pub(crate) trait Store: Send + 'static {
    fn sync_handle(&self) -> SyncHandle;
    fn flush(&mut self) -> Result<(), SourceError>;
    fn compact(&mut self) -> Result<(), SourceError>;
    /// Whatever is due now: spilling the head, merging, dropping what has expired. Called about once a second on a thread of
    /// its own, which should hold the lock no longer than it must.
    fn keep(store: &Mutex<Self>) -> Result<(), SourceError>
    where
        Self: Sized;
}

type Apply<S> = Box<dyn FnOnce(&mut S) -> Result<Appended, SourceError> + Send>;
type Reply<T> = oneshot::Sender<Result<T, SourceError>>;

enum Job<S> {
    Write { apply: Apply<S>, reply: Option<Reply<Appended>> },
    Order { order: Order, reply: Reply<()> },
    Stop,
}

#[derive(Clone, Copy)]
enum Order {
    Flush,
    Compact,
}

/// Requests waiting for the thread. More are shed: a queue that grows is memory nobody counted.
const QUEUE_MAX: usize = 1024;
/// Requests under one sync.
const GROUP_MAX: usize = 256;
/// Writes that wait for nobody are durable after at most this long.
const LAZY_SYNC: Duration = Duration::from_secs(1);

const KEEP_PERIOD: Duration = Duration::from_secs(1);

/// The way to a store's thread.
pub(crate) struct Writer<S> {
    jobs: SyncSender<Job<S>>,
    /// Dropping it ends the keeper.
    keeping: Mutex<Option<SyncSender<()>>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl<S: Store> Writer<S> {
    pub(crate) fn start(name: &str, store: Arc<Mutex<S>>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let (keeping, ended) = sync_channel(0);
        let kept = store.clone();
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name).spawn(body);
        let writer = spawn(name.to_owned(), Box::new(move || work(&store, &queue, clock.as_ref())))?;
        let keeper = spawn(format!("{name}-keeper"), Box::new(move || keep(&kept, &ended)))?;
        Ok(Writer { jobs, keeping: Mutex::new(Some(keeping)), threads: Mutex::new(vec![writer, keeper]) })
    }

    /// Applies a write; ends when it is durable.
    pub(crate) async fn write(
        &self,
        apply: impl FnOnce(&mut S) -> Result<Appended, SourceError> + Send + 'static,
    ) -> Result<Appended, SourceError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write { apply: Box::new(apply), reply: Some(reply) })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Applies a write soon; it is durable about a second later.
    pub(crate) fn write_lazily(
        &self,
        apply: impl FnOnce(&mut S) -> Result<Appended, SourceError> + Send + 'static,
    ) -> Result<(), SourceError> {
        self.send(Job::Write { apply: Box::new(apply), reply: None })
    }

    pub(crate) async fn flush(&self) -> Result<(), SourceError> {
        self.order(Order::Flush).await
    }

    pub(crate) async fn compact(&self) -> Result<(), SourceError> {
        self.order(Order::Compact).await
    }

    async fn order(&self, order: Order) -> Result<(), SourceError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Order { order, reply })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn send(&self, job: Job<S>) -> Result<(), SourceError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => SourceError::Shed { what: "queue", retry_after_ms: 1000 },
            TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// Ends what is queued, syncs, and joins the threads.
    pub(crate) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
        drop(self.keeping.lock().take());
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

fn stopped() -> SourceError {
    SourceError::Unavailable { reason: "the engine is stopping".into() }
}

fn work<S: Store>(store: &Mutex<S>, queue: &Receiver<Job<S>>, clock: &dyn Clock) {
    let period_ns = LAZY_SYNC.as_nanos() as u64;
    let mut unsynced = false;
    let mut due_ns = clock.monotonic_ns() + period_ns;
    loop {
        let wait = Duration::from_nanos(due_ns.saturating_sub(clock.monotonic_ns()));
        let first = match queue.recv_timeout(wait) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Job::Stop),
        };
        let mut stop = false;
        let mut waiting = Vec::new();
        let mut orders = Vec::new();
        if let Some(first) = first {
            let mut store = store.lock();
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Write { apply, reply } => {
                        let result = apply(&mut store);
                        unsynced = true;
                        match (reply, result) {
                            (Some(reply), result) => waiting.push((reply, result)),
                            (None, Err(error)) => tracing::warn!(%error, "own metrics were not stored"),
                            (None, Ok(_)) => {}
                        }
                    }
                    Job::Order { order, reply } => orders.push((order, reply)),
                    Job::Stop => stop = true,
                }
                next = if waiting.len() < GROUP_MAX && !stop { queue.try_recv().ok() } else { None };
            }
        }
        let due = clock.monotonic_ns() >= due_ns;
        if unsynced && (!waiting.is_empty() || !orders.is_empty() || due || stop) {
            let handle = store.lock().sync_handle();
            let synced = handle.run();
            unsynced = synced.is_err();
            answer(waiting, synced.err().map(|error| error.to_string()));
        } else {
            answer(waiting, None);
        }
        for (order, reply) in orders {
            let mut store = store.lock();
            let _ = reply.send(match order {
                Order::Flush => store.flush(),
                Order::Compact => store.flush().and_then(|()| store.compact()),
            });
        }
        if stop {
            return;
        }
        if due {
            due_ns = clock.monotonic_ns() + period_ns;
        }
    }
}

/// Does what is due until the channel closes.
fn keep<S: Store>(store: &Mutex<S>, ended: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(KEEP_PERIOD) {
        if let Err(error) = S::keep(store) {
            tracing::warn!(%error, "keeping the store in order failed; it is tried again");
        }
    }
}

/// Nobody hears of success before the sync; after a failed one everybody hears of that.
fn answer(waiting: Vec<(Reply<Appended>, Result<Appended, SourceError>)>, failed: Option<String>) {
    for (reply, result) in waiting {
        let result = match (&failed, result) {
            (Some(reason), Ok(_)) => Err(SourceError::Unavailable { reason: format!("the sync failed: {reason}") }),
            (_, result) => result,
        };
        // The client may be gone; what it sent is kept all the same.
        let _ = reply.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base_world::sim::{PowerLoss, SimWorld};
    use observe_block::{FrameBuilder, RecordKind, Wal, WalSettings};

    use super::*;

    /// A store that is nothing but its log.
    struct Log {
        wal: Wal,
    }

    impl Log {
        fn open(world: &SimWorld) -> (Log, Vec<u8>) {
            let opened = Wal::open(&world.world(), Path::new("/wal"), WalSettings::default(), 0);
            let (wal, replay) = opened.unwrap();
            let mut found = Vec::new();
            for frame in replay {
                let frame = frame.unwrap();
                found.extend(frame.records().unwrap().iter().map(|record| record.payload[0]));
            }
            (Log { wal }, found)
        }

        fn append(&mut self, item: u8) -> Result<Appended, SourceError> {
            let mut frame = FrameBuilder::new();
            frame.record(RecordKind::LogEntries, "anonymous", &[item]);
            self.wal.append(&mut frame).map_err(|error| SourceError::Storage { reason: error.to_string() })?;
            Ok(Appended { accepted: 1, ..Appended::default() })
        }
    }

    impl Store for Log {
        fn sync_handle(&self) -> SyncHandle {
            self.wal.sync_handle()
        }

        fn flush(&mut self) -> Result<(), SourceError> {
            Ok(())
        }

        fn compact(&mut self) -> Result<(), SourceError> {
            Ok(())
        }

        fn keep(_: &Mutex<Self>) -> Result<(), SourceError> {
            Ok(())
        }
    }

    /// What was acknowledged, and what is there after the power went.
    async fn run(ignore_sync: bool) -> (Vec<u8>, Vec<u8>) {
        let world = SimWorld::new(7);
        let store = Arc::new(Mutex::new(Log::open(&world).0));
        world.disk.ignore_sync(ignore_sync);
        let writer = Writer::start("log", store, world.world().clock).unwrap();
        let mut acknowledged = Vec::new();
        for item in 0..20 {
            writer.write(move |log: &mut Log| log.append(item)).await.unwrap();
            acknowledged.push(item);
        }
        // The power goes without a stop: nothing is synced after the last answer.
        world.disk.reboot(PowerLoss::DropAll);
        world.disk.ignore_sync(false);
        let (_, found) = Log::open(&world);
        (acknowledged, found)
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_on_disk() {
        let (acknowledged, found) = run(false).await;
        assert_eq!(found, acknowledged);
    }

    #[tokio::test]
    async fn without_the_sync_it_would_not_be() {
        let (acknowledged, found) = run(true).await;
        assert_ne!(found, acknowledged);
    }

    #[tokio::test]
    async fn after_a_failed_sync_nobody_is_told_of_success() {
        let world = SimWorld::new(7);
        let store = Arc::new(Mutex::new(Log::open(&world).0));
        let writer = Writer::start("log", store, world.world().clock).unwrap();
        writer.write(|log: &mut Log| log.append(1)).await.unwrap();
        // The next operation is the write, the one after it is the sync.
        world.disk.fail_at(world.disk.operations() + 2);
        let failed = writer.write(|log: &mut Log| log.append(2)).await;
        assert!(matches!(failed, Err(SourceError::Unavailable { .. })), "{failed:?}");
        let after = writer.write(|log: &mut Log| log.append(3)).await;
        assert!(after.is_err(), "{after:?}");
        writer.stop();
    }
}
