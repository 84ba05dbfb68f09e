//! Bodies on their way through: streamed in constant memory, limited, and told when they end. They know no heads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::time::{Instant, Sleep};

use crate::proxy::Context;
use crate::upstream::Held;

/// How often a body that waits looks whether it still should.
const TICK: Duration = Duration::from_secs(1);

/// Why a body could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the request's body is larger than the front allows")]
    TooLarge = 1,
    #[error("the client sent nothing for too long")]
    Idle = 2,
    #[error("the client's body broke off")]
    Broken = 3,
    #[error("the upstream sent nothing for too long")]
    UpstreamIdle = 4,
    #[error("the upstream's body broke off")]
    UpstreamBroken = 5,
    #[error("the upstream was cut off after its time to drain")]
    Cut = 6,
}

/// What the sender of a body learns about why it failed.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<AtomicU8>);

impl Told {
    fn tell(&self, trouble: Trouble) -> Trouble {
        self.0.store(trouble as u8, Relaxed);
        trouble
    }

    pub(crate) fn get(&self) -> Option<Trouble> {
        [Trouble::TooLarge, Trouble::Idle, Trouble::Broken].into_iter().find(|one| *one as u8 == self.0.load(Relaxed))
    }
}

/// Counts the time in which nothing came. A timer exists only once there was something to wait for.
struct Waiting {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    fn new(limit: Duration) -> Self {
        Waiting { limit, since: None, timer: None }
    }

    fn progress(&mut self) {
        self.since = None;
    }

    /// Called when nothing is there; wakes the task each tick, calls `given_up`, and is true when the time is over.
    fn is_over(&mut self, cx: &mut Poller<'_>, given_up: impl Fn() -> bool) -> bool {
        loop {
            let now = Instant::now();
            let since = *self.since.get_or_insert(now);
            if now.duration_since(since) >= self.limit || given_up() {
                return true;
            }
            let next = (now + TICK).min(since + self.limit);
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            if timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }
}

/// A client's body.
pub(crate) struct Inbound {
    body: Incoming,
    left_bytes: u64,
    waiting: Waiting,
    told: Told,
}

impl Inbound {
    pub(crate) fn new(body: Incoming, limit_bytes: u64, idle: Duration, told: Told) -> Self {
        Inbound { body, left_bytes: limit_bytes, waiting: Waiting::new(idle), told }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting.progress();
                let len = frame.data_ref().map_or(0, |data| data.len() as u64);
                match this.left_bytes.checked_sub(len) {
                    Some(left) => this.left_bytes = left,
                    None => return Poll::Ready(Some(Err(this.told.tell(Trouble::TooLarge)))),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(this.told.tell(Trouble::Broken)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if this.waiting.is_over(cx, || false) => {
                Poll::Ready(Some(Err(this.told.tell(Trouble::Idle))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What goes to an upstream.
pub(crate) enum Outbound {
    Empty,
    /// Small and kept, so that it can be sent again.
    Whole(Bytes),
    Stream(Box<Inbound>),
}

impl Outbound {
    /// The same again, where that is possible.
    pub(crate) fn again(&self) -> Option<Outbound> {
        match self {
            Outbound::Empty => Some(Outbound::Empty),
            Outbound::Whole(bytes) => Some(Outbound::Whole(bytes.clone())),
            Outbound::Stream(_) => None,
        }
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match &mut *self {
            Outbound::Empty => Poll::Ready(None),
            Outbound::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outbound::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outbound::Stream(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outbound::Empty => true,
            Outbound::Whole(bytes) => bytes.is_empty(),
            Outbound::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outbound::Empty => SizeHint::with_exact(0),
            Outbound::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outbound::Stream(body) => body.size_hint(),
        }
    }
}

/// What a request holds until the last byte of its answer is gone.
pub(crate) struct Finish {
    pub(crate) context: Arc<Context>,
    pub(crate) held: Held,
    /// The connection, to be kept for the next request.
    pub(crate) sender: Option<http1::SendRequest<Outbound>>,
    pub(crate) started_ns: u64,
    pub(crate) code: u16,
}

impl Finish {
    pub(crate) fn done(self, complete: bool) {
        let now_ns = self.context.world.clock.monotonic_ns();
        let target = &self.held.target;
        target.counters.ended(self.code, now_ns.saturating_sub(self.started_ns));
        if !complete {
            target.counters.cut.fetch_add(1, Relaxed);
        } else if let Some(sender) = self.sender
            && !target.is_retired()
        {
            target.pool.give_back(sender, now_ns);
        }
    }
}

/// An upstream's body on its way to the client.
pub(crate) struct Answer {
    body: Incoming,
    waiting: Waiting,
    finish: Option<Finish>,
}

impl Answer {
    fn finish(&mut self, complete: bool) {
        if let Some(finish) = self.finish.take() {
            finish.done(complete);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body of known length is dropped at its last byte, without being asked for more.
        let complete = self.body.is_end_stream();
        self.finish(complete);
    }
}

/// What goes to a client.
pub(crate) enum Reply {
    /// The front's own words.
    Text(Bytes),
    Stream(Box<Answer>),
}

impl Reply {
    pub(crate) fn stream(body: Incoming, idle: Duration, finish: Finish) -> Self {
        Reply::Stream(Box::new(Answer { body, waiting: Waiting::new(idle), finish: Some(finish) }))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let answer = match &mut *self {
            Reply::Text(text) if text.is_empty() => return Poll::Ready(None),
            Reply::Text(text) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Reply::Stream(answer) => answer.as_mut(),
        };
        match Pin::new(&mut answer.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                answer.waiting.progress();
                if answer.body.is_end_stream() {
                    answer.finish(true);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                answer.finish(false);
                Poll::Ready(Some(Err(Trouble::UpstreamBroken)))
            }
            Poll::Ready(None) => {
                answer.finish(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let target = answer.finish.as_ref().map(|finish| &finish.held.target);
                let is_cut = || target.is_some_and(|target| target.was_cut());
                if !answer.waiting.is_over(cx, is_cut) {
                    return Poll::Pending;
                }
                let trouble = if is_cut() { Trouble::Cut } else { Trouble::UpstreamIdle };
                answer.finish(false);
                Poll::Ready(Some(Err(trouble)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Text(text) => text.is_empty(),
            Reply::Stream(answer) => answer.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Text(text) => SizeHint::with_exact(text.len() as u64),
            Reply::Stream(answer) => answer.body.size_hint(),
        }
    }
}
