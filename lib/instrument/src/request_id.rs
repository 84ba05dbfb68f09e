//! The correlation id of one request: taken from `x-request-id` when the caller sent a usable one, else made here.

use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

tokio::task_local! {
    /// The request this task is working on, so that requests it sends carry the same id.
    static CURRENT: RequestId;
}

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are replaced: they go into every log line of the request.
const LENGTH_MAX: usize = 128;

/// A request's correlation id. The HTTP layer puts it into the request's extensions, the logs and the answer's
/// `x-request-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|text| !text.is_empty() && text.len() <= LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic()))
            .map_or_else(|| Self(RandomIdGenerator::default().new_trace_id().to_string()), |text| Self(text.to_owned()))
    }

    /// The id of the request that the current task answers. `None` outside of one, and in tasks it has spawned.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` as part of this request.
    pub(crate) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The id's text: 1 to 128 visible ASCII characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}
