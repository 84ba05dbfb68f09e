//! The three services in one process on free ports, started around a test and stopped after it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::future::Future;
use std::time::Duration;

use examples_market_data::{Role, Settings, serve};
use lib_instrument::testing::Captured;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Longest wait for a condition; a healthy run needs about a second.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Market {
    pub(crate) api: String,
    pub(crate) store: String,
    pub(crate) feed: String,
    client: reqwest::Client,
}

impl Market {
    pub(crate) async fn get(&self, url: &str) -> (u16, Value) {
        let answer = self.client.get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn set_faults(&self, faults: Value) -> (u16, Value) {
        let answer = self.client.post(format!("{}/faults", self.api)).json(&faults).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = String::new();
        let asked = async {
            loop {
                let (status, value) = self.get(&format!("{}{path}", self.api)).await;
                if wanted(status, &value) {
                    return value;
                }
                last = format!("{status} {value}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(value) => value,
            Err(_) => panic!("{path} never answered as wanted; the last answer was {last}"),
        }
    }
}

/// Runs the three services around `test`, started in the wrong order on purpose, and stops them afterwards.
pub(crate) async fn with_market<F: Future<Output = ()>>(
    captured: (lib_instrument::Telemetry, &Captured),
    test: impl FnOnce(Market) -> F,
) {
    let (telemetry, _) = captured;
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let url = |at: usize| format!("http://{}", listeners[at].local_addr().unwrap());
    let (api, store, feed) = (url(0), url(1), url(2));
    let (stop, stopped) = watch::channel(false);
    let services = listeners.into_iter().zip([Role::Api, Role::Store, Role::Feed]).map(|(listener, role)| {
        let mut settings = Settings::new(role);
        settings.feed_url = feed.clone();
        settings.store_url = store.clone();
        settings.api_url = api.clone();
        settings.data_dir = folder.path().join("data");
        let mut stopped = stopped.clone();
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        serve(listener, settings, &telemetry, shutdown)
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let market = Market { api: api.clone(), store: store.clone(), feed: feed.clone(), client };
    let test = async {
        test(market).await;
        stop.send(true).unwrap();
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(services), test);
    for outcome in outcomes {
        outcome.unwrap();
    }
}

/// Waits for a span. SQLite's own thread holds the span of a statement for a moment longer than the answer takes.
pub(crate) async fn eventually<T>(find: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = find() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the span never ended")
}
