//! YAML read with the place of every node, and edited by splicing: what an edit does not touch keeps every byte, comments and order included.
//! JSON is YAML's subset: it is read alike, and stays JSON when edited.
//!
//! It opens no file and knows no key, no schema and no Kubernetes. An edit is checked before it is handed out: the new text is read again and must
//! say exactly what was asked for, else the edit is refused and nothing is changed.

mod build;
mod data;
mod edit;
mod fault;
mod node;
mod render;
mod scalar;
mod scan;
mod splice;
mod text;

pub use build::{Limits, parse};
pub use data::Data;
pub use edit::{EditError, Editor, Options};
pub use fault::{Fault, FaultKind};
pub use node::{Document, Node, Pair, Step, Style, Value, path_text};
pub use scalar::{Dialect, Word, resolve};

#[cfg(test)]
mod tests;
