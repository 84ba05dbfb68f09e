//! The store: listens to the feed, keeps every quote in SQLite behind a small cache, and answers the api.

mod cache;
mod consume;
mod database;
mod instruments;
mod quality;
mod rest;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use lib_instrument::Telemetry;
use opentelemetry::KeyValue;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use crate::catalogue::{AssetType, LISTINGS, Listing};
use crate::faults::Switch;
use crate::serving;
use crate::{Error, Settings};

use cache::Cache;
use database::Database;
use instruments::Instruments;
use quality::Quality;

/// What the parts of the store share.
pub(crate) struct Shared {
    pub(crate) instruments: Instruments,
    pub(crate) database: Database,
    pub(crate) cache: Arc<Mutex<Cache>>,
    pub(crate) quality: Arc<Mutex<Quality>>,
    pub(crate) switch: Switch,
    /// Decides which requests the error fault hits.
    pub(crate) chance: Mutex<crate::walk::Chance>,
}

pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let stop = serving::stop_when(shutdown);
    let meter = telemetry.meter("market-data");
    let switch = Switch::new(&meter, settings.start_faults.clone());
    let database = Database::open(&settings.data_dir, &meter, switch.clone()).await?;
    let cache = Arc::new(Mutex::new(Cache::default()));
    let quality = Arc::new(Mutex::new(Quality::default()));
    let instruments = Instruments::new(&meter, &cache, &quality);
    let shared = Arc::new(Shared {
        instruments,
        database: database.clone(),
        cache,
        quality,
        switch: switch.clone(),
        chance: Mutex::new(crate::walk::Chance::new(settings.seed)),
    });
    let consumer = tokio::spawn(consume::run(Arc::clone(&shared), settings.feed_url.clone(), stop.clone()));
    let dependencies =
        vec![database.dependency(), serving::peer("feed", &settings.feed_url, &serving::client()?).optional()];
    let routes = rest::routes(shared).merge(switch.router());
    let outcome = serving::serve(listener, telemetry, dependencies, routes, stop).await;
    // The consumer writes what it still holds, then the file is closed.
    let _ = consumer.await;
    database.close().await;
    outcome
}

/// How many of the listings satisfy `seen`, by asset type and market; a pair without any is 0.
pub(crate) fn coverage(seen: impl Fn(&Listing) -> bool) -> Vec<([KeyValue; 2], u64)> {
    let mut counts: BTreeMap<(AssetType, &'static str), u64> = BTreeMap::new();
    for listing in &LISTINGS {
        *counts.entry((listing.asset, listing.market)).or_default() += u64::from(seen(listing));
    }
    counts
        .into_iter()
        .map(|((asset, market), count)| {
            ([KeyValue::new("asset.type", asset.name()), KeyValue::new("market", market)], count)
        })
        .collect()
}
