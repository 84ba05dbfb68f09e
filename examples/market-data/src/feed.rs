//! The feed: walks forty prices, and broadcasts each handful of ticks to whoever listens on `/ws`.
//!
//! It also makes the mistakes that real feeds make (a tick sent twice, one sent late), so that data quality downstream
//! has something to find. It does not know who listens.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use lib_instrument::Telemetry;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter, UpDownCounter};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::catalogue::{LISTINGS, Listing, MARKETS};
use crate::faults::Switch;
use crate::serving::{self, Stop};
use crate::tick::{Batch, Tick};
use crate::walk::{Chance, Walk};
use crate::{Error, Settings, clock};

/// Time between two messages.
const PERIOD: Duration = Duration::from_millis(250);
/// Ticks a message: about 32 a second in all.
const TICKS_PER_BATCH: usize = 8;
/// One message in so many carries a trace: one every ten seconds.
const TRACED_ONE_IN: u64 = 40;
/// Messages kept for a slow listener before it misses some.
const BACKLOG_MESSAGES: usize = 64;
/// One tick in so many is sent twice, or late.
const MISTAKE_ONE_IN: usize = 400;
/// How much a spiking price is too high.
const SPIKE_FACTOR: f64 = 1.3;

struct Instruments {
    updates: Counter<u64>,
    notional: Counter<f64>,
    volume: Counter<f64>,
    connections: UpDownCounter<i64>,
    messages: Counter<u64>,
    bytes: Counter<u64>,
    dropped: Counter<u64>,
}

impl Instruments {
    fn new(meter: &Meter, last_tick_us: Arc<AtomicI64>) -> Self {
        meter
            .f64_observable_gauge("market.feed.tick.age")
            .with_unit("s")
            .with_description("Time since the feed made its last tick.")
            .with_callback(move |seen| seen.observe(clock::age_seconds(last_tick_us.load(Ordering::Relaxed)), &[]))
            .build();
        meter
            .u64_observable_gauge("market.session.open")
            .with_description("1 while the market's trading session is open.")
            .with_callback(|seen| {
                let now_us = clock::now_us();
                for market in &MARKETS {
                    seen.observe(u64::from(market.is_open(now_us)), &[KeyValue::new("market", market.name)]);
                }
            })
            .build();
        meter
            .u64_observable_gauge("market.feed.symbols")
            .with_unit("{symbol}")
            .with_description("Symbols the feed quotes.")
            .with_callback(|seen| {
                for (labels, count) in crate::store::coverage(|_| true) {
                    seen.observe(count, &labels);
                }
            })
            .build();
        let counter = |name, unit, help| meter.u64_counter(name).with_unit(unit).with_description(help).build();
        Self {
            updates: counter("market.feed.updates", "{update}", "Price updates made."),
            notional: meter
                .f64_counter("market.trade.notional")
                .with_unit("USD")
                .with_description("Value of the simulated trades, every currency counted as USD.")
                .build(),
            volume: meter
                .f64_counter("market.trade.volume")
                .with_unit("{unit}")
                .with_description("Units traded.")
                .build(),
            connections: meter
                .i64_up_down_counter("market.websocket.connections")
                .with_unit("{connection}")
                .with_description("WebSocket listeners.")
                .build(),
            messages: counter("market.websocket.messages", "{message}", "WebSocket messages, by direction."),
            bytes: counter("market.websocket.io", "By", "WebSocket payload bytes, by direction."),
            dropped: counter("market.websocket.dropped", "{message}", "Messages a slow listener missed."),
        }
    }
}

pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let stop = serving::stop_when(shutdown);
    let meter = telemetry.meter("market-data");
    let last_tick_us = Arc::new(AtomicI64::new(clock::now_us()));
    let instruments = Arc::new(Instruments::new(&meter, Arc::clone(&last_tick_us)));
    // Zero from the start, so that a page or an alert has something to compare with.
    instruments.dropped.add(0, &[]);
    let switch = Switch::new(&meter, settings.start_faults.clone());
    let (sender, _) = broadcast::channel(BACKLOG_MESSAGES);

    let maker = Maker::new(settings.seed, switch.clone());
    tokio::spawn(make(maker, sender.clone(), Arc::clone(&instruments), last_tick_us, stop.clone()));

    let listeners_stop = stop.clone();
    let ws = move |upgrade: WebSocketUpgrade| {
        let (messages, instruments, stop) = (sender.subscribe(), Arc::clone(&instruments), listeners_stop.clone());
        async move { upgrade.on_upgrade(move |socket| send_to(socket, messages, instruments, stop)) }
    };
    let routes = Router::new().route("/ws", get(ws)).merge(switch.router());
    serving::serve(listener, telemetry, Vec::new(), routes, stop).await
}

/// Everything that decides the next ticks.
struct Maker {
    chance: Chance,
    walks: Vec<(&'static Listing, Walk, u64)>,
    late: Option<Tick>,
    switch: Switch,
}

impl Maker {
    fn new(seed: u64, switch: Switch) -> Self {
        let walks = LISTINGS.iter().map(|listing| (listing, Walk::new(listing.price_start, listing.asset.step()), 0));
        Self { chance: Chance::new(seed), walks: walks.collect(), late: None, switch }
    }

    /// A handful of ticks, or one of every symbol.
    fn ticks(&mut self, every: bool, instruments: &Instruments) -> Vec<Tick> {
        let spiking = self.switch.get().price_spike;
        let mut ticks = Vec::with_capacity(TICKS_PER_BATCH + 2);
        let count = if every { self.walks.len() } else { TICKS_PER_BATCH };
        for n in 0..count {
            let at = if every { n } else { self.chance.below(self.walks.len()) };
            let Some((listing, walk, sequence)) = self.walks.get_mut(at) else { continue };
            *sequence += 1;
            let mut price = walk.next(&mut self.chance);
            if spiking.as_deref() == Some(listing.symbol) {
                price *= SPIKE_FACTOR;
            }
            // Half a spread is a fifth of a usual step: tight, and never crossed.
            let half_spread = price * listing.asset.step() / 5.0;
            let size = (1.0 + 99.0 * self.chance.unit()).round();
            let tick = Tick {
                symbol: listing.symbol.to_owned(),
                sequence: *sequence,
                price,
                bid: price - half_spread,
                ask: price + half_spread,
                size,
                at_us: clock::now_us(),
            };
            let labels = [KeyValue::new("asset.type", listing.asset.name()), KeyValue::new("market", listing.market)];
            instruments.updates.add(1, &labels);
            instruments.notional.add(price * size, &labels);
            instruments.volume.add(size, &labels);
            if self.chance.one_in(MISTAKE_ONE_IN) {
                ticks.push(tick.clone());
            }
            if self.late.is_none() && self.chance.one_in(MISTAKE_ONE_IN) {
                self.late = Some(tick);
            } else {
                ticks.push(tick);
            }
        }
        // A held tick goes out as soon as a newer one of its symbol has.
        if let Some(late) = self.late.take() {
            if ticks.iter().any(|tick| tick.symbol == late.symbol && tick.sequence > late.sequence) {
                ticks.push(late);
            } else {
                self.late = Some(late);
            }
        }
        ticks
    }
}

async fn make(
    mut maker: Maker,
    sender: broadcast::Sender<Utf8Bytes>,
    instruments: Arc<Instruments>,
    last_tick_us: Arc<AtomicI64>,
    mut stop: Stop,
) {
    let mut sequence = 0;
    let mut listeners_before = 0;
    while stop.sleep(PERIOD).await {
        sequence += 1;
        // Who has just connected gets every symbol, in a traced message.
        let listeners = sender.receiver_count();
        let newcomer = listeners > listeners_before;
        let traced = newcomer || sequence % TRACED_ONE_IN == 0;
        listeners_before = listeners;
        let span = if traced {
            tracing::info_span!("publish ticks", otel.kind = "producer", messaging.message.id = sequence)
        } else {
            tracing::Span::none()
        };
        let _entered = span.enter();
        let ticks = maker.ticks(newcomer, &instruments);
        last_tick_us.store(clock::now_us(), Ordering::Relaxed);
        let batch = Batch { sequence, traceparent: lib_instrument::context_to_text(), ticks };
        match serde_json::to_string(&batch) {
            // No listener is no error: the store may not be up yet.
            Ok(text) => drop(sender.send(Utf8Bytes::from(text))),
            Err(error) => tracing::error!(error = %error, "a batch cannot be written as JSON"),
        }
        if !span.is_none() {
            tracing::info!(sequence, ticks = batch.ticks.len(), listeners, "ticks published");
        }
    }
}

async fn send_to(
    mut socket: WebSocket,
    mut messages: broadcast::Receiver<Utf8Bytes>,
    instruments: Arc<Instruments>,
    mut stop: Stop,
) {
    let sent = [KeyValue::new("direction", "sent")];
    instruments.connections.add(1, &[]);
    tracing::info!("a listener connected");
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(text) => {
                    let length = text.len() as u64;
                    if socket.send(Message::Text(text)).await.is_err() {
                        break;
                    }
                    instruments.messages.add(1, &sent);
                    instruments.bytes.add(length, &sent);
                }
                Err(RecvError::Lagged(missed)) => {
                    instruments.dropped.add(missed, &[]);
                    tracing::warn!(missed, "a listener is too slow; it missed messages");
                }
                Err(RecvError::Closed) => break,
            },
            incoming = socket.recv() => match incoming {
                // Listeners have nothing to say; pings are answered by the library.
                Some(Ok(message)) if !matches!(message, Message::Close(_)) => {}
                _ => break,
            },
            () = stop.asked() => {
                let _ = socket.send(Message::Close(None)).await;
                break;
            }
        }
    }
    instruments.connections.add(-1, &[]);
    tracing::info!("a listener left");
}
