//! `apm deploy`: hands the words to the desk and shows what comes of it. What a release is and how it is carried out is decided there.

pub(crate) mod adopt;
mod artefacts;
mod compose;
pub(crate) mod diff;
mod dora;
pub(crate) mod follow;
mod frame;
pub(crate) mod judge;
pub(crate) mod logs;
pub(crate) mod office;
mod progress;
pub(crate) mod promote;
pub(crate) mod prune;
mod screen;
pub(crate) mod start;
pub(crate) mod tag;
mod wizard;

use std::collections::BTreeSet;
use std::sync::Arc;

use app_deploy::{
    Asked, AskedAt, Desk, DeskError, DeskOptions, DockerSurroundings, KeeperOptions, KubeSurroundings, Project,
    RemoteError,
};
use base_explain::Report;
use base_world::World;
use operate_execute::{Command, Filter, Order, RunError, RunId, RunRow, State, Status, Tag, Tell};
use operate_plan::{Plan, Severity, StepId};

use crate::args::{DeployArgs, DeployCommand, Global, OrderArgs, Places, ReleaseArgs, RunName, ServerArgs, UpArgs};
use crate::config::{tree, xdg};
use crate::output::{Failure, note, paint, say};
use crate::run::find;
use office::Office;

/// Ended, and what the shell is told.
pub(crate) fn code(status: Status) -> u8 {
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
            None if wizard::is_wanted(&args.start) => wizard::wizard(global, &args.start).await,
            None => start::start(global, &args.start).await,
            Some(DeployCommand::Start(start)) => start::start(global, start).await,
            Some(DeployCommand::Rollback(back)) => start::rollback(global, back).await,
            Some(DeployCommand::List { limit, tag, places, server }) => list(global, *limit, tag, places, server).await,
            Some(DeployCommand::Dora { since, output, places, server }) => {
                let office = Office::open(global, places, server).await?;
                dora::dora(global, since, output, &office).await
            }
            Some(DeployCommand::Status(name)) => status(global, name).await,
            Some(DeployCommand::Prune(args)) => prune::prune(global, args).await,
            Some(DeployCommand::Plan(name)) => plan(global, name).await,
            Some(DeployCommand::Tag(args)) => tag::change(global, args).await,
            Some(DeployCommand::Artefacts { name, tag, get }) => {
                artefacts::artefacts(global, name, tag, get.as_deref()).await
            }
            Some(DeployCommand::Watch(name)) => watch(global, name).await,
            Some(DeployCommand::Adopt(args)) => adopt::adopt(global, args).await,
            Some(DeployCommand::Diff(args)) => diff::diff(global, args).await,
            Some(DeployCommand::Logs(args)) => logs::logs(global, args).await,
            Some(DeployCommand::Judge(args)) => judge::judge(global, args).await,
            Some(DeployCommand::Promote(args)) => promote::promote(global, args).await,
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
            | DeskError::Tags(_)
            | DeskError::Standing(_)
            | DeskError::HostPath(_)
            | DeskError::Occupied { .. }
            | DeskError::Run(RunError::Busy { .. } | RunError::Overtaken { .. }) => Failure::Refused(error.report()),
            DeskError::Settings(_) | DeskError::NoStep { .. } | DeskError::NoReason { .. } => {
                Failure::Usage(error.report())
            }
            _ => Failure::Broken(error.report()),
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Failure {
        let report = error.report().clone();
        match &error {
            // As the same refusals end here.
            RemoteError::Refused { code, .. }
                if ["settings", "invalid-request", "no-step", "nothing-waits"].contains(&code.as_str()) =>
            {
                Failure::Usage(report)
            }
            RemoteError::Refused { status: 401 | 403 | 409 | 422, .. } => Failure::Refused(report),
            _ => Failure::Broken(report),
        }
    }
}

/// What people are told while a run goes on.
struct OnStderr;

impl Tell for OnStderr {
    fn tell(&self, run: &RunId, severity: Severity, message: &str) {
        // A picture of the run shows the same.
        if screen::is_drawn() {
            return;
        }
        note(&format!("{severity}: {run}: {message}"));
    }
}

/// The project's settings for the chosen environment.
pub(crate) fn project(world: &World, global: &Global) -> Result<Project, Failure> {
    project_in(world, global, global.env.as_deref()).map_err(Failure::Usage)
}

pub(crate) fn project_in(world: &World, global: &Global, environment: Option<&str>) -> Result<Project, Report> {
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
        program: program(),
        docker: DockerSurroundings::from_variables(|name| std::env::var(name).ok()),
        kube: KubeSurroundings::from_variables(|name| std::env::var(name).ok()),
        project: Box::new(move |environment| {
            project_in(&World::real(), &global, environment.or(global.env.as_deref()))
        }),
        owner: actor(),
    })
}

/// This very program.
fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "apm".into())
}

/// Whom the judge asks.
fn asked_of(global: &Global, project: &Project) -> AskedAt {
    let engine = global.url.clone().or_else(|| Some(find(global)?.url));
    let engine = engine.unwrap_or_else(|| "http://127.0.0.1:4300".to_owned());
    project.judge.places(engine, std::env::var("APM_TOKEN").ok().filter(|token| !token.is_empty()))
}

/// Everything that is needed, found as the other commands find it.
pub(crate) async fn desk(global: &Global, project: &Project, places: &Places) -> Result<Desk, Failure> {
    let world = World::real();
    let options = DeskOptions {
        history: history(&project.name, places.history.clone()),
        state_folder: xdg("XDG_STATE_HOME", ".local/state").join("apm"),
        program: program(),
        docker: DockerSurroundings::from_variables(|name| std::env::var(name).ok()),
        kube: KubeSurroundings::from_variables(|name| std::env::var(name).ok()),
        places: asked_of(global, project),
        holder: format!("apm {} of {}", std::process::id(), actor()),
        tell: Arc::new(OnStderr),
        notify: project.notify.clone(),
        world,
    };
    Ok(Desk::open(options).await?)
}

/// What the command line says about a release.
fn asked(global: &Global, args: &ReleaseArgs) -> Asked {
    Asked {
        service: args.service.clone(),
        image: args.image.clone(),
        version: args.version.clone(),
        actor: actor(),
        // Containers that share the machine's network reach it; others are told by their settings.
        otlp_endpoint: find(global).and_then(|engine| engine.otlp_http),
        ..Asked::default()
    }
}

/// What an answer lacks, a line each, beside it.
fn lacking(global: &Global, degraded: &[operate_plan::Degraded]) {
    for one in degraded {
        note(&paint(global, "33", &one.to_string()));
    }
}

/// Who asks.
pub(crate) fn actor() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".to_owned())
}

/// One line of the list.
struct Row {
    name: String,
    word: &'static str,
    created_ms: i64,
    text: String,
}

impl Row {
    fn of(row: RunRow) -> Row {
        let mut text = row.title;
        if !row.sentence.is_empty() && row.status != Status::Complete {
            text.push_str(&format!(" ({})", row.sentence));
        }
        if !row.tags.is_empty() {
            let tags: Vec<&str> = row.tags.iter().map(Tag::as_str).collect();
            text.push_str(&format!(" [{}]", tags.join(", ")));
        }
        Row { name: row.run.0, word: row.status.word(), created_ms: row.created_ms, text }
    }
}

/// Runs and promotions; the runs of a promotion are seen by its `status`.
async fn list(
    global: &Global,
    limit: usize,
    tags: &[Tag],
    places: &Places,
    server: &ServerArgs,
) -> Result<u8, Failure> {
    let office = Office::open(global, places, server).await?;
    let runs = office.runs(&Filter { limit, tags: tags.to_vec(), ..Filter::default() }).await?;
    let mut rows = Vec::new();
    let mut folded = BTreeSet::new();
    // A promotion has no tags; its runs have.
    let promotions = if tags.is_empty() { office.promotions(limit).await? } else { Vec::new() };
    for standing in promotions {
        let (word, text) = promote::row(&standing);
        let name = standing.promotion.id.clone();
        folded.insert(name.clone());
        rows.push(Row { name, word, created_ms: standing.promotion.created_ms, text });
    }
    let is_part = |run: &RunRow| run.labels.get(app_deploy::PROMOTION).is_some_and(|id| folded.contains(id));
    rows.extend(runs.into_iter().filter(|run| !is_part(run)).map(Row::of));
    rows.sort_by_key(|row| std::cmp::Reverse(row.created_ms));
    rows.truncate(limit);
    if rows.is_empty() && !tags.is_empty() {
        say(global, "no run has that tag");
        return Ok(0);
    }
    if rows.is_empty() {
        say(global, "nothing was deployed yet; begin with `apm deploy`");
        return Ok(0);
    }
    let wide = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let age = progress::ago(World::real().clock.now_ms() - row.created_ms);
        say(global, &format!("{:<wide$}  {:<12} {age:>10}  {}", row.name, row.word, row.text));
    }
    Ok(0)
}

async fn status(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let office = Office::open(global, &name.places, &name.server).await?;
    if let Some(standing) = office.promotion(name.run.as_deref()).await? {
        return promote::told(global, &standing);
    }
    let run = match office.find(name.run.as_deref()).await {
        Ok(run) => run,
        // Somebody else may have released it, by the helm that hangs.
        Err(failure) => {
            return if hanging(global, &office, None).await { Ok(1) } else { Err(failure) };
        }
    };
    let (plan, state) = office.look(&run).await?;
    let now = operate_execute::progress(&plan, &state, World::real().clock.now_ms());
    let left = now.eta_ms.filter(|_| !state.status().is_end());
    let left = left.map(|ms| format!(", about {} left", frame::span(ms))).unwrap_or_default();
    say(global, &format!("{run}: {}, {} %{left}", plan.title, now.percent));
    for line in progress::table(&plan, &state) {
        say(global, &line);
    }
    say(global, &progress::standing(&plan, &state));
    let hangs = hanging(global, &office, Some((&plan, &state))).await;
    Ok(match state.status().is_end() {
        true => code(state.status()).max(u8::from(hangs)),
        false => 0,
    })
}

/// Names releases of Helm that say pending, and tells whether one of them hangs. While a run goes on its own helm may be at work.
async fn hanging(global: &Global, office: &Office, run: Option<(&Plan, &State)>) -> bool {
    let is_over = run.is_none_or(|(_, state)| state.status().is_end());
    let mut hangs = false;
    for found in office.hanging(run.map(|(plan, _)| plan)).await {
        match found {
            Ok(one) if one.is_stuck || is_over => {
                hangs |= one.is_stuck;
                say(global, &format!("{}\n  {}", paint(global, "33", &one.says), one.next));
            }
            Ok(_) => {}
            Err(report) => note(&report.one_line()),
        }
    }
    hangs
}

async fn plan(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let office = Office::open(global, &name.places, &name.server).await?;
    let run = office.find(name.run.as_deref()).await?;
    let (plan, _) = office.look(&run).await?;
    say(global, operate_plan::report(&plan, &[]).trim_end());
    Ok(0)
}

/// Follows; a run whose executor is gone is carried on here, unless an engine was named.
async fn watch(global: &Global, name: &RunName) -> Result<u8, Failure> {
    let office = Office::open(global, &name.places, &name.server).await?;
    if let Some(standing) = office.promotion(name.run.as_deref()).await? {
        return promote::watch(global, &office, &standing).await;
    }
    let run = office.find(name.run.as_deref()).await?;
    office.carry_out(global, &run).await
}

async fn give(
    global: &Global,
    args: &OrderArgs,
    order: impl Fn(Option<StepId>) -> Option<Order>,
) -> Result<u8, Failure> {
    let office = Office::open(global, &args.places, &args.server).await?;
    if let Some(standing) = office.promotion(args.run.as_deref()).await? {
        return match order(Some(StepId(String::new()))) {
            Some(Order::Approve(_)) => promote::approve(global, &office, &standing, args).await,
            Some(Order::Reject(_)) => promote::reject(global, &office, &standing, args).await,
            _ => {
                let report = Report::new(format!("{} is a promotion: it takes a yes or a no", standing.promotion.id));
                Err(Failure::Usage(
                    report.hint("`apm deploy status` names the run of each stage, which takes the others"),
                ))
            }
        };
    }
    let run = office.find(args.run.as_deref()).await?;
    let (_, state) = office.look(&run).await?;
    let step = args.step.as_deref().map(StepId::from).or_else(|| waiting(&state));
    let Some(order) = order(step) else {
        let report = Report::new(format!("no step of {run} waits for anybody"));
        return Err(Failure::Usage(report.hint("`--step` names one; `apm deploy status` lists them")));
    };
    let command = Command { order, actor: actor(), reason: args.reason.clone() };
    office.order(&run, command).await?;
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
