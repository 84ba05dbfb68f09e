//! A compose project from the command line: all its services in one run, what is needed first. What a project is, is read elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use app_deploy::{Asked, ComposeAsk, Project, Sent, parts};
use base_explain::Report;
use base_world::World;

use super::office::Office;
use super::start::agreed;
use super::{actor, desk, follow};
use crate::args::{Global, StartArgs};
use crate::output::{Failure, note, say};
use crate::run::find;

/// The compose files that are meant, whole paths: those of the flags begin in this folder, those of the settings beside the settings.
pub(crate) fn files(global: &Global, args: &StartArgs, project: &Project) -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    if !args.compose.is_empty() {
        return args.compose.iter().map(|file| here.join(file)).collect();
    }
    let beside = global.config.as_ref().and_then(|file| Some(here.join(file.parent()?)));
    let beside = beside.unwrap_or(here);
    project.compose.iter().map(|file| beside.join(file)).collect()
}

pub(crate) async fn start(
    global: &Global,
    args: &StartArgs,
    mut project: Project,
    files: Vec<PathBuf>,
) -> Result<u8, Failure> {
    let world = World::real();
    let environment = environment();
    let ask = ComposeAsk { files, profiles: args.profile.clone(), environment: &environment, disk: &*world.disk };
    let composed = project.take_in(&ask).map_err(Failure::Usage)?;
    composed.notes.iter().for_each(|line| note(line));
    let desk = Arc::new(desk(global, &project, &args.places).await?);
    let otlp_endpoint = find(global).and_then(|engine| engine.otlp_http);
    let asked = asked(args, otlp_endpoint);
    let parts = parts(&desk, &project, &composed, &asked)?;
    let planned = desk.plan_all(&parts, &composed.external).await?;
    if args.dry_run || !args.yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes && !agreed("carry it out?")? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was changed")));
    }
    let run = desk.create(&planned, &actor(), &args.reason).await?;
    super::start::begun(global, &planned, &run);
    follow::carry_out(global, &desk, &run).await
}

/// What the command line says about all of them.
fn asked(args: &StartArgs, otlp_endpoint: Option<String>) -> Asked {
    Asked {
        as_of: None,
        service: args.release.service.clone(),
        image: args.release.image.clone(),
        version: args.release.version.clone(),
        strategy: args.strategy.as_deref().map(super::start::strategy),
        adopt: args.adopt,
        force: args.force,
        repair: args.repair,
        actor: actor(),
        reason: args.reason.clone(),
        otlp_endpoint,
        plain: None,
    }
}

/// Read here, where the files are; planned and carried out by an engine elsewhere.
pub(crate) async fn send(global: &Global, args: &StartArgs, files: Vec<PathBuf>) -> Result<u8, Failure> {
    let world = World::real();
    let environment = environment();
    let ask = ComposeAsk { files, profiles: args.profile.clone(), environment: &environment, disk: &*world.disk };
    let name = crate::config::project(&world, global).map_err(Failure::Usage)?;
    let (sent, notes) = Sent::read(&ask, name.as_deref()).map_err(Failure::Usage)?;
    notes.iter().for_each(|line| note(line));
    let office = Office::open(global, &args.places, &args.server).await?;
    let Office::There(remote) = &office else { return Err(Failure::Broken(Report::new("no engine is named"))) };
    let asked = asked(args, None);
    let environment = global.env.as_deref();
    let planned = remote.prepare_sent(&asked, environment, &sent).await?;
    if args.dry_run || !args.yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes && !agreed("carry it out?")? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was changed")));
    }
    let run = remote.create_sent(&asked, environment, &sent).await?;
    super::start::begun(global, &planned, &run);
    office.carry_out(global, &run).await
}

/// The process's own; variables that are not text are nobody's.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
