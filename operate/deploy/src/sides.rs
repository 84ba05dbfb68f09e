//! The names of both versions' containers, written into what the judge is asked: only the planner knows which color is new. It does not know what
//! the judge makes of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Release;

/// Where in the judge's questions the containers of each version are named: JSON pointers (RFC 6901) to lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    pub new: String,
    pub old: String,
}

/// The release with its questions about these containers.
pub(crate) fn told(release: &Release, new: &[String], old: &[String]) -> Release {
    let mut told = release.clone();
    let Some(sides) = &release.sides else { return told };
    let fill = |request: &mut Value| {
        for (pointer, names) in [(&sides.new, new), (&sides.old, old)] {
            if let Some(place) = request.pointer_mut(pointer) {
                *place = json!(names);
            }
        }
    };
    let beside = told.canary.as_mut().and_then(|canary| canary.beside.as_mut()).map(|beside| &mut beside.request);
    told.judge.iter_mut().chain(beside).for_each(fill);
    told
}
