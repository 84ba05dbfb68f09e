//! The way in: the blocks of Prometheus's data folder, appended to the store of a folder on which no engine runs. What
//! is there already is the same, so an import that was cut short is run again.

use std::collections::BTreeMap;
use std::path::Path;

use base_explain::Report;
use base_world::World;
use observe_metrics::MetricStore;
use observe_source::{Appended, MetricBatch, MetricWrite, SourceError};
use observe_tsdb::{BlockReader, DataFolder, FoundBlock};
use serde::Serialize;

use super::{Counts, Distinct, STOP, Selection, open, shown_time, store_settings};
use crate::settings::Settings;

/// What was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub blocks: usize,
    /// Also what was there already.
    #[serde(flatten)]
    pub counts: Counts,
    /// First and last sample in Unix ms, of those that were read; `None` when nothing was.
    pub start_ms: Option<i64>,
    pub end_ms: Option<i64>,
    /// Of the data folder afterwards, metrics only.
    pub bytes: u64,
    /// Samples that the store did not take, by reason.
    pub refused: BTreeMap<&'static str, LeftOut>,
    /// Each a sentence: what was there and was not read.
    pub left_out: Vec<String>,
}

/// Samples that were not taken, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub samples: u64,
    pub first: String,
}

/// Takes what the blocks hold. `say` hears of every block.
pub fn import_prometheus(
    settings: &Settings,
    data: &Path,
    from: &Path,
    selection: &Selection,
    say: &mut dyn FnMut(String),
) -> Result<Imported, Report> {
    let world = World::real();
    let found = DataFolder::open(&world, from).map_err(|error| Report::of(&error))?;
    if found.blocks.is_empty() {
        let report = Report::new(format!("{} holds no block of Prometheus", from.display()));
        let report = found.left_out.into_iter().fold(report, Report::because);
        return Err(report.hint("give Prometheus's --storage.tsdb.path, a snapshot of it, or a block's folder"));
    }
    world.disk.create_folder(data).map_err(|error| Report::of(&error))?;
    let retention_ms = settings.observe.retention.as_millis_i64();
    let store_settings = observe_metrics::Settings {
        // Blocks come series by series, each from its first sample on.
        out_of_order_ms: i64::MAX,
        // Memory is the bound.
        series_max: usize::MAX,
        ..store_settings(settings, Some(retention_ms))
    };
    let held = open(&world, data, store_settings, STOP)?;
    let done = Imported { left_out: found.left_out, ..Imported::default() };
    let mut importing = Importing { world: &world, store: held.store, selection, series: Distinct::default(), done };
    for block in &found.blocks {
        importing.block(block, say)?;
    }
    let mut done = importing.done;
    done.counts.series = importing.series.count();
    done.bytes = importing.store.disk_used();
    Ok(done)
}

struct Importing<'a> {
    world: &'a World,
    store: MetricStore,
    selection: &'a Selection,
    series: Distinct,
    done: Imported,
}

impl Importing<'_> {
    fn block(&mut self, block: &FoundBlock, say: &mut dyn FnMut(String)) -> Result<(), Report> {
        let damaged = |error: observe_tsdb::TsdbError| {
            Report::of(&error).hint("what was imported until here stays; it may be run again")
        };
        let reader = BlockReader::open(self.world, &block.folder).map_err(damaged)?;
        let before = self.done.counts.samples;
        let mut batches = reader.batches(&self.selection.matchers, self.selection.range).map_err(damaged)?;
        while let Some(batch) = batches.next_batch().map_err(damaged)? {
            self.batch(&batch)?;
        }
        // Durable before the next one begins, and in few files.
        self.store.flush().map_err(|error| full(&error))?;
        while self.store.compact().map_err(|error| full(&error))? > 0 {}
        self.done.blocks += 1;
        let (start, end) = (shown_time(block.meta.min_time), shown_time(block.meta.max_time.saturating_sub(1)));
        say(format!("{}  {start} to {end}  {} samples", block.meta.ulid, self.done.counts.samples - before));
        Ok(())
    }

    fn batch(&mut self, batch: &MetricBatch) -> Result<(), Report> {
        for time_ms in &batch.times_ms {
            self.done.start_ms = Some(self.done.start_ms.map_or(*time_ms, |start| start.min(*time_ms)));
            self.done.end_ms = Some(self.done.end_ms.map_or(*time_ms, |end| end.max(*time_ms)));
        }
        batch.series.iter().for_each(|labels| self.series.add(labels));
        let appended = self.append(&write_of(batch))?;
        self.done.counts.samples += appended.accepted;
        self.done.counts.histograms += appended.histograms;
        for (reason, reject) in appended.rejected {
            let left_out = self.done.refused.entry(reason.as_str()).or_default();
            if left_out.samples == 0 {
                left_out.first = reject.example;
            }
            left_out.samples += reject.count;
        }
        Ok(())
    }

    fn append(&mut self, write: &MetricWrite) -> Result<Appended, Report> {
        match self.store.append(&self.selection.tenant, write) {
            // Its memory is written out; what is left over its share is for the next try.
            Err(SourceError::Shed { .. }) => {
                self.store.flush().map_err(|error| full(&error))?;
                self.store.append(&self.selection.tenant, write).map_err(|error| full(&error))
            }
            other => other.map_err(|error| full(&error)),
        }
    }
}

fn full(error: &SourceError) -> Report {
    let report = Report::of(error);
    match error {
        SourceError::Shed { what: "disk", .. } => {
            report.hint("free some of the disk and run the import again; what is there already stays")
        }
        SourceError::Shed { .. } => report.hint("raise --memory and run the import again; what is there already stays"),
        _ => report,
    }
}

fn write_of(batch: &MetricBatch) -> MetricWrite {
    let mut write = MetricWrite::default();
    let mut histograms = batch.histograms.iter().peekable();
    for (i, labels) in batch.series.iter().enumerate() {
        let set = write.series.push_set(labels.as_ref());
        for row in batch.rows(i) {
            let (Some(time_ms), Some(value)) = (batch.times_ms.get(row), batch.values.get(row)) else { continue };
            match histograms.next_if(|(at, _)| *at == row) {
                Some((_, histogram)) => write.histograms.push((set, *time_ms, histogram.clone())),
                None => write.samples.push((set, *time_ms, *value)),
            }
        }
    }
    write
}
