//! What travels over the feed's WebSocket, as JSON text messages.

use serde::{Deserialize, Serialize};

/// One message: ticks that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Counts up by one a message.
    pub(crate) sequence: u64,
    /// The sender's trace context in the form of W3C `traceparent`, on the sampled few.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) traceparent: Option<String>,
    pub(crate) ticks: Vec<Tick>,
}

/// One trade and the quote after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) symbol: String,
    /// Counts up by one a tick of this symbol.
    pub(crate) sequence: u64,
    pub(crate) price: f64,
    pub(crate) bid: f64,
    pub(crate) ask: f64,
    /// Units traded.
    pub(crate) size: f64,
    /// When the feed made it, microseconds since 1970.
    pub(crate) at_us: i64,
}
