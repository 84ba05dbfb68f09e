//! What a run and its entries say to people, in lines: the same on a terminal and in a log. It prints nothing.

use operate_execute::{Entry, Event, Order, Ruling, State, StepState};
use operate_plan::{Plan, StepId};

/// Text in a colour, or plain.
type Paint<'a> = dyn Fn(&str, &str) -> String + 'a;

/// What an entry says to a person, with its time; nothing, for entries of the executor's own. `state` has taken it in.
pub(super) fn line(paint: &Paint<'_>, plan: &Plan, state: &State, entry: &Entry) -> Option<String> {
    let text = text(paint, plan, state, entry)?;
    Some(format!("{} {text}", paint("2", &clock(entry.at_ms))))
}

fn text(paint: &Paint<'_>, plan: &Plan, state: &State, entry: &Entry) -> Option<String> {
    let name = |id: &StepId| plan.step(id).map_or(id.0.clone(), |step| step.name.clone());
    let stage = |id: &StepId| plan.step(id).map_or(String::new(), |step| step.stage.clone());
    let percent = state.percent(plan);
    Some(match &entry.event {
        Event::StepDone { step } => {
            let took = took(&state.step(step)).map(|took| format!("  {took}")).unwrap_or_default();
            format!("{:<12} {} {}{took}  {percent} %", stage(step), paint("32", "done"), name(step))
        }
        Event::Judged { step, ruling, .. } => match ruling {
            Ruling::Wait { sentence, .. } => format!("{:<12} {}", stage(step), paint("2", sentence)),
            Ruling::Pass { sentence } | Ruling::Fail { sentence, .. } | Ruling::Inconclusive { sentence } => {
                format!("{:<12} {sentence}", stage(step))
            }
        },
        Event::Asked { step, question } => {
            format!("{:<12} {} {question}  (apm deploy approve)", stage(step), paint("33", "asks"))
        }
        Event::Halted { step, why } => {
            format!("{:<12} {} {why}  (apm deploy resume)", stage(step), paint("33", "halts"))
        }
        Event::AttemptFailed { failure, again_ms: Some(again_ms), step, .. } => {
            format!("{:<12} {} {}; again in {again_ms} ms: {failure}", stage(step), paint("33", "failed"), name(step))
        }
        Event::StepFailed { step, failure } => {
            format!("{:<12} {} {}: {failure}; {}", stage(step), paint("31", "failed"), name(step), failure.next)
        }
        Event::GivenUp { step, failure } => {
            format!("{:<12} {} {}: {failure}", stage(step), paint("33", "left"), name(step))
        }
        Event::Ordered { command, .. } => {
            let what = match &command.order {
                Order::Pause => "paused it".to_owned(),
                Order::Resume => "lets it go on".to_owned(),
                Order::UndoAgain => "has the undo tried again".to_owned(),
                Order::Cancel => "cancelled it".to_owned(),
                Order::Skip(step) => format!("skips `{}`", name(step)),
                Order::Approve(step) => format!("says yes to `{}`", name(step)),
                Order::Reject(step) => format!("says no to `{}`", name(step)),
            };
            let reason = if command.reason.is_empty() { String::new() } else { format!(": {}", command.reason) };
            format!("{} {what}{reason}", command.actor)
        }
        Event::Taken { holder, token } if *token > 1 && entry.seq > 2 => format!("{holder} goes on with it"),
        Event::UndoBegun { why } => format!("{:<12} {} because {why}", "rolling back", paint("31", "undoing")),
        Event::Undone { step } => format!("{:<12} {} {}", "rolling back", paint("32", "undone"), name(step)),
        Event::UndoFailed { step, failure } => {
            format!("{:<12} {} {}: {failure}; {}", "rolling back", paint("31", "cannot undo"), name(step), failure.next)
        }
        _ => return None,
    })
}

fn took(step: &StepState) -> Option<String> {
    let ms = step.ended_ms?.checked_sub(step.begun_ms?)?;
    Some(if ms < 10_000 { format!("{:.1} s", ms as f64 / 1000.0) } else { format!("{} s", ms / 1000) })
}

/// Time of day, UTC.
pub(super) fn clock(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `12 s ago`, `3 min ago`, `2 d ago`.
pub(super) fn ago(ms: i64) -> String {
    match ms.max(0) / 1000 {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7_200 => format!("{} min ago", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// One sentence: where it stands, and for a rollback how long people were hurt.
pub(super) fn standing(plan: &Plan, state: &State) -> String {
    let sentence = state.ended.as_ref().map(|(_, sentence)| format!(": {sentence}")).unwrap_or_default();
    let begun_ms = state.started_ms.unwrap_or_default();
    let last_ms = state.last.as_ref().map_or(begun_ms, |entry| entry.at_ms);
    let seconds = (last_ms - begun_ms) as f64 / 1000.0;
    let down = gap(plan, state)
        .map(|ms| format!("; the service was down for {:.1} s", ms as f64 / 1000.0))
        .unwrap_or_default();
    format!("{}{sentence} ({seconds:.1} s{down})", state.status())
}

/// How long nobody served: from the stop of the old container to the start of the new one, or to the old one's return.
fn gap(plan: &Plan, state: &State) -> Option<i64> {
    let of =
        |prefix: &str| plan.steps.iter().find(|step| step.id.0.starts_with(prefix)).map(|step| state.step(&step.id));
    let stop = of("stop-")?;
    let served_ms = of("start-").filter(|start| start.done).and_then(|start| start.ended_ms).or(stop.undone_ms)?;
    served_ms.checked_sub(stop.begun_ms?)
}

/// The steps with their states, a line each.
pub(super) fn table(plan: &Plan, state: &State) -> Vec<String> {
    let line = |step: &operate_plan::Step| {
        let now = state.step(&step.id);
        let word = if now.undone {
            "undone"
        } else if now.undo_failure.is_some() {
            "not undone"
        } else if now.done {
            "done"
        } else if now.skipped.is_some() {
            "skipped"
        } else if now.given_up.is_some() {
            "left"
        } else if now.failure.is_some() {
            "failed"
        } else if now.asked && now.answer.is_none() {
            "asks"
        } else if now.halted {
            "halts"
        } else if now.begun_ms.is_some() {
            "running"
        } else {
            "waits"
        };
        let took = took(&now).unwrap_or_default();
        let why = now.failure.or(now.given_up).map(|failure| format!("  {failure}")).unwrap_or_default();
        format!("  {word:<10} {:<12} {}  {}  {took}{why}", step.stage, step.id, step.name)
    };
    plan.steps.iter().map(|step| line(step).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests;
