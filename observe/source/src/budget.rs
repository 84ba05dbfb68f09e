//! What one query may take, and how it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::SourceError;

/// A share of memory for one query, cloneable into its parts. Charging is atomic and never blocks.
#[derive(Clone, Debug)]
pub struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    peak_bytes: AtomicU64,
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    pub fn new(limit_bytes: u64) -> Self {
        Budget(Arc::new(State { limit_bytes, used_bytes: AtomicU64::new(0), peak_bytes: AtomicU64::new(0) }))
    }

    /// For tests and offline tools.
    pub fn unlimited() -> Self {
        Budget::new(u64::MAX)
    }

    /// Takes `bytes` until the reservation is dropped; fails, taking nothing, when that would pass the limit.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, SourceError> {
        let state = &self.0;
        let before = state.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        let wanted = before.saturating_add(bytes);
        if wanted > state.limit_bytes {
            state.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(SourceError::Budget { wanted_bytes: wanted, limit_bytes: state.limit_bytes });
        }
        state.peak_bytes.fetch_max(wanted, Ordering::Relaxed);
        Ok(Reservation { budget: self.clone(), bytes })
    }

    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The most that was ever taken at once: a query's cost.
    pub fn peak_bytes(&self) -> u64 {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Set once by whoever no longer wants the answer (client gone, time limit); looked at between batches.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The error to leave with, if it was cancelled.
    pub fn check(&self) -> Result<(), SourceError> {
        if self.is_cancelled() { Err(SourceError::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reservation_takes_nothing() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).unwrap();
        assert!(matches!(budget.reserve(60), Err(SourceError::Budget { wanted_bytes: 120, limit_bytes: 100 })));
        assert_eq!(budget.used_bytes(), 60);
        drop(first);
        budget.reserve(100).unwrap();
        assert_eq!((budget.used_bytes(), budget.peak_bytes()), (0, 100));
    }
}
