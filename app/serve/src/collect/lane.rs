//! The queues with their threads, and the way into them: what comes in is limited, encoded for its way out, and acknowledged when it is on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app_api::{Relayed, Sink};
use base_explain::Report;
use base_signal::TenantId;
use base_world::{Clock, World};
use futures_util::future::BoxFuture;
use observe_block::SyncHandle;
use observe_forward::{Message, Queue, QueueSettings, Way};
use observe_ingest::limits::IngestLimits;
use observe_ingest::tail::TakeLogs;
use observe_source::{Appended, LogWrite, MetricWrite, RejectReason, SourceError, SpanWrite};
use observe_wire::otlp::{Encoding, Signal};
use observe_wire::{loki_push, remote_write};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::settings::Routes;
use crate::scrape::TakeScraped;
use crate::writer::{Store, Writer};

/// One way out: its queue, and who is told that something came.
pub(crate) struct Lane {
    pub(crate) way: Way,
    pub(crate) queue: Arc<Mutex<Queue>>,
    pub(crate) came: Notify,
    writer: Writer<Queue>,
    is_full: Arc<AtomicBool>,
}

/// All of them, as what takes telemetry in.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    limits: IngestLimits,
    clock: Arc<dyn Clock>,
}

impl Store for Queue {
    fn sync_handle(&self) -> SyncHandle {
        Queue::sync_handle(self)
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        self.keep().map_err(|error| SourceError::Storage { reason: error.to_string() })
    }

    fn compact(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn keep(store: &Mutex<Self>) -> Result<(), SourceError> {
        let mut queue = store.lock();
        let was_troubled = queue.trouble().is_some();
        let kept = queue.flush();
        for damage in queue.take_damage() {
            tracing::error!(%damage, "a part of a queue is lost");
        }
        if was_troubled && queue.trouble().is_none() {
            tracing::info!("the disk works again: a queue that took nothing goes on");
        }
        kept
    }
}

impl Lane {
    fn open(world: &World, folder: &Path, way: Way, settings: QueueSettings) -> Result<Self, Report> {
        let folder = folder.join(way.as_str());
        let hint = "if the folder cannot be mended, move it away and start again; the format is in docs/formats/forward-queue.md";
        let opened = Queue::open(world, &folder, settings).map_err(|error| Report::of(&error).hint(hint));
        let (queue, damage) = opened?;
        for damage in damage {
            tracing::error!(%damage, "a part of the queue {} is lost", way.as_str());
        }
        let queue = Arc::new(Mutex::new(queue));
        let thread = |error: std::io::Error| Report::new("a thread could not be started").because(error.to_string());
        let writer = Writer::start(way.as_str(), queue.clone(), world.clock.clone()).map_err(thread)?;
        Ok(Lane { way, queue, came: Notify::new(), writer, is_full: Arc::default() })
    }

    /// Queues a message; ends when it is durable.
    async fn put(&self, tenant: TenantId, encoding: Encoding, items: u64, body: Vec<u8>) -> Result<(), SourceError> {
        let put = self.writer.write(self.apply(tenant, encoding, items, body)).await;
        self.came.notify_one();
        put.map(|_| ())
    }

    /// What the queue's thread does with a message. That the queue is full is told when it becomes so, and when it is no more.
    fn apply(
        &self,
        tenant: TenantId,
        encoding: Encoding,
        items: u64,
        body: Vec<u8>,
    ) -> impl FnOnce(&mut Queue) -> Result<Appended, SourceError> + Send + 'static {
        let (name, is_full) = (self.way.as_str(), self.is_full.clone());
        move |queue| {
            let put = queue.append(&tenant, &Message { encoding, items, body: &body });
            match &put {
                Err(SourceError::Shed { what, .. }) if !is_full.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(
                        "the {what} of {name} is full: senders are asked to try again, scraped samples are left out"
                    );
                }
                Ok(()) if is_full.swap(false, Ordering::Relaxed) => tracing::info!("{name} has room again"),
                _ => {}
            }
            put.map(|()| Appended { accepted: items, ..Appended::default() })
        }
    }
}

impl Lanes {
    pub(crate) fn open(world: &World, folder: &Path, routes: &Routes, queue_bytes: u64) -> Result<Self, Report> {
        let bytes_max = queue_bytes / routes.urls.len().max(1) as u64;
        let settings = QueueSettings { bytes_max, ..QueueSettings::default() };
        let open = |(way, _): &(Way, String)| Lane::open(world, folder, *way, settings.clone());
        let lanes = routes.urls.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Lanes { lanes, limits: IngestLimits::default(), clock: world.clock.clone() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// Ends the threads; what was taken is durable then, and how far it was sent.
    pub(crate) fn close(&self) {
        for lane in &self.lanes {
            lane.writer.stop();
            if let Err(error) = lane.queue.lock().keep() {
                tracing::warn!(%error, "how far {} was sent is not written; some of it is sent again", lane.way.as_str());
            }
        }
    }

    fn lane(&self, way: Way) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.way == way)
    }

    fn wanted(&self, way: Way, what: &str, setting: &str) -> Result<&Lane, SourceError> {
        let nowhere = || SourceError::Unavailable { reason: format!("{what} go nowhere from here: set {setting}") };
        self.lane(way).ok_or_else(nowhere)
    }

    fn samples(&self) -> Result<&Lane, SourceError> {
        self.wanted(Way::RemoteWrite, "samples", "`forward.prometheus`")
    }
}

impl Sink for Lanes {
    fn metrics(&self, tenant: TenantId, mut write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(async move {
            let lane = self.samples()?;
            let mut appended = self.limits.metrics(&mut write, self.clock.now_ms());
            // Nobody here knows what came before; the engine does, to which OTLP goes as it came.
            for increase in std::mem::take(&mut write.increases) {
                appended.reject(RejectReason::Invalid, || {
                    let labels = write.series.get(increase.series).to_labels();
                    format!("{labels} has delta temporality, which remote write cannot carry; forward it by OTLP")
                });
            }
            let (taken, body) = (Appended::all_of(&write), remote_write::encode_message(&write));
            drop(write);
            if !body.is_empty() {
                lane.put(tenant, Encoding::Protobuf, taken.accepted, body).await?;
            }
            appended.merge(taken);
            Ok(appended)
        })
    }

    fn logs(&self, tenant: TenantId, mut write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(async move {
            let lane = self.wanted(Way::LokiPush, "lines", "`forward.loki`")?;
            let mut appended = self.limits.logs(&mut write, self.clock.now_ns());
            let (items, body) = (write.entries.len() as u64, loki_push::encode_message(&write));
            drop(write);
            if items > 0 {
                lane.put(tenant, Encoding::Protobuf, items, body).await?;
            }
            appended.accepted += items;
            Ok(appended)
        })
    }

    fn spans(&self, _: TenantId, _: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        // With a way out they are relayed and do not come here.
        let nowhere = self.wanted(Way::Otlp(Signal::Traces), "spans", "`forward.otlp`").map(|_| Appended::default());
        Box::pin(async move { nowhere })
    }

    fn relay(&self, tenant: &TenantId, request: &Relayed<'_>) -> Option<BoxFuture<'_, Result<(), SourceError>>> {
        let lane = self.lane(Way::Otlp(request.signal))?;
        let (tenant, body) = (tenant.clone(), request.body.to_vec());
        let (encoding, items) = (request.encoding, request.items);
        Some(Box::pin(async move {
            match items {
                0 => Ok(()),
                _ => lane.put(tenant, encoding, items, body).await,
            }
        }))
    }
}

impl TakeScraped for Lanes {
    fn metrics_lazily(&self, tenant: TenantId, mut write: MetricWrite) -> Result<(), SourceError> {
        let lane = self.samples()?;
        self.limits.metrics(&mut write, self.clock.now_ms());
        let (items, body) = (write.len() as u64, remote_write::encode_message(&write));
        if body.is_empty() {
            Ok(())
        } else {
            lane.writer.write_lazily(lane.apply(tenant, Encoding::Protobuf, items, body))
        }
    }
}

/// Lines of pods, of the tenant that has no name.
pub(crate) struct PodLines(pub(crate) Arc<Lanes>);

impl TakeLogs for PodLines {
    async fn take<'a>(&'a self, write: &'a LogWrite) -> Result<Appended, SourceError> {
        self.0.logs(TenantId::default(), write.clone()).await
    }
}
