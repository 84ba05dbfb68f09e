//! The judge outside of a run: how a service is now, and how today's judge would have judged past releases. It asks and passes on;
//! `operate/gate` judges. It changes nothing and prints nothing.

use std::collections::HashMap;
use std::sync::Arc;

use app_adapt::{Elsewhere, Request, Telemetry};
use base_world::Clock;
use operate_execute::{Entry, Event, Filter, Order, RunId, RunRow, State, Status};
use operate_gate::{
    Answer, Ended, Evidence, Language, Outcome, Question, Settings, Subject, Tally, Verdict, questions,
};
use operate_plan::{Degraded, Plan, StepId, Work};
use serde::{Deserialize, Serialize};

use crate::known::{Known, Why, known};
use crate::lacking::{cut, unanswered as lacks};
use crate::{Desk, DeskError, Project};

mod asked;

pub use asked::JudgeAsk;

/// Between two looks, where the judge has no wish.
const AGAIN_MS: i64 = 5_000;
/// Runs that one replay looks through.
const RUNS_MAX: usize = 1_000;

/// Asks the telemetry for the judge.
pub struct Judging {
    pub telemetry: Telemetry,
    pub clock: Arc<dyn Clock>,
}

/// A verdict, and what it was found by.
#[derive(Debug, Serialize, Deserialize)]
pub struct Looked {
    pub service: String,
    pub environment: String,
    pub version: Option<String>,
    pub verdict: Verdict,
    /// What was asked for the verdict.
    pub charts: Vec<Chart>,
    /// Why questions were not answered.
    pub unanswered: Vec<String>,
    /// Nobody answered anything.
    pub is_alone: bool,
    /// Whoever answered knows nothing of that time. No line of a log is an answer too, but none that a release can be judged by.
    #[serde(skip)]
    pub is_blank: bool,
    /// What the verdict had to do without.
    #[serde(default)]
    pub degraded: Vec<Degraded>,
    /// The Prometheus that was asked in the engine's place, without a password; a person looks at charts there.
    pub prometheus: Option<String>,
    /// A Loki that was asked in the engine's place, alike.
    pub loki: Option<String>,
}

/// One question as a person may ask it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chart {
    pub label: String,
    pub language: Language,
    pub expression: String,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// One past release, judged again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Again {
    pub run: RunId,
    pub version: String,
    pub was_bad: Option<bool>,
    /// How that is known.
    pub how: String,
    pub outcome: Outcome,
    pub after_ms: i64,
    pub sentence: String,
}

/// Past releases judged again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Replay {
    pub judged: Vec<Again>,
    pub tally: Tally,
    pub false_abort_rate: f64,
    pub miss_rate: f64,
    /// Runs of which no telemetry is left.
    pub gone: Vec<RunId>,
    /// Runs that ended before a judge was asked, or that have not ended.
    pub never_judged: Vec<RunId>,
    /// Why questions were not answered, of the last release that could not be judged for it.
    pub unanswered: Vec<String>,
    /// What the figures lack.
    #[serde(default)]
    pub degraded: Vec<Degraded>,
}

/// When a run's version was put before the judge.
struct Past {
    subject: Subject,
    /// Who was asked in the place of the usual ones.
    at: Elsewhere,
    /// When the judge was first asked, and until when the new version served.
    from_ms: i64,
    until_ms: Option<i64>,
    why: Why,
}

impl Judging {
    /// The service as it runs now: since its newest release, where that is not longer ago than a bake; else the last bake's time.
    pub async fn now(&self, project: &Project, service: &str, newest: Option<(&Plan, &[Entry])>) -> Looked {
        let now_ms = self.clock.now_ms();
        let settings = &project.judge.settings;
        let version = newest.and_then(|(plan, _)| plan.labels.get("version").cloned());
        let released_ms = newest.and_then(|(plan, entries)| Some(past(plan, entries)?.from_ms));
        let bake_ms = i64::try_from(settings.bake.as_millis()).unwrap_or(i64::MAX);
        let begin_ms = released_ms.unwrap_or(0).max(now_ms.saturating_sub(bake_ms));
        let mut subject = project.subject(service, version.as_deref());
        subject.released_ms = begin_ms;
        self.look(&subject, settings, now_ms, &mut HashMap::new()).await
    }

    /// A release as it went: until the judge decides, its bake is over, or it was taken back. `None`: no judge was ever asked.
    pub async fn of(&self, project: &Project, plan: &Plan, entries: &[Entry]) -> Option<Looked> {
        let past = past(plan, entries)?;
        Some(self.again(project, past).await)
    }

    async fn again(&self, project: &Project, past: Past) -> Looked {
        let (subject, settings) = (past.subject, &project.judge.settings);
        let subject = Subject { released_ms: past.from_ms, checks: project.judge.checks.clone(), ..subject };
        let here = Judging { telemetry: self.telemetry.elsewhere(&past.at), clock: Arc::clone(&self.clock) };
        let mut kept = HashMap::new();
        let until_ms = past.until_ms.unwrap_or(i64::MAX).min(self.clock.now_ms());
        let mut at_ms = past.from_ms.saturating_add(AGAIN_MS);
        loop {
            let looked = here.look(&subject, settings, at_ms.min(until_ms), &mut kept).await;
            let wait_ms = looked.verdict.again_ms.unwrap_or(AGAIN_MS).max(1_000);
            if looked.verdict.outcome != Outcome::Continue || at_ms >= until_ms || looked.is_alone {
                return looked;
            }
            at_ms = at_ms.saturating_add(wait_ms);
        }
    }

    /// `kept` holds answers about the past of one release, which do not change while it is looked at.
    async fn look(
        &self,
        subject: &Subject,
        settings: &Settings,
        now_ms: i64,
        kept: &mut HashMap<String, (Question, Answer)>,
    ) -> Looked {
        let asked = questions(subject, settings, now_ms);
        let is_new = |question: &Question| kept.get(&question.id).is_none_or(|(same, _)| same != question);
        let open: Vec<Question> = asked.iter().filter(|question| is_new(question)).cloned().collect();
        let mut answers = self.telemetry.ask(open).await;
        let mut evidence = Evidence::new();
        for question in &asked {
            if let Some(answer) = answers.remove(&question.id) {
                kept.insert(question.id.clone(), (question.clone(), answer));
            }
            if let Some((_, answer)) = kept.get(&question.id) {
                evidence.insert(question.id.clone(), answer.clone());
            }
        }
        let failed = |answer: &Answer| match answer {
            Answer::Failed { reason } => Some(reason.clone()),
            _ => None,
        };
        let unanswered: Vec<String> = evidence.values().filter_map(failed).collect();
        let is_alone = !evidence.is_empty() && unanswered.len() == evidence.len();
        let says_nothing = |answer: &Answer| match answer {
            Answer::Series(series) => series.iter().all(|one| one.points.is_empty()),
            Answer::Lines { lines, .. } => lines.is_empty(),
            Answer::Checked { .. } => false,
            Answer::Failed { .. } => true,
        };
        let is_blank = evidence.values().all(says_nothing);
        let degraded = lacks(&asked, &evidence);
        let verdict = operate_gate::judge(subject, settings, &evidence, now_ms);
        let used = |question: &Question| verdict.links.iter().any(|link| link.question == question.id);
        let charts = asked.into_iter().filter(used).map(Chart::of).collect();
        Looked {
            service: subject.service.clone(),
            environment: subject.environment.clone(),
            version: subject.new.version.clone(),
            verdict,
            charts,
            unanswered,
            is_alone,
            is_blank,
            degraded,
            prometheus: None,
            loki: None,
        }
    }

    /// All past releases of a service in the project's environment that began since then, by today's settings; `tell` hears of each.
    pub async fn replay(
        &self,
        desk: &Desk,
        project: &Project,
        service: &str,
        since_ms: i64,
        mut tell: impl FnMut(&RunId),
    ) -> Result<Replay, DeskError> {
        let labels = [("service", service), ("environment", &project.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut rows = desk.runs(&Filter { labels, limit: RUNS_MAX, ..Filter::default() }).await?;
        rows.reverse();
        let mut replay = Replay::default();
        if rows.len() >= RUNS_MAX {
            replay.degraded.push(cut("releases", &format!("only the newest {RUNS_MAX} were looked through")));
        }
        let mut ended = Vec::new();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.created_ms >= since_ms) {
            let (plan, entries) = (desk.plan_of(&row.run).await?, desk.entries(&row.run, 0).await?);
            let Some(past) = past(&plan, &entries).filter(|_| row.status.is_end()) else {
                replay.never_judged.push(row.run.clone());
                continue;
            };
            tell(&row.run);
            let known = known(row, past.why, rows.get(at + 1..).unwrap_or_default());
            let from_ms = past.from_ms;
            let looked = self.again(project, past).await;
            if let Some(one) = looked.degraded.first().filter(|_| !looked.is_alone) {
                let what = format!("{} of {}", one.what, row.run);
                replay.degraded.push(Degraded { what, ..one.clone() });
            }
            if looked.is_alone {
                replay.gone.push(row.run.clone());
                replay.unanswered = looked.unanswered;
            } else if looked.is_blank || looked.verdict.metrics.iter().all(|metric| metric.new.is_none()) {
                replay.gone.push(row.run.clone());
            } else {
                let again = again(row, known, looked, from_ms);
                ended.push(Ended { was_bad: again.was_bad, outcome: again.outcome, after_ms: again.after_ms });
                replay.judged.push(again);
            }
        }
        replay.tally = Tally::of(&ended);
        replay.false_abort_rate = replay.tally.false_abort_rate();
        replay.miss_rate = replay.tally.miss_rate();
        Ok(replay)
    }
}

fn again(row: &RunRow, known: Known, looked: Looked, from_ms: i64) -> Again {
    let outcome = match looked.verdict.outcome {
        // It was taken back before today's judge would have decided.
        Outcome::Continue => Outcome::Inconclusive,
        decided => decided,
    };
    Again {
        run: row.run.clone(),
        version: looked.version.unwrap_or_default(),
        was_bad: known.was_bad,
        how: known.how.to_owned(),
        outcome,
        after_ms: looked.verdict.at_ms.saturating_sub(from_ms),
        sentence: looked.verdict.sentence,
    }
}

impl Chart {
    fn of(question: Question) -> Chart {
        let Question { label, language, expression, start_ms, end_ms, .. } = question;
        Chart { label, language, expression, start_ms, end_ms }
    }
}

/// What a journal says of the judge's part in a run; `None` when it was never asked.
fn past(plan: &Plan, entries: &[Entry]) -> Option<Past> {
    let (step, subject, at) = plan.steps.iter().find_map(|step| match &step.work {
        Work::Judge(request) => match serde_json::from_value(request.clone()).ok()? {
            Request::After { subject, at, .. } => Some((&step.id, *subject, at)),
            Request::Before { .. } | Request::Scan { .. } | Request::Arrives { .. } => None,
        },
        _ => None,
    })?;
    let state = State::of(entries);
    let from_ms = state.step(step).begun_ms?;
    let undone = |entry: &&Entry| matches!(entry.event, Event::UndoBegun { .. });
    let until_ms = entries.iter().find(undone).map(|entry| entry.at_ms);
    Some(Past { subject, at, from_ms, until_ms, why: why(&state, entries, step) })
}

fn why(state: &State, entries: &[Entry], judge: &StepId) -> Why {
    let said_no = |entry: &Entry| match &entry.event {
        Event::Ordered { command, .. } => matches!(command.order, Order::Cancel | Order::Reject(_)),
        _ => false,
    };
    if state.status() != Status::RolledBack {
        Why::Other
    } else if entries.iter().any(said_no) {
        Why::Person
    } else if state.step(judge).failure.is_some_and(|failure| failure.code == "judge.failed") {
        Why::Judge
    } else {
        Why::Other
    }
}
