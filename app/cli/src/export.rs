//! `apm export prometheus` and `apm import prometheus`: the words, the progress and the summary. What they do is known
//! elsewhere.

use std::path::PathBuf;

use app_serve::{Counts, Exported, Imported, Selection, export_prometheus, import_prometheus};
use base_world::World;
use clap::{Args as ClapArgs, Subcommand};

use crate::args::Global;
use crate::config::{settings, tree_with};
use crate::output::{self, Failure, note, say};
use crate::test::Form;
use crate::up::data_dir;

#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Write blocks that Prometheus, Thanos, Mimir and promtool open: floats, native histograms, stale markers
    #[command(after_help = EXPORT_HELP)]
    Prometheus(ExportPrometheusArgs),
}

const EXPORT_HELP: &str =
    "The engine of the data folder must be stopped. While it runs, make a snapshot and export that:

  apm up --admin-api
  curl -XPOST http://127.0.0.1:4300/api/v1/admin/tsdb/snapshot
  apm export prometheus --data DATA/snapshots/NAME blocks
  prometheus --storage.tsdb.path=blocks --storage.tsdb.retention.time=90d

Blocks hold samples only: exemplars and metadata stay behind.
Exit codes: 0 done, 2 the words or the settings are wrong, 3 it could not be done.";

#[derive(Debug, ClapArgs)]
struct ExportPrometheusArgs {
    /// The folder for the blocks; made if need be
    #[arg(value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    /// Read the blocks of a Prometheus, or of a snapshot of it, into a data folder
    #[command(after_help = IMPORT_HELP)]
    Prometheus(ImportPrometheusArgs),
}

const IMPORT_HELP: &str =
    "The engine of the data folder must be stopped. A Prometheus that runs gives all it has by a snapshot:

  prometheus --web.enable-admin-api …
  curl -XPOST http://127.0.0.1:9090/api/v1/admin/tsdb/snapshot
  apm import prometheus --retention 90d PROMETHEUS_DATA/snapshots/NAME
  apm up --retention 90d

An import that was cut short is run again: a sample that is there already is the same.
Exit codes: 0 done, 2 the words or the settings are wrong, 3 it could not be done.";

#[derive(Debug, ClapArgs)]
struct ImportPrometheusArgs {
    /// Prometheus's data folder, a snapshot of it, or one block
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// How long the engine keeps data: older samples are left out and counted [default: as in apm.yaml, else 15d]
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
struct CommonArgs {
    /// The engine's data folder [default: the project's, as `apm up` has it]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only series that match, such as '{job="api"}'
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only samples from this time on: Unix seconds, or 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Only samples up to this time
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Whose metrics, where the engine has tenants
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What this may take [default: a quarter of the machine's, 512MB to 4GB]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// The form of the summary
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// What both need: settings, the folder, what is selected.
type Prepared = (app_serve::Settings, PathBuf, Selection);

fn prepare(global: &Global, common: &CommonArgs, retention: Option<String>) -> Result<Prepared, Failure> {
    let data = common.data.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("--data", "observe.data", data),
        ("--memory", "observe.memory", common.memory.clone()),
        ("--retention", "observe.retention", retention),
    ];
    let tree = tree_with(&World::real(), global, flags).map_err(Failure::Usage)?;
    let settings = settings(&tree).map_err(Failure::Usage)?;
    let data = settings.observe.data.clone().unwrap_or_else(|| data_dir(false, settings.project.as_deref()));
    let [tenant, selector, start, end] = [&common.tenant, &common.selector, &common.start, &common.end];
    let selection = Selection::parse(tenant.as_deref(), selector.as_deref(), start.as_deref(), end.as_deref())
        .map_err(Failure::Usage)?;
    Ok((settings, data, selection))
}

pub(crate) fn export(global: &Global, args: &ExportArgs) -> Result<u8, Failure> {
    let ExportCommand::Prometheus(args) = &args.command;
    let (settings, data, selection) = prepare(global, &args.common, None)?;
    let mut progress = progress(global);
    let done = export_prometheus(&settings, &data, &args.out, &selection, &mut progress).map_err(Failure::Broken)?;
    match args.common.output {
        Form::Json => print_json(&done),
        Form::Text => {
            let Exported { blocks, counts, start_ms, end_ms, bytes, left_out } = &done;
            say(global, &format!("{blocks} blocks in {}: {}", args.out.display(), counted(counts)));
            summary(global, (*start_ms, *end_ms), *bytes, left_out);
        }
    }
    Ok(0)
}

pub(crate) fn import(global: &Global, args: &ImportArgs) -> Result<u8, Failure> {
    let ImportCommand::Prometheus(args) = &args.command;
    let (settings, data, selection) = prepare(global, &args.common, args.retention.clone())?;
    let mut progress = progress(global);
    let done = import_prometheus(&settings, &data, &args.from, &selection, &mut progress).map_err(Failure::Broken)?;
    match args.common.output {
        Form::Json => print_json(&done),
        Form::Text => {
            let Imported { blocks, counts, start_ms, end_ms, bytes, refused, left_out } = &done;
            say(global, &format!("{blocks} blocks into {}: {}", data.display(), counted(counts)));
            summary(global, (*start_ms, *end_ms), *bytes, left_out);
            for (reason, refused) in refused {
                let hint = if *reason == "too_old" {
                    "; keep them with a longer --retention, here and for `apm up`"
                } else {
                    ""
                };
                note(&format!("left out: {} samples, {reason} (first: {}){hint}", refused.samples, refused.first));
            }
        }
    }
    Ok(0)
}

/// Every block as it is done, on stderr.
fn progress(global: &Global) -> impl FnMut(String) + use<> {
    let quiet = global.quiet;
    move |line| {
        if !quiet {
            note(&line);
        }
    }
}

fn print_json(done: &impl serde::Serialize) {
    // Numbers and strings only.
    output::print(&format!("{:#}\n", serde_json::to_value(done).unwrap_or_default()));
}

fn counted(counts: &Counts) -> String {
    let Counts { series, samples, histograms } = counts;
    let histograms = if *histograms > 0 { format!(", {histograms} of them native histograms") } else { String::new() };
    format!("{series} series, {samples} samples{histograms}")
}

fn summary(global: &Global, times_ms: (Option<i64>, Option<i64>), bytes: u64, left_out: &[String]) {
    if let (Some(start_ms), Some(end_ms)) = times_ms {
        let (start, end) = (app_serve::shown_time(start_ms), app_serve::shown_time(end_ms));
        say(global, &format!("from {start} to {end}, {bytes} bytes"));
    }
    left_out.iter().for_each(|what| note(&format!("left out: {what}")));
}
