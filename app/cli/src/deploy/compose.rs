//! A compose project from the command line: all its services in one run, what is needed first. What a project is, is read elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use app_deploy::{Asked, ComposeAsk, Project};
use base_explain::Report;
use base_world::World;
use operate_deploy::Part;

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
    // Variables that are not text are nobody's.
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let ask = ComposeAsk { files, profiles: args.profile.clone(), environment: &environment, disk: &*world.disk };
    let composed = project.take_in(&ask).map_err(Failure::Usage)?;
    composed.notes.iter().for_each(|line| note(line));
    let desk = Arc::new(desk(global, &project, &args.places).await?);
    let otlp_endpoint = find(global).and_then(|engine| engine.otlp_http);
    if args.release.service.is_none() && (args.release.image.is_some() || args.release.version.is_some()) {
        let report = Report::new("`--image` and `--version` are of one service");
        return Err(Failure::Usage(report.hint("name it by `--service`; the others keep their images")));
    }
    let mut parts = Vec::new();
    for (service, needs) in composed.order {
        if args.release.service.as_ref().is_some_and(|only| *only != service) {
            continue;
        }
        let mut asked = Asked {
            service: Some(service.clone()),
            image: args.release.image.clone(),
            version: args.release.version.clone(),
            strategy: args.strategy.as_deref().map(super::start::strategy),
            adopt: args.adopt,
            force: args.force,
            actor: actor(),
            reason: args.reason.clone(),
            otlp_endpoint: otlp_endpoint.clone(),
        };
        let tagless = project.services.get(&service).and_then(|known| known.image.as_deref()).is_some_and(is_tagless);
        if asked.version.is_none() && asked.image.is_none() && tagless {
            // As Docker reads it.
            asked.version = Some("latest".into());
        }
        let release = desk.release(&project, &asked).map_err(Failure::Usage)?;
        parts.push(Part { release, needs });
    }
    if let Some(only) = args.release.service.as_ref().filter(|_| parts.is_empty()) {
        let names: Vec<_> = project.services.keys().map(String::as_str).collect();
        let report = Report::new(format!("there is no service `{only}` in the compose files"));
        return Err(Failure::Usage(report.hint(format!("there are {}", names.join(", ")))));
    }
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

/// Neither a tag nor a digest after the last slash.
fn is_tagless(image: &str) -> bool {
    !image.rsplit('/').next().unwrap_or(image).contains([':', '@'])
}
