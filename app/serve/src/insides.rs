//! What the Prometheus API tells of the engine and what an administrator orders of the metric store, answered by the engine's own parts.

use std::collections::BTreeMap;
use std::time::Duration;

use app_api::{Head, Insides, Job, Runtime, StoredBlock};
use base_signal::{Matcher, RangeMs, TenantId};
use futures_util::future::BoxFuture;
use observe_ingest::scrape::PromDuration;
use observe_rules::GroupState;
use observe_source::{Appended, SourceError};

use crate::own::Own;

/// Snapshots lie under the data folder, in such a folder.
const SNAPSHOTS: &str = "snapshots";

fn duration(time: Duration) -> String {
    PromDuration { ms: i64::try_from(time.as_millis()).unwrap_or(i64::MAX) }.to_string()
}

fn text(error: SourceError) -> String {
    error.to_string()
}

impl Insides for Own {
    fn runtime(&self) -> Runtime {
        let observe = &self.settings.observe;
        let size = observe.retention_size.map(|size| format!(" or {}B", size.0)).unwrap_or_default();
        let (configured_at_ms, is_configured_well) = *self.configured.lock();
        Runtime {
            started_at_ms: self.entry.started_at_ms,
            folder: self.entry.data_dir.display().to_string(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            configured_at_ms,
            is_configured_well,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_limit_bytes: self.settings.memory_bytes(),
            retention: duration(observe.retention.0) + &size,
        }
    }

    fn config_yaml(&self) -> String {
        self.plan.borrow().told().yaml.clone()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        let (server, observe) = (&self.settings.server, &self.settings.observe);
        let size = observe.retention_size.map_or(0, |size| size.0);
        let scrape = observe.scrape.as_ref().map(|path| path.display().to_string());
        let flags = [
            ("config.file", scrape.unwrap_or_default()),
            ("enable-feature", String::new()),
            ("query.lookback-delta", "5m".to_owned()),
            ("query.max-concurrency", server.query_concurrency.to_string()),
            ("query.timeout", duration(server.query_timeout.0)),
            ("storage.tsdb.path", self.entry.data_dir.display().to_string()),
            ("storage.tsdb.retention.size", format!("{size}B")),
            ("storage.tsdb.retention.time", duration(observe.retention.0)),
            ("web.enable-admin-api", server.admin_api.to_string()),
            ("web.enable-lifecycle", "true".to_owned()),
            ("web.enable-otlp-receiver", "true".to_owned()),
            ("web.enable-remote-write-receiver", "true".to_owned()),
            ("web.external-url", self.entry.url.clone()),
            ("web.listen-address", self.address()),
            ("web.max-connections", server.connection_limit.to_string()),
        ];
        flags.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn jobs(&self) -> Vec<Job> {
        self.plan.borrow().told().jobs.clone()
    }

    fn rule_groups(&self) -> Vec<GroupState> {
        self.rules.groups()
    }

    fn alertmanagers(&self) -> Vec<String> {
        self.rules.managers()
    }

    fn head(&self, tenant: &TenantId) -> Head {
        let Some(engine) = self.engine.get() else { return Head::default() };
        let store = engine.metrics.lock();
        let segments = store.segment_count();
        Head { chunks: (store.series_count() + segments) as u64, times_ms: store.time_range(tenant) }
    }

    fn blocks(&self, tenant: &TenantId) -> Vec<StoredBlock> {
        let Some(engine) = self.engine.get() else { return Vec::new() };
        let segments = engine.metrics.lock().segments_of(tenant);
        let shown = segments.into_iter().map(|(meta, series)| StoredBlock {
            id: meta.id,
            time_min_ms: meta.time_min,
            time_max_ms: meta.time_max,
            samples: meta.rows,
            series,
            level: meta.level,
            bytes: meta.bytes,
        });
        shown.collect()
    }

    fn is_admin_enabled(&self) -> bool {
        self.settings.server.admin_api
    }

    fn delete_series(
        &self,
        tenant: TenantId,
        sets: Vec<Vec<Matcher>>,
        range: RangeMs,
    ) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            // In turn with the writes: what was acknowledged before is deleted, what comes later is not.
            let delete = self.ready_engine()?.metric_writer.write(move |store| {
                store.delete_series(&tenant, &sets, range)?;
                Ok(Appended::default())
            });
            delete.await.map(drop).map_err(text)
        })
    }

    fn clean_tombstones(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let clean = self.ready_engine()?.metric_writer.write(|store| {
                store.clean_deletions()?;
                Ok(Appended::default())
            });
            clean.await.map(drop).map_err(text)
        })
    }

    fn snapshot(&self, with_memory: bool) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            let metrics = self.ready_engine()?.metrics.clone();
            let now = self.world.clock.now_ms();
            let name = format!("{}-{:016x}", stamp(now), self.world.random.next_u64());
            let folder = self.entry.data_dir.join(SNAPSHOTS).join(&name).join("metrics");
            // Held only while the files are opened; copying takes as long as it takes.
            let copy = move || {
                let job = metrics.lock().begin_snapshot(with_memory)?;
                job.run(&folder)
            };
            let copied = tokio::task::spawn_blocking(copy).await;
            copied.map_err(|error| error.to_string())?.map_err(text)?;
            Ok(name)
        })
    }
}

/// `20261122T062247Z`
fn stamp(now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshots_name_begins_with_its_time() {
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(1_709_208_000_000), "20240229T120000Z");
        assert_eq!(stamp(1_795_328_567_000), "20261122T062247Z");
    }
}
