//! `apm.yaml` as one merged tree in which every node knows its origin: a file's line and column, an environment variable,
//! or a flag.
//!
//! Later layers win: file, then environment (`APM_OBSERVE__MEMORY=1GB`), then flags. A crate reads its part as a typed struct
//! at a path ([`Tree::section`]); an unknown key or a value of the wrong kind is reported with its place and, where there is
//! one, the nearest known word. Knows no section's meaning, and reads nothing itself: texts are handed in.

mod de;
mod error;
mod interpolate;
mod node;
mod tree;
mod units;
mod yaml;

pub use error::ConfigError;
pub use interpolate::{Lookup, Variable};
pub use node::{Filled, Key, Node, Origin, SourceText, Value};
pub use tree::{Tree, from_yaml};
pub use units::{ByteSize, Span};
