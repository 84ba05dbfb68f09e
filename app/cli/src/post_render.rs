//! `apm __post-render FILE`: started by Helm with a chart's manifests as its input, and writes them as they are to be applied. What is done to them is
//! decided elsewhere.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use base_explain::Report;
use base_world::World;
use clap::Args as ClapArgs;

use crate::output::Failure;

/// A chart's objects; Helm keeps them in a Secret of 1 MiB, packed.
const MANIFESTS_BYTES_MAX: u64 = 50 << 20;

#[derive(Debug, ClapArgs)]
pub(crate) struct PostRenderArgs {
    /// What is to be done
    file: PathBuf,
}

pub(crate) fn post_render(args: &PostRenderArgs) -> Result<u8, Failure> {
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    let mut manifests = String::new();
    std::io::stdin().lock().take(MANIFESTS_BYTES_MAX + 1).read_to_string(&mut manifests).map_err(broken)?;
    if manifests.len() as u64 > MANIFESTS_BYTES_MAX {
        let report = Report::new(format!("the chart's manifests have more than {MANIFESTS_BYTES_MAX} bytes"));
        return Err(Failure::Usage(report.hint("make the chart smaller")));
    }
    let changed = app_deploy::post_render(&args.file, manifests, &*World::real().disk);
    let changed = changed.map_err(|error| Failure::Usage(Report::of(&error)))?;
    std::io::stdout().lock().write_all(changed.as_bytes()).map_err(broken)?;
    Ok(0)
}
