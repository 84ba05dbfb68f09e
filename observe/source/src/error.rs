//! Why a source could not answer or take something.

/// Errors of reading and appending. Rejected single items are not errors: see [`crate::Appended`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "the query would need {wanted_bytes} bytes, more than its share of {limit_bytes}; \
         select fewer series or a shorter range, or raise --memory"
    )]
    Budget { wanted_bytes: u64, limit_bytes: u64 },

    #[error("the query was cancelled")]
    Cancelled,

    /// Nothing was taken: the store is over its memory or disk share. Maps to 429 / RESOURCE_EXHAUSTED.
    #[error("over its {what} limit; nothing was taken, try again in {retry_after_ms} ms")]
    Shed { what: &'static str, retry_after_ms: u64 },

    /// The store cannot promise durability any more (a failed write or sync) until it is opened again.
    #[error("the store cannot take more: {reason}")]
    Unavailable { reason: String },

    /// Stored bytes that do not hold their checksum, or a disk that fails; names the file.
    #[error("{reason}")]
    Storage { reason: String },
}
