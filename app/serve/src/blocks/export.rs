//! The way out: a data folder, or a snapshot of one, as blocks.

use std::path::Path;

use base_explain::Report;
use base_signal::{RangeMs, TenantId};
use base_world::World;
use observe_source::{Budget, Cancel};
use observe_tsdb::{DataFolder, Export, TsdbError};
use serde::Serialize;

use super::{
    Counts, INDEX_SHARE, READ_SHARE, STOP_OR_SNAPSHOT, Selection, metrics_folder, open, shown_time, store_settings,
};
use crate::settings::Settings;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    pub blocks: usize,
    #[serde(flatten)]
    pub counts: Counts,
    /// First and last sample in Unix ms; `None` when nothing was there.
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    pub bytes: u64,
    /// Each a sentence: what was there and is not in the blocks.
    pub left_out: Vec<String>,
}

/// Writes what the folder holds. `say` hears of every block.
pub fn export_prometheus(
    settings: &Settings,
    data: &Path,
    out: &Path,
    selection: &Selection,
    say: &mut dyn FnMut(String),
) -> Result<Exported, Report> {
    let world = World::real();
    let there = world.disk.exists(&metrics_folder(data)).map_err(|error| Report::of(&error))?;
    if !there {
        let report = Report::new(format!("{} is no data folder of an engine", data.display()));
        let report = report.because("it has no folder `metrics`");
        return Err(report.hint("`apm up` says where its data lies; a snapshot lies in snapshots/NAME inside it"));
    }
    // Whatever still lies there is wanted, expired or not.
    let held = open(&world, data, store_settings(settings, None), STOP_OR_SNAPSHOT)?;
    let store = &held.store;
    let mut done = Exported { left_out: other_tenants(&store.tenants(), &selection.tenant), ..Exported::default() };
    let Some((first_ms, last_ms)) = store.time_range(&selection.tenant) else { return Ok(done) };
    let range = RangeMs::new(first_ms.max(selection.range.start_ms), last_ms.min(selection.range.end_ms));
    if range.start_ms > range.end_ms {
        return Ok(done);
    }
    refuse_overlaps(&world, out, range)?;
    let memory = settings.memory_bytes() as f64;
    let (budget, cancel) = (Budget::new((memory * READ_SHARE) as u64), Cancel::default());
    let wanted = Export {
        tenant: &selection.tenant,
        matchers: &selection.matchers,
        range,
        index_bytes_max: (memory * INDEX_SHARE) as usize,
        budget: &budget,
        cancel: &cancel,
    };
    let written = observe_tsdb::export(&world, out, store, &wanted, &mut |block| {
        let (start, end) = (shown_time(block.min_time), shown_time(block.max_time.saturating_sub(1)));
        let stats = block.stats;
        say(format!("{}  {start} to {end}  {} series, {} samples", block.ulid, stats.num_series, stats.num_samples));
    });
    let written = written.map_err(|error| told(&error, out))?;
    let stats = written.stats();
    done.blocks = written.blocks.len();
    done.counts =
        Counts { series: written.series, samples: stats.num_samples, histograms: stats.num_histogram_samples };
    done.start_ms = written.blocks.iter().map(|block| block.min_time).min();
    done.end_ms = written.blocks.iter().map(|block| block.max_time.saturating_sub(1)).max();
    done.bytes = written.bytes;
    done.left_out.extend(written.warnings);
    Ok(done)
}

fn told(error: &TsdbError, out: &Path) -> Report {
    let report = Report::of(error);
    match error {
        TsdbError::Disk(_) => {
            report.hint(format!("whole blocks in {} stay; remove them before running again", out.display()))
        }
        _ => report,
    }
}

fn other_tenants(all: &[TenantId], ours: &TenantId) -> Vec<String> {
    let others = all.iter().filter(|tenant| *tenant != ours);
    others
        .map(|tenant| format!("the tenant {tenant}: export it with --tenant {tenant}, to a folder of its own"))
        .collect()
}

/// The same samples twice are only work for Prometheus, but nobody means them.
fn refuse_overlaps(world: &World, out: &Path, range: RangeMs) -> Result<(), Report> {
    if !world.disk.exists(out).map_err(|error| Report::of(&error))? {
        return Ok(());
    }
    let there = DataFolder::open(world, out).map_err(|error| Report::of(&error))?;
    let of_block = |min: i64, max: i64| RangeMs::new(min, max.saturating_sub(1));
    let overlap = there.blocks.iter().find(|b| range.overlaps(of_block(b.meta.min_time, b.meta.max_time)));
    match overlap {
        None => Ok(()),
        Some(block) => Err(Report::new(format!("{} already holds a block of that time", out.display()))
            .because(format!("{} is from {}", block.meta.ulid, shown_time(block.meta.min_time)))
            .hint("give an empty folder, or --start and --end for what is missing there")),
    }
}
