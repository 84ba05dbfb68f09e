//! Promotions as an engine carries them out: decided, looked at, and each stage begun by somebody's yes. Which stage comes next is decided
//! elsewhere.

use base_explain::Report;
use operate_execute::RunId;

use super::Keeper;
use crate::{Asked, Decided, Desk, DeskError, Planned, Probe, Project, PromoteAsk, Standing, decide};

impl Keeper {
    fn read(&self) -> impl Fn(Option<&str>) -> Result<Project, Report> + Sync {
        |environment| (self.0.project)(environment)
    }

    /// Decides a promotion and keeps it; begins nothing. `environment` is whose settings say the way.
    pub async fn promote(&self, ask: &PromoteAsk, environment: Option<&str>) -> Result<Decided, DeskError> {
        let desk = self.desk().await?;
        let docker = self.0.docker.as_ref().ok_or_else(|| DeskError::Told(Report::new("there is no Docker")))?;
        let probe = Probe::at(&self.0.world, docker).map_err(DeskError::Told)?;
        let read = |named: Option<&str>| (self.0.project)(named.or(environment));
        decide(desk, &probe, &read, ask).await
    }

    /// The newest first.
    pub async fn standings(&self, limit: usize) -> Result<Vec<Standing>, DeskError> {
        match self.desk_if_any().await? {
            Some(desk) => desk.standings(limit).await,
            None => Ok(Vec::new()),
        }
    }

    pub async fn standing(&self, id: &str) -> Result<Standing, DeskError> {
        match self.desk_if_any().await? {
            Some(desk) => desk.standing_of(id).await,
            None => Err(DeskError::Absent {
                code: "no-promotion",
                report: Report::new(format!("there is no promotion `{id}`")).hint("nothing was deployed yet"),
            }),
        }
    }

    /// The plan of what a yes would begin now; changes nothing.
    pub async fn plan_next(&self, id: &str, asked: &Asked) -> Result<Planned, DeskError> {
        let standing = self.standing(id).await?;
        let (_, planned) = self.desk().await?.plan_next(&self.read(), &standing, &self.reachable(asked)).await?;
        Ok(planned)
    }

    /// A yes: the next stage is planned and begun here.
    pub async fn approve_next(&self, id: &str, asked: &Asked, role: &str) -> Result<RunId, DeskError> {
        let _one = self.0.beginning.lock().await;
        let (desk, standing) = (self.desk().await?, self.standing(id).await?);
        let asked = self.reachable(asked);
        // Of a target that somebody changes nothing can be said.
        let (stage, planned) = desk.plan_next(&self.read(), &standing, &asked).await?;
        self.free(desk, &planned.plan.target).await?;
        let run = desk.begin_stage(&standing, stage, &planned, &asked.actor, role, &asked.reason).await?;
        self.carry(run.clone(), planned.plan.target.clone(), true);
        Ok(run)
    }

    /// A no: it goes no further.
    pub async fn reject_next(&self, id: &str, actor: &str, role: &str, reason: &str) -> Result<Standing, DeskError> {
        let standing = self.standing(id).await?;
        let desk: &Desk = self.desk().await?;
        desk.reject(&standing.promotion, actor, role, reason).await?;
        desk.standing(standing.promotion).await
    }
}
