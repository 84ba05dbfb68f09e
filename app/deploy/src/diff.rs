//! What a release would change, as the desk finds it: what is seen now, and what the containers were made from by earlier runs. It changes
//! nothing.

use std::collections::BTreeMap;

use operate_deploy::{Difference, Refusal, Release, differences, label, objects};
use operate_execute::Filter;
use operate_plan::Work;
use serde_json::Value;

use crate::{Desk, DeskError};

/// Runs in which the making of a container is looked for.
const RUNS_MAX: usize = 50;

impl Desk {
    /// What would be otherwise after the release.
    pub async fn differences(&self, release: &Release) -> Result<Vec<Difference>, DeskError> {
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
