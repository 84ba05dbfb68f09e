//! One way's queue: a log of messages, how far it has been sent, and when to try next.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base_signal::TenantId;
use base_world::{Rng, World};
use observe_block::{BlockError, Damage, FrameBuilder, Lsn, Manifest, SyncHandle, Wal, WalCursor, WalSettings};
use observe_source::SourceError;
use observe_wire::delivery::Delivery;

use crate::batch::{Batch, Message, put, take};
use crate::identity::Identity;
use crate::outcome::{Outcome, Told};

/// Sizes.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// On the disk. At most so much waits; what comes then is turned away.
    pub bytes_max: u64,
    /// Of one request, unpacked; a message that is larger goes alone.
    pub batch_bytes_max: usize,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings { bytes_max: 256 << 20, batch_bytes_max: 1 << 20 }
    }
}

/// What to do now.
#[derive(Debug)]
pub enum Step {
    /// Nothing waits.
    Idle,
    /// The other side is left in peace for a while.
    Wait(Duration),
    Send(Arc<Batch>),
}

/// Counters since the process began, and what is so now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of the files in which something waits: up to one file's worth of it may have been sent already.
    pub waiting_bytes: u64,
    pub disk_bytes: u64,
    /// How long the oldest that waits has waited; `None` when nothing does.
    pub lag_ms: Option<i64>,
    pub taken_items: u64,
    pub sent_items: u64,
    pub sent_requests: u64,
    pub failed_requests: u64,
    /// Refused by the other side, or damaged on our disk.
    pub dropped_items: u64,
    /// Left out by the other side of requests that it took.
    pub left_out_items: u64,
    /// Turned away because the queue was full.
    pub full_requests: u64,
}

/// As Prometheus' remote write: from little to a few seconds, so that an engine that is back is noticed at once.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest that another side can ask for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);
/// The log is cut into so many files: the last of them may be half empty, and goes only as a whole.
const FILES: u64 = 16;

/// A queue on its folder.
pub struct Queue {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
    settings: QueueSettings,
    segment_bytes: u64,
    pub(crate) wal: Wal,
    /// Its position in the log is durable; what follows is sent again after a crash.
    pub(crate) manifest: Manifest,
    /// Behind the last message that was taken, refused or given up.
    pub(crate) settled: WalCursor,
    /// What is being sent, and the place behind it.
    pub(crate) sending: Option<(Arc<Batch>, WalCursor)>,
    /// Up to here each message goes alone.
    alone_through: Lsn,
    failures: u32,
    not_before_ns: u64,
    rng: Rng,
    pub(crate) figures: Figures,
    frame: FrameBuilder,
    identity: Identity,
    /// Found when the log was opened again.
    pub(crate) damage: Vec<Damage>,
    pub(crate) mend_after_ns: u64,
}

impl Queue {
    /// Opens the queue in `folder`, making it if need be; damage is for a person.
    pub fn open(world: &World, folder: &Path, settings: QueueSettings) -> Result<(Self, Vec<Damage>), BlockError> {
        world.disk.create_folder(folder)?;
        let (manifest, mut damage) = Manifest::load(&*world.disk, folder)?;
        let manifest = manifest.unwrap_or_default();
        let segment_bytes = (settings.bytes_max / FILES).clamp(64 << 10, 8 << 20);
        let (wal, replay) = Wal::open(world, &folder.join("wal"), wal_settings(segment_bytes), manifest.wal_covered)?;
        damage.extend(replay.report.damage);
        let settled = WalCursor::after(manifest.wal_covered);
        let mut seed = [0; 8];
        world.random.fill(&mut seed);
        let mut queue = Queue {
            world: world.clone(),
            folder: folder.to_path_buf(),
            settings,
            segment_bytes,
            wal,
            manifest,
            settled,
            sending: None,
            alone_through: 0,
            failures: 0,
            not_before_ns: 0,
            rng: Rng::new(u64::from_le_bytes(seed)),
            figures: Figures::default(),
            frame: FrameBuilder::new(),
            identity: Identity::of(world, folder),
            damage: Vec::new(),
            mend_after_ns: 0,
        };
        queue.keep()?;
        Ok((queue, damage))
    }

    pub(crate) fn wal_settings(&self) -> WalSettings {
        wal_settings(self.segment_bytes)
    }

    /// What a request with this batch is, for a header that the other side may know.
    pub fn delivery(&self, batch: &Batch) -> Delivery {
        Delivery { queue: self.identity.id(), first: batch.first, last: batch.last }
    }

    pub(crate) fn rename(&mut self) {
        self.identity = Identity::drawn(&self.world);
    }

    /// Puts a message behind the others. It may be acknowledged when a sync that began after this has ended.
    pub fn append(&mut self, tenant: &TenantId, message: &Message<'_>) -> Result<(), SourceError> {
        self.frame.clear();
        put(&mut self.frame, tenant, message, self.world.clock.now_ms());
        let bytes = self.frame.size_bytes() as u64;
        // Two files' worth is left for the one that is being filled and for one that is half sent.
        let room = self.settings.bytes_max.saturating_sub(2 * self.segment_bytes);
        if self.wal.size_bytes() + bytes > room {
            self.figures.full_requests += 1;
            return Err(SourceError::Shed { what: "queue", retry_after_ms: 5000 });
        }
        match self.wal.append(&mut self.frame) {
            Ok(_) => {
                self.figures.taken_items += message.items;
                Ok(())
            }
            Err(error) if error.is_full() => {
                self.figures.full_requests += 1;
                Err(SourceError::Shed { what: "disk", retry_after_ms: 5000 })
            }
            Err(error) => Err(SourceError::Unavailable { reason: error.to_string() }),
        }
    }

    /// Makes what was appended durable; for any thread.
    pub fn sync_handle(&self) -> SyncHandle {
        self.wal.sync_handle()
    }

    /// What to do now. What is to be sent stays the same until [`Queue::done`].
    pub fn step(&mut self) -> Result<Step, BlockError> {
        let now_ns = self.world.clock.monotonic_ns();
        if now_ns < self.not_before_ns {
            return Ok(Step::Wait(Duration::from_nanos(self.not_before_ns - now_ns)));
        }
        if self.sending.is_none() {
            self.sending = self.gather()?.map(|(batch, behind)| (Arc::new(batch), behind));
        }
        match &self.sending {
            Some((batch, _)) => Ok(Step::Send(batch.clone())),
            None => Ok(Step::Idle),
        }
    }

    /// The next messages that fit into one request.
    fn gather(&mut self) -> Result<Option<(Batch, WalCursor)>, BlockError> {
        let mut at = self.settled.clone();
        let mut gathered: Option<(Batch, WalCursor)> = None;
        loop {
            let mut behind = at.clone();
            let frame = match self.wal.read_next(&mut behind) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(gathered),
                Err(error) if error.is_corrupt() && gathered.is_none() => {
                    // Told once: the cursor stands behind it.
                    self.settled = behind;
                    return Err(error);
                }
                Err(error) if error.is_corrupt() => return Ok(gathered),
                Err(error) => return Err(error),
            };
            let alone = frame.seq <= self.alone_through;
            let one = take(&frame);
            let bytes_max = self.settings.batch_bytes_max;
            match (one, &mut gathered) {
                (Ok(one), None) => gathered = Some((one, behind.clone())),
                (Ok(one), Some((batch, place))) if !alone && batch.takes(&one, bytes_max) => {
                    batch.join(one);
                    *place = behind.clone();
                }
                (Ok(_), Some(_)) => return Ok(gathered),
                (Err(malformed), None) => {
                    self.settled = behind;
                    return Err(BlockError::corrupt(
                        &self.folder,
                        format!("write {}", frame.seq),
                        malformed.to_string(),
                    ));
                }
                (Err(_), Some(_)) => return Ok(gathered),
            }
            if alone {
                return Ok(gathered);
            }
            at = behind;
        }
    }

    /// Takes note of how what [`Queue::step`] gave went.
    pub fn done(&mut self, outcome: Outcome) -> Told {
        let Some((batch, behind)) = self.sending.take() else { return Told::Sent };
        match outcome {
            Outcome::Stored(mark) => match self.stored(mark) {
                Ok(told) => told,
                // What cannot be read now may be later; nothing is decided before.
                Err(error) => self.put_off(batch, behind, error.to_string(), None),
            },
            Outcome::Later { why, after } => self.put_off(batch, behind, why, after),
            Outcome::Refused { .. } if batch.messages > 1 => {
                self.alone_through = batch.last.through;
                Told::OneByOne
            }
            Outcome::Refused { why } => {
                self.figures.dropped_items += batch.items;
                self.settle(behind);
                Told::Dropped { items: batch.items, why }
            }
            Outcome::Taken { left_out, why } => {
                self.figures.sent_requests += 1;
                self.figures.sent_items += batch.items.saturating_sub(left_out);
                self.figures.left_out_items += left_out;
                match (left_out, self.settle(behind)) {
                    (1.., _) => Told::LeftOut { items: left_out, why },
                    (0, told) => told,
                }
            }
        }
    }

    fn put_off(&mut self, batch: Arc<Batch>, behind: WalCursor, why: String, after: Option<Duration>) -> Told {
        self.figures.failed_requests += 1;
        let wait = self.wait(after);
        self.not_before_ns = self.world.clock.monotonic_ns().saturating_add(nanos(wait));
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        self.sending = Some((batch, behind));
        Told::Again { first, why }
    }

    pub(crate) fn settle(&mut self, behind: WalCursor) -> Told {
        self.settled = behind;
        self.not_before_ns = 0;
        match std::mem::take(&mut self.failures) {
            0 => Told::Sent,
            _ => Told::SentAgain,
        }
    }

    /// What was asked for, or twice as long as the time before; some more or less, so that a thousand that lost the same engine do not all
    /// come back at once.
    fn wait(&mut self, asked: Option<Duration>) -> Duration {
        if let Some(asked) = asked {
            return asked.min(ASKED_WAIT_MAX);
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        doubled.mul_f64(0.75 + self.rng.below(500) as f64 / 1000.0)
    }

    /// Whether something durable waits; cheap.
    pub fn is_due(&self) -> bool {
        self.sending.is_some() || self.settled.position() < self.wal.durable_lsn()
    }

    /// Makes how far it was sent durable and gives back the room; mends a log that failed. To be called about once a second, and at the end.
    pub fn keep(&mut self) -> Result<(), BlockError> {
        // What goes wrong here does not keep the rest from being done.
        let mended = self.mend().and_then(|()| Ok(self.identity.keep(&self.world, &self.folder)?));
        let position = self.settled.position();
        if position > self.manifest.wal_covered {
            let mut next = Manifest { wal_covered: position, ..self.manifest.clone() };
            // After a failure either may be in force: the log keeps what the older one needs, and the next call writes again.
            next.commit(&*self.world.disk, &self.folder)?;
            self.manifest = next;
        }
        self.wal.truncate_through(position)?;
        mended
    }

    /// What there is to tell.
    pub fn figures(&self) -> Figures {
        let now_ms = self.world.clock.now_ms();
        let lag_ms = self.sending.as_ref().map(|(batch, _)| now_ms.saturating_sub(batch.queued_ms).max(0));
        let waiting_bytes = if self.settled.position() < self.wal.last_lsn() { self.wal.size_bytes() } else { 0 };
        Figures { waiting_bytes, disk_bytes: self.wal.disk_bytes(), lag_ms, ..self.figures.clone() }
    }
}

fn wal_settings(segment_bytes: u64) -> WalSettings {
    WalSettings { segment_bytes, spares_max: 1, ..WalSettings::default() }
}

pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
