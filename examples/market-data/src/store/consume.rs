//! The store's ear: one WebSocket to the feed, reconnected for ever, every tick judged and written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use opentelemetry::KeyValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tracing::Instrument as _;

use super::Shared;
use super::quality::Rule;
use crate::serving::Stop;
use crate::tick::{Batch, Tick};
use crate::{catalogue, clock};

/// Ticks are written together this often.
const WRITE_PERIOD: Duration = Duration::from_millis(500);
const PRUNE_PERIOD: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A feed that says nothing for so long is gone, whatever the connection claims.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Our feed's messages are about 2 kB.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Ticks kept while the database refuses; older ones are lost then, and counted.
const WAITING_MAX: usize = 10_000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection ended.
enum End {
    Asked,
    Lost(&'static str, String),
}

pub(crate) async fn run(shared: Arc<Shared>, feed_url: String, mut stop: Stop) {
    let url = format!("ws://{}/ws", feed_url.trim_start_matches("http://"));
    let limits =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut consumer = Consumer { shared, waiting: Vec::new(), last_sequence: None };
    let mut pause = RETRY_FIRST;
    let mut told = false;
    loop {
        let connected = tokio::select! {
            connected = tokio_tungstenite::connect_async_with_config(&url, Some(limits), true) => connected,
            () = stop.asked() => break,
        };
        let end = match connected {
            Ok((socket, _)) => {
                tracing::info!(url, "connected to the feed");
                (pause, told) = (RETRY_FIRST, false);
                consumer.connected(true);
                let end = consumer.listen(socket, &mut stop).await;
                consumer.connected(false);
                end
            }
            Err(error) => End::Lost("connect", error.to_string()),
        };
        consumer.write().await;
        match end {
            End::Asked => break,
            End::Lost(kind, reason) => {
                let instruments = &consumer.shared.instruments;
                instruments.source_errors.add(1, &[KeyValue::new("kind", kind)]);
                instruments.reconnects.add(1, &[]);
                // Once an outage: a feed that is down for an hour is not a line every two seconds.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(url, kind, reason, "no feed; trying again until it is there");
                }
            }
        }
        if !stop.sleep(pause).await {
            break;
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
    consumer.write().await;
}

struct Consumer {
    shared: Arc<Shared>,
    waiting: Vec<Tick>,
    last_sequence: Option<u64>,
}

impl Consumer {
    fn connected(&mut self, up: bool) {
        self.shared.instruments.source.up.store(up, Ordering::Relaxed);
        // The feed may have started anew meanwhile and count from one again.
        self.last_sequence = None;
        self.shared.quality.lock().forget_sequences();
    }

    async fn listen(&mut self, mut socket: Socket, stop: &mut Stop) -> End {
        let mut writing = tokio::time::interval(WRITE_PERIOD);
        let mut pruning = tokio::time::interval(PRUNE_PERIOD);
        loop {
            tokio::select! {
                heard = tokio::time::timeout(SILENCE_MAX, socket.next()) => match heard {
                    Ok(Some(Ok(Message::Text(text)))) => self.take(text.as_str()).await,
                    Ok(Some(Ok(Message::Close(_))) | None) => return End::Lost("closed", "the feed hung up".to_owned()),
                    Ok(Some(Ok(_))) => {}
                    Ok(Some(Err(error))) => return End::Lost("transport", error.to_string()),
                    Err(_) => return End::Lost("silence", format!("nothing heard for {} s", SILENCE_MAX.as_secs())),
                },
                _ = writing.tick() => self.write().await,
                _ = pruning.tick() => {
                    if let Ok(rows) = self.shared.database.prune(clock::now_us()).await
                        && rows > 0
                    {
                        tracing::info!(rows, "old ticks removed");
                    }
                }
                () = stop.asked() => {
                    let _ = socket.send(Message::Close(None)).await;
                    return End::Asked;
                }
            }
        }
    }

    async fn take(&mut self, text: &str) {
        let received = [KeyValue::new("direction", "received")];
        self.shared.instruments.messages.add(1, &received);
        self.shared.instruments.bytes.add(text.len() as u64, &received);
        let batch: Batch = match serde_json::from_str(text) {
            Ok(batch) => batch,
            Err(error) => {
                self.shared.instruments.source_errors.add(1, &[KeyValue::new("kind", "message")]);
                tracing::warn!(error = %error, "a message of the feed is no batch of ticks; left out");
                return;
            }
        };
        if let Some(last) = self.last_sequence {
            let lost = batch.sequence.saturating_sub(last + 1);
            self.shared.instruments.lost_messages.add(lost, &[]);
        }
        self.last_sequence = Some(batch.sequence);
        match batch.traceparent {
            None => batch.ticks.into_iter().for_each(|tick| self.tick(tick)),
            Some(parent) => {
                let span = tracing::info_span!("store ticks", otel.kind = "consumer", ticks = batch.ticks.len());
                lib_instrument::continue_trace(&span, &parent);
                async {
                    let count = batch.ticks.len();
                    tracing::info_span!("judge ticks")
                        .in_scope(|| batch.ticks.into_iter().for_each(|tick| self.tick(tick)));
                    self.write().await;
                    tracing::info!(sequence = batch.sequence, ticks = count, "ticks stored");
                }
                .instrument(span)
                .await;
            }
        }
    }

    fn tick(&mut self, tick: Tick) {
        let instruments = &self.shared.instruments;
        let now_us = clock::now_us();
        let broken = self.shared.quality.lock().judge(&tick, now_us);
        for rule in &broken {
            instruments.violations.add(1, &[KeyValue::new("rule", rule.name())]);
            match rule {
                Rule::Duplicate => instruments.duplicates.add(1, &[]),
                Rule::OutOfOrder => instruments.out_of_order.add(1, &[]),
                Rule::Jump => tracing::warn!(
                    symbol = tick.symbol,
                    price = tick.price,
                    "the price jumped by more than 10 % in one tick"
                ),
                _ => {}
            }
        }
        if !broken.iter().all(|rule| rule.usable()) {
            return;
        }
        let asset = catalogue::find(&tick.symbol).map_or("unknown", |listing| listing.asset.name());
        let labels = [KeyValue::new("asset.type", asset)];
        instruments.updates.add(1, &labels);
        instruments.update_latency.record(clock::age_seconds(tick.at_us), &labels);
        instruments.source.last_tick_us.store(now_us, Ordering::Relaxed);
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(tick);
        } else {
            instruments.source_errors.add(1, &[KeyValue::new("kind", "overflow")]);
        }
    }

    /// Writes what waits; it keeps waiting when the database refuses, which the database itself logs.
    async fn write(&mut self) {
        if !self.waiting.is_empty() && self.shared.database.write(&self.waiting).await.is_ok() {
            self.waiting.clear();
        }
    }
}
