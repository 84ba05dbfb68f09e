//! Several releases at the desk as one plan. How plans are joined is decided elsewhere.

use base_explain::Report;
use operate_deploy::{Part, Refusal};
use operate_plan::{ObjectId, Seen};

use super::{Desk, DeskError, Planned};
use crate::pin::pinned;

impl Desk {
    /// Looks at the world once for several releases of one target, and plans them as one run in the order in which they need each other.
    /// `there` must be there already, and nobody makes it.
    pub async fn plan_all(&self, parts: &[Part], there: &[ObjectId]) -> Result<Planned, DeskError> {
        let Some(first) = parts.first() else {
            return Err(DeskError::Told(Report::new("there is no service to deploy").hint("choose a profile")));
        };
        let (mut named, mut pinning) = (Vec::new(), Vec::new());
        for part in parts {
            let (release, finding) = pinned(&part.release, &*self.target, &*self.registries).await?;
            named.push(Part { release, needs: part.needs.clone() });
            pinning.extend(finding);
        }
        let parts = named.as_slice();
        let mut objects: Vec<_> = parts.iter().flat_map(|part| operate_deploy::objects(&part.release)).collect();
        objects.extend(there.iter().cloned());
        objects.sort();
        objects.dedup();
        let seen = self.target.survey(&objects).await;
        if let Some(missing) = there.iter().find(|object| seen.look(object) == Seen::Absent) {
            let report = Report::new(format!("{missing} is external, and is not there"));
            return Err(DeskError::Told(report.hint(format!("docker {} create {}", missing.kind, missing.name))));
        }
        let now_ms = self.world.clock.now_ms();
        let plan = match operate_deploy::plan_all(parts, &seen, now_ms) {
            Ok(plan) => plan,
            Err(left_over @ Refusal::LeftOver { .. }) => {
                self.nobody_changes(&first.release.target).await?;
                return Err(left_over.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.weighed(&first.release, plan, &seen, now_ms, pinning).await
    }
}
