//! Request bodies: read within limits of size, time and memory, then unpacked.
//!
//! All bodies in flight together share one budget, taken as bytes arrive, so that many large requests are shed one by one
//! instead of growing the process. Knows nothing of what a body says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use observe_ingest::self_metrics::{IngestMetrics, Protocol};
use observe_wire::otlp::Signal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The semaphore counts KiB: its permits are 32 bits wide per acquisition.
const UNIT_BYTES: usize = 1024;

/// Limits on bodies, shared by all listeners.
#[derive(Clone)]
pub struct Bodies {
    limits: BodyLimits,
    in_flight: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// Of one body, packed and unpacked alike.
    pub body_bytes: usize,
    /// Of all bodies at once.
    pub in_flight_bytes: usize,
    /// Between two pieces of a body.
    pub idle_timeout: Duration,
    /// For a whole body.
    pub total_timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        BodyLimits {
            body_bytes: 32 << 20,
            in_flight_bytes: 64 << 20,
            idle_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
        }
    }
}

/// A whole, unpacked body; gives its share of the budget back when dropped.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) bytes: Bytes,
    _permits: Vec<OwnedSemaphorePermit>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body has more than {limit_bytes} bytes, the limit of one request; send smaller batches")]
    TooLarge { limit_bytes: usize },
    #[error(
        "all bodies in flight together would pass {limit_bytes} bytes; nothing was taken, send it again in a moment"
    )]
    Busy { limit_bytes: usize },
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the body broke off: {0}")]
    Broken(String),
    #[error("the body could not be unpacked: {0}")]
    Encoding(observe_wire::DecodeError),
}

impl BodyError {
    /// Counts a body that was not taken: shed when there was no room, undecodable otherwise.
    pub(crate) fn count(&self, counters: &IngestMetrics, signal: Signal, protocol: Protocol) {
        match self {
            BodyError::Busy { .. } => counters.shed(signal),
            _ => counters.undecodable(signal, protocol),
        }
    }
}

impl Bodies {
    pub fn new(limits: BodyLimits) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits.in_flight_bytes / UNIT_BYTES));
        Bodies { limits, in_flight }
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limits.body_bytes
    }

    /// A share of the budget for bytes that something else has read.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        self.take(bytes)
    }

    /// Reads and unpacks.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Unpacked, BodyError> {
        let deadline = tokio::time::Instant::now() + self.limits.total_timeout;
        let (packed, mut permits) =
            tokio::time::timeout_at(deadline, self.collect(headers, body)).await.map_err(|_| BodyError::Slow)??;
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        // Remote write and Loki push name snappy here but mean the block form, which their decoders know.
        if encoding.is_empty() || encoding == "identity" || encoding == "snappy" {
            return Ok(Unpacked { bytes: packed, _permits: permits });
        }
        // A packed body may unpack to the limit: that much is taken for the time it needs.
        permits.push(self.take(self.limits.body_bytes)?);
        let unpacked = observe_wire::compression::decode(encoding, &packed, self.limits.body_bytes);
        let bytes = unpacked.map(|bytes| Bytes::from(bytes.into_owned())).map_err(BodyError::Encoding)?;
        permits.pop();
        permits.push(self.take(bytes.len())?);
        Ok(Unpacked { bytes, _permits: permits })
    }

    async fn collect(
        &self,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), BodyError> {
        let limit_bytes = self.limits.body_bytes;
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit_bytes) {
            return Err(BodyError::TooLarge { limit_bytes });
        }
        let mut collected: Vec<u8> = Vec::new();
        let mut permits = Vec::new();
        let mut covered = 0;
        loop {
            let frame =
                tokio::time::timeout(self.limits.idle_timeout, body.frame()).await.map_err(|_| BodyError::Slow)?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if collected.len() + data.len() > limit_bytes {
                return Err(BodyError::TooLarge { limit_bytes });
            }
            if collected.len() + data.len() > covered {
                // In steps, so that a body is not one permit a packet.
                let step = data.len().max(64 << 10);
                permits.push(self.take(step)?);
                covered += step;
            }
            collected.extend_from_slice(&data);
        }
        Ok((Bytes::from(collected), permits))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        self.in_flight
            .clone()
            .try_acquire_many_owned(units)
            .map_err(|_| BodyError::Busy { limit_bytes: self.limits.in_flight_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies() -> Bodies {
        Bodies::new(BodyLimits { body_bytes: 256 << 10, in_flight_bytes: 512 << 10, ..BodyLimits::default() })
    }

    #[tokio::test]
    async fn limits_hold_and_give_back() {
        let bodies = bodies();
        let none = HeaderMap::new();
        let first = bodies.read(&none, Body::from(vec![0; 200 << 10])).await.unwrap();
        let second = bodies.read(&none, Body::from(vec![0; 200 << 10])).await.unwrap();
        let third = bodies.read(&none, Body::from(vec![0; 200 << 10])).await;
        assert!(matches!(third, Err(BodyError::Busy { .. })));
        drop((first, second));
        assert_eq!(bodies.read(&none, Body::from(vec![0; 200 << 10])).await.unwrap().bytes.len(), 200 << 10);
        let large = bodies.read(&none, Body::from(vec![0; 300 << 10])).await;
        assert!(matches!(large, Err(BodyError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up() {
        let stuck = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let limits = BodyLimits { idle_timeout: Duration::from_millis(5), ..BodyLimits::default() };
        assert!(matches!(Bodies::new(limits).read(&HeaderMap::new(), stuck).await, Err(BodyError::Slow)));
    }
}
