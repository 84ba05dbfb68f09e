//! The real disk and entropy, one small file an operating system.

pub mod heap;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{OsDisk, OsRandom};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{OsDisk, OsRandom};
