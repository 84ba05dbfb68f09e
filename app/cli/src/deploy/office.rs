//! Where runs are looked up, ordered about and carried out: the history at hand and this process, or an engine over its port. The commands
//! do not know which.

use std::sync::Arc;

use app_deploy::{Asked, Desk, Hanging, Planned, Project, Remote, Standing};
use base_explain::Report;
use base_world::World;
use operate_execute::{Command, Entry, Filter, RunId, RunRow, State};
use operate_plan::Plan;

use super::start::Back;
use super::{desk, follow, project};
use crate::args::{Global, Places, ServerArgs};
use crate::output::Failure;

/// A token is not longer.
const TOKEN_BYTES_MAX: u64 = 4 << 10;

pub(crate) enum Office {
    Here(Arc<Desk>, Box<Project>),
    There(Box<Remote>),
}

impl Office {
    pub(super) async fn open(global: &Global, places: &Places, server: &ServerArgs) -> Result<Office, Failure> {
        let world = World::real();
        if let Some(url) = &server.server {
            let remote = Remote::new(url, token(&world, server)?.as_deref())?;
            return Ok(Office::There(Box::new(remote)));
        }
        let project = project(&world, global)?;
        let desk = Arc::new(desk(global, &project, places).await?);
        Ok(Office::Here(desk, Box::new(project)))
    }

    /// The newest first.
    pub(super) async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, Failure> {
        Ok(match self {
            Office::Here(desk, _) => desk.runs(filter).await?,
            Office::There(remote) => remote.runs(filter).await?,
        })
    }

    /// The run that is meant by a name, or by nothing.
    pub(super) async fn find(&self, name: Option<&str>) -> Result<RunId, Failure> {
        Ok(match self {
            Office::Here(desk, _) => desk.find(name).await?,
            Office::There(remote) => remote.find(name).await?,
        })
    }

    /// The newest first.
    pub(super) async fn promotions(&self, limit: usize) -> Result<Vec<Standing>, Failure> {
        Ok(match self {
            Office::Here(desk, _) => desk.standings(limit).await?,
            Office::There(remote) => remote.standings(limit).await?,
        })
    }

    /// The promotion of this name, if it is one's.
    pub(super) async fn promotion(&self, name: Option<&str>) -> Result<Option<Standing>, Failure> {
        let Some(name) = name else { return Ok(None) };
        Ok(match self {
            Office::Here(desk, _) => match desk.promotion(name).await? {
                Some(promotion) => Some(desk.standing(promotion).await?),
                None => None,
            },
            Office::There(remote) => remote.standing(name).await?,
        })
    }

    /// A run's journal after an entry.
    pub(super) async fn entries(&self, run: &RunId, after: u64) -> Result<Vec<Entry>, Failure> {
        Ok(match self {
            Office::Here(desk, _) => desk.entries(run, after).await?,
            Office::There(remote) => remote.entries(run, after).await?,
        })
    }

    pub(super) async fn look(&self, run: &RunId) -> Result<(Plan, State), Failure> {
        Ok(match self {
            Office::Here(desk, _) => desk.look(run).await?,
            Office::There(remote) => remote.look(run).await?,
        })
    }

    /// Releases of Helm that say pending, of this project's charts and of a plan. Of the clusters that an engine elsewhere has nothing is known here.
    pub(super) async fn hanging(&self, plan: Option<&Plan>) -> Vec<Result<Hanging, Report>> {
        match self {
            Office::Here(desk, project) => desk.hanging(project, plan).await,
            Office::There(_) => Vec::new(),
        }
    }

    pub(super) async fn order(&self, run: &RunId, command: Command) -> Result<(), Failure> {
        match self {
            Office::Here(desk, _) => desk.order(run, command).await?,
            Office::There(remote) => remote.order(run, &command).await?,
        }
        Ok(())
    }

    /// Which environment is meant, for filters; an engine has one of its own that is not known here.
    pub(super) fn environment(&self, global: &Global) -> Option<String> {
        match self {
            Office::Here(_, project) => Some(project.environment.clone()),
            Office::There(_) => global.env.clone(),
        }
    }

    /// A plan of what is asked for; changes nothing.
    pub(super) async fn plan(&self, global: &Global, asked: &Asked, back: Option<&Back>) -> Result<Planned, Failure> {
        match self {
            Office::Here(desk, project) => {
                let wanted = match back {
                    Some(_) => desk.wanted_before(project, asked).await?,
                    None => desk.wanted(project, asked).await.map_err(Failure::Usage)?,
                };
                Ok(desk.plan_wanted(&wanted).await?)
            }
            Office::There(remote) => match back.and_then(|back| back.run.as_ref()) {
                Some(run) => Ok(remote.prepare_back(run, asked).await?),
                None => Ok(remote.prepare(asked, global.env.as_deref()).await?),
            },
        }
    }

    /// A run of what was asked for. An engine plans anew when it begins: what it saw may have moved since.
    pub(super) async fn begin(
        &self,
        global: &Global,
        asked: &Asked,
        back: Option<&Back>,
        planned: &Planned,
    ) -> Result<RunId, Failure> {
        Ok(match (self, back.and_then(|back| back.run.as_ref())) {
            (Office::Here(desk, _), _) => desk.create(planned, &asked.actor, &asked.reason).await?,
            (Office::There(remote), Some(run)) => remote.back(run, asked).await?,
            (Office::There(remote), None) => remote.create(asked, global.env.as_deref()).await?,
        })
    }

    /// Carries a run out, or follows whoever does, to its end; returns the exit code.
    pub(super) async fn carry_out(&self, global: &Global, run: &RunId) -> Result<u8, Failure> {
        match self {
            Office::Here(desk, _) => follow::carry_out(global, desk, run).await,
            Office::There(remote) => follow::follow(global, remote, run).await,
        }
    }
}

/// What is shown to the engine.
fn token(world: &World, server: &ServerArgs) -> Result<Option<String>, Failure> {
    let Some(path) = &server.token_file else {
        return Ok(std::env::var("APM_TOKEN").ok().filter(|token| !token.is_empty()));
    };
    let bytes = world.disk.read(path, TOKEN_BYTES_MAX).map_err(|error| Failure::Usage(Report::of(&error)))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let token = text.trim();
    if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let report = Report::new(format!("{} holds no token", path.display()));
        return Err(Failure::Usage(report.hint("one line with nothing but the token")));
    }
    Ok(Some(token.to_owned()))
}
