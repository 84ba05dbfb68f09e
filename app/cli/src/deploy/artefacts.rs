//! What is kept with a run: listed, or one of them printed as it is. It decides nothing.

use std::io::Write as _;

use base_explain::Report;
use base_world::World;

use super::{desk, progress, project};
use crate::args::{Global, RunName};
use crate::output::{Failure, say};

pub(crate) async fn artefacts(global: &Global, name: &RunName, get: Option<&str>) -> Result<u8, Failure> {
    let world = World::real();
    let project = project(&world, global)?;
    let desk = desk(global, &project, &name.places).await?;
    let run = desk.find(name.run.as_deref()).await?;
    if let Some(get) = get {
        let bytes = desk.artefact(&run, get).await?;
        let written = std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush());
        return written.map(|()| 0).map_err(|error| Failure::Broken(Report::of(&error)));
    }
    let all = desk.artefacts(&run).await?;
    if all.is_empty() {
        say(global, &format!("nothing is kept with {run}"));
    }
    for artefact in all {
        let age = progress::ago(world.clock.now_ms() - artefact.created_ms);
        let sha256: String = artefact.sha256.chars().take(12).collect();
        say(global, &format!("{:<40} {:>8} bytes  {sha256}  {age}", artefact.name, artefact.size_bytes));
    }
    Ok(0)
}
