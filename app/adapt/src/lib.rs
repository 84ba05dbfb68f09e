//! Joins what a room asks for with what can answer it: one file for each trait and its other side. It decides nothing itself.

mod front;
mod judge;
mod telemetry;
mod webhook;

pub use front::FrontProcess;
pub use judge::{GateJudge, Request};
pub use telemetry::Telemetry;
pub use webhook::Webhook;

#[cfg(test)]
mod tests;
