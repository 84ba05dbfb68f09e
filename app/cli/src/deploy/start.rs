//! A release from the command line: planned, shown, asked about, carried out. Rolling back is a release of the version before.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use app_deploy::Asked;
use base_explain::Report;
use base_world::World;
use operate_deploy::Strategy;
use operate_execute::{Filter, Status};

use super::{actor, compose, desk, progress, project};
use crate::args::{Global, RollbackArgs, StartArgs};
use crate::output::{Failure, paint, say};
use crate::run::find;

pub(crate) async fn start(global: &Global, args: &StartArgs, version: Option<String>) -> Result<u8, Failure> {
    // A version that is given beside the arguments is one that ran before.
    let back = version.is_some();
    let world = World::real();
    let project = project(&world, global)?;
    let files = compose::files(global, args, &project);
    if !files.is_empty() {
        return compose::start(global, args, project, files).await;
    }
    let desk = Arc::new(desk(global, &project, &args.places).await?);
    let strategy = args.strategy.as_deref().map(strategy);
    let asked = Asked {
        service: args.service.clone(),
        image: args.image.clone(),
        version: version.or_else(|| args.version.clone()),
        strategy,
        adopt: args.adopt,
        force: args.force,
        actor: actor(),
        reason: args.reason.clone(),
        // Containers that share the machine's network reach it; others are told by their settings.
        otlp_endpoint: find(global).and_then(|engine| engine.otlp_http),
    };
    let release = project.release(&asked, &desk.seal, &*world.disk).map_err(Failure::Usage)?;
    let release = if back { desk.as_before(release).await? } else { release };
    let planned = desk.plan(&release).await?;
    if args.dry_run || !args.yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes && !agreed("carry it out?")? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was changed")));
    }
    let run = desk.create(&planned, &asked.actor, &asked.reason).await?;
    say(global, &format!("{} {}", paint(global, "1", &planned.plan.title), paint(global, "2", &format!("({run})"))));
    progress::carry_out(global, &desk, &run).await
}

pub(super) fn strategy(word: &str) -> Strategy {
    match word {
        "rolling" => Strategy::Rolling,
        "blue-green" => Strategy::BlueGreen,
        "canary" => Strategy::Canary,
        _ => Strategy::Recreate,
    }
}

/// Asks on the terminal; without one somebody must have said `--yes`.
pub(super) fn agreed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let report = Report::new("nobody is there to agree").hint("`--yes` agrees, `--dry-run` only shows it");
        return Err(Failure::Usage(report));
    }
    let _ = write!(std::io::stdout(), "\n{question} [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::Broken(Report::of(&error)))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

pub(crate) async fn rollback(global: &Global, args: &RollbackArgs) -> Result<u8, Failure> {
    let version = match &args.to {
        Some(version) => version.clone(),
        None => before(global, &args.start).await?,
    };
    start(global, &args.start, Some(version)).await
}

/// The version that the newest complete run replaced.
async fn before(global: &Global, args: &StartArgs) -> Result<String, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, &args.places).await?;
    let mut labels = vec![("environment".to_owned(), project.environment.clone())];
    labels.extend(args.service.iter().map(|service| ("service".to_owned(), service.clone())));
    let rows = desk.runs(&Filter { status: Some(Status::Complete), labels, limit: 1, before: None }).await?;
    let before = rows.into_iter().next().and_then(|row| row.labels.get("version_before").cloned());
    before.filter(|version| version != "unknown").ok_or_else(|| {
        let report = Report::new("no complete run says which version was there before it");
        Failure::Refused(report.hint("`--to` names the version"))
    })
}
