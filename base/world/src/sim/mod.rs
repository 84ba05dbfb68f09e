//! A simulated world: a clock that is set, seeded randomness, and a disk in memory that forgets what was not synced.
//!
//! The disk's idea is that of TigerBeetle's `testing/storage.zig`: the faults that real disks show, drawn from a seed, so
//! that a failing run is replayed by its seed alone. Knows nothing of what is stored.

mod disk;
mod file;
mod state;
mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use disk::{PowerLoss, SimDisk};
pub use sweep::sweep;

use crate::{Clock, Random, World, random};

/// A clock that stands still until told.
pub struct SimClock {
    now_ns: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl SimClock {
    pub fn at_ms(now_ms: i64) -> Self {
        Self { now_ns: AtomicI64::new(now_ms.saturating_mul(1_000_000)), monotonic_ns: AtomicU64::new(0) }
    }

    /// Sets the wall clock, forwards or back; the monotonic one stays.
    pub fn set_ms(&self, now_ms: i64) {
        self.now_ns.store(now_ms.saturating_mul(1_000_000), Ordering::SeqCst);
    }

    /// Lets time pass on both clocks.
    pub fn advance_ms(&self, ms: u32) {
        let ns = u64::from(ms) * 1_000_000;
        self.now_ns.fetch_add(i64::try_from(ns).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.monotonic_ns.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }
}

/// Random bytes from a seed.
pub struct SimRandom(AtomicU64);

impl SimRandom {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            let drawn = random::mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

/// A simulated world with its handles, for tests that steer it.
#[derive(Clone)]
pub struct SimWorld {
    pub clock: Arc<SimClock>,
    pub disk: SimDisk,
    pub random: Arc<SimRandom>,
}

impl SimWorld {
    /// A world at 2026-01-01 00:00 UTC with an empty disk.
    pub fn new(seed: u64) -> Self {
        Self {
            clock: Arc::new(SimClock::at_ms(1_767_225_600_000)),
            disk: SimDisk::new(),
            random: Arc::new(SimRandom::new(seed)),
        }
    }

    /// The same world as its inhabitants see it.
    pub fn world(&self) -> World {
        World { clock: self.clock.clone(), disk: Arc::new(self.disk.clone()), random: self.random.clone() }
    }
}
