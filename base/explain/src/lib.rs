//! How an error, or a finding of a check, is told: what happened, where, why, and what to do; alike in terminal, API and page.
//!
//! An error type says its own sentence in `Display` and its cause in `source`; it never prints the cause itself. This crate
//! gathers the chain, adds the place in a file and a hint, and renders all of it. Knows no error of any other room and
//! writes to nothing.

pub mod finding;
mod nearest;
mod report;
mod severity;
mod span;
mod terminal;

pub use nearest::nearest;
pub use report::{Place, Report};
pub use severity::Severity;
pub use span::{Lines, Point, Span};
