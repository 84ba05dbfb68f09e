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
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The semaphore counts KiB: its permits are 32 bits wide per acquisition.
const UNIT_BYTES: usize = 1024;

/// In such steps a body takes its share of the budget as it grows.
const STEP_BYTES: usize = 64 << 10;
/// Telemetry unpacks to about five to fifteen times its packed size.
const USUAL_RATIO: usize = 16;

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

/// What a body that something else reads has of the budget.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Vec<OwnedSemaphorePermit>>>);

impl Held {
    /// Gives it back: the bytes are gone, or are counted in another way from now on.
    pub(crate) fn give_back(&self) {
        self.0.lock().clear();
    }
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

    /// The same body for something else to read: it takes its share of the budget as its frames come and ends in an error
    /// made by `refuse` when there is no room or no time. The share is given back with [`Held`].
    pub(crate) fn held<E>(&self, body: Body, refuse: impl Fn(BodyError) -> E + Send + 'static) -> (Body, Held)
    where
        E: Into<axum::BoxError> + Send + 'static,
    {
        let held = Held::default();
        let (bodies, taken) = (self.clone(), held.clone());
        let deadline = tokio::time::Instant::now() + self.limits.total_timeout;
        let next = move |(mut body, refuse): (Body, _)| {
            let (bodies, taken) = (bodies.clone(), taken.clone());
            async move {
                let frame = bodies.frame(&mut body, deadline).await.transpose()?;
                let data = frame.and_then(|data| {
                    taken.0.lock().push(bodies.take(data.len())?);
                    Ok(data)
                });
                Some((data.map_err(&refuse), (body, refuse)))
            }
        };
        (Body::from_stream(futures_util::stream::unfold((body, refuse), next)), held)
    }

    /// The next piece of a body; `None` at its end.
    async fn frame(&self, body: &mut Body, deadline: tokio::time::Instant) -> Result<Option<Bytes>, BodyError> {
        let soon = (tokio::time::Instant::now() + self.limits.idle_timeout).min(deadline);
        loop {
            let frame = tokio::time::timeout_at(soon, body.frame()).await.map_err(|_| BodyError::Slow)?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(data) = frame.map_err(|error| BodyError::Broken(error.to_string()))?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// Reads and unpacks.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Unpacked, BodyError> {
        let deadline = tokio::time::Instant::now() + self.limits.total_timeout;
        let (packed, mut permits) = self.collect(headers, body, deadline).await?;
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        // Remote write and Loki push name snappy here but mean the block form, which their decoders know.
        if encoding.is_empty() || encoding == "identity" || encoding == "snappy" {
            return Ok(Unpacked { bytes: packed, _permits: permits });
        }
        let held: usize = permits.iter().map(|permit| permit.num_permits() * UNIT_BYTES).sum();
        let (bytes, permit) = self.unpack(encoding, &packed, held)?;
        permits.push(permit);
        Ok(Unpacked { bytes, _permits: permits })
    }

    /// Nobody knows how large a packed body becomes: a usual share of the budget is tried first, then larger ones, so that
    /// a small request does not take the room of a bomb. `held` is what the packed body has of the budget already; what
    /// would not fit beside it can never be taken, and waiting would not help.
    fn unpack(&self, encoding: &str, packed: &[u8], held: usize) -> Result<(Bytes, OwnedSemaphorePermit), BodyError> {
        let most = self.limits.body_bytes.min(self.limits.in_flight_bytes.saturating_sub(held));
        let mut share = packed.len().saturating_mul(USUAL_RATIO).max(STEP_BYTES).min(most);
        loop {
            let mut permit = self.take(share)?;
            match observe_wire::compression::decode(encoding, packed, share) {
                Ok(bytes) => {
                    let spare = permit.num_permits().saturating_sub(bytes.len().div_ceil(UNIT_BYTES));
                    drop(permit.split(spare));
                    return Ok((Bytes::from(bytes.into_owned()), permit));
                }
                Err(error) if error.is_too_large() && share < most => share = share.saturating_mul(4).min(most),
                Err(error) if error.is_too_large() => return Err(BodyError::TooLarge { limit_bytes: most }),
                Err(error) => return Err(BodyError::Encoding(error)),
            }
        }
    }

    async fn collect(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        deadline: tokio::time::Instant,
    ) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), BodyError> {
        let limit_bytes = self.limits.body_bytes;
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit_bytes) {
            return Err(BodyError::TooLarge { limit_bytes });
        }
        // What was announced, but no more than comes at once: an announcement costs its sender nothing.
        let mut collected: Vec<u8> = Vec::with_capacity(announced.unwrap_or(0).min(STEP_BYTES));
        let mut permits = Vec::new();
        let mut covered = 0;
        while let Some(data) = self.frame(&mut body, deadline).await? {
            if collected.len() + data.len() > limit_bytes {
                return Err(BodyError::TooLarge { limit_bytes });
            }
            if collected.len() + data.len() > covered {
                // In steps, so that a body is not one permit a packet; but no more than it said it needs, or those who send
                // little and slowly would hold the room of many.
                let rest = announced.unwrap_or(usize::MAX).saturating_sub(covered);
                let step = STEP_BYTES.min(rest).max(data.len());
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

    fn packed(bytes: usize) -> (HeaderMap, Body) {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; bytes]).unwrap();
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"))]);
        (headers, Body::from(encoder.finish().unwrap()))
    }

    #[tokio::test]
    async fn packed_bodies_take_what_they_need() {
        // As with a small memory setting: one body may be as large as all together.
        let limits = BodyLimits { body_bytes: 512 << 10, in_flight_bytes: 512 << 10, ..BodyLimits::default() };
        let bodies = Bodies::new(limits);
        let read = async |bytes: usize| {
            let (headers, body) = packed(bytes);
            bodies.read(&headers, body).await
        };
        let mut small = Vec::new();
        for _ in 0..3 {
            small.push(read(1000).await.unwrap());
        }
        drop(small);
        assert_eq!(read(300 << 10).await.unwrap().bytes.len(), 300 << 10);
        for _ in 0..3 {
            assert!(matches!(read(2 << 20).await, Err(BodyError::TooLarge { .. })));
        }
        let held = bodies.reserve(400 << 10).unwrap();
        assert!(matches!(read(300 << 10).await, Err(BodyError::Busy { .. })));
        drop(held);
        assert!(read(300 << 10).await.is_ok());
    }

    #[tokio::test]
    async fn many_slow_bodies_leave_room() {
        let bodies = bodies();
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, header::HeaderValue::from_static("2000"))]);
        let half = || {
            let frames = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000]))]);
            Body::from_stream(futures_util::StreamExt::chain(frames, futures_util::stream::pending()))
        };
        let slow: Vec<_> = (0..100).map(|_| Box::pin(bodies.read(&headers, half()))).collect();
        let good = async {
            tokio::task::yield_now().await;
            bodies.read(&HeaderMap::new(), Body::from(vec![0; 200 << 10])).await
        };
        tokio::select! {
            _ = futures_util::future::join_all(slow) => panic!("the slow ones ended"),
            good = good => assert!(good.is_ok(), "{good:?}"),
        }
    }

    #[tokio::test]
    async fn a_body_read_by_another_holds_its_share_and_ends_in_time() {
        let limits =
            BodyLimits { in_flight_bytes: 512 << 10, idle_timeout: Duration::from_millis(5), ..BodyLimits::default() };
        let bodies = Bodies::new(limits);
        let read = async |body: Body| {
            let (body, held) = bodies.held(body, |error| error);
            (body.collect().await.map(|body| body.to_bytes().len()).map_err(|error| error.to_string()), held)
        };
        let (first, held) = read(Body::from(vec![0; 400 << 10])).await;
        assert_eq!(first, Ok(400 << 10));
        let (second, _) = read(Body::from(vec![0; 400 << 10])).await;
        assert!(second.unwrap_err().contains("524288 bytes"));
        held.give_back();
        assert_eq!(read(Body::from(vec![0; 400 << 10])).await.0, Ok(400 << 10));
        let stuck = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(read(stuck).await.0.unwrap_err().contains("in time"));
        assert!(bodies.reserve(512 << 10).is_ok(), "what was dropped gave its share back");
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_given_up() {
        let stuck = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let limits = BodyLimits { idle_timeout: Duration::from_millis(5), ..BodyLimits::default() };
        assert!(matches!(Bodies::new(limits).read(&HeaderMap::new(), stuck).await, Err(BodyError::Slow)));
    }
}
