//! The public REST API: asks the store, with a circuit breaker between, and knows the catalogue by itself.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use lib_instrument::{Outgoing, Telemetry};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::breaker::{Breaker, Policy, State as BreakerState};
use crate::catalogue::{self, LISTINGS, Listing};
use crate::faults::{Faults, Switch};
use crate::serving::{self, Refusal, refusal};
use crate::{Error, Settings};

/// Longer search texts find nothing anyway.
const SEARCH_LENGTH_MAX: usize = 64;

struct Shared {
    store_url: String,
    feed_url: String,
    client: reqwest::Client,
    outgoing: Outgoing,
    switch: Switch,
    breaker: Arc<Mutex<Breaker>>,
    started: Instant,
    rejected: Counter<u64>,
    served: Counter<u64>,
    searches: Counter<u64>,
}

type Here = State<Arc<Shared>>;

pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let stop = serving::stop_when(shutdown);
    let meter = telemetry.meter("market-data");
    let switch = Switch::new(&meter, settings.start_faults.clone());
    let client = serving::client()?;
    let breaker = Arc::new(Mutex::new(Breaker::new(Policy::default())));
    observe_breaker(&meter, &breaker);
    let counter = |name, unit, help| meter.u64_counter(name).with_unit(unit).with_description(help).build();
    let shared = Arc::new(Shared {
        store_url: settings.store_url.clone(),
        feed_url: settings.feed_url.clone(),
        client: client.clone(),
        outgoing: telemetry.outgoing(),
        switch,
        breaker,
        started: Instant::now(),
        rejected: counter("market.breaker.rejected", "{call}", "Calls the open circuit breaker kept back."),
        served: counter("market.quotes.served", "{quote}", "Quotes given to clients, by asset type."),
        searches: counter("market.searches", "{search}", "Searches, by whether they found anything."),
    });
    shared.rejected.add(0, &[]);
    let routes = Router::new()
        .route("/quotes", get(quotes))
        .route("/quotes/{symbol}", get(quote))
        .route("/history/{symbol}", get(history))
        .route("/search", get(search))
        .route("/faults", get(faults).post(set_faults))
        .with_state(shared);
    let dependencies = vec![serving::peer("store", &settings.store_url, &client)];
    serving::serve(listener, telemetry, dependencies, routes, stop).await
}

fn observe_breaker(meter: &Meter, breaker: &Arc<Mutex<Breaker>>) {
    let seen = Arc::clone(breaker);
    meter
        .u64_observable_gauge("market.breaker.state")
        .with_description("1 for the state the circuit breaker around the store is in.")
        .with_callback(move |gauge| {
            let current = seen.lock().state();
            for state in BreakerState::ALL {
                gauge.observe(u64::from(state == current), &[KeyValue::new("state", state.name())]);
            }
        })
        .build();
    let seen = Arc::clone(breaker);
    meter
        .u64_observable_counter("market.breaker.trips")
        .with_unit("{trip}")
        .with_description("Times the circuit breaker around the store has opened.")
        .with_callback(move |counter| counter.observe(seen.lock().trips(), &[]))
        .build();
}

/// A call that the breaker has let out. Dropped without an outcome (the client went away), its place is free again.
struct Permit<'a> {
    shared: &'a Shared,
    open: bool,
}

impl<'a> Permit<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let allowed = shared.breaker.lock().allow(shared.now_ms());
        // Lazily: a permit that is made and dropped would give a place back that it never had.
        allowed.then(|| Self { shared, open: true })
    }

    fn ended(mut self, good: bool) {
        self.open = false;
        let (before, after) = {
            let mut breaker = self.shared.breaker.lock();
            let before = breaker.state();
            breaker.record(self.shared.now_ms(), good);
            (before, breaker.state())
        };
        match after {
            BreakerState::Open if before != after => {
                tracing::error!(error = "too many calls to the store failed", "the circuit breaker opened");
            }
            BreakerState::Closed if before != after => tracing::info!("the store is well again; the breaker closed"),
            _ => {}
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.open {
            self.shared.breaker.lock().forget();
        }
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What the store answers to a path, as JSON.
    async fn ask(&self, path: &str, template: &str) -> Result<Value, Response> {
        let Some(permit) = Permit::take(self) else {
            self.rejected.add(1, &[]);
            tracing::warn!(path, "not asked: the circuit breaker is open");
            let mut answer =
                refusal(StatusCode::SERVICE_UNAVAILABLE, "the store is resting; ask again soon").into_response();
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            return Err(answer);
        };
        let url = format!("{}{path}", self.store_url);
        let Ok(uri) = url.parse::<Uri>() else {
            permit.ended(true);
            return Err(refusal(StatusCode::BAD_REQUEST, "this is no symbol").into_response());
        };
        let send = |headers| self.client.get(&url).headers(headers).send();
        match self.outgoing.run(&Method::GET, &uri, template, send).await {
            Ok(answer) if answer.status().is_success() => {
                let read = answer.json::<Value>().await;
                permit.ended(read.is_ok());
                read.map_err(|error| self.failed(path, &error.to_string()))
            }
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                permit.ended(true);
                Err(refusal(StatusCode::NOT_FOUND, "no such symbol, or no data for it yet").into_response())
            }
            Ok(answer) => {
                permit.ended(false);
                Err(self.failed(path, &format!("it answered {}", answer.status())))
            }
            Err(error) => {
                permit.ended(false);
                Err(self.failed(path, &error.to_string()))
            }
        }
    }

    fn failed(&self, path: &str, reason: &str) -> Response {
        tracing::error!(path, error = reason, "the store failed");
        refusal(StatusCode::BAD_GATEWAY, "the store failed").into_response()
    }

    fn count_served(&self, symbol: &str) {
        let asset = catalogue::find(symbol).map_or("unknown", |listing| listing.asset.name());
        self.served.add(1, &[KeyValue::new("asset.type", asset)]);
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "type")]
    asset: Option<String>,
    market: Option<String>,
}

/// All quotes, or those of `?type=` and `?market=`.
async fn quotes(State(shared): Here, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Response> {
    let answer = shared.ask("/quotes", "/quotes").await?;
    let fits = |symbol: &str| {
        catalogue::find(symbol).is_some_and(|listing| {
            wanted.asset.as_deref().is_none_or(|asset| listing.asset.name() == asset)
                && wanted.market.as_deref().is_none_or(|market| listing.market == market)
        })
    };
    let found: Vec<&Value> =
        answer.as_array().into_iter().flatten().filter(|quote| quote["symbol"].as_str().is_some_and(fits)).collect();
    found.iter().filter_map(|quote| quote["symbol"].as_str()).for_each(|symbol| shared.count_served(symbol));
    Ok(Json(json!({ "count": found.len(), "quotes": found })))
}

async fn quote(State(shared): Here, Path(symbol): Path<String>) -> Result<Json<Value>, Response> {
    let listing = known(&symbol).map_err(|refused| refused.into_response())?;
    let mut answer = shared.ask(&format!("/quotes/{symbol}"), "/quotes/{symbol}").await?;
    if let Some(members) = answer.as_object_mut() {
        members.insert("name".to_owned(), Value::from(listing.name));
        members.insert("type".to_owned(), Value::from(listing.asset.name()));
        members.insert("market".to_owned(), Value::from(listing.market));
    }
    shared.count_served(&symbol);
    tracing::info!(symbol, price = answer["price"].as_f64(), "quote served");
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct Range {
    limit: Option<u32>,
}

async fn history(
    State(shared): Here,
    Path(symbol): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Value>, Response> {
    known(&symbol).map_err(|refused| refused.into_response())?;
    let query = range.limit.map(|limit| format!("?limit={limit}")).unwrap_or_default();
    let points = shared.ask(&format!("/history/{symbol}{query}"), "/history/{symbol}").await?;
    Ok(Json(json!({ "symbol": symbol, "points": points })))
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

/// Listings whose symbol or name contains `?q=`, in any case.
async fn search(State(shared): Here, Query(Search { q }): Query<Search>) -> Result<Json<Value>, Refusal> {
    if q.is_empty() || q.len() > SEARCH_LENGTH_MAX {
        return Err(refusal(StatusCode::BAD_REQUEST, format!("?q= needs 1 to {SEARCH_LENGTH_MAX} characters")));
    }
    let span = tracing::info_span!("search catalogue", search.text = q, search.found = tracing::field::Empty);
    let _entered = span.enter();
    let text = q.to_lowercase();
    let fits = |listing: &&Listing| {
        listing.symbol.to_lowercase().contains(&text) || listing.name.to_lowercase().contains(&text)
    };
    let found: Vec<Value> = LISTINGS
        .iter()
        .filter(fits)
        .map(|listing| {
            json!({ "symbol": listing.symbol, "name": listing.name, "type": listing.asset.name(), "market": listing.market })
        })
        .collect();
    span.record("search.found", found.len());
    shared.searches.add(1, &[KeyValue::new("found", !found.is_empty())]);
    Ok(Json(json!({ "count": found.len(), "listings": found })))
}

async fn faults(State(shared): Here) -> Json<Faults> {
    Json(shared.switch.get())
}

/// Sets the switch of all three services.
async fn set_faults(State(shared): Here, Json(faults): Json<Faults>) -> Result<Json<Faults>, Refusal> {
    shared.switch.set(faults.clone()).map_err(serving::bad_request)?;
    for (peer, base) in [("store", &shared.store_url), ("feed", &shared.feed_url)] {
        let url = format!("{base}/faults");
        let uri: Uri = url.parse().map_err(|_| refusal(StatusCode::BAD_GATEWAY, format!("{url} is no URL")))?;
        let send = |headers| shared.client.post(&url).headers(headers).json(&faults).send();
        let sent = shared.outgoing.run(&Method::POST, &uri, "/faults", send).await;
        if !sent.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            tracing::warn!(peer, "the fault switch did not reach everyone");
            return Err(refusal(StatusCode::BAD_GATEWAY, format!("the {peer} did not take the switch")));
        }
    }
    Ok(Json(faults))
}

fn known(symbol: &str) -> Result<&'static Listing, Refusal> {
    catalogue::find(symbol).ok_or_else(|| {
        tracing::warn!(symbol, "asked for an unknown symbol");
        refusal(StatusCode::NOT_FOUND, format!("`{symbol}` is no known symbol; /search?q= finds some"))
    })
}
