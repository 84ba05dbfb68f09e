//! Receivers are told what the journals say, beside the runs and never in their way: a task for each receiver, which keeps in the history how
//! far it has come. So a notice that was not delivered when a process ended is sent by the next one that opens the history with the same
//! receiver, and a notice may come twice, with the same id, but not too few times. It does not know how a notice is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use operate_execute::{Deliver, Delivery, Entry, History as _, HistoryError, RunId, notice};
use operate_history::SqlHistory;
use tokio::sync::{broadcast, watch};

/// The wait after the first failed try; each is twice the last one, up to the most.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// A notice that is older is not worth a try: nobody wants to hear today that a release waited last week.
const AGE_MS_MAX: i64 = 24 * 3_600_000;
/// How often it is looked for what others left untold.
const LOOK: Duration = Duration::from_secs(60);
/// Lines of a journal at a time, and runs that are looked through.
const PAGE: usize = 500;

/// The tasks of one desk; they end with it.
pub(crate) struct Notifier {
    /// Whether each receiver was told everything.
    idle: Vec<watch::Receiver<bool>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Notifier {
    /// Tells receivers of the lines that come over `live`, and of what was left untold.
    pub(crate) fn new(
        history: &Arc<SqlHistory>,
        clock: &Arc<dyn base_world::Clock>,
        receivers: &[Arc<dyn Deliver>],
        live: &broadcast::Sender<Entry>,
    ) -> Notifier {
        let mut notifier = Notifier { idle: Vec::new(), tasks: Vec::new() };
        for (receiver, number) in receivers.iter().zip(1..) {
            let (idle, is_idle) = watch::channel(false);
            let one = Receiver {
                number,
                history: Arc::clone(history),
                clock: Arc::clone(clock),
                deliver: Arc::clone(receiver),
                open: BTreeSet::new(),
            };
            notifier.tasks.push(tokio::spawn(one.tell(live.subscribe(), idle)));
            notifier.idle.push(is_idle);
        }
        notifier
    }

    /// Returns when all were told everything, or after this time.
    pub(crate) async fn settled(&self, most: Duration) {
        let all = async {
            for idle in &self.idle {
                // A task that is gone tells nothing any more.
                let _ = idle.clone().wait_for(|idle| *idle).await;
            }
        };
        let _ = tokio::time::timeout(most, all).await;
    }
}

struct Receiver {
    /// For people: where it is may be a secret.
    number: usize,
    history: Arc<SqlHistory>,
    clock: Arc<dyn base_world::Clock>,
    deliver: Arc<dyn Deliver>,
    /// Runs of which it was not told everything.
    open: BTreeSet<RunId>,
}

impl Receiver {
    async fn tell(mut self, mut live: broadcast::Receiver<Entry>, idle: watch::Sender<bool>) {
        self.look().await;
        let mut wait = WAIT.0;
        loop {
            let is_done = self.round().await;
            wait = if is_done { WAIT.0 } else { (wait * 2).min(WAIT.1) };
            // Lines that came meanwhile are looked at before anybody is told that nothing is left.
            idle.send_replace(is_done && live.is_empty());
            let most = if is_done { LOOK } else { wait };
            let heard = tokio::time::timeout(most, live.recv()).await.ok();
            match heard {
                Some(Ok(entry)) => self.heard(&entry).await,
                Some(Err(broadcast::error::RecvError::Lagged(_))) => self.look().await,
                Some(Err(broadcast::error::RecvError::Closed)) => return,
                // What a process left untold that is gone.
                None if is_done => self.look().await,
                None => {}
            }
            idle.send_replace(false);
        }
    }

    /// A run that is heard of is followed from its beginning; that is kept before anything is sent.
    async fn heard(&mut self, entry: &Entry) {
        let follow = async {
            if self.history.told(self.deliver.id(), &entry.run).await?.is_none() {
                self.history.set_told(self.deliver.id(), &entry.run, 0).await?;
            }
            Ok::<_, HistoryError>(())
        };
        if let Err(error) = follow.await {
            tracing::warn!(receiver = self.number, %error, "what a receiver was told cannot be kept");
        }
        self.open.insert(entry.run.clone());
    }

    async fn look(&mut self) {
        match self.history.untold(self.deliver.id(), PAGE).await {
            Ok(runs) => self.open.extend(runs),
            Err(error) => tracing::warn!(receiver = self.number, %error, "what a receiver was told cannot be read"),
        }
    }

    /// Tries everything that is open once; whether nothing is left.
    async fn round(&mut self) -> bool {
        for run in self.open.clone() {
            match self.one(&run).await {
                Ok(None) => {
                    self.open.remove(&run);
                }
                // The others wait too: it is the same receiver.
                Ok(Some(why)) => {
                    tracing::warn!(receiver = self.number, %run, why, "a webhook was not delivered; it is tried again");
                    return false;
                }
                Err(HistoryError::NoRun(_)) => {
                    self.open.remove(&run);
                }
                Err(error) => {
                    tracing::warn!(receiver = self.number, %run, %error, "what a receiver is to be told cannot be read");
                    return false;
                }
            }
        }
        true
    }

    /// All of one run's journal that was not told; the reason why not.
    async fn one(&self, run: &RunId) -> Result<Option<String>, HistoryError> {
        let plan = self.history.plan(run).await?;
        let mut told = self.history.told(self.deliver.id(), run).await?.unwrap_or(0);
        loop {
            let entries = self.history.entries(run, told, PAGE).await?;
            let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(None) };
            for entry in entries {
                let is_old = self.clock.now_ms().saturating_sub(entry.at_ms) > AGE_MS_MAX;
                let notice = notice(&plan, &entry).filter(|notice| self.deliver.wants(notice.event) && !is_old);
                let Some(notice) = notice else { continue };
                match self.deliver.deliver(&notice).await {
                    Delivery::Done => {}
                    Delivery::Later(why) => return Ok(Some(why)),
                    Delivery::Refused(why) => {
                        tracing::warn!(receiver = self.number, %run, why, "a webhook was refused, and is not sent again");
                    }
                }
                self.history.set_told(self.deliver.id(), run, entry.seq).await?;
            }
            self.history.set_told(self.deliver.id(), run, last).await?;
            told = last;
        }
    }
}
