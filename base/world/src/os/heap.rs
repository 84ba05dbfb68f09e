//! The system allocator's two knobs that bound resident memory. glibc's; elsewhere nothing happens.
//!
//! By default glibc gives every thread an arena of its own and keeps what was freed in it, so that a process that once was
//! busy stays large. Few arenas, and freed pages given back, keep the resident size near what is in use. Source: mallopt(3),
//! malloc_trim(3). These two calls are the only unsafe code here: neither takes a pointer of ours.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    /// Arenas to share; to be called before threads start.
    #[expect(unsafe_code, reason = "mallopt takes two numbers and may be called at any time; nothing safe wraps it")]
    pub fn limit_arenas(arenas: u8) {
        // A refusal leaves the default, which is only larger.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::from(arenas)) };
    }

    /// Gives freed pages back to the system. Walks the heap: milliseconds, not for every request.
    #[expect(unsafe_code, reason = "malloc_trim takes a number and may be called at any time; nothing safe wraps it")]
    pub fn release_freed() {
        let _ = unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use glibc::{limit_arenas, release_freed};

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod other {
    /// Nothing to limit.
    pub fn limit_arenas(_arenas: u8) {}

    /// Nothing to give back.
    pub fn release_freed() {}
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub use other::{limit_arenas, release_freed};
