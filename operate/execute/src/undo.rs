//! The way back: each step that had recorded something, the last first, gets its objects made what they were, and each is looked at again
//! and compared. A step that cannot be undone does not stop the others, and a place that is away does not hold up other places. It does not decide to
//! go back.

use std::collections::BTreeSet;
use std::time::Duration;

use operate_plan::{Class, Failure, Step, StepId, Undo, sites};

use crate::executor::{Running, own};
use crate::step::{call, image_of, wait_or_fail};
use crate::{Context, Event, HistoryError, Image, Recorded};

/// Undoes everything that is not undone yet; returns the steps that could not be.
pub(crate) async fn all(running: &Running<'_>) -> Result<Vec<StepId>, HistoryError> {
    // Of several places, one that is away does not keep the others from being put back: it is come back to.
    if !sites(&running.plan.target).is_empty() {
        pass(running, false).await?;
    }
    pass(running, true).await?;
    let state = running.state();
    Ok(state.steps.iter().filter(|(_, step)| step.undo_failure.is_some()).map(|(id, _)| id.clone()).collect())
}

/// One way back through the steps that are left. Without patience, a place that is away is left out from then on, and nothing is said of it yet.
async fn pass(running: &Running<'_>, patient: bool) -> Result<(), HistoryError> {
    let mut away: BTreeSet<&str> = BTreeSet::new();
    let to_undo = running.state().to_undo();
    for id in to_undo {
        let Some(step) = running.plan.step(&id).filter(|step| !away.contains(step.site_name())) else { continue };
        if let Undo::Needless { why } | Undo::Impossible { why } = &step.undo {
            running.note(Event::Kept { step: id, why: why.clone() }).await?;
            continue;
        }
        running.note(Event::Undoing { step: id.clone() }).await?;
        let before = running.state().step(&id).before.unwrap_or_default();
        match one(running, step, &before, patient).await {
            Ok(()) => running.note(Event::Undone { step: id }).await?,
            Err(failure) if !patient && failure.class.is_retryable() => drop(away.insert(step.site_name())),
            Err(failure) => running.note(Event::UndoFailed { step: id, failure }).await?,
        }
    }
    Ok(())
}

/// What stands where, where several places were to be changed and some could not be put back.
pub(crate) fn stands(running: &Running<'_>, failed: &[StepId]) -> String {
    let state = running.state();
    let of = |id: &StepId| running.plan.step(id).map(Step::site_name).unwrap_or_default();
    let told = sites(&running.plan.target).into_iter().map(|site| {
        let stands = if failed.iter().any(|id| of(id) == site.name) {
            "is not what it was before"
        } else if state.recorded.iter().any(|id| of(id) == site.name) {
            "is as it was before"
        } else {
            "was not touched"
        };
        format!("; {} {stands}", site.name)
    });
    told.collect()
}

/// A target that is away is waited for so long: to go on without it would leave people with half of what was to be undone.
const PATIENCE_MS: u64 = 10 * 60_000;
/// Between tries when the plan's own are used up.
const AGAIN_MS: u64 = 5_000;

async fn one(running: &Running<'_>, step: &Step, before: &[Recorded], patient: bool) -> Result<(), Failure> {
    let context = Context { run: running.run.clone(), step: step.id.clone(), fence: running.fence };
    let limit = Duration::from_millis(step.time_limit_ms);
    let now_ms = || running.executor.clock.monotonic_ns() / 1_000_000;
    let (begun_ms, mut failed) = (now_ms(), 0);
    loop {
        let restored = tokio::time::timeout(limit, restore(running, &context, before)).await.unwrap_or_else(|_| {
            let message = format!("undoing `{}` took longer than {} s", step.name, limit.as_secs());
            Err(own(Class::Transient, "undo.timeout", message, "make the objects by hand what the journal recorded"))
        });
        let Err(failure) = restored else { return Ok(()) };
        failed += 1;
        match wait_or_fail(running, step, failed, failure).await {
            Ok(()) => {}
            Err(failure) => {
                // Somebody who changes it again and again is not waited for that long.
                let patience_ms = if failure.code == UNEQUAL { step.time_limit_ms } else { PATIENCE_MS };
                if !patient || !failure.class.is_retryable() || now_ms().saturating_sub(begun_ms) > patience_ms {
                    return Err(failure);
                }
                tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
            }
        }
    }
}

/// Restored, and yet not what was recorded.
const UNEQUAL: &str = "undo.unequal";

/// Makes each object what it was and proves it by another look.
async fn restore(running: &Running<'_>, context: &Context, before: &[Recorded]) -> Result<(), Failure> {
    let target = &running.executor.target;
    let mut images = Vec::with_capacity(before.len());
    for was in before.iter().rev() {
        images.push((&was.object, image_of(running, was)?));
    }
    images.sort_by_key(|(_, image)| *image == Image::Absent);
    for (object, image) in &images {
        call(running, object, target.restore(context, object, image)).await?;
    }
    for (object, image) in &images {
        let now = call(running, object, target.image(context, object)).await?;
        if !target.is_same(image, &now) {
            let message = format!("{object} is not what it was before the change");
            let next = "it is restored again; if that goes on, look at who else changes it";
            return Err(own(Class::Transient, UNEQUAL, message, next));
        }
    }
    Ok(())
}
