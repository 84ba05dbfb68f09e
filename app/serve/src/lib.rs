//! Wires everything together: settings, stores and their threads, listeners, scraping, the engine's own telemetry.
//!
//! This is where single-threaded stores meet threads and tokio. It holds no format, no language and no route: if something
//! here grows a rule about telemetry, it belongs in `observe`.

mod blocks;
mod collect;
mod deployments;
mod engine;
mod insides;
mod listen;
mod memory;
mod own;
mod registry;
mod rules;
mod scrape;
mod seen;
mod settings;
mod sink;
mod start;
mod writer;

pub use blocks::{Counts, Exported, Imported, LeftOut, Selection, export_prometheus, import_prometheus, shown_time};
pub use collect::{CollectOptions, CollectSettings, Collecting, Each, ForwardSettings, TokenFrom, collect};
pub use registry::{EngineEntry, engines};
pub use scrape::ScrapePlan;
pub use settings::{ObserveSettings, ServerSettings, Settings};
pub use start::{NotStarted, Options, Running, start};
