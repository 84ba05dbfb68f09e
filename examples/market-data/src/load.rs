//! The load: a few requests a second over the whole API, and the faults on their timetable.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Uri};
use lib_instrument::{Outgoing, Telemetry};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::net::TcpListener;

use crate::catalogue::LISTINGS;
use crate::faults::Faults;
use crate::serving::{self, Stop};
use crate::walk::Chance;
use crate::{Error, Settings};

/// Between two requests: four a second.
const PERIOD: Duration = Duration::from_millis(250);

struct Visitor {
    api_url: String,
    client: reqwest::Client,
    outgoing: Outgoing,
    requests: Counter<u64>,
    chance: Chance,
    told_down: bool,
}

pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let stop = serving::stop_when(shutdown);
    let client = serving::client()?;
    let requests = telemetry
        .meter("market-data")
        .u64_counter("market.load.requests")
        .with_unit("{request}")
        .with_description("Requests the load has sent, by endpoint and outcome.")
        .build();
    let visitor = Visitor {
        api_url: settings.api_url.clone(),
        client: client.clone(),
        outgoing: telemetry.outgoing(),
        requests,
        chance: Chance::new(settings.seed),
        told_down: false,
    };
    let mut tasks = vec![tokio::spawn(visitor.visit(stop.clone()))];
    if settings.faults {
        let post = Arc::new(Post { url: format!("{}/faults", settings.api_url), client: client.clone() });
        tasks.push(tokio::spawn(drive(post, stop.clone())));
    }
    let dependencies = vec![serving::peer("api", &settings.api_url, &client)];
    let outcome = serving::serve(listener, telemetry, dependencies, Router::new(), stop).await;
    for task in tasks {
        let _ = task.await;
    }
    outcome
}

impl Visitor {
    async fn visit(mut self, mut stop: Stop) {
        while stop.sleep(PERIOD).await {
            let (path, template) = self.next();
            tokio::select! {
                () = self.ask(path, template) => {}
                () = stop.asked() => break,
            }
        }
    }

    /// Half quotes, a fifth history, the rest lists, searches and a mistake.
    fn next(&mut self) -> (String, &'static str) {
        let at = self.chance.below(LISTINGS.len());
        let symbol = LISTINGS.get(at).map_or("AAPL", |listing| listing.symbol);
        match self.chance.below(20) {
            0..=9 => (format!("/quotes/{symbol}"), "/quotes/{symbol}"),
            10..=13 => (format!("/history/{symbol}?limit=20"), "/history/{symbol}"),
            14 | 15 => ("/quotes".to_owned(), "/quotes"),
            16 => ("/quotes?type=crypto".to_owned(), "/quotes"),
            17 | 18 => {
                let text: String = symbol.chars().take(2).collect();
                (format!("/search?q={text}"), "/search")
            }
            _ => ("/quotes/TYPO".to_owned(), "/quotes/{symbol}"),
        }
    }

    async fn ask(&mut self, path: String, template: &'static str) {
        let url = format!("{}{path}", self.api_url);
        let Ok(uri) = url.parse::<Uri>() else { return };
        let send = |headers| self.client.get(&url).headers(headers).send();
        let result = self.outgoing.run(&Method::GET, &uri, template, send).await;
        let outcome = match &result {
            Ok(answer) if answer.status().is_server_error() => "server_error",
            Ok(answer) if answer.status().is_client_error() => "client_error",
            Ok(_) => "ok",
            Err(_) => "no_answer",
        };
        self.requests.add(1, &[KeyValue::new("endpoint", template), KeyValue::new("outcome", outcome)]);
        match result {
            Ok(answer) => {
                self.told_down = false;
                if answer.status().is_server_error() {
                    tracing::warn!(path, status = answer.status().as_u16(), "the api failed");
                }
            }
            Err(error) if !self.told_down => {
                self.told_down = true;
                tracing::warn!(error = %error, "no answer from the api; asking on");
            }
            Err(_) => {}
        }
    }
}

/// What is wrong for how long, over and over; the first fault comes after a minute.
fn timetable() -> [(Duration, Faults); 7] {
    let calm = Faults::default;
    [
        (Duration::from_secs(60), calm()),
        (Duration::from_secs(40), Faults { slow_store_ms: 800, ..calm() }),
        (Duration::from_secs(50), calm()),
        (Duration::from_secs(30), Faults { error_ratio: 0.6, ..calm() }),
        (Duration::from_secs(50), calm()),
        (Duration::from_secs(20), Faults { price_spike: Some("AAPL".to_owned()), ..calm() }),
        (Duration::from_secs(30), calm()),
    ]
}

struct Post {
    url: String,
    client: reqwest::Client,
}

impl Post {
    async fn set(&self, faults: &Faults) -> bool {
        let sent = self.client.post(&self.url).json(faults).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }
}

async fn drive(post: Arc<Post>, mut stop: Stop) {
    loop {
        for (time, faults) in timetable() {
            if faults != Faults::default() {
                tracing::info!(?faults, seconds = time.as_secs(), "a fault begins");
            }
            // Before everyone is up a setting may be lost; the next round sets it again.
            if !post.set(&faults).await {
                tracing::info!("the fault switch could not be set; trying again in the next round");
            }
            if !stop.sleep(time).await {
                // Whoever keeps running without the load runs calm. At the end of the whole demo nobody answers.
                let _ = tokio::time::timeout(Duration::from_millis(300), post.set(&Faults::default())).await;
                return;
            }
        }
    }
}
