//! How an error is told: what happened, where, why, and what to do; alike in terminal, API and page.
//!
//! An error type says its own sentence in `Display` and its cause in `source`; it never prints the cause itself. This crate
//! gathers the chain, adds the place in a file and a hint, and renders all of it. Knows no error of any other room and
//! writes to nothing.

mod nearest;
mod report;
mod terminal;

pub use nearest::nearest;
pub use report::{Place, Report};
