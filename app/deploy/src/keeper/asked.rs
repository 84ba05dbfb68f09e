//! What is looked at by an engine on behalf of whoever asks: the judge's word, what a release would change, what containers write, and releases of
//! compose projects that were sent. It changes nothing but what a release changes.

use base_explain::Report;
use operate_deploy::Difference;
use operate_execute::RunId;
use operate_history::Action;
use tokio::sync::mpsc;

use super::Keeper;
use crate::{
    Asked, ContainerLogs, DeskError, Heard, JudgeAsk, Lines, LogsOf, Looked, Output, Planned, Replay, Sent, parts,
};

impl Keeper {
    /// The judge's word on a run, or on a service as it is.
    pub async fn judge(&self, ask: &JudgeAsk, environment: Option<&str>) -> Result<Looked, DeskError> {
        let (desk, project) = (self.desk().await?, self.project(environment)?);
        desk.judging()?.on(desk, &project, ask).await
    }

    /// All past releases judged again.
    pub async fn replay(
        &self,
        service: Option<&str>,
        environment: Option<&str>,
        since_ms: i64,
    ) -> Result<(String, Replay), DeskError> {
        let (desk, project) = (self.desk().await?, self.project(environment)?);
        let (service, _) = project.chosen(service).map_err(DeskError::Settings)?;
        let replay = desk.judging()?.replay(desk, &project, &service, since_ms, |_| {}).await?;
        Ok((service, replay))
    }

    /// What a release would change, and its service and version.
    pub async fn differences(
        &self,
        asked: &Asked,
        environment: Option<&str>,
    ) -> Result<(String, String, Vec<Difference>), DeskError> {
        let desk = self.desk().await?;
        desk.differences(&self.wanted(desk, asked, environment).await?).await
    }

    async fn logs_of(&self, run: &RunId) -> Result<(ContainerLogs, LogsOf), DeskError> {
        let desk = self.desk().await?;
        let plan = desk.plan_of(run).await?;
        if let Some(pods) = desk.pod_logs(&plan) {
            return Ok((pods?, LogsOf::run(&plan)));
        }
        let surroundings = self.0.docker.as_ref().ok_or_else(|| DeskError::Told(Report::new("there is no Docker")))?;
        Ok((ContainerLogs::open(surroundings, &*self.0.world.disk)?, LogsOf::run(&plan)))
    }

    /// What the containers of a run have written.
    pub async fn output(&self, run: &RunId, lines: Lines) -> Result<Output, DeskError> {
        let (engine, of) = self.logs_of(run).await?;
        Ok(engine.output(&of, lines).await)
    }

    /// What they write from now on too, until nobody listens.
    pub async fn follow_output(&self, run: &RunId, lines: Lines) -> Result<mpsc::Receiver<Heard>, DeskError> {
        let (engine, of) = self.logs_of(run).await?;
        Ok(engine.follow(of, lines))
    }

    /// The plan of a compose project that was sent; changes nothing, and keeps nothing of it.
    pub async fn plan_sent(
        &self,
        asked: &Asked,
        environment: Option<&str>,
        sent: &Sent,
    ) -> Result<(Planned, Vec<String>), DeskError> {
        let desk = self.desk().await?;
        let mut project = self.project(environment)?;
        let given = sent.place(&self.0.state_folder, &self.0.history);
        let composed = project.take_in_sent(sent, &given, &*self.0.world.disk)?;
        let parts = parts(desk, &project, &composed, &self.reachable(asked))?;
        Ok((desk.plan_all(&parts, &composed.external).await?, composed.notes))
    }

    /// The same carried out: files that were sent are kept first, so that containers find them.
    pub async fn begin_sent(
        &self,
        asked: &Asked,
        environment: Option<&str>,
        role: &str,
        sent: &Sent,
    ) -> Result<RunId, DeskError> {
        let _one = self.0.beginning.lock().await;
        let desk = self.desk().await?;
        let (planned, _) = self.plan_sent(asked, environment, sent).await?;
        let target = planned.plan.target.clone();
        self.free(desk, &target).await?;
        sent.keep(&sent.place(&self.0.state_folder, &self.0.history), &*self.0.world.disk).map_err(|error| {
            DeskError::Told(Report::of(&error).because("files that were sent have to be kept for the containers"))
        })?;
        let run = desk.create_as(&planned, &asked.actor, role, Action::Create, &asked.reason).await?;
        self.carry(run.clone(), target, true);
        Ok(run)
    }
}
