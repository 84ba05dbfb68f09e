//! Kubernetes manifests: text to objects with their places, what the API server would say of them, and edits that keep every comment.
//!
//! It opens no file, asks no cluster and has no clock. Templates are not rendered: a Helm chart or a kustomization is recognised, and its own program
//! makes the manifests.

mod change;
mod detect;
mod format;
pub mod generate;
mod hash;
pub mod inject;
mod lint;
pub mod mask;
mod object;
mod patch;
pub mod receivers;
mod rules;
pub mod transform;
mod validate;
mod yaml;

pub use change::{Change, ChangeError, Edit, edit};
pub use detect::{FileKind, detect, look};
pub use format::quantity;
pub use lint::{
    Checked, FINDINGS_MAX, LintFinding, LintOptions, LintRule, Manifests, Mended, check, is_on, lint_named, lint_rules,
    mend,
};
pub use object::{File, Identity, Limits, Object, ReadError, pod_path, read};
pub use patch::{Draft, Op, apply, json_patch};
pub use validate::{
    CustomKinds, Finding, MINOR_NEWEST, MINOR_OLDEST, RULES, Rule, Severity, Target, Verdict, catalogue, namespaced,
    rule, validate, validate_one,
};
pub use yaml::yaml;

#[cfg(test)]
mod tests;
#[cfg(test)]
extern crate self as operate_manifest;
