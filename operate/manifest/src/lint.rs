//! Checks manifests: what a server would refuse, and what it takes although it is unsafe, about to go, or cannot work. Objects of one check know each
//! other, so that what leads nowhere is found. Opens no file and asks no cluster; a name that is missing here may be in the cluster.
//!
//! ```text
//! texts -> Manifests -> validation + rules (by what the others are) -> comments, annotations -> findings, file by file
//!                                                                                          \-> mend: edits, then again
//! ```

mod catalogue;
mod found;
mod ignore;
mod mend;
mod rules;
mod run;
mod view;

pub use catalogue::{LintRule, is_on, lint_named, lint_rules};
pub use found::LintFinding;
pub use mend::{Mended, mend};
pub use run::{Checked, FINDINGS_MAX, LintOptions, Manifests, check};

#[cfg(test)]
mod tests;
