//! The desk in the API's words: its errors become codes and statuses, a request becomes what the desk is asked. It plans nothing and carries
//! nothing out.

use std::sync::Arc;

use app_api::{
    Deployments, Following, Health, JudgeWanted, Kept, Lines, OutputWanted, Past, Prepared, Promoted, Refused,
    RefusedKind, Retag, Wanted, Yes,
};
use app_deploy::{Action, Asked, Desk, DeskError, Keeper, Planned, Said, Sent};
use base_explain::Report;
use futures_util::future::BoxFuture;
use operate_deploy::Refusal;
use operate_execute::{Command, Entry, Filter, HistoryError, RunError, RunId, RunRow, Tag};
use operate_plan::Plan;
use serde::Deserialize as _;
use serde_json::Value;
use tokio::sync::broadcast;

pub(crate) mod figures;
mod office;

/// The desk behind `/apm/v1/deployments`.
pub(crate) struct Deploying(pub(crate) Keeper);

impl Deploying {
    async fn desk_of(&self, run: &RunId) -> Result<&Desk, Refused> {
        let desk = self.0.desk_if_any().await.map_err(refused)?;
        desk.ok_or_else(|| refused(DeskError::History(HistoryError::NoRun(run.clone()))))
    }
}

fn asked(wanted: &Wanted) -> Asked {
    Asked {
        service: wanted.service.clone(),
        image: wanted.image.clone(),
        version: wanted.version.clone(),
        as_of: wanted.as_of.clone(),
        strategy: wanted.strategy,
        adopt: wanted.adopt,
        force: wanted.force,
        repair: wanted.repair,
        actor: wanted.actor.clone(),
        reason: wanted.reason.clone(),
        otlp_endpoint: None,
        plain: None,
    }
}

fn refused(error: DeskError) -> Refused {
    let report = error.report();
    let (kind, code) = match &error {
        DeskError::Refused(refusal) => (RefusedKind::Refused, why(refusal)),
        DeskError::Lint(_) => (RefusedKind::Refused, "critical-findings"),
        DeskError::NoReason { .. } => (RefusedKind::Refused, "no-reason"),
        DeskError::NoStep { .. } => (RefusedKind::Refused, "no-step"),
        DeskError::Ended { status, .. } if status.is_end() => (RefusedKind::Conflict, "run-ended"),
        DeskError::Ended { .. } => (RefusedKind::Conflict, "run-rolling-back"),
        DeskError::Occupied { .. } | DeskError::Run(RunError::Busy { .. }) => (RefusedKind::Conflict, "target-busy"),
        DeskError::History(error) | DeskError::Run(RunError::History(error)) => match error {
            HistoryError::NoRun(_) => {
                let report = report.hint("GET /apm/v1/deployments lists them");
                return Refused::new(RefusedKind::Unknown, "no-run", report);
            }
            HistoryError::Exists(_) => (RefusedKind::Conflict, "run-exists"),
            _ => (RefusedKind::Away, "history-away"),
        },
        DeskError::Run(RunError::Overtaken { .. }) => (RefusedKind::Conflict, "run-overtaken"),
        DeskError::Absent { code, .. } => (RefusedKind::Unknown, *code),
        DeskError::Standing(_) => (RefusedKind::Conflict, "promotion-stands"),
        DeskError::HostPath(_) => (RefusedKind::Refused, "host-path"),
        DeskError::Settings(_) => (RefusedKind::Refused, "settings"),
        DeskError::Tags(_) => (RefusedKind::Refused, "too-many-tags"),
        DeskError::Told(_) => (RefusedKind::Away, "desk-closed"),
    };
    Refused::new(kind, code, report)
}

fn why(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::At { refusal, .. } => why(refusal),
        Refusal::Unknown { .. } => "target-unknown",
        Refusal::NeedsFront { .. } => "needs-front",
        Refusal::PortShared { .. } => "port-shared",
        Refusal::NotOurs { .. } => "not-ours",
        Refusal::Lost { .. } => "cannot-be-put-back",
        Refusal::LeftOver { .. } => "left-over",
        Refusal::NothingToDo { .. } => "nothing-to-do",
        Refusal::Replicas { .. } => "replicas",
        Refusal::OwnedByFront { .. } => "owned-by-front",
        Refusal::FrontReplicas { .. } => "front-replicas",
        Refusal::HostNetwork { .. } => "host-network",
        Refusal::PublishedTwice { .. } => "published-twice",
        Refusal::PortTaken { .. } => "port-taken",
        Refusal::FrontElsewhere { .. } => "front-elsewhere",
        Refusal::ForeignUpstream { .. } => "front-foreign",
        Refusal::Divided { .. } => "front-divided",
        Refusal::FrontGone { .. } => "front-gone",
        Refusal::NoObjects { .. } => "no-objects",
        Refusal::Forbidden { .. } => "target-forbids",
        Refusal::Deleting { .. } => "being-deleted",
        Refusal::ForeignObject { .. } => "foreign-object",
        Refusal::NoDeployment { .. } => "no-deployment",
        Refusal::NoSender { .. } => "no-sender",
        Refusal::DividedServices { .. } => "divided-services",
        Refusal::LeftOverObject { .. } => "left-over",
        Refusal::Routes { .. } => "several-routes",
        Refusal::NoRoute { .. } => "no-route",
        Refusal::NoGrant { .. } => "no-reference-grant",
        Refusal::Subset { .. } => "no-subset",
        Refusal::SharedSender { .. } => "shared-sender",
        Refusal::NoHash { .. } => "no-pod-hash",
        Refusal::HelmStrategy { .. } => "helm-strategy",
        Refusal::HelmBusy { .. } => "helm-busy",
    }
}

impl Deployments for Deploying {
    fn runs(&self, filter: Filter) -> BoxFuture<'_, Result<Vec<RunRow>, Refused>> {
        Box::pin(async move {
            match self.0.desk_if_any().await.map_err(refused)? {
                Some(desk) => desk.runs(&filter).await.map_err(refused),
                None => Ok(Vec::new()),
            }
        })
    }

    fn plan(&self, run: RunId) -> BoxFuture<'_, Result<Plan, Refused>> {
        Box::pin(async move {
            let desk = self.desk_of(&run).await?;
            desk.plan_of(&run).await.map_err(refused)
        })
    }

    fn entries(&self, run: RunId, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, Refused>> {
        Box::pin(async move {
            let desk = self.desk_of(&run).await?;
            desk.page(&run, after, limit).await.map_err(refused)
        })
    }

    fn past(&self, run: RunId) -> BoxFuture<'_, Result<Past, Refused>> {
        Box::pin(async move {
            let past = self.desk_of(&run).await?.past(&run).await.map_err(refused)?;
            // Plain data, in which nothing can go wrong.
            let audit = past.audit.iter().map(|line| serde_json::to_value(line).unwrap_or_default()).collect();
            Ok(Past { audit, runs: past.runs, degraded: past.degraded })
        })
    }

    fn health(&self, run: RunId) -> BoxFuture<'_, Result<Health, Refused>> {
        Box::pin(async move {
            let seen = self.desk_of(&run).await?.seen(&run).await.map_err(refused)?;
            let verdict = seen.verdict.and_then(|verdict| serde_json::to_value(verdict).ok()).unwrap_or_default();
            Ok(Health { objects: seen.objects, verdict, degraded: seen.degraded })
        })
    }

    fn lines(&self, run: RunId, limit: usize) -> BoxFuture<'_, Result<Lines, Refused>> {
        Box::pin(async move {
            let said = self.desk_of(&run).await?.said(&run, limit).await.map_err(refused)?;
            let Said { query, start_ms, end_ms, lines, truncated, failed } = said;
            Ok(Lines { query, start_ms, end_ms, lines, truncated, failed })
        })
    }

    fn before(&self, run: RunId) -> BoxFuture<'_, Result<Option<(RunId, Plan)>, Refused>> {
        Box::pin(async move { self.desk_of(&run).await?.release_before(&run).await.map_err(refused) })
    }

    fn figures(&self, since_ms: i64) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            self.0.catch_up().await.map_err(refused)?;
            Ok(figures::figures(&self.0.told(), since_ms, self.0.now_ms()))
        })
    }

    fn live(&self) -> broadcast::Receiver<Entry> {
        self.0.live()
    }

    fn order(&self, run: RunId, command: Command, role: &'static str) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async move { self.0.order(&run, command, role).await.map_err(refused) })
    }

    fn retag(&self, run: RunId, retag: Retag) -> BoxFuture<'_, Result<Vec<Tag>, Refused>> {
        Box::pin(async move {
            let Retag { tags, takes, actor, role, reason } = retag;
            let desk = self.desk_of(&run).await?;
            let kept = match takes {
                true => desk.untag(&run, &tags, &actor, role, &reason).await,
                false => desk.tag(&run, &tags, &actor, role, &reason).await,
            };
            kept.map_err(refused)
        })
    }

    fn prepare(&self, wanted: Wanted) -> BoxFuture<'_, Result<Prepared, Refused>> {
        Box::pin(async move {
            let environment = wanted.environment.as_deref();
            let (planned, notes) = match sent(&wanted)? {
                Some(sent) => self.0.plan_sent(&asked(&wanted), environment, &sent).await.map_err(refused)?,
                None => (self.0.plan(&asked(&wanted), environment).await.map_err(refused)?, Vec::new()),
            };
            let Planned { plan, findings } = planned;
            Ok(Prepared { plan, findings, notes })
        })
    }

    fn create(&self, wanted: Wanted) -> BoxFuture<'_, Result<RunId, Refused>> {
        let keeper = self.0.clone();
        let action = if wanted.back.is_some() { Action::Rollback } else { Action::Create };
        Box::pin(async move {
            let sent = sent(&wanted)?;
            to_its_end(async move {
                let (asked, environment) = (asked(&wanted), wanted.environment.as_deref());
                match sent {
                    Some(sent) => keeper.begin_sent(&asked, environment, wanted.role, &sent).await,
                    None => keeper.begin(&asked, environment, wanted.role, action).await,
                }
            })
            .await
        })
    }

    fn judged(
        &self,
        wanted: JudgeWanted,
        service: Option<String>,
        environment: Option<String>,
    ) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(office::judged(&self.0, wanted, service, environment))
    }

    fn differences(&self, wanted: Wanted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(office::differences(&self.0, wanted))
    }

    fn output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(office::output(self, run, wanted))
    }

    fn follow_output(&self, run: RunId, wanted: OutputWanted) -> BoxFuture<'_, Result<Following, Refused>> {
        Box::pin(office::follow_output(self, run, wanted))
    }

    fn artefacts(&self, run: RunId) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(office::artefacts(self, run))
    }

    fn artefact(&self, run: RunId, name: String) -> BoxFuture<'_, Result<Kept, Refused>> {
        Box::pin(office::artefact(self, run, name))
    }

    fn promotions(&self, limit: usize) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move { Ok(office::plain(&self.0.standings(limit).await.map_err(refused)?)) })
    }

    fn promotion(&self, id: String) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move { Ok(office::plain(&self.0.standing(&id).await.map_err(refused)?)) })
    }

    fn promote(&self, wanted: Promoted) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(office::promote(&self.0, wanted))
    }

    fn prepare_next(&self, yes: Yes) -> BoxFuture<'_, Result<Prepared, Refused>> {
        Box::pin(async move {
            let planned = self.0.plan_next(&yes.promotion, &office::said(&yes)).await.map_err(refused)?;
            Ok(Prepared { plan: planned.plan, findings: planned.findings, notes: Vec::new() })
        })
    }

    fn approve_next(&self, yes: Yes) -> BoxFuture<'_, Result<RunId, Refused>> {
        let keeper = self.0.clone();
        Box::pin(to_its_end(async move { keeper.approve_next(&yes.promotion, &office::said(&yes), yes.role).await }))
    }

    fn reject_next(&self, no: Yes) -> BoxFuture<'_, Result<Value, Refused>> {
        Box::pin(async move {
            let now = self.0.reject_next(&no.promotion, &no.actor, no.role, &no.reason).await;
            Ok(office::plain(&now.map_err(refused)?))
        })
    }
}

/// Also if whoever asks goes away: a run that is kept is carried out.
async fn to_its_end(begins: impl Future<Output = Result<RunId, DeskError>> + Send + 'static) -> Result<RunId, Refused> {
    let gone = |error: tokio::task::JoinError| {
        let report = Report::new("the release was not begun").because(error.to_string());
        Refused::new(RefusedKind::Away, "desk-closed", report)
    };
    tokio::spawn(begins).await.map_err(gone)?.map_err(refused)
}

/// The compose project that was sent, if one was; what is wrong with it is said without what is in it.
fn sent(wanted: &Wanted) -> Result<Option<Sent>, Refused> {
    let Some(project) = wanted.compose.as_ref().map(Arc::as_ref) else { return Ok(None) };
    Sent::deserialize(project).map(Some).map_err(|_| {
        let report = Report::new("the compose project is not in the form in which one is sent");
        Refused::new(
            RefusedKind::Invalid,
            "invalid-request",
            report.hint("`apm deploy --compose FILE --server URL` sends it"),
        )
    })
}

#[cfg(test)]
mod tests;
