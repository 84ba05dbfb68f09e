//! The store's own metrics, except those of the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use parking_lot::Mutex;

use super::cache::{Cache, ENTRIES_MAX};
use super::coverage;
use super::quality::Quality;
use crate::catalogue::{AssetType, LISTINGS};
use crate::clock;

/// A symbol counts as covered while its last tick is at most so old.
const COVERED_US_MAX: i64 = 60_000_000;

/// End-to-end latencies here are fractions of a millisecond to seconds.
const LATENCY_BOUNDS_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What the source of data looks like from here.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) up: AtomicBool,
    pub(crate) last_tick_us: AtomicI64,
}

pub(crate) struct Instruments {
    pub(crate) source: Arc<Source>,
    pub(crate) reconnects: Counter<u64>,
    pub(crate) source_errors: Counter<u64>,
    pub(crate) violations: Counter<u64>,
    pub(crate) duplicates: Counter<u64>,
    pub(crate) out_of_order: Counter<u64>,
    pub(crate) updates: Counter<u64>,
    pub(crate) update_latency: Histogram<f64>,
    pub(crate) messages: Counter<u64>,
    pub(crate) bytes: Counter<u64>,
    pub(crate) lost_messages: Counter<u64>,
    pub(crate) cache_hits: Counter<u64>,
    pub(crate) cache_misses: Counter<u64>,
    pub(crate) cache_evictions: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter, cache: &Arc<Mutex<Cache>>, quality: &Arc<Mutex<Quality>>) -> Self {
        let source = Arc::new(Source::default());
        observe_source(meter, &source);
        observe_quality(meter, quality);
        observe_cache(meter, cache);
        let counter = |name, unit, help| meter.u64_counter(name).with_unit(unit).with_description(help).build();
        let made = Self {
            source,
            reconnects: counter("market.source.reconnects", "{attempt}", "Times the store connected to the feed anew."),
            source_errors: counter("market.source.errors", "{error}", "Failures of the feed's connection, by kind."),
            violations: counter("market.quality.violations", "{tick}", "Ticks that broke a rule, by rule."),
            duplicates: counter("market.quality.duplicates", "{tick}", "Ticks received twice."),
            out_of_order: counter("market.quality.out_of_order", "{tick}", "Ticks received after a newer one."),
            updates: counter("market.updates", "{update}", "Price updates taken in."),
            update_latency: meter
                .f64_histogram("market.update.latency")
                .with_unit("s")
                .with_description("From the making of a tick to its place in the store.")
                .with_boundaries(LATENCY_BOUNDS_SECONDS.to_vec())
                .build(),
            messages: counter("market.websocket.messages", "{message}", "WebSocket messages, by direction."),
            bytes: counter("market.websocket.io", "By", "WebSocket payload bytes, by direction."),
            lost_messages: counter("market.websocket.lost", "{message}", "Messages missing between two received ones."),
            cache_hits: counter("market.cache.hits", "{read}", "Reads the cache answered."),
            cache_misses: counter("market.cache.misses", "{read}", "Reads that went on to the database."),
            cache_evictions: counter("market.cache.evictions", "{entry}", "Entries that left for another."),
        };
        // A counter that has never counted is missing on a page; zero is the truth, and an alert can compare with it.
        for counter in [
            &made.reconnects,
            &made.duplicates,
            &made.out_of_order,
            &made.lost_messages,
            &made.cache_hits,
            &made.cache_misses,
            &made.cache_evictions,
        ] {
            counter.add(0, &[]);
        }
        made
    }
}

fn observe_source(meter: &Meter, source: &Arc<Source>) {
    let seen = Arc::clone(source);
    meter
        .u64_observable_gauge("market.source.up")
        .with_description("1 while connected to the feed.")
        .with_callback(move |gauge| gauge.observe(u64::from(seen.up.load(Ordering::Relaxed)), &[]))
        .build();
    let seen = Arc::clone(source);
    meter
        .f64_observable_gauge("market.source.tick.age")
        .with_unit("s")
        .with_description("Time since the last tick came in.")
        .with_callback(move |gauge| match seen.last_tick_us.load(Ordering::Relaxed) {
            // Before the first tick there is no age.
            0 => {}
            last_us => gauge.observe(clock::age_seconds(last_us), &[]),
        })
        .build();
}

fn observe_quality(meter: &Meter, quality: &Arc<Mutex<Quality>>) {
    let seen = Arc::clone(quality);
    meter
        .f64_observable_gauge("market.quality.score")
        .with_unit("1")
        .with_description("Share of good ticks among the last thousand or so.")
        .with_callback(move |gauge| gauge.observe(seen.lock().score(), &[]))
        .build();
    let seen = Arc::clone(quality);
    meter
        .f64_observable_gauge("market.quality.freshness")
        .with_unit("s")
        .with_description("Age of the oldest latest price, by asset type.")
        .with_callback(move |gauge| {
            let quality = seen.lock();
            for asset in AssetType::ALL {
                let symbols = LISTINGS.iter().filter(|listing| listing.asset == asset);
                let oldest = symbols.filter_map(|listing| quality.last_us(listing.symbol)).min();
                if let Some(oldest_us) = oldest {
                    gauge.observe(clock::age_seconds(oldest_us), &[KeyValue::new("asset.type", asset.name())]);
                }
            }
        })
        .build();
    let covered = |quality: &Mutex<Quality>| {
        let (quality, now_us) = (quality.lock(), clock::now_us());
        coverage(|listing| quality.last_us(listing.symbol).is_some_and(|last_us| now_us - last_us <= COVERED_US_MAX))
    };
    let seen = Arc::clone(quality);
    meter
        .u64_observable_gauge("market.coverage.symbols")
        .with_unit("{symbol}")
        .with_description("Symbols with a price of the last minute, by asset type and market.")
        .with_callback(move |gauge| {
            for (labels, count) in covered(&seen) {
                gauge.observe(count, &labels);
            }
        })
        .build();
    let seen = Arc::clone(quality);
    meter
        .f64_observable_gauge("market.coverage")
        .with_unit("1")
        .with_description("Share of all symbols with a price of the last minute.")
        .with_callback(move |gauge| {
            let count: u64 = covered(&seen).into_iter().map(|(_, count)| count).sum();
            gauge.observe(count as f64 / LISTINGS.len() as f64, &[]);
        })
        .build();
}

fn observe_cache(meter: &Meter, cache: &Arc<Mutex<Cache>>) {
    let seen = Arc::clone(cache);
    meter
        .u64_observable_gauge("market.cache.entries")
        .with_unit("{entry}")
        .with_description("Quotes in the cache.")
        .with_callback(move |gauge| gauge.observe(seen.lock().len() as u64, &[]))
        .build();
    meter
        .u64_observable_gauge("market.cache.capacity")
        .with_unit("{entry}")
        .with_description("Places in the cache.")
        .with_callback(|gauge| gauge.observe(ENTRIES_MAX as u64, &[]))
        .build();
    let seen = Arc::clone(cache);
    meter
        .u64_observable_gauge("market.cache.memory")
        .with_unit("By")
        .with_description("What the cached quotes take.")
        .with_callback(move |gauge| gauge.observe(seen.lock().bytes() as u64, &[]))
        .build();
}
