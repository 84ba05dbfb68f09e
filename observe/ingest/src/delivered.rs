//! How far each sender's queue was stored, so that a request that comes again is answered and not stored again. See `docs/formats/delivery.md`.
//!
//! A state machine. What it remembers in memory may also be kept as samples beside what was counted, in the same write, so that both or neither
//! survive. It knows no store, and takes a sender's word only about the sender's own requests.

use base_signal::{Matcher, TenantId};
use observe_source::{MetricSource, MetricWrite, SourceError};
use observe_wire::delivery::{Delivery, Mark, QueueId};

use crate::last::last_samples;

/// Labelled `queue`; both have their samples at the same times.
pub const THROUGH: &str = "apm_delivered_through";
pub const STAMP: &str = "apm_delivered_stamp";

/// Queues that are remembered: a thousand nodes with five each, twice. The one heard of longest ago goes.
const QUEUES_MAX: usize = 10_000;
/// How far back a start looks for what was kept.
const LOOKBACK_MS: i64 = 86_400_000;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// To be stored.
    New,
    /// Stored before, all of it and nothing more.
    Again,
    /// Some of it may be: the queue was stored up to here, and the sender must say what that means.
    Partly(Mark),
}

#[derive(Debug)]
pub struct Delivered {
    queues: ahash::HashMap<(TenantId, QueueId), Queue>,
    queues_max: usize,
    /// Counts what was heard.
    heard: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    mark: Mark,
    /// Of its last samples.
    last_ms: Option<i64>,
    heard: u64,
}

impl Default for Delivered {
    fn default() -> Self {
        Delivered { queues: ahash::HashMap::default(), queues_max: QUEUES_MAX, heard: 0 }
    }
}

impl Delivered {
    pub fn judge(&self, tenant: &TenantId, delivery: &Delivery) -> Known {
        match self.queues.get(&(tenant.clone(), delivery.queue)) {
            Some(queue) if queue.mark == delivery.last => Known::Again,
            Some(queue) if delivery.first <= queue.mark.through => Known::Partly(queue.mark),
            Some(_) | None => Known::New,
        }
    }

    /// It is stored.
    pub fn settle(&mut self, tenant: &TenantId, delivery: &Delivery) {
        self.queue(tenant, delivery.queue).mark = delivery.last;
    }

    /// Adds to a write that is about this request what [`Delivered::resume_from`] reads.
    pub fn note(&mut self, tenant: &TenantId, delivery: &Delivery, now_ms: i64, write: &mut MetricWrite) {
        let queue = self.queue(tenant, delivery.queue);
        let time_ms = queue.last_ms.map_or(now_ms, |last| now_ms.max(last.saturating_add(1)));
        queue.last_ms = Some(time_ms);
        let id = delivery.queue.to_string();
        let values = [(THROUGH, delivery.last.through as f64), (STAMP, f64::from(delivery.last.stamp))];
        for (name, value) in values {
            let series = write.series.push(&mut vec![("__name__", name), ("queue", &id)]);
            write.samples.push((series, time_ms, value));
        }
    }

    fn queue(&mut self, tenant: &TenantId, id: QueueId) -> &mut Queue {
        self.heard += 1;
        let key = (tenant.clone(), id);
        if self.queues.len() >= self.queues_max && !self.queues.contains_key(&key) {
            let oldest = self.queues.iter().min_by_key(|(_, queue)| queue.heard).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.queues.remove(&oldest));
        }
        let queue = self.queues.entry(key).or_default();
        queue.heard = self.heard;
        queue
    }

    /// Goes on from what [`Delivered::note`] left in a store.
    pub fn resume_from(
        &mut self,
        source: &dyn MetricSource,
        tenant: &TenantId,
        now_ms: i64,
    ) -> Result<(), SourceError> {
        let last = |name: &str| -> Result<ahash::HashMap<QueueId, (i64, f64)>, SourceError> {
            let (matcher, since_ms) = (Matcher::equal("__name__", name), now_ms.saturating_sub(LOOKBACK_MS));
            let mut found = ahash::HashMap::default();
            last_samples(source, tenant, &matcher, since_ms, |labels, time_ms, value| {
                found.extend(labels.get("queue").and_then(QueueId::parse).map(|id| (id, (time_ms, value))));
            })?;
            Ok(found)
        };
        let (through, stamps) = (last(THROUGH)?, last(STAMP)?);
        let mut marks: Vec<_> = through.into_iter().collect();
        marks.sort_by_key(|(id, (time_ms, _))| (*time_ms, *id));
        for (id, (time_ms, through)) in marks {
            // One without the other is not what was written: it is as if nothing was known, but for the time.
            let stamp = stamps.get(&id).filter(|(stamped_ms, _)| *stamped_ms == time_ms);
            let mark = stamp.map(|(_, stamp)| Mark { through: through as u64, stamp: *stamp as u32 });
            let queue = self.queue(tenant, id);
            (queue.mark, queue.last_ms) = (mark.unwrap_or_default(), Some(time_ms));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use observe_source::fake::FakeMetrics;

    use super::*;

    fn delivery(queue: u8, first: u64, through: u64) -> Delivery {
        Delivery { queue: QueueId([queue; 16]), first, last: Mark { through, stamp: through as u32 * 7 } }
    }

    fn check(delivered: &Delivered, (queue, first, through): (u8, u64, u64), expect: Known) {
        let judged = delivered.judge(&TenantId::default(), &delivery(queue, first, through));
        assert_eq!(judged, expect, "{queue}: {first} to {through}");
    }

    #[test]
    fn only_what_is_the_same_is_known() {
        let (mut delivered, tenant) = (Delivered::default(), TenantId::default());
        check(&delivered, (1, 1, 5), Known::New);
        delivered.settle(&tenant, &delivery(1, 1, 5));
        let mark = Mark { through: 5, stamp: 35 };
        check(&delivered, (1, 1, 5), Known::Again);
        check(&delivered, (1, 6, 6), Known::New);
        check(&delivered, (2, 1, 5), Known::New);
        // Less of it, more of it, and another message of the same number: the sender has to say.
        check(&delivered, (1, 1, 4), Known::Partly(mark));
        check(&delivered, (1, 3, 9), Known::Partly(mark));
        let strange = Delivery { last: Mark { through: 5, stamp: 1 }, ..delivery(1, 1, 5) };
        assert_eq!(delivered.judge(&tenant, &strange), Known::Partly(mark));
        let other = TenantId::new("other").unwrap();
        assert_eq!(delivered.judge(&other, &delivery(1, 1, 5)), Known::New);
    }

    #[test]
    fn what_was_kept_is_known_after_a_restart() {
        let (mut before, mut stored, tenant) = (Delivered::default(), FakeMetrics::default(), TenantId::default());
        // In the same millisecond twice: samples of one series must not have one time.
        for delivery in [delivery(1, 1, 5), delivery(1, 6, 8), delivery(2, 1, 3)] {
            let mut write = MetricWrite::default();
            before.note(&tenant, &delivery, 1000, &mut write);
            stored.append(&write);
        }
        let mut after = Delivered::default();
        after.resume_from(&stored, &tenant, 2000).unwrap();
        check(&after, (1, 6, 8), Known::Again);
        check(&after, (1, 7, 12), Known::Partly(Mark { through: 8, stamp: 56 }));
        check(&after, (2, 4, 4), Known::New);
        let mut write = MetricWrite::default();
        after.note(&tenant, &delivery(1, 9, 9), 1000, &mut write);
        assert_eq!(write.samples[0].1, 1002);
    }

    #[test]
    fn the_one_heard_of_longest_ago_is_forgotten() {
        let (mut delivered, tenant) = (Delivered { queues_max: 3, ..Delivered::default() }, TenantId::default());
        for queue in [1, 2, 3, 1, 4] {
            delivered.settle(&tenant, &delivery(queue, 1, 5));
        }
        check(&delivered, (2, 1, 5), Known::New);
        for queue in [1, 3, 4] {
            check(&delivered, (queue, 1, 5), Known::Again);
        }
    }
}
