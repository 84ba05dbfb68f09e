//! What is behind `apm export prometheus` and `apm import prometheus`: the metrics of a data folder on which no engine runs,
//! as blocks of Prometheus and back. It knows no terminal and no byte of a block.

mod export;
mod import;

use std::path::{Path, PathBuf};

use base_explain::Report;
use base_signal::{Labels, Matcher, RangeMs, TenantId};
use base_world::{DiskErrorKind, FolderLock, World};
use observe_metrics::MetricStore;
use serde::Serialize;

pub use export::{Exported, export_prometheus};
pub use import::{Imported, LeftOut, import_prometheus};

use crate::settings::Settings;

/// Of `--memory`: the store's, that of what is read of it, and that of a block's index.
const STORE_SHARE: f64 = 0.4;
const READ_SHARE: f64 = 0.3;
const INDEX_SHARE: f64 = 0.2;

/// Which series, and of which time.
#[derive(Clone, Debug)]
pub struct Selection {
    pub tenant: TenantId,
    matchers: Vec<Matcher>,
    range: RangeMs,
}

impl Selection {
    /// From a selector of PromQL and times as the API takes them; nothing said is everything.
    pub fn parse(
        tenant: Option<&str>,
        selector: Option<&str>,
        start: Option<&str>,
        end: Option<&str>,
    ) -> Result<Self, Report> {
        let tenant = match tenant {
            None => TenantId::default(),
            Some(name) => TenantId::new(name).ok_or_else(|| {
                let report = Report::new(format!("`{name}` is no name of a tenant"));
                report.hint("1 to 150 letters, digits and !-_.*'()")
            })?,
        };
        let matchers = selector.map(observe_promql::parse_selector).transpose().map_err(|error| {
            Report::new("--match is no selector").because(error.to_string()).hint("such as --match '{job=\"api\"}'")
        })?;
        let time = |flag: &str, text: Option<&str>| {
            text.map(time_ms).transpose().map_err(|why| {
                Report::new(format!("{flag}: {why}")).hint("Unix seconds, or a time such as 2026-11-22T10:00:00Z")
            })
        };
        let range = RangeMs::new(time("--start", start)?.unwrap_or(i64::MIN), time("--end", end)?.unwrap_or(i64::MAX));
        if range.start_ms > range.end_ms {
            return Err(Report::new("--start is after --end"));
        }
        Ok(Selection { tenant, matchers: matchers.unwrap_or_default(), range })
    }
}

fn time_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("`{text}` is no time");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1000.0).round();
        return if ms.is_finite() && ms.abs() < 9.2e15 { Ok(ms as i64) } else { Err(bad()) };
    }
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| bad())
}

/// `2026-11-22T10:00:00Z`, or the number where there is no such day.
pub fn shown_time(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms);
    time.map_or_else(|_| format!("{time_ms} ms"), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Samples of one kind and their series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Different ones.
    pub series: u64,
    /// Floats and histograms.
    pub samples: u64,
    /// Of those, native histograms.
    pub histograms: u64,
}

/// Counts different label sets by their hash: one in many millions may be missed.
#[derive(Default)]
pub(crate) struct Distinct(std::collections::HashSet<u64>);

impl Distinct {
    pub(crate) fn add(&mut self, labels: &Labels) {
        use std::hash::{DefaultHasher, Hasher};
        let mut hasher = DefaultHasher::new();
        hasher.write(labels.as_bytes());
        self.0.insert(hasher.finish());
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The store of a folder, held by this process.
struct Held {
    store: MetricStore,
    _lock: FolderLock,
}

/// What to do when an engine runs on the folder.
const STOP: &str = "stop that engine first";
const STOP_OR_SNAPSHOT: &str = "stop that engine first, or make a snapshot while it runs (`apm up --admin-api`, then \
                                `curl -XPOST …/api/v1/admin/tsdb/snapshot`) and give the snapshot's folder with --data";

fn open(world: &World, data: &Path, settings: observe_metrics::Settings, busy: &'static str) -> Result<Held, Report> {
    let report = |error: &base_world::DiskError| match &error.kind {
        DiskErrorKind::LockedBy { pid } => {
            let holder = pid.map_or_else(|| "an engine".to_owned(), |pid| format!("an engine (pid {pid})"));
            let report = Report::new(format!("the data folder {} is in use", data.display()));
            report.because(format!("{holder} runs on it")).hint(busy)
        }
        _ => Report::of(error),
    };
    let lock = world.disk.lock_folder(data).map_err(|error| report(&error))?;
    let opened = MetricStore::open(world, &metrics_folder(data), settings);
    let (store, replay) = opened.map_err(|error| match &error {
        observe_block::BlockError::Disk(disk) => report(disk),
        _ => Report::of(&error)
            .hint("if the folder cannot be mended, take it from a backup; the format is in docs/formats"),
    })?;
    for damage in &replay.damage {
        tracing::error!(%damage, "a part of the data folder is damaged and left out");
    }
    Ok(Held { store, _lock: lock })
}

fn metrics_folder(data: &Path) -> PathBuf {
    data.join("metrics")
}

fn store_settings(settings: &Settings, retention_ms: Option<i64>) -> observe_metrics::Settings {
    observe_metrics::Settings {
        memory_bytes: (settings.memory_bytes() as f64 * STORE_SHARE) as u64,
        retention_ms,
        ..observe_metrics::Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_read_or_its_fault_named() {
        let range = |start, end| Selection::parse(None, None, start, end).map(|s| s.range).map_err(|r| r.one_line());
        assert_eq!(range(None, None), Ok(RangeMs::ALL));
        assert_eq!(range(Some("1.5"), Some("1970-01-01T00:00:02Z")), Ok(RangeMs::new(1500, 2000)));
        for (start, end, expect) in [
            (Some("yesterday"), None, "--start: `yesterday` is no time"),
            (None, Some("1e300"), "--end: `1e300` is no time"),
            (Some("2"), Some("1"), "--start is after --end"),
        ] {
            let found = range(start, end).unwrap_err();
            assert!(found.contains(expect), "{found}");
        }
        let refused = |tenant, selector| Selection::parse(tenant, selector, None, None).unwrap_err().one_line();
        assert!(refused(Some("a/b"), None).contains("`a/b` is no name of a tenant"));
        assert!(refused(None, Some("{job=")).contains("--match is no selector"));
        assert_eq!(
            (shown_time(1_795_328_567_000), shown_time(i64::MAX)),
            ("2026-11-22T06:22:47Z".into(), format!("{} ms", i64::MAX))
        );
    }
}
