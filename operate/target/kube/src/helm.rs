//! Helm releases on this cluster: the record that Helm keeps is read, and the person's own `helm` program makes what comes next, so that
//! `helm list`, `history` and `rollback` go on working.
//!
//! A release is the object `helm/NAMESPACE/NAME`. Acts: `helm-upgrade` (`with.chart` and `with.values` sealed, `with.labels`,
//! `with.before`, `with.post` sealed: see [`PostRenderer`]), `helm-repair` of a record that hangs in pending-* (`with.revision`, `with.to`), `helm-wait`, which does nothing. Conditions: `same` (`with.revision`,
//! `with.status`), `absent`, `settled`, `deployed` (`with.config`).
//!
//! The API server compares no tokens of ours and Helm takes no lease, so a record that says pending is only touched when its program is known
//! to be dead (see [`lock`]) or has had all the time that it was given. It renders no template itself.

mod act;
mod check;
mod files;
mod lock;
mod post;
mod program;
mod record;
mod records;
mod restore;
mod stuck;

use std::path::PathBuf;

use operate_plan::{Class, Failure, ObjectId};

pub use post::PostRenderer;
pub use program::{Pack, Packed, Render};
pub use record::{Record, RecordError};
pub use stuck::{Stuck, stuck};

pub(crate) use act::{act, rehearse};
pub(crate) use check::check;
pub(crate) use records::{image, look, orphan};
pub(crate) use restore::{is_same, restore};

/// The kind of a release in plans.
pub(crate) const KIND: &str = "helm";
/// Labels on the record of a release, which Helm keeps for whoever sets them (`helm upgrade --labels`).
pub(crate) mod mark {
    /// The run that made it.
    pub(crate) const RUN: &str = "apm.run";
    /// The start of the program that made it.
    pub(crate) const ATTEMPT: &str = "apm.attempt";
    pub(crate) const CONFIG: &str = "apm.config";
}
/// How a revision that a run made is described; a later one of somebody else has the labels, but not the words.
pub(crate) const BY_US: &str = "by apm";

/// The program, and how it finds the cluster.
#[derive(Debug, Clone)]
pub struct Helm {
    /// `helm`, or a path.
    pub program: PathBuf,
    /// Left out, as the environment says.
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    /// For locks and the files that the program reads; ours alone, and the same for every process of this user.
    pub folder: PathBuf,
    /// Changes what charts render to; none: releases that want it are refused.
    pub post_renderer: Option<PostRenderer>,
}

/// Where a release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl At {
    pub(crate) fn of(object: &ObjectId) -> Result<At, Failure> {
        // They become parts of paths and of a command line.
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= 63
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
                && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        };
        match object.name.split_once('/') {
            Some((namespace, name)) if plain(namespace) && plain(name) => {
                Ok(At { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => {
                let message = format!("`{}` cannot be the name of a Helm release", object.name);
                let next = "use lower case letters, digits and dashes: `kubernetes.helm.release`";
                Err(Failure::new(Class::Invalid, "helm.name", message, next))
            }
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}
