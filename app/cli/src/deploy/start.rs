//! A release from the command line: planned, shown, asked about, carried out. Rolling back is a release of the version before.

use std::io::{BufRead, IsTerminal, Write};

use app_deploy::{Asked, Planned, Project};
use base_explain::Report;
use base_world::World;
use operate_deploy::Strategy;
use operate_execute::{Filter, RunId, RunRow, Status, Tag, run_to_go_back_to};
use operate_plan::Severity;

use super::office::Office;
use super::{compose, follow, project};
use crate::args::{Global, RollbackArgs, StartArgs};
use crate::output::{Failure, note, paint, say};

/// Runs in which the version before is looked for.
const RUNS_MAX: usize = 200;

/// To which version, and from which run.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) version: String,
    /// The one that it is taken from, where that is not just the version's newest.
    pub(crate) as_of: Option<RunId>,
    pub(super) run: Option<RunId>,
}

pub(crate) async fn start(global: &Global, args: &StartArgs) -> Result<u8, Failure> {
    if args.server.server.is_some() {
        // Elsewhere the engine has the settings; compose files are where they are named.
        if !args.compose.is_empty() {
            let files = compose::files(global, args, &Project::default());
            return compose::send(global, args, files).await;
        }
    } else {
        let project = project(&World::real(), global)?;
        let files = compose::files(global, args, &project);
        if !files.is_empty() {
            return compose::start(global, args, project, files).await;
        }
    }
    release(global, args, None).await
}

/// `back`: the version is one that ran before, and becomes the very image that it was.
async fn release(global: &Global, args: &StartArgs, back: Option<Back>) -> Result<u8, Failure> {
    let office = Office::open(global, &args.places, &args.server).await?;
    let asked = Asked {
        strategy: args.strategy.as_deref().map(strategy),
        adopt: args.adopt,
        force: args.force,
        repair: args.repair,
        reason: args.reason.clone(),
        ..super::asked(global, &args.release)
    };
    let version = back.as_ref().map(|back| back.version.clone());
    let as_of = back.as_ref().and_then(|back| back.as_of.clone());
    let asked = Asked { version: version.or(asked.version), as_of, ..asked };
    let planned = office.plan(global, &asked, back.as_ref()).await?;
    if args.dry_run || !args.yes {
        say(global, operate_plan::report(&planned.plan, &planned.findings).trim_end());
    } else {
        for finding in planned.findings.iter().filter(|finding| finding.severity != Severity::Info) {
            note(&format!("{}: {}; {}", finding.severity, finding.message, finding.fix));
        }
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes && !agreed("carry it out?")? {
        return Err(Failure::Refused(Report::new("nobody agreed; nothing was changed")));
    }
    let run = office.begin(global, &asked, back.as_ref(), &planned).await?;
    begun(global, &planned, &run);
    office.carry_out(global, &run).await
}

/// Where there is no picture, its head.
pub(crate) fn begun(global: &Global, planned: &Planned, run: &RunId) {
    if !follow::is_drawn(global) {
        let name = paint(global, "2", &format!("({run})"));
        say(global, &format!("{} {name}", paint(global, "1", &planned.plan.title)));
    }
}

pub(crate) fn strategy(word: &str) -> Strategy {
    match word {
        "rolling" => Strategy::Rolling,
        "blue-green" => Strategy::BlueGreen,
        "canary" => Strategy::Canary,
        _ => Strategy::Recreate,
    }
}

/// Asks on the terminal; without one somebody must have said `--yes`.
pub(crate) fn agreed(question: &str) -> Result<bool, Failure> {
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
    let start = &args.start;
    let office = Office::open(global, &start.places, &start.server).await?;
    let mut labels = Vec::new();
    labels.extend(office.environment(global).map(|environment| ("environment".to_owned(), environment)));
    labels.extend(start.release.service.iter().map(|service| ("service".to_owned(), service.clone())));
    let back = before(&office, labels, args.to.as_deref()).await?;
    release(global, start, Some(back)).await
}

/// The version to go back to, by its name, by a run, a digest or a tag, or as the one before the newest complete run of these labels; with it that run.
pub(crate) async fn before(office: &Office, labels: Vec<(String, String)>, to: Option<&str>) -> Result<Back, Failure> {
    let complete = Filter { status: Some(Status::Complete), limit: RUNS_MAX, ..Filter::default() };
    let rows = office.runs(&Filter { labels: labels.clone(), ..complete.clone() }).await?;
    // A version that was made anew replaced itself.
    let label = |row: &RunRow, name: &str| row.labels.get(name).cloned();
    let moved = |row: &&RunRow| label(row, "version_before") != label(row, "version");
    let before = rows.iter().find(moved).and_then(|row| label(row, "version_before"));
    let (to, as_of) = match to {
        Some(to) => version_of(office, to, &rows, Filter { labels, ..complete }).await?,
        None => (None, None),
    };
    let version = to.or(before.filter(|version| version != "unknown")).ok_or_else(|| {
        let report = Report::new("no complete run says which version was there before it");
        Failure::Refused(report.hint("`--to` names the version"))
    })?;
    Ok(Back { version, as_of, run: rows.into_iter().next().map(|row| row.run) })
}

/// A version as it is; or that of the run that is meant by a name, a digest or a tag, with it.
async fn version_of(
    office: &Office,
    to: &str,
    known: &[RunRow],
    complete: Filter,
) -> Result<(Option<String>, Option<RunId>), Failure> {
    let tagged = match Tag::new(to) {
        Ok(tag) => office.runs(&Filter { tags: vec![tag], ..complete }).await?,
        Err(_) => Vec::new(),
    };
    let row = run_to_go_back_to(to, known, &tagged);
    let version = row.and_then(|row| row.labels.get("version").cloned());
    Ok((Some(version.unwrap_or_else(|| to.to_owned())), row.map(|row| row.run.clone())))
}
