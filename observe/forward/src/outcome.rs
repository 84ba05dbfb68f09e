//! What an answer means for what was sent, and what the queue makes of it.

use std::time::Duration;

use observe_wire::delivery::Mark;

/// How a request went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Some of a good request may have been left out by the other side.
    Taken { left_out: u64, why: String },
    /// It will be taken later, perhaps; `after` is what the other side asks for.
    Later { why: String, after: Option<Duration> },
    /// It never will be.
    Refused { why: String },
    /// Some of it was stored before, up to here; nothing of this request was.
    Stored(Mark),
}

/// What became of the messages, for whoever tells people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Sent,
    /// After trouble that had been told.
    SentAgain,
    /// It is tried again; only the first time is worth a word.
    Again {
        first: bool,
        why: String,
    },
    /// Nobody knows which of the messages was refused: they are sent one by one.
    OneByOne,
    /// The other side refused the request that they were in. It may have taken some of them; they are not sent again.
    Dropped {
        items: u64,
        why: String,
    },
    /// The other side has a later part of a queue of our name that is not ours: we were set back, as by a copy of the folder. Sent under a new name.
    Renamed,
    /// Of a request that was taken, so many were not.
    LeftOut {
        items: u64,
        why: String,
    },
}

/// By the words of OTLP and of remote write: what is wrong with the data is final, the rest passes. That we may not, or that nobody is there
/// under this name, is nothing about the data: a token or an address can be mended while it waits.
pub fn of_status(status: u16, why: String, after: Option<Duration>) -> Outcome {
    match status {
        200..300 => Outcome::Taken { left_out: 0, why: String::new() },
        401 | 403 | 404 | 405 | 407 | 408 | 421 | 425 | 429 => Outcome::Later { why, after },
        400..500 => Outcome::Refused { why },
        _ => Outcome::Later { why, after },
    }
}
