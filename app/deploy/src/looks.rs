//! What is looked at beside a run's journal: who did what to it, what became of its containers, what its service said and how the judge
//! sees it from the telemetry of that time, and what it changed against the release before. It changes nothing.

use app_adapt::Request as JudgeRequest;
use operate_execute::{Filter, History as _, RunId, RunRow, State, Status};
use operate_gate::{Answer, Language, Question, Verdict};
use operate_history::AuditLine;
use operate_plan::{Degraded, Inventory, ObjectId, Plan, Work, sites};

use crate::lacking::{cut, unanswered, unseen};
use crate::{Desk, DeskError};

/// Of one run; a person gives a few orders.
const AUDIT_MAX: usize = 500;
/// Releases of the same service and environment around it.
const AROUND_MAX: usize = 50;
/// A release is looked back at for so long after its end at most.
const AFTER_MS: i64 = 15 * 60_000;

/// What was done to a run, and the releases of the same service and environment.
pub struct Past {
    pub audit: Vec<AuditLine>,
    /// The newest first, the run itself among them.
    pub runs: Vec<RunRow>,
    /// What was cut off.
    pub degraded: Vec<Degraded>,
}

/// How the judge sees a run.
pub struct Seen {
    pub objects: Inventory,
    /// From the telemetry of that time; `None` where the plan asks no judge or the run is not that far yet.
    pub verdict: Option<Verdict>,
    /// Containers that could not be looked at, and answers that the verdict had to do without.
    pub degraded: Vec<Degraded>,
}

/// What a service said.
pub struct Said {
    /// LogQL, as it was asked.
    pub query: String,
    pub start_ms: i64,
    pub end_ms: i64,
    /// Unix milliseconds and text, in order.
    pub lines: Vec<(i64, String)>,
    pub truncated: bool,
    /// Why nothing is known.
    pub failed: Option<String>,
}

/// As PromQL and LogQL write a string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn alike(plan: &Plan) -> Vec<(String, String)> {
    let label = |name: &str| Some((name.to_owned(), plan.labels.get(name)?.clone()));
    ["service", "environment"].into_iter().filter_map(label).collect()
}

/// When the first change was begun, and when the run was over, or now.
fn stretch(state: &State, plan: &Plan, now_ms: i64) -> (i64, i64) {
    let acts = plan.steps.iter().filter(|step| matches!(step.work, Work::Act(_)));
    let begun = acts.filter_map(|step| state.step(&step.id).begun_ms).min();
    let start_ms = begun.or(state.started_ms).unwrap_or(now_ms);
    let ended = state.ended.as_ref().and(state.last.as_ref()).map(|entry| entry.at_ms);
    (start_ms, ended.unwrap_or(now_ms))
}

impl Desk {
    pub async fn past(&self, run: &RunId) -> Result<Past, DeskError> {
        let plan = self.plan_of(run).await?;
        let audit = self.history.audit_of(run, AUDIT_MAX).await?;
        let filter = Filter { labels: alike(&plan), limit: AROUND_MAX, ..Filter::default() };
        let runs = self.runs(&filter).await?;
        let mut degraded = Vec::new();
        for (what, count, most) in
            [("lines of the audit log", audit.len(), AUDIT_MAX), ("releases", runs.len(), AROUND_MAX)]
        {
            if count >= most {
                degraded.push(cut(&format!("more {what}"), &format!("only {most} are told here")));
            }
        }
        Ok(Past { audit, runs, degraded })
    }

    /// The newest complete release of the same service and environment before this one.
    pub async fn release_before(&self, run: &RunId) -> Result<Option<(RunId, Plan)>, DeskError> {
        let plan = self.plan_of(run).await?;
        let (status, before) = (Some(Status::Complete), Some(run.clone()));
        let filter = Filter { status, labels: alike(&plan), before, limit: 1, ..Filter::default() };
        match self.runs(&filter).await?.into_iter().next() {
            Some(row) => Ok(Some((row.run.clone(), self.history.plan(&row.run).await?))),
            None => Ok(None),
        }
    }

    /// The containers now, and the verdict at the run's end or now.
    pub async fn seen(&self, run: &RunId) -> Result<Seen, DeskError> {
        let (plan, state) = self.look(run).await?;
        let mut objects: Vec<ObjectId> = plan.steps.iter().flat_map(|step| step.touches()).cloned().collect();
        objects.retain(|object| object.kind == "container");
        objects.sort();
        objects.dedup();
        let objects = self.target_of(&plan.target)?.survey(&objects).await;
        let mut degraded = unseen(&objects);
        let (verdict, unanswered) = match self.verdict(&plan, &state).await {
            Some((verdict, unanswered)) => (Some(verdict), unanswered),
            None => (None, Vec::new()),
        };
        degraded.extend(unanswered);
        Ok(Seen { objects, verdict, degraded })
    }

    async fn verdict(&self, plan: &Plan, state: &State) -> Option<(Verdict, Vec<Degraded>)> {
        let telemetry = self.telemetry.as_ref()?;
        let mut judged = plan.steps.iter().filter_map(|step| {
            let Work::Judge(request) = &step.work else { return None };
            let request: JudgeRequest = serde_json::from_value(request.clone()).ok()?;
            let now = state.step(&step.id);
            matches!(request, JudgeRequest::After { .. }).then_some((now.begun_ms?, now.ended_ms, request))
        });
        // Of several clusters, that of the last one that was asked about.
        let last = if sites(&plan.target).is_empty() { judged.next() } else { judged.next_back() };
        let (begun_ms, ended_ms, request) = last?;
        let JudgeRequest::After { mut subject, settings, at } = request else { return None };
        subject.released_ms = begun_ms;
        let at_ms = ended_ms.unwrap_or_else(|| self.world.clock.now_ms());
        let asked = operate_gate::questions(&subject, &settings, at_ms);
        let evidence = telemetry.elsewhere(&at).ask(asked.clone()).await;
        Some((operate_gate::judge(&subject, &settings, &evidence, at_ms), unanswered(&asked, &evidence)))
    }

    /// The newest `limit` lines of the run's service and version since its first change, up to a quarter of an hour after its end.
    pub async fn said(&self, run: &RunId, limit: usize) -> Result<Said, DeskError> {
        let (plan, state) = self.look(run).await?;
        let now_ms = self.world.clock.now_ms();
        let (start_ms, ended_ms) = stretch(&state, &plan, now_ms);
        let end_ms = if state.ended.is_some() { now_ms.min(ended_ms.saturating_add(AFTER_MS)) } else { now_ms };
        let label = |name: &str| plan.labels.get(name).map(String::as_str).unwrap_or_default();
        let mut query = format!("{{service_name={}}}", quoted(label("service")));
        if !label("version").is_empty() {
            // Not every sender says its version; the lines of those that do not are not left out.
            query.push_str(&format!(" | service_version=~{}", quoted(&format!("{}|", escaped(label("version"))))));
        }
        let mut said =
            Said { query: query.clone(), start_ms, end_ms, lines: Vec::new(), truncated: false, failed: None };
        let Some(telemetry) = &self.telemetry else {
            said.failed = Some("nobody said where logs are".to_owned());
            return Ok(said);
        };
        let question = Question {
            id: "lines".to_owned(),
            label: "lines since the release".to_owned(),
            language: Language::Logql,
            expression: query,
            start_ms,
            end_ms,
            step_ms: 0,
            limit,
        };
        match telemetry.ask(vec![question]).await.remove("lines") {
            Some(Answer::Lines { lines, truncated }) => {
                said.lines = lines.into_iter().map(|line| (line.time_ms, line.text)).collect();
                said.truncated = truncated;
            }
            Some(Answer::Failed { reason }) => said.failed = Some(reason),
            _ => said.failed = Some("the answer is no lines".to_owned()),
        }
        Ok(said)
    }
}

/// As a regular expression that means just this (RE2).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_asked_for_as_it_is() {
        assert_eq!(quoted(&escaped("1.4.2+b\"c")), r#""1\\.4\\.2\\+b\"c""#);
    }
}
