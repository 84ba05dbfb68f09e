//! LogQL: syntax, plan, evaluation. It reads lines through `observe_source::LogSource` and never sees a store or a file.
//!
//! The whole language parses, with a span on every node; what cannot be evaluated yet is refused by name, so that an
//! answer is never silently less than what was asked. Semantics follow Loki's documentation and its observed answers.

mod answer;
mod eval;
mod pipeline;
pub mod syntax;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Data, Entry, Point, Sample, Series, Statistics, StreamResult};
pub use eval::{Engine, Query, QueryError, Settings};
pub use syntax::{Expr, ParseError, parse};
