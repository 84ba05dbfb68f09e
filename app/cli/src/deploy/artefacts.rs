//! What is kept with a run: listed, or one of them printed as it is. It decides nothing.

use std::collections::BTreeMap;
use std::io::Write as _;

use base_explain::Report;
use base_world::World;
use operate_execute::{Filter, RunId, Tag};

use super::office::Office;
use super::progress;
use crate::args::{Global, RunName};
use crate::output::{Failure, say};

/// Runs of one tag whose artefacts are listed.
const RUNS_MAX: usize = 200;

pub(crate) async fn artefacts(
    global: &Global,
    name: &RunName,
    tags: &[String],
    get: Option<&str>,
) -> Result<u8, Failure> {
    let world = World::real();
    let office = Office::open(global, &name.places, &name.server).await?;
    let (own, of_runs): (Vec<&String>, Vec<&String>) = tags.iter().partition(|tag| tag.contains('='));
    let runs = match of_runs.as_slice() {
        [] => vec![office.find(name.run.as_deref()).await?],
        tags => tagged(&office, name, tags).await?,
    };
    if let Some(get) = get {
        let Some(run) = runs.first() else {
            return Err(Failure::Refused(Report::new("no run has that tag").hint("`apm deploy list` shows tags")));
        };
        let bytes = match &office {
            Office::Here(desk, _) => desk.artefact(run, get).await?,
            Office::There(remote) => remote.artefact(run, get).await?,
        };
        let written = std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush());
        return written.map(|()| 0).map_err(|error| Failure::Broken(Report::of(&error)));
    }
    let mut count = 0;
    for run in &runs {
        let mut all = match &office {
            Office::Here(desk, _) => desk.artefacts(run).await?,
            Office::There(remote) => remote.artefacts(run).await?,
        };
        all.retain(|artefact| own.iter().all(|tag| has(&artefact.tags, tag)));
        let whose = if of_runs.is_empty() { String::new() } else { format!("{run}  ") };
        count += all.len();
        for artefact in all {
            let age = progress::ago(world.clock.now_ms() - artefact.created_ms);
            let sha256: String = artefact.sha256.chars().take(12).collect();
            let line = format!("{whose}{:<40} {:>8} bytes  {sha256}  {age}", artefact.name, artefact.size_bytes);
            say(global, &line);
        }
    }
    if count == 0 {
        let of = runs.first().filter(|_| of_runs.is_empty()).map_or("a run with that tag", |run| run.0.as_str());
        say(global, &format!("nothing like that is kept with {of}"));
    }
    Ok(0)
}

/// Runs with all of these tags; the one that is named, if it has them.
async fn tagged(office: &Office, name: &RunName, tags: &[&String]) -> Result<Vec<RunId>, Failure> {
    let tags = tags.iter().map(|tag| Tag::new(tag)).collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|error| Failure::Usage(Report::of(&error)))?;
    let rows = office.runs(&Filter { tags, limit: RUNS_MAX, ..Filter::default() }).await?;
    let meant = |run: &RunId| name.run.as_ref().is_none_or(|name| *name == run.0);
    Ok(rows.into_iter().map(|row| row.run).filter(meant).collect())
}

/// `NAME=VALUE`
fn has(tags: &BTreeMap<String, String>, wanted: &str) -> bool {
    wanted.split_once('=').is_some_and(|(name, value)| tags.get(name).is_some_and(|has| has == value))
}
