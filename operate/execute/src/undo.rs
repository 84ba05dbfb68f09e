//! The way back: each step that had recorded something, the last first, gets its objects made what they were, and each is looked at again
//! and compared. A step that cannot be undone does not stop the others. It does not decide to go back.

use std::time::Duration;

use operate_plan::{Class, Failure, Step, StepId, Undo};

use crate::executor::{Running, own};
use crate::step::{call, image_of, wait_or_fail};
use crate::{Context, Event, HistoryError, Image, Recorded};

/// Undoes everything that is not undone yet; returns the steps that could not be.
pub(crate) async fn all(running: &Running<'_>) -> Result<Vec<StepId>, HistoryError> {
    let to_undo = running.state().to_undo();
    for id in to_undo {
        let Some(step) = running.plan.step(&id) else { continue };
        if let Undo::Needless { why } | Undo::Impossible { why } = &step.undo {
            running.note(Event::Kept { step: id, why: why.clone() }).await?;
            continue;
        }
        running.note(Event::Undoing { step: id.clone() }).await?;
        let before = running.state().step(&id).before.unwrap_or_default();
        let limit = Duration::from_millis(step.time_limit_ms);
        let ended = tokio::time::timeout(limit, one(running, step, &before)).await.unwrap_or_else(|_| {
            let message = format!("undoing `{}` took longer than {} s", step.name, limit.as_secs());
            Err(own(Class::Transient, "undo.timeout", message, "make the objects by hand what the journal recorded"))
        });
        running
            .note(match ended {
                Ok(()) => Event::Undone { step: id },
                Err(failure) => Event::UndoFailed { step: id, failure },
            })
            .await?;
    }
    let state = running.state();
    Ok(state.steps.iter().filter(|(_, step)| step.undo_failure.is_some()).map(|(id, _)| id.clone()).collect())
}

async fn one(running: &Running<'_>, step: &Step, before: &[Recorded]) -> Result<(), Failure> {
    let context = Context { run: running.run.clone(), step: step.id.clone(), fence: running.fence };
    let mut failed = 0;
    loop {
        let restored = restore(running, &context, before).await;
        match restored {
            Ok(()) => return Ok(()),
            Err(failure) => {
                failed += 1;
                wait_or_fail(running, step, failed, failure).await?;
            }
        }
    }
}

/// Makes each object what it was and proves it by another look.
async fn restore(running: &Running<'_>, context: &Context, before: &[Recorded]) -> Result<(), Failure> {
    let target = &running.executor.target;
    let mut images = Vec::with_capacity(before.len());
    for was in before.iter().rev() {
        images.push((&was.object, image_of(running, was)?));
    }
    images.sort_by_key(|(_, image)| *image == Image::Absent);
    for (object, image) in &images {
        call(running, target.restore(context, object, image)).await?;
    }
    for (object, image) in &images {
        let now = call(running, target.image(context, object)).await?;
        if !target.is_same(image, &now) {
            let message = format!("{object} is not what it was before the change");
            let next = "it is restored again; if that goes on, look at who else changes it";
            return Err(own(Class::Transient, "undo.unequal", message, next));
        }
    }
    Ok(())
}
