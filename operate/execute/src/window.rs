//! A step that waits until changes may be made, or until a person lets the run go on all the same. What may be done when is the calendar's to
//! say ([`operate_plan::Calendar`]). The wall clock is looked at again and again, so a clock that is set forwards or back is believed at once,
//! and costs nothing but that.

use std::time::Duration;

use operate_plan::{Allowed, Calendar, Class, Failure, Severity, Step};

use crate::executor::{Running, own};
use crate::step::answer;
use crate::{Event, HistoryError};

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);

/// Returns when the run may go on; a person's no is a failure.
pub(crate) async fn open(
    running: &Running<'_>,
    step: &Step,
    calendar: &Calendar,
) -> Result<Result<(), Failure>, HistoryError> {
    loop {
        let Allowed::No { why, .. } = calendar.at(running.executor.clock.now_ms()) else { return Ok(Ok(())) };
        let question = format!("{why}; approve with a reason to go on all the same");
        // Bound first: the journal's lock is not held over the wait for it.
        let is_new = running.state().step(&step.id).question.as_ref() != Some(&question);
        if is_new {
            running.note(Event::Asked { step: step.id.clone(), question: question.clone() }).await?;
            let told = format!("{} waits: {question}", running.plan.title);
            running.executor.tell.tell(&running.run, Severity::Warning, &told);
        }
        let Ok((yes, command)) = tokio::time::timeout(LOOK, answer(running, &step.id)).await else { continue };
        if yes {
            return Ok(Ok(()));
        }
        let message = format!("{} said no while {why}", command.actor);
        return Ok(Err(own(Class::Permission, "step.rejected", message, "plan again when changes may be made")));
    }
}
