//! `apm deploy`: hands the words to the desk and shows what comes of it. What a release is and how it is carried out is decided there.

mod artefacts;
mod compose;
mod progress;
pub(crate) mod prune;
mod start;

use std::sync::Arc;

use app_deploy::{Desk, DeskError, DeskOptions, DockerSurroundings, KeeperOptions, Project};
use base_explain::Report;
use base_world::World;
use operate_execute::{Command, Filter, Order, RunError, RunId, State, Status, Tell};
use operate_plan::{Severity, StepId};

use crate::args::{DeployArgs, DeployCommand, Global, OrderArgs, Places, RunName, UpArgs};
use crate::config::{tree, xdg};
use crate::output::{Failure, note, paint, say};
use crate::run::find;

/// Ended, and what the shell is told.
fn code(status: Status) -> u8 {
    match status {
        Status::Complete => 0,
        Status::RolledBack => 1,
        _ => 3,
    }
}

pub(crate) fn deploy(global: &Global, args: &DeployArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let ended = runtime.block_on(async {
        match &args.what {
            None => start::start(global, &args.start, None).await,
            Some(DeployCommand::Start(start)) => start::start(global, start, None).await,
            Some(DeployCommand::Rollback(back)) => start::rollback(global, back).await,
            Some(DeployCommand::List { limit, places }) => list(global, *limit, places).await,
            Some(DeployCommand::Status(name)) => status(global, name).await,
            Some(DeployCommand::Prune(args)) => prune::prune(global, args).await,
            Some(DeployCommand::Plan(name)) => plan(global, name).await,
            Some(DeployCommand::Artefacts { name, get }) => artefacts::artefacts(global, name, get.as_deref()).await,
            Some(DeployCommand::Watch(name)) => watch(global, name).await,
            Some(DeployCommand::Approve(order)) => give(global, order, |step| Some(Order::Approve(step?))).await,
            Some(DeployCommand::Reject(order)) => give(global, order, |step| Some(Order::Reject(step?))).await,
            Some(DeployCommand::Skip(order)) => give(global, order, |step| Some(Order::Skip(step?))).await,
            Some(DeployCommand::Pause(order)) => give(global, order, |_| Some(Order::Pause)).await,
            Some(DeployCommand::Resume(order)) => give(global, order, |_| Some(Order::Resume)).await,
            Some(DeployCommand::Cancel(order)) => give(global, order, |_| Some(Order::Cancel)).await,
        }
    });
    runtime.shutdown_background();
    ended
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Failure {
        match &error {
            DeskError::Refused(_)
            | DeskError::Lint(_)
            | DeskError::Ended { .. }
            | DeskError::Occupied { .. }
            | DeskError::Run(RunError::Busy { .. } | RunError::Overtaken { .. }) => Failure::Refused(error.report()),
            DeskError::NoStep { .. } | DeskError::NoReason { .. } => Failure::Usage(error.report()),
            _ => Failure::Broken(error.report()),
        }
    }
}

/// What people are told while a run goes on.
struct OnStderr;

impl Tell for OnStderr {
    fn tell(&self, run: &RunId, severity: Severity, message: &str) {
        note(&format!("{severity}: {run}: {message}"));
    }
}

/// The project's settings for the chosen environment.
fn project(world: &World, global: &Global) -> Result<Project, Failure> {
    project_in(world, global, global.env.as_deref()).map_err(Failure::Usage)
}

fn project_in(world: &World, global: &Global, environment: Option<&str>) -> Result<Project, Report> {
    let tree = tree(world, global, &UpArgs::default())?;
    Project::read(tree, environment, &folder_name()).map_err(|error| error.report().clone())
}

/// What a project is called that does not say.
fn folder_name() -> String {
    let folder = std::env::current_dir().ok();
    let folder = folder.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_else(|| "default".to_owned()).to_ascii_lowercase()
}

/// Where the project's runs are kept.
fn history(project: &str, given: Option<String>) -> String {
    let data = xdg("XDG_DATA_HOME", ".local/share").join("apm").join(project);
    given.unwrap_or_else(|| data.join("history.db").display().to_string())
}

/// The same desk for an engine that takes deployments over its API.
pub(crate) fn serving(global: Global, history_given: Option<String>) -> Result<KeeperOptions, Failure> {
    let name = crate::config::project(&World::real(), &global).map_err(Failure::Usage)?.unwrap_or_else(folder_name);
    let named = || std::env::var("APM_HISTORY").ok().filter(|place| !place.is_empty());
    Ok(KeeperOptions {
        history: history(&name, history_given.or_else(named)),
        state_folder: xdg("XDG_STATE_HOME", ".local/state").join("apm"),
        docker: DockerSurroundings::from_variables(|name| std::env::var(name).ok()),
        project: Box::new(move |environment| {
            project_in(&World::real(), &global, environment.or(global.env.as_deref()))
        }),
        owner: actor(),
    })
}

/// Everything that is needed, found as the other commands find it.
async fn desk(global: &Global, project: &Project, places: &Places) -> Result<Desk, Failure> {
    let world = World::real();
    let engine = find(global);
    let engine_url = global.url.clone().or_else(|| Some(engine.as_ref()?.url.clone()));
    let engine_url = engine_url.unwrap_or_else(|| "http://127.0.0.1:4300".to_owned());
    let options = DeskOptions {
        history: history(&project.name, places.history.clone()),
        state_folder: xdg("XDG_STATE_HOME", ".local/state").join("apm"),
        docker: DockerSurroundings::from_variables(|name| std::env::var(name).ok()),
        prometheus: project.judge.prometheus.clone().unwrap_or_else(|| engine_url.clone()),
        loki: project.judge.loki.clone().unwrap_or(engine_url),
        token: std::env::var("APM_TOKEN").ok().filter(|token| !token.is_empty()),
        holder: format!("apm {} of {}", std::process::id(), actor()),
        tell: Arc::new(OnStderr),
        notify: project.notify.clone(),
        world,
    };
    Ok(Desk::open(options).await?)
}

/// Who asks.
fn actor() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

async fn list(global: &Global, limit: usize, places: &Places) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, places).await?;
    let rows = desk.runs(&Filter { limit, ..Filter::default() }).await?;
    if rows.is_empty() {
        say(global, "nothing was deployed yet; begin with `apm deploy`");
        return Ok(0);
    }
    let wide = rows.iter().map(|row| row.run.0.len()).max().unwrap_or(0);
    for row in rows {
        let age = progress::ago(World::real().clock.now_ms() - row.created_ms);
        let mut line = format!("{:<wide$}  {:<12} {age:>10}  {}", row.run.0, row.status.word(), row.title);
        if !row.sentence.is_empty() && row.status != Status::Complete {
            line.push_str(&format!(" ({})", row.sentence));
        }
        say(global, &line);
    }
    Ok(0)
}

async fn status(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, &name.places).await?;
    let run = desk.find(name.run.as_deref()).await?;
    let (plan, state) = desk.look(&run).await?;
    say(global, &format!("{run}: {}, {} %", plan.title, state.percent(&plan)));
    for line in progress::table(&plan, &state) {
        say(global, &line);
    }
    say(global, &progress::standing(&plan, &state));
    Ok(if state.status().is_end() { code(state.status()) } else { 0 })
}

async fn plan(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, &name.places).await?;
    let run = desk.find(name.run.as_deref()).await?;
    let (plan, _) = desk.look(&run).await?;
    say(global, operate_plan::report(&plan, &[]).trim_end());
    Ok(0)
}

/// Follows; a run whose executor is gone is carried on here.
async fn watch(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = Arc::new(desk(global, &project, &name.places).await?);
    let run = desk.find(name.run.as_deref()).await?;
    progress::carry_out(global, &desk, &run).await
}

async fn give(
    global: &Global,
    args: &OrderArgs,
    order: impl Fn(Option<StepId>) -> Option<Order>,
) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, &args.places).await?;
    let run = desk.find(args.run.as_deref()).await?;
    let (_, state) = desk.look(&run).await?;
    let step = args.step.as_deref().map(StepId::from).or_else(|| waiting(&state));
    let Some(order) = order(step) else {
        let report = Report::new(format!("no step of {run} waits for anybody"));
        return Err(Failure::Usage(report.hint("`--step` names one; `apm deploy status` lists them")));
    };
    let command = Command { order, actor: actor(), reason: args.reason.clone() };
    desk.order(&run, command).await?;
    say(global, &paint(global, "2", &format!("said so to {run}; `apm deploy watch {run}` follows it")));
    Ok(0)
}

/// The step that a person is asked about, or that stopped.
fn waiting(state: &State) -> Option<StepId> {
    let waits = |step: &operate_execute::StepState| {
        !step.is_over() && (step.asked && step.answer.is_none() || step.halted || step.failure.is_some())
    };
    state.steps.iter().find(|(_, step)| waits(step)).map(|(id, _)| id.clone())
}
