//! What a person asks the judge: about a service as it runs now, or about one release. It finds the runs that are meant and hands them on.

use operate_execute::{Filter, RunId, Status};

use super::{Judging, Looked};
use crate::{Desk, DeskError, Project};
use base_explain::Report;

/// About what the judge is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JudgeAsk {
    /// This release, as it went; else the service as it runs now.
    pub run: Option<String>,
    /// May be left out where there is one service only.
    pub service: Option<String>,
}

impl Desk {
    /// The judge as this desk asks him.
    pub fn judging(&self) -> Result<Judging, DeskError> {
        let telemetry = self.telemetry.clone().ok_or_else(|| {
            let report = Report::new("nobody said where telemetry is");
            DeskError::Told(report.hint("`judge: { prometheus: URL }` in apm.yaml names it"))
        })?;
        Ok(Judging { telemetry, clock: self.world.clock.clone() })
    }
}

impl Judging {
    /// His word on what is asked.
    pub async fn on(&self, desk: &Desk, project: &Project, ask: &JudgeAsk) -> Result<Looked, DeskError> {
        let mut looked = match &ask.run {
            Some(name) => self.on_run(desk, project, &RunId(name.clone())).await?,
            None => self.on_service(desk, project, ask.service.as_deref()).await?,
        };
        let shown = |url: &Option<String>| url.as_deref().map(app_adapt::without_password);
        (looked.prometheus, looked.loki) = (shown(&project.judge.prometheus), shown(&project.judge.loki));
        Ok(looked)
    }

    async fn on_run(&self, desk: &Desk, project: &Project, run: &RunId) -> Result<Looked, DeskError> {
        let (plan, entries) = (desk.plan_of(run).await?, desk.entries(run, 0).await?);
        let never = || {
            let report = Report::new(format!("no judge was ever asked about {run}"));
            DeskError::Absent { code: "never-judged", report }
        };
        self.of(project, &plan, &entries).await.ok_or_else(never)
    }

    async fn on_service(&self, desk: &Desk, project: &Project, service: Option<&str>) -> Result<Looked, DeskError> {
        let (service, _) = project.chosen(service).map_err(DeskError::Settings)?;
        let labels = [("service", service.clone()), ("environment", project.environment.clone())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value)).into();
        let filter = Filter { status: Some(Status::Complete), labels, limit: 1, ..Filter::default() };
        let newest = match desk.runs(&filter).await?.into_iter().next() {
            Some(row) => Some((desk.plan_of(&row.run).await?, desk.entries(&row.run, 0).await?)),
            None => None,
        };
        Ok(self.now(project, &service, newest.as_ref().map(|(plan, entries)| (plan, entries.as_slice()))).await)
    }
}
