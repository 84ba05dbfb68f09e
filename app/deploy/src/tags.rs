//! Tags of runs at the desk: given and taken away by somebody. What a tag may be called is decided by the executor's contract.

use operate_execute::{RunId, Tag};
use operate_history::{Action, TagError};

use crate::desk::deed;
use crate::{Desk, DeskError};

impl Desk {
    /// Gives a run tags besides those it has, with a line in the audit log; returns all of them.
    pub async fn tag(
        &self,
        run: &RunId,
        tags: &[Tag],
        actor: &str,
        role: &str,
        why: &str,
    ) -> Result<Vec<Tag>, DeskError> {
        let deed = deed(actor, role, Action::Tag, run, why);
        self.history.tag(run, tags, self.now_ms(), &deed).await.map_err(told)
    }

    /// Takes tags from a run; returns those that are left.
    pub async fn untag(
        &self,
        run: &RunId,
        tags: &[Tag],
        actor: &str,
        role: &str,
        why: &str,
    ) -> Result<Vec<Tag>, DeskError> {
        let deed = deed(actor, role, Action::Untag, run, why);
        self.history.untag(run, tags, self.now_ms(), &deed).await.map_err(told)
    }
}

fn told(error: TagError) -> DeskError {
    match error {
        TagError::History(error) => DeskError::History(error),
        TagError::TooMany { .. } => DeskError::Tags(error),
    }
}
