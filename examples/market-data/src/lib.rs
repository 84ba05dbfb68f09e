//! The demo: three small services of simulated market data and their load, instrumented with `lib-instrument`.
//!
//! `feed` makes quotes and broadcasts them over a WebSocket, `store` keeps them in SQLite behind a cache, `api` answers
//! the public, and `load` asks the api and drives faults on a timetable, so that there is always something to see. Each
//! role is a process of its own; no order of start is needed. Nothing here knows `apm`: it speaks OTLP to whoever listens.

mod api;
mod breaker;
mod catalogue;
mod children;
mod clock;
mod error;
mod faults;
mod feed;
mod load;
mod serving;
mod settings;
mod store;
mod tick;
mod walk;

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use lib_instrument::{Console, Instrument, Telemetry};
use tokio::net::TcpListener;

pub use children::{Child, Ports, children};
pub use error::Error;
pub use faults::Faults;
pub use settings::{Settings, USAGE, parse_args};

/// One of the four processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Makes quotes: WebSocket `/ws`.
    Feed,
    /// Keeps quotes: `/quotes/{symbol}`, `/history/{symbol}` for the api.
    Store,
    /// The public REST API.
    Api,
    /// Asks the api, and drives the faults.
    Load,
}

impl Role {
    /// Every role, in the way of the data.
    pub const ALL: [Self; 4] = [Self::Feed, Self::Store, Self::Api, Self::Load];

    /// The service's name in telemetry, for example `market-feed`.
    pub fn service_name(self) -> &'static str {
        match self {
            Self::Feed => "market-feed",
            Self::Store => "market-store",
            Self::Api => "market-api",
            Self::Load => "market-load",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Feed => "feed",
            Self::Store => "store",
            Self::Api => "api",
            Self::Load => "load",
        })
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| Error::usage(format!("`{text}` is no role"), "the roles are feed, store, api and load"))
    }
}

/// Runs one role until `shutdown` completes: sets up telemetry for the whole process, binds, serves, drains, flushes.
/// A single-threaded runtime is enough.
///
/// # Errors
/// Telemetry settings that cannot be honoured, an address that cannot be bound, a data folder that cannot be written.
/// Peers that are not there yet are no error: a role waits for them.
pub async fn run(settings: Settings, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| Error::Listen { address: settings.listen.to_string(), reason: error.to_string() })?;
    run_on(listener, settings, shutdown).await
}

/// The same on a listener that the caller bound, so that nobody else can take the port in between.
///
/// # Errors
/// Those of [`run`].
pub async fn run_on(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let telemetry = Instrument::new(settings.role.service_name())
        .version(env!("CARGO_PKG_VERSION"))
        .attribute("service.namespace", "market-data")
        .prometheus(true)
        .console(if settings.console { Console::Text } else { Console::Off })
        .install()?;
    let outcome = serve(listener, settings, &telemetry, shutdown).await;
    telemetry.shutdown().await;
    outcome
}

/// Serves one role on a listener with telemetry that the caller has set up: the way to run several in one process.
///
/// # Errors
/// A data folder that cannot be written, or a listener that breaks.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    match settings.role {
        Role::Feed => feed::serve(listener, settings, telemetry, shutdown).await,
        Role::Store => store::serve(listener, settings, telemetry, shutdown).await,
        Role::Api => api::serve(listener, settings, telemetry, shutdown).await,
        Role::Load => load::serve(listener, settings, telemetry, shutdown).await,
    }
}
