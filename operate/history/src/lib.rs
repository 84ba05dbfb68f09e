//! The history that outlives the process: runs with their plans and journals, leases, orders, artefacts and the audit log, in a file of
//! SQLite or in a PostgreSQL database, by one code path. Many processes may use one history at the same time.
//!
//! It keeps the contract of [`operate_execute::History`] and does not know what a step does, what a target is, or who listens. What must
//! not be read at rest is sealed before it comes here; [`seal_key`] keeps the key. The tables are told in docs/formats/history.md.

mod artefacts;
mod audit;
mod begin;
mod db;
mod history;
mod key;
mod learnt;
mod open;
mod private;
mod prune;
mod runs;
mod schema;
mod tags;
mod told;
mod trouble;

pub use artefacts::{ARTEFACT_BYTES_MAX, Artefact, ArtefactError, ArtefactFilter, NewArtefact};
pub use audit::{Action, AuditLine, Deed};
pub use history::SqlHistory;
pub use key::{KeyError, seal_key};
pub use open::Settings;
pub use prune::{Pruned, Retention};
pub use schema::SCHEMA_VERSION;
pub use tags::TagError;
