//! Reads and checks Dockerfiles: a lossless tree with a place for every word, rules about what is built and what ships,
//! edits that mend what can be mended, and the answer as text, JSON or SARIF.
//!
//! What it does NOT know: disks, registries, the docker engine, the clock. Somebody shows it the text of a Dockerfile, and
//! that of its `.dockerignore`; the same input gives the same answer. Nothing in a file can make it panic.
//!
//! ```text
//! text -> parse: Dockerfile (items that tile it) -> Stages (what ships) -> rules -> Findings -> pragmas -> text, JSON, SARIF
//!                                                                              \-> mend: edits by span, then again
//! ```

mod check;
mod expand;
mod finding;
mod ignorefile;
mod image;
mod mend;
mod output;
mod parse;
mod pragma;
mod rule;
mod rules;
mod shell;
mod stage;
mod syntax;
mod words;

pub use base_explain::finding::{Counts, Edit, Fix, Safety, apply, chosen};
pub use base_explain::{Lines, Point, Severity, Span};
pub use check::{
    Checked, FILE_BYTES_MAX, INSTRUCTIONS_MAX, LabelForm, LabelRule, Options, Refused, STAGES_MAX, check, check_bytes,
};
pub use expand::{Expanded, Scope, Use, expand};
pub use finding::{FINDINGS_MAX, Finding};
pub use ignorefile::IgnoreFile;
pub use image::Image;
pub use mend::{Mended, mend};
pub use output::{File, json, sarif, text};
pub use rule::{Rule, named, rule, rules};
pub use rules::is_secret_name;
pub use shell::{Assignment, Command, Join, ShellWord, commands};
pub use stage::{Base, PLATFORM_ARGUMENTS, Role, Stage, Stages};
pub use syntax::{
    Directive, Dockerfile, Flag, Heredoc, Instruction, Item, ItemKind, KEYWORDS, Kind, Logical, Problem, Word,
};

#[cfg(test)]
mod tests;
