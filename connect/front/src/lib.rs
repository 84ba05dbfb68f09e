//! The connector to a front, in the words of its control socket (docs/formats/front-control.md): what is in force, another set of
//! upstreams, drain, end.
//!
//! A connection for each call, a time limit on every call and a size limit on everything read. A set from a generation that is no longer in
//! force is refused by the front and is an error of its own: [`FrontError::Stale`]. It does not know what a plan, a container or a color
//! is, starts no front, and retries nothing.

mod call;
mod error;
mod model;

pub use error::FrontError;
pub use model::{Check, Drained, State, Upstream, UpstreamStatus};

use std::path::{Path, PathBuf};
use std::time::Duration;

use call::Call;

/// What every call gives.
pub type Result<T> = std::result::Result<T, FrontError>;

/// For all calls but a drain, which says itself how long it takes.
const TIME_MAX: Duration = Duration::from_secs(10);
/// `sun_path` of unix(7) has 108 bytes, one of them for the end.
const PATH_BYTES_MAX: usize = 107;

/// The front behind one control socket; making one connects to nothing.
#[derive(Clone, Debug)]
pub struct Front {
    path: PathBuf,
    time_max: Duration,
}

impl Front {
    /// Refuses a path that no Unix socket can have.
    pub fn new(path: impl Into<PathBuf>) -> Result<Front> {
        let path = path.into();
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(FrontError::PathTooLong { path, bytes_max: PATH_BYTES_MAX });
        }
        Ok(Front { path, time_max: TIME_MAX })
    }

    /// The same with another time limit on each call.
    pub fn within(self, time_max: Duration) -> Front {
        Front { time_max, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in force.
    pub async fn state(&self) -> Result<State> {
        self.call(Call::get("/v1/state", "ask what is in force"), self.time_max).await
    }

    /// Puts these upstreams in force, all at once, if `generation` still is; durable and in force on return.
    pub async fn set(&self, generation: u64, upstreams: &[Upstream]) -> Result<State> {
        let body = serde_json::json!({"generation": generation, "upstreams": upstreams});
        self.call(Call::put("/v1/upstreams", "set the upstreams", body), self.time_max).await
    }

    /// Sends nothing new to an upstream and waits until it holds nothing, or the time is over; one that left the set is only waited for.
    pub async fn drain(&self, upstream: &str, time: Duration) -> Result<Drained> {
        let timeout_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let body = serde_json::json!({"upstream": upstream, "timeout_ms": timeout_ms});
        self.call(Call::post("/v1/drain", "drain an upstream", body), time.saturating_add(self.time_max)).await
    }

    /// Tells it to end; it may go on answering until what is open has ended.
    pub async fn stop(&self) -> Result<State> {
        self.call(Call::post("/v1/stop", "end", serde_json::json!({})), self.time_max).await
    }
}
