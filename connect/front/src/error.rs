//! What can go wrong, in classes a caller can act on. It knows the control socket's words for a refusal, not who asked.

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontError {
    #[error("the control socket {} cannot be: its path has more than {bytes_max} bytes", path.display())]
    PathTooLong { path: PathBuf, bytes_max: usize },
    /// There is no socket, or nobody behind it: no front runs there.
    #[error("no front answers on {}: {reason}", path.display())]
    NotRunning { path: PathBuf, reason: String },
    #[error("the control socket {} may not be opened: permission denied", path.display())]
    Denied { path: PathBuf },
    #[error("the front on {}: to {doing} took more than {after_ms} ms", path.display())]
    Timeout { path: PathBuf, doing: &'static str, after_ms: u64 },
    #[error("the front on {} broke off ({doing}): {reason}", path.display())]
    Broken { path: PathBuf, doing: &'static str, reason: String },
    #[error("the front on {} answers more than {bytes_max} bytes ({doing})", path.display())]
    TooLarge { path: PathBuf, doing: &'static str, bytes_max: usize },
    #[error("what answers on {} cannot be read ({doing}): {reason}", path.display())]
    Garbled { path: PathBuf, doing: &'static str, reason: String },
    /// Somebody has changed the set since it was read: read it again and decide again.
    #[error("the front on {} has moved on to generation {generation}", path.display())]
    Stale { path: PathBuf, generation: u64 },
    /// `kind` is the front's own word: `invalid`, `unknown`.
    #[error("the front on {} refuses ({kind}): {reason}", path.display())]
    Refused { path: PathBuf, kind: String, reason: String },
    /// The set could not be kept, so nothing was changed.
    #[error("the front on {} has no room to keep its set: {reason}", path.display())]
    Disk { path: PathBuf, reason: String },
}

impl FrontError {
    /// No front runs there, which is not the same as one that does not answer.
    pub fn is_not_running(&self) -> bool {
        matches!(self, FrontError::NotRunning { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            FrontError::PathTooLong { .. } => "name a shorter one: `control` in the front's settings",
            FrontError::NotRunning { .. } => "start it with `apm front run`",
            FrontError::Denied { .. } => "only the user who started the front may: become that user",
            FrontError::Stale { .. } => "somebody else has switched: look at it (`apm front status`) and plan again",
            FrontError::Disk { .. } => "make room on its disk",
            _ => "look at it: `apm front status`",
        }
    }
}
