//! The fault switch: what goes wrong on purpose, settable while running.
//!
//! Each role holds the whole switch and acts on its own part. What a `POST` does not name is calm again.

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

/// Longest delay that can be asked for: past it every caller has given up anyway.
const SLOW_MS_MAX: u64 = 10_000;

/// What is wrong at the moment. All calm by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every read of the store's database takes so much longer; at most 10000.
    pub slow_store_ms: u64,
    /// The fraction of the store's answers that are errors, 0 to 1.
    pub error_ratio: f64,
    /// A symbol whose price is 30 % too high at the feed.
    pub price_spike: Option<String>,
}

impl Faults {
    /// As `POST /faults` takes them.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str::<Self>(text).map_err(|error| error.to_string())?.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&self.error_ratio) {
            return Err(format!("error_ratio is {}; it must be from 0 to 1", self.error_ratio));
        }
        if self.slow_store_ms > SLOW_MS_MAX {
            return Err(format!("slow_store_ms is {}; it must be at most {SLOW_MS_MAX}", self.slow_store_ms));
        }
        if let Some(symbol) = self.price_spike.as_deref().filter(|symbol| crate::catalogue::find(symbol).is_none()) {
            return Err(format!("price_spike names `{symbol}`, which is no known symbol; AAPL is one"));
        }
        Ok(self)
    }
}

/// Shared by everything in a role that can go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch(Arc<RwLock<Faults>>);

impl Switch {
    /// A switch whose state is a metric.
    pub(crate) fn new(meter: &Meter, start: Faults) -> Self {
        let switch = Self::default();
        *switch.0.write() = start;
        let seen = switch.clone();
        meter
            .f64_observable_gauge("market.fault.active")
            .with_description("Faults switched on on purpose: the delay in ms, the ratio, or 1.")
            .with_callback(move |observer| {
                let faults = seen.get();
                let spike = f64::from(u8::from(faults.price_spike.is_some()));
                for (kind, value) in [
                    ("slow_store", faults.slow_store_ms as f64),
                    ("error_ratio", faults.error_ratio),
                    ("price_spike", spike),
                ] {
                    observer.observe(value, &[KeyValue::new("fault", kind)]);
                }
            })
            .build();
        switch
    }

    pub(crate) fn get(&self) -> Faults {
        self.0.read().clone()
    }

    /// Takes effect at once.
    pub(crate) fn set(&self, faults: Faults) -> Result<(), String> {
        let faults = faults.checked()?;
        if *self.0.read() != faults {
            tracing::warn!(
                slow_store_ms = faults.slow_store_ms,
                error_ratio = faults.error_ratio,
                price_spike = faults.price_spike.as_deref().unwrap_or("none"),
                "fault switch set"
            );
        }
        *self.0.write() = faults;
        Ok(())
    }

    /// `GET` and `POST /faults` for this role alone.
    pub(crate) fn router(&self) -> Router {
        let (shown, set) = (self.clone(), self.clone());
        Router::new().route(
            "/faults",
            get(move || async move { Json(shown.get()) }).post(move |Json(faults): Json<Faults>| async move {
                set.set(faults).map(|()| Json(set.get())).map_err(crate::serving::bad_request)
            }),
        )
    }
}
