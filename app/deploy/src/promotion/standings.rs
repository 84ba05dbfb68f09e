//! Promotions as they stand, one by its name or the newest of all, and the plan of what comes next. What comes next is decided elsewhere.

use base_explain::Report;

use super::Standing;
use crate::{Asked, Desk, DeskError, Planned, Project};

impl Desk {
    /// The newest first.
    pub async fn standings(&self, limit: usize) -> Result<Vec<Standing>, DeskError> {
        let mut all = Vec::new();
        for promotion in self.promotions(limit).await? {
            all.push(self.standing(promotion).await?);
        }
        Ok(all)
    }

    /// The one of this name, as it stands.
    pub async fn standing_of(&self, id: &str) -> Result<Standing, DeskError> {
        let promotion = self.promotion(id).await?.ok_or_else(|| DeskError::Absent {
            code: "no-promotion",
            report: Report::new(format!("there is no promotion `{id}`")).hint("`apm deploy list` names them"),
        })?;
        self.standing(promotion).await
    }

    /// What a yes begins now: the stage and its plan. `read` gives the settings of an environment.
    pub async fn plan_next(
        &self,
        read: &(dyn Fn(Option<&str>) -> Result<Project, Report> + Sync),
        standing: &Standing,
        asked: &Asked,
    ) -> Result<(usize, Planned), DeskError> {
        let stage = Desk::begins(standing, &asked.reason)?;
        let environment = standing.promotion.stages.get(stage).cloned().unwrap_or_default();
        let project = read(Some(&environment)).map_err(DeskError::Settings)?;
        Ok((stage, self.plan_stage(&project, standing, stage, asked).await?))
    }
}
