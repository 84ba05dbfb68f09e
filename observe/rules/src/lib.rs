//! Rules as Prometheus has them: files are read exactly, groups evaluated at given times, and what comes of it is handed back: samples to be
//! written, staleness markers, alerts to be sent. `unit` runs promtool's unit tests of rules.
//!
//! A group is a state machine: it owns no thread and waits for nothing; when it is evaluated is the caller's to say. It knows no store, no file
//! system, no Alertmanager and no HTTP.

mod alerting;
mod ask;
mod fault;
mod file;
mod functions;
mod group;
mod humanize;
mod read;
mod recording;
mod restore;
mod state;
mod template;
pub mod unit;

pub use ask::Over;
pub use fault::Fault;
pub use file::{Alerting, GroupSpec, Kind, RuleFile, RuleSpec};
pub use group::{Group, Settings, stale};
pub use state::{ActiveAlert, AlertState, GroupState, Health, OfRule, RuleState, SentAlert};

#[cfg(test)]
mod tests;
