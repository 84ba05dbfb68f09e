//! Runs, plans and journals as JSON. Whatever is sealed is left out, at any depth: not even what nobody can open leaves the engine.

use operate_execute::{Entry, Event, State, StepState, progress};
use operate_plan::{Plan, Step, Work};
use serde_json::{Value, json};

/// Removes every member called `sealed`.
pub(crate) fn unsealed(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            members.remove("sealed");
            for member in members.values_mut() {
                *member = unsealed(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = unsealed(item.take());
            }
        }
        _ => {}
    }
    value
}

/// Something of ours as JSON; all of it is plain data, so nothing can go wrong.
pub(super) fn plain(value: &impl serde::Serialize) -> Value {
    unsealed(serde_json::to_value(value).unwrap_or_default())
}

pub(crate) fn plan(plan: &Plan) -> Value {
    plain(plan)
}

pub(crate) fn rows(rows: &[operate_execute::RunRow]) -> Value {
    plain(&rows)
}

pub(crate) fn findings(findings: &[operate_plan::Finding]) -> Value {
    plain(&findings)
}

/// One line of a journal: `{run, seq, at_ms, kind, detail, hash}`. The hash is over the line as it is kept, with what is left out here.
pub(crate) fn entry(entry: &Entry) -> Value {
    let (kind, detail) = match plain(&entry.event) {
        Value::Object(members) => members.into_iter().next().unwrap_or_default(),
        other => (other.as_str().unwrap_or_default().to_owned(), json!({})),
    };
    json!({
        "run": entry.run, "seq": entry.seq, "at_ms": entry.at_ms, "kind": kind, "detail": detail,
        "hash": entry.hash,
    })
}

/// A run as it stands at this moment.
pub(crate) fn run(plan: &Plan, entries: &[Entry], now_ms: i64) -> Value {
    let state = State::of(entries);
    let status = state.status();
    let progress = progress(plan, &state, now_ms);
    let estimate = plan.estimate();
    let created = entries.first();
    let (actor, reason) = match created.map(|entry| &entry.event) {
        Some(Event::Created { actor, reason, .. }) => (actor.as_str(), reason.as_str()),
        _ => ("", ""),
    };
    let ended_ms = state.ended.as_ref().and(state.last.as_ref()).map(|entry| entry.at_ms);
    json!({
        "run": created.map(|entry| &entry.run),
        "title": plan.title,
        "target": plan.target,
        "labels": plan.labels,
        "plan": plan.id(),
        "actor": actor,
        "reason": reason,
        "status": status,
        "percent": progress.percent,
        "stage": progress.stage,
        "created_ms": created.map(|entry| entry.at_ms),
        "started_ms": state.started_ms,
        "ended_ms": ended_ms,
        "waited_ms": state.waited_ms,
        "usual_ms": estimate.usual_ms,
        "p90_ms": estimate.p90_ms,
        "left_ms": progress.eta_ms,
        "left_is_guessed": progress.guessed,
        "undone_because": state.undoing,
        "sentence": state.ended.as_ref().map_or("", |(_, sentence)| sentence),
        "last_seq": state.last.as_ref().map_or(0, |entry| entry.seq),
        "components": plain(&progress.components),
        "steps": plan.steps.iter().map(|planned| step(planned, &state.step(&planned.id), entries)).collect::<Vec<_>>(),
    })
}

fn step(step: &Step, now: &StepState, entries: &[Entry]) -> Value {
    let question = match &step.work {
        Work::Approve { question } => Some(question.as_str()),
        _ => now.question.as_deref(),
    };
    let note = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Acted { step: acted, note } if *acted == step.id => Some(note.as_str()),
        _ => None,
    });
    let answer =
        now.answer.as_ref().map(|(yes, command)| json!({"yes": yes, "actor": command.actor, "reason": command.reason}));
    let failure = now.undo_failure.as_ref().or(now.failure.as_ref()).or(now.given_up.as_ref());
    json!({
        "id": step.id,
        "name": step.name,
        "reason": step.reason,
        "stage": step.stage,
        "component": step.component,
        "after": step.after,
        "state": now.word(),
        "begun_ms": now.begun_ms,
        "ended_ms": now.ended_ms,
        "undone_ms": now.undone_ms,
        "attempts": now.attempts,
        "optional": step.optional,
        "time_limit_ms": step.time_limit_ms,
        "estimate": {"usual_ms": step.estimate.usual_ms, "p90_ms": step.estimate.p90_ms, "runs": step.estimate.runs},
        "note": note.unwrap_or_default(),
        "question": question,
        "answer": answer,
        "ruling": now.ruling.as_ref().map(plain),
        "skipped_by": now.skipped.as_ref().map(|command| &command.actor),
        "failure": failure.map(plain),
        "by_hand": step.by_hand,
    })
}

/// The step that a person is asked about, or that stopped.
pub(crate) fn waiting<'a>(plan: &'a Plan, state: &State) -> Option<&'a operate_plan::StepId> {
    let waits = |step: &&Step| matches!(state.step(&step.id).word(), "asks" | "halted" | "failed");
    plan.steps.iter().find(waits).map(|step| &step.id)
}
