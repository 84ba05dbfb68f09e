//! A run as one picture for a terminal: its stages, how far each part has come, its steps, and what was last said. Pure: the same run,
//! moment and size give the same lines, each no wider than the terminal. It knows no terminal.

use operate_execute::{Progress, State, Status, StepProgress, StepState};
use operate_plan::Plan;
use unicode_width::UnicodeWidthChar as _;

/// What is drawn.
pub(super) struct Look<'a> {
    pub(super) run: &'a str,
    pub(super) plan: &'a Plan,
    pub(super) state: &'a State,
    pub(super) progress: &'a Progress,
    /// The newest last.
    pub(super) said: &'a [Said],
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) color: bool,
    /// Counts up with each picture; turns the wheel.
    pub(super) turn: usize,
}

/// What the run said.
pub(super) struct Said {
    pub(super) color: &'static str,
    pub(super) text: String,
    /// The next word of the judge takes its place.
    pub(super) is_passing: bool,
}

const WHEEL: [char; 8] = ['⣾', '⣽', '⣻', '⢿', '⡿', '⣟', '⣯', '⣷'];
/// Of the bar.
const BAR_COLUMNS: usize = 24;
/// What was said lately.
const SAID_MAX: usize = 4;
/// Of one sentence.
const ROWS_MAX: usize = 3;
/// Fewer steps than this are never shown.
const STEPS_MIN: usize = 3;

/// A line as coloured pieces.
#[derive(Default)]
struct Line(Vec<(&'static str, String)>);

impl Line {
    fn with(mut self, color: &'static str, text: impl Into<String>) -> Line {
        self.0.push((color, text.into()));
        self
    }

    /// No wider than the terminal; control characters, which could do more than stand there, are blanks.
    fn cut(self, columns: usize, color: bool) -> String {
        let mut left = columns;
        let mut out = String::new();
        for (code, text) in self.0 {
            let mut piece = String::new();
            for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
                let wide = c.width().unwrap_or(0);
                if wide > left {
                    left = 0;
                    break;
                }
                left -= wide;
                piece.push(c);
            }
            match color && !code.is_empty() && !piece.is_empty() {
                true => out.push_str(&format!("\x1b[{code}m{piece}\x1b[0m")),
                false => out.push_str(&piece),
            }
        }
        out
    }
}

/// The picture, from top to bottom.
pub(super) fn frame(look: &Look<'_>) -> Vec<String> {
    let mut lines = vec![Line::default().with("1", look.plan.title.clone()).with("2", format!("  {}", look.run))];
    lines.push(track(look));
    lines.push(bar(look));
    let newest = look.said.iter().rev().take(SAID_MAX).rev();
    let said: Vec<Line> = newest.flat_map(|said| folded(said, look.columns)).collect();
    // A row stays free, for the cursor.
    let room = look.rows.saturating_sub(lines.len() + said.len() + 1).max(STEPS_MIN);
    lines.extend(parts(look, room));
    lines.extend(said);
    lines.into_iter().map(|line| line.cut(look.columns, look.color)).collect()
}

/// A sentence over a few rows: its end often says what matters.
fn folded(said: &Said, columns: usize) -> Vec<Line> {
    let mut rows = vec![String::new()];
    let mut left = columns;
    for c in said.text.chars() {
        let wide = c.width().unwrap_or(1);
        if wide > left {
            if rows.len() == ROWS_MAX {
                break;
            }
            rows.push(String::new());
            left = columns;
        }
        if let Some(row) = rows.last_mut() {
            row.push(c);
        }
        left = left.saturating_sub(wide);
    }
    rows.into_iter().map(|row| Line::default().with(said.color, row)).collect()
}

/// `✓ preparing  ▸ deploying  · verifying  · complete`
fn track(look: &Look<'_>) -> Line {
    let mut stages: Vec<&str> = Vec::new();
    for step in &look.plan.steps {
        if stages.last() != Some(&step.stage.as_str()) && !step.stage.is_empty() && !stages.contains(&&*step.stage) {
            stages.push(&step.stage);
        }
    }
    let status = look.state.status();
    let is_back = look.state.undoing.is_some();
    let over = |stage: &str| {
        let mut steps = look.plan.steps.iter().filter(|step| step.stage == stage);
        steps.all(|step| look.state.step(&step.id).is_over())
    };
    let mut line = Line::default();
    let mut reached = !is_back;
    for stage in stages {
        line = if over(stage) {
            line.with("32", format!("✓ {stage}  "))
        } else if is_back {
            line.with("31", format!("✗ {stage}  "))
        } else if reached && status != Status::Planned {
            reached = false;
            line.with("1", format!("▸ {stage}  "))
        } else {
            line.with("2", format!("· {stage}  "))
        };
    }
    match status {
        Status::Complete => line.with("32", "✓ complete"),
        Status::RolledBack => line.with("33", "✓ rolled back"),
        Status::Failed => line.with("31", "✗ failed"),
        Status::RollingBack => line.with("33", "▸ rolling back").with("2", "  · rolled back"),
        _ => line.with("2", "· complete"),
    }
}

/// `━━━━━━━━╌╌╌╌  52 %  about 12 s left`
fn bar(look: &Look<'_>) -> Line {
    let progress = look.progress;
    let full = usize::from(progress.percent.min(100)) * BAR_COLUMNS / 100;
    let status = look.state.status();
    let color = match status {
        Status::RollingBack | Status::RolledBack => "33",
        Status::Failed => "31",
        _ => "32",
    };
    let left = match (status, progress.eta_ms) {
        (Status::Waiting, _) => "waits for a person's yes: apm deploy approve".to_owned(),
        (Status::Halted, _) => "stands until a person says how to go on: apm deploy resume".to_owned(),
        (Status::Paused, _) => "paused: apm deploy resume".to_owned(),
        (status, _) if status.is_end() => String::new(),
        (_, Some(ms)) if progress.guessed => format!("about {} left, a guess", span(ms)),
        (_, Some(ms)) => format!("about {} left", span(ms)),
        (_, None) => "takes longer than usual".to_owned(),
    };
    Line::default()
        .with(color, "━".repeat(full))
        .with("2", "╌".repeat(BAR_COLUMNS - full))
        .with("1", format!("  {:>3} %", progress.percent))
        .with("2", format!("  {left}"))
}

/// The parts with their steps, in so many lines: what is over long ago gives way first, then what comes later.
fn parts(look: &Look<'_>, room: usize) -> Vec<Line> {
    let components = &look.progress.components;
    let several = components.len() > 1;
    let heads = if several { components.len() } else { 0 };
    let steps: Vec<&StepProgress> = components.iter().flat_map(|component| &component.steps).collect();
    let room = room.saturating_sub(heads).max(1);
    let first = first_shown(&steps, room);
    let shown = first..(first + room).min(steps.len());
    let mut lines = Vec::new();
    let mut at = 0;
    for component in components {
        if several {
            let head = format!("{:<20} {:<14} {:>3} %", component.name, component.stage, component.percent);
            lines.push(Line::default().with("1", head));
        }
        for step in &component.steps {
            if shown.contains(&at) {
                lines.push(one(look, step));
            }
            at += 1;
        }
    }
    lines
}

/// So that the first step that is not over is seen, with one before it.
fn first_shown(steps: &[&StepProgress], room: usize) -> usize {
    if steps.len() <= room {
        return 0;
    }
    let is_over = |step: &&&StepProgress| matches!(step.state.as_str(), "done" | "skipped" | "given-up" | "undone");
    let over = steps.iter().take_while(is_over).count();
    over.saturating_sub(1).min(steps.len() - room)
}

fn one(look: &Look<'_>, step: &StepProgress) -> Line {
    let wheel = WHEEL.get(look.turn % WHEEL.len()).copied().unwrap_or(' ');
    let (sign, color) = match step.state.as_str() {
        "done" => ('✓', "32"),
        "undone" => ('↶', "33"),
        "failed" | "not-undone" => ('✗', "31"),
        "asks" => ('?', "33"),
        "halted" => ('!', "33"),
        "skipped" | "given-up" => ('–', "2"),
        // What a way back does not touch is not on its way any more.
        "running" if look.state.undoing.is_none() => (wheel, "36"),
        _ => ('·', "2"),
    };
    let time = match (step.state.as_str(), step.elapsed_ms) {
        ("running", Some(ms)) if look.state.undoing.is_none() => format!("{} of {}", span(ms), span(step.usual_ms)),
        ("running", _) => String::new(),
        ("waits", _) => format!("usually {}", span(step.usual_ms)),
        (_, Some(ms)) => span(ms),
        _ => String::new(),
    };
    let now: StepState = look.state.step(&step.id);
    let failure = now.undo_failure.or(now.failure).or(now.given_up);
    let line = Line::default().with(color, format!("  {sign} "));
    let name = format!("{:<40}", step.name);
    let line = line.with(if step.state == "waits" { "2" } else { "" }, name).with("2", format!("  {time}"));
    match failure {
        Some(failure) => line.with("31", format!("  {}", failure.message)),
        None => line,
    }
}

/// `0.4 s`, `12 s`, `2 min 05 s`, `1 h 03 min`
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests;
