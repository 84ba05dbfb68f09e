//! Doors to the outside: clock, disk, randomness; the real ones and simulated ones with seeded faults.
//!
//! Everything that a store must be able to replay from a seed goes through a [`World`]. This crate knows nothing of what
//! is stored: no formats, no telemetry. It starts no threads and has no global state.

mod clock;
mod disk;
mod error;
pub mod os;
mod random;
pub mod sim;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, Entry, File, FolderLock, replace_file};
pub use error::{DiskError, DiskErrorKind};
pub use random::{Random, Rng};

/// The three doors, cheap to clone and to hand to another thread.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    pub random: Arc<dyn Random>,
}

impl World {
    /// The world as it is: the system's clock, its files, its entropy.
    pub fn real() -> Self {
        Self { clock: Arc::new(SystemClock::new()), disk: Arc::new(os::OsDisk), random: Arc::new(os::OsRandom) }
    }
}
