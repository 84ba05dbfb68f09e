//! A plan as a person reads it before saying yes: a line a step, what it does by hand, what it may hurt, how it is undone. It prints
//! nothing itself and knows no colour.

use std::fmt::Write;

use crate::{Finding, Plan, Step, Undo, Work};

/// The whole plan and its findings as text, each line ending in a newline.
pub fn report(plan: &Plan, findings: &[Finding]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "plan {} (generation {}): {}", plan.id(), plan.generation(), plan.title);
    if !plan.reason.is_empty() {
        let _ = writeln!(out, "because {}", plan.reason);
    }
    let estimate = plan.estimate();
    let learnt = match estimate.runs {
        0 => "a guess".to_owned(),
        runs => format!("from {runs} earlier runs"),
    };
    let _ = writeln!(
        out,
        "on {}; usually {} ({learnt}), at most {}",
        plan.target,
        span(estimate.usual_ms),
        span(plan.time_limit_ms)
    );

    let mut stage = "";
    for (position, step) in plan.steps.iter().enumerate() {
        if step.stage != stage {
            stage = &step.stage;
            let _ = writeln!(out, "\n{stage}");
        }
        one(&mut out, position + 1, step);
    }
    if !findings.is_empty() {
        out.push('\n');
    }
    for finding in findings {
        let place = finding.step.as_ref().map(|step| format!(" at {step}")).unwrap_or_default();
        let _ = writeln!(out, "{} [{}]{place}: {}; {}", finding.severity, finding.rule, finding.message, finding.fix);
    }
    out
}

fn one(out: &mut String, number: usize, step: &Step) {
    let _ = writeln!(out, "{number:>3}  {}  ({}, at most {})", step.name, step.id, span(step.time_limit_ms));
    let mut line = |word: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "     {word:<7} {text}");
        }
    };
    line("why", &step.reason);
    let after: Vec<_> = step.after.iter().map(|id| id.0.as_str()).collect();
    line("after", &after.join(", "));
    for condition in &step.check {
        line("needs", &condition.says);
    }
    line("by hand", &step.by_hand);
    match &step.work {
        Work::Act(_) | Work::Judge(_) => {}
        Work::Approve { question } => line("asks", question),
        Work::Window(calendar) => calendar.lines().iter().for_each(|rule| line("waits", rule)),
        Work::Halt { why } => line("halts", why),
        Work::Alert { severity, message } => line("tells", &format!("{severity}: {message}")),
    }
    for condition in &step.verify {
        line("expects", &condition.says);
    }
    match &step.undo {
        Undo::Restore => {
            let touched: Vec<_> = step.touches().iter().map(ToString::to_string).collect();
            line("undo", &format!("restores {}", touched.join(", ")));
        }
        Undo::Needless { why } if matches!(step.work, Work::Act(_)) => line("undo", &format!("not needed: {why}")),
        Undo::Needless { .. } => {}
        Undo::Impossible { why } => line("undo", &format!("impossible: {why}")),
    }
    if step.optional {
        line("else", "if it fails, that is told and the run goes on");
    }
}

/// `350 ms`, `12 s`, `3 min 20 s`, `24 h`.
fn span(ms: u64) -> String {
    match (ms, ms / 1000) {
        (0..1000, _) => format!("{ms} ms"),
        (_, seconds @ 0..120) => format!("{seconds} s"),
        (_, seconds) if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        (_, seconds) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (_, seconds) => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
