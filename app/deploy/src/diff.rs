//! What a release would change, as the desk finds it: what is seen now, and what the containers were made from by earlier runs. It changes
//! nothing.

use std::collections::BTreeMap;

use base_explain::Report;
use operate_deploy::{ClusterRelease, Difference, FleetPart, Refusal, Release, differences, label, objects};
use operate_execute::Filter;
use operate_plan::{Plan, Work};
use serde_json::Value;

use crate::cluster::error_at;
use crate::{ContainerLogs, Desk, DeskError, Wanted};

/// Runs in which the making of a container is looked for.
const RUNS_MAX: usize = 50;

impl Desk {
    /// What the pods of a run write; nothing if it is not one on a cluster.
    pub fn pod_logs(&self, plan: &Plan) -> Option<Result<ContainerLogs, DeskError>> {
        ContainerLogs::of_pods(&self.clusters, plan)
    }

    /// The service, its version, and what would be otherwise after the release, on whatever it runs.
    pub async fn differences(&self, wanted: &Wanted) -> Result<(String, String, Vec<Difference>), DeskError> {
        match wanted {
            Wanted::Containers(release) => {
                let found = self.differences_of_containers(release).await?;
                Ok((release.service.clone(), release.version.clone(), found))
            }
            Wanted::Objects(release) => {
                let found = self.differences_of_objects(release).await?;
                Ok((release.service.clone(), release.version.clone(), found))
            }
            Wanted::Fleet(fleet) => {
                let mut all = Vec::new();
                for FleetPart { name, release } in &fleet.parts {
                    let found = self.differences_of_objects(release).await.map_err(|error| error_at(name, error))?;
                    all.extend(
                        found
                            .into_iter()
                            .map(|one| Difference { container: format!("{name}:{}", one.container), ..one }),
                    );
                }
                let first =
                    fleet.parts.first().map(|part| (part.release.service.clone(), part.release.version.clone()));
                let (service, version) = first.unwrap_or_default();
                Ok((service, version, all))
            }
        }
    }

    async fn differences_of_objects(&self, release: &ClusterRelease) -> Result<Vec<Difference>, DeskError> {
        let compared = self.compare(release, false).await?;
        // Half an answer would read as a whole one.
        if let Some(unknown) = compared.unknown.first() {
            let report = Report::new(format!("nobody can say what would become of {}", unknown.object));
            return Err(DeskError::Told(report.because(unknown.why.clone()).hint(unknown.next.clone())));
        }
        Ok(compared.differences())
    }

    async fn differences_of_containers(&self, release: &Release) -> Result<Vec<Difference>, DeskError> {
        // A tag is what it is now, as a plan would take it.
        let (release, _) = self.pinned(release).await?;
        let seen = self.survey(&objects(&release)).await;
        if let Some((object, failure)) = seen.unknown().next() {
            return Err(Refusal::Unknown { object: object.clone(), failure: failure.clone() }.into());
        }
        let labels = [("service", &release.service), ("environment", &release.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
        let mut made: BTreeMap<String, Value> = BTreeMap::new();
        for row in self.runs(&Filter { labels, limit: RUNS_MAX, ..Filter::default() }).await? {
            let plan = self.plan_of(&row.run).await?;
            for step in &plan.steps {
                let Work::Act(act) = &step.work else { continue };
                if let Some(config) = act.with["body"]["Labels"][label::CONFIG].as_str() {
                    made.entry(config.to_owned()).or_insert_with(|| act.with.clone());
                }
            }
        }
        Ok(differences(&release, &seen, |config| made.get(config).cloned()))
    }
}
