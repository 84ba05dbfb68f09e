//! Promotions at the desk: what was decided is an artefact of the history, each stage a run that carries its label, and where a promotion
//! stands is read from those each time. So nothing has to be kept in step, and nothing is lost with whoever carried it out: a stage's yes
//! *is* its run, by whom and why it was made.

use operate_deploy::{Next, Promotion, Stage, next};
use operate_execute::{Entry, Event, Filter, Order, Ruling, RunId, RunRow, State, Status};
use operate_history::{Action, ArtefactFilter, NewArtefact};
use operate_plan::{Plan, Work, digest};
use serde::{Deserialize, Serialize};

use crate::known::taken_back;
use crate::{Asked, Desk, DeskError, Planned, Project};
use base_explain::Report;

mod asking;
mod standings;

pub use asking::{Decided, PromoteAsk, decide};

/// The label of a stage's run, and the tag of what was decided.
pub const LABEL: &str = "promotion";
const KIND: &str = "kind";
const MADE: &str = "promotion";
const REJECTED: &str = "promotion-rejected";
/// Runs of one environment that are looked through for a way back.
const RUNS_MAX: usize = 100;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Promote {
    pub service: String,
    pub version: String,
    /// By digest.
    pub image: String,
    pub stages: Vec<String>,
    /// The run that has released it in the first environment already.
    pub first_run: Option<RunId>,
    pub actor: String,
    pub reason: String,
}

/// One stage as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageNow {
    pub environment: String,
    /// Its newest run.
    pub run: Option<RunId>,
    pub status: Option<Status>,
    pub stage: Stage,
    /// Who said yes to it, and why.
    pub actor: String,
    pub reason: String,
    /// Runs of it so far.
    pub attempts: usize,
}

/// A promotion as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    pub promotion: Promotion,
    pub stages: Vec<StageNow>,
    pub next: Next,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rejection {
    actor: String,
    reason: String,
}

fn told(message: impl Into<String>, hint: &str) -> DeskError {
    DeskError::Standing(Report::new(message).hint(hint))
}

fn tags(kind: &str, id: &str) -> Vec<(String, String)> {
    vec![(KIND.to_owned(), kind.to_owned()), (LABEL.to_owned(), id.to_owned())]
}

impl Desk {
    /// Keeps what was decided; begins nothing.
    pub async fn promote(&self, project: &Project, asked: &Promote) -> Result<Promotion, DeskError> {
        let now_ms = self.now_ms();
        let mark = digest(&(&asked.service, &asked.version, &asked.image, now_ms, self.holder()));
        let promotion = Promotion {
            id: format!("promote-{}-{}-{}", asked.service, asked.version, &mark.short()[..6]),
            project: project.name.clone(),
            service: asked.service.clone(),
            version: asked.version.clone(),
            image: asked.image.clone(),
            stages: asked.stages.clone(),
            first_run: asked.first_run.as_ref().map(|run| run.0.clone()),
            actor: asked.actor.clone(),
            reason: asked.reason.clone(),
            created_ms: now_ms,
        };
        self.keep(MADE, &promotion.id, &promotion).await?;
        Ok(promotion)
    }

    async fn keep(&self, kind: &str, id: &str, what: &impl Serialize) -> Result<(), DeskError> {
        let new = NewArtefact {
            name: format!("{kind}.json"),
            media_type: "application/json".into(),
            tags: tags(kind, id).into_iter().collect(),
            ..NewArtefact::default()
        };
        let bytes = serde_json::to_vec(what).map_err(|error| DeskError::Told(Report::of(&error)))?;
        let kept = self.history.put_artefact(self.now_ms(), &new, &bytes).await;
        kept.map(drop).map_err(|error| DeskError::Told(Report::of(&error)))
    }

    async fn kept<T: for<'a> Deserialize<'a>>(
        &self,
        tags: Vec<(String, String)>,
        limit: usize,
    ) -> Result<Vec<T>, DeskError> {
        let mut all = Vec::new();
        for artefact in self.history.artefacts(&ArtefactFilter { tags, limit, ..ArtefactFilter::default() }).await? {
            let read = self.history.artefact(artefact.id).await;
            let (_, bytes) = read.map_err(|error| DeskError::Told(Report::of(&error)))?;
            all.push(serde_json::from_slice(&bytes).map_err(|error| {
                let report = Report::new(format!("artefact {} is not understood", artefact.id));
                DeskError::Told(report.because(error.to_string()).hint("a newer apm may have written it"))
            })?);
        }
        Ok(all)
    }

    /// The newest first.
    pub async fn promotions(&self, limit: usize) -> Result<Vec<Promotion>, DeskError> {
        self.kept(vec![(KIND.to_owned(), MADE.to_owned())], limit).await
    }

    /// The one of this name, if it is a promotion's.
    pub async fn promotion(&self, id: &str) -> Result<Option<Promotion>, DeskError> {
        Ok(self.kept(tags(MADE, id), 1).await?.into_iter().next())
    }

    /// Where it stands, by the runs of its stages.
    pub async fn standing(&self, promotion: Promotion) -> Result<Standing, DeskError> {
        let mut stages = Vec::new();
        for (at, environment) in promotion.stages.iter().enumerate() {
            let labels = [(LABEL, &promotion.id), ("environment", environment)];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
            let runs = self.runs(&Filter { labels, limit: RUNS_MAX, ..Filter::default() }).await?;
            let first = promotion.first_run.as_ref().filter(|_| at == 0).map(|run| RunId(run.clone()));
            let run = runs.first().map(|row| row.run.clone()).or(first);
            stages.push(self.stage(&promotion, environment, run, runs.len()).await?);
        }
        let rejected: Option<Rejection> = self.kept(tags(REJECTED, &promotion.id), 1).await?.into_iter().next();
        let rejected = rejected.map(|said| match said.reason.is_empty() {
            true => format!("{} said no", said.actor),
            false => format!("{} said no: {}", said.actor, said.reason),
        });
        let all: Vec<Stage> = stages.iter().map(|stage| stage.stage.clone()).collect();
        let next = next(&all, rejected.as_deref());
        Ok(Standing { promotion, stages, next })
    }

    async fn stage(
        &self,
        promotion: &Promotion,
        environment: &str,
        run: Option<RunId>,
        attempts: usize,
    ) -> Result<StageNow, DeskError> {
        let environment = environment.to_owned();
        let Some(run) = run else {
            let (actor, reason) = (String::new(), String::new());
            return Ok(StageNow { environment, run: None, status: None, stage: Stage::Open, actor, reason, attempts });
        };
        let (plan, entries) = (self.plan_of(&run).await?, self.entries(&run, 0).await?);
        let (actor, reason) = match entries.first().map(|entry| &entry.event) {
            Some(Event::Created { actor, reason, .. }) => (actor.clone(), reason.clone()),
            _ => Default::default(),
        };
        let state = State::of(&entries);
        let sentence = || state.ended.as_ref().map(|(_, sentence)| sentence.clone()).unwrap_or_default();
        let status = state.status();
        let stage = match status {
            Status::Complete if self.is_taken_back(promotion, &environment, &run).await? => Stage::TakenBack,
            Status::Complete => doubt(&plan, &state, &entries).map_or(Stage::Passed, Stage::Unproven),
            Status::RolledBack => Stage::Undone(sentence()),
            Status::Failed => Stage::Failed(sentence()),
            _ => Stage::UnderWay,
        };
        Ok(StageNow { environment, run: Some(run), status: Some(status), stage, actor, reason, attempts })
    }

    /// Whether the next release there that stayed was the version before.
    async fn is_taken_back(&self, promotion: &Promotion, environment: &str, run: &RunId) -> Result<bool, DeskError> {
        let labels = [("service", promotion.service.as_str()), ("environment", environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let rows = self.runs(&Filter { labels, limit: RUNS_MAX, ..Filter::default() }).await?;
        let Some(at) = rows.iter().position(|row| row.run == *run) else { return Ok(false) };
        let later: Vec<RunRow> = rows.iter().take(at).rev().cloned().collect();
        Ok(rows.get(at).is_some_and(|row| taken_back(row, &later)))
    }

    /// Which stage a yes begins now; refused with the reason where none can begin.
    pub fn begins(standing: &Standing, reason: &str) -> Result<usize, DeskError> {
        let id = &standing.promotion.id;
        let name = |stage: usize| standing.promotion.stages.get(stage).map_or("", String::as_str);
        match &standing.next {
            Next::Begin => Ok(0),
            Next::Approval { doubt: Some(doubt), .. } if reason.trim().is_empty() => Err(told(
                format!("{id} needs a reason to go on: {doubt}"),
                "`--reason` says why it may go on all the same",
            )),
            Next::Approval { stage, .. } | Next::Stopped { stage, again: true, .. } => Ok(*stage),
            Next::UnderWay { stage } => {
                let hint = "`apm deploy watch` follows it";
                Err(told(format!("{id} is under way in {}", name(*stage)), hint))
            }
            Next::Stopped { stage, why, .. } => {
                let hint = "promote the version anew when it is mended";
                Err(told(format!("{id} stopped at {}: {why}", name(*stage)), hint))
            }
            Next::Rejected { why } => Err(told(format!("{id} goes no further: {why}"), "promote the version anew")),
            Next::Complete => {
                Err(told(format!("{id} has reached its last environment"), "there is nothing to agree to"))
            }
        }
    }

    /// The plan of a stage, made now from the one image. `project` are the settings of that environment.
    pub async fn plan_stage(
        &self,
        project: &Project,
        standing: &Standing,
        stage: usize,
        asked: &Asked,
    ) -> Result<Planned, DeskError> {
        let promotion = &standing.promotion;
        let asked = Asked {
            service: Some(promotion.service.clone()),
            version: Some(promotion.version.clone()),
            image: Some(promotion.image.clone()),
            ..asked.clone()
        };
        let release = self.release(project, &asked).map_err(DeskError::Settings)?;
        let part = format!("{}/{}", stage + 1, promotion.stages.len());
        let labels = [(LABEL, promotion.id.clone()), ("promotion_stage", part)];
        self.plan_labelled(&release, labels.map(|(name, value)| (name.to_owned(), value)).into()).await
    }

    /// Keeps the stage's run, by whoever says yes; of two who say it at once, one is told that there is such a run already.
    pub async fn begin_stage(
        &self,
        standing: &Standing,
        stage: usize,
        planned: &Planned,
        actor: &str,
        role: &str,
        reason: &str,
    ) -> Result<RunId, DeskError> {
        let (id, now) = (&standing.promotion.id, standing.stages.get(stage));
        let environment = now.map_or("", |now| now.environment.as_str());
        let run = match now.map_or(0, |now| now.attempts) {
            0 => RunId(format!("{id}-{environment}")),
            before => RunId(format!("{id}-{environment}-{}", before + 1)),
        };
        let action = if stage == 0 { Action::Create } else { Action::Approve };
        self.create_named(run.clone(), planned, actor, role, action, reason).await?;
        Ok(run)
    }

    /// Says no: it goes no further. What is under way is not touched.
    pub async fn reject(&self, promotion: &Promotion, actor: &str, role: &str, reason: &str) -> Result<(), DeskError> {
        let rejection = Rejection { actor: actor.to_owned(), reason: reason.to_owned() };
        self.record(actor, role, Action::Reject, &RunId(promotion.id.clone()), reason).await?;
        self.keep(REJECTED, &promotion.id, &rejection).await
    }
}

/// Why a complete run proves less than a judge's pass; `None` where the judge passed it, or none was to be asked.
fn doubt(plan: &Plan, state: &State, entries: &[Entry]) -> Option<String> {
    let judged = plan.steps.iter().filter(|step| matches!(step.work, Work::Judge(_)));
    judged.into_iter().find_map(|step| {
        let now = state.step(&step.id);
        if let Some(skipped) = &now.skipped {
            return Some(format!("{} skipped `{}`", skipped.actor, step.name));
        }
        if matches!(now.ruling, Some(Ruling::Pass { .. })) {
            return None;
        }
        let yes = entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Ordered { command, .. } if command.order == Order::Approve(step.id.clone()) => Some(&command.actor),
            _ => None,
        });
        let by = yes.map(|actor| format!(", and {actor} said yes")).unwrap_or_default();
        match &now.ruling {
            Some(Ruling::Inconclusive { sentence }) => Some(format!("{sentence}{by}")),
            _ => Some(format!("the judge did not pass `{}`{by}", step.name)),
        }
    })
}

#[cfg(test)]
mod tests;
