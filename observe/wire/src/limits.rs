//! What a decoder may spend on one request, and what it hands back. Knows no protocol.

use observe_source::Appended;

/// Bounds for one request. The body itself is bounded by whoever read it; these bound what it turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep messages may nest; OTLP's own structure takes six, the rest is for values inside values.
    pub depth_max: u32,
    /// Estimated bytes of the decoded form: an empty span is 2 bytes on the wire and hundreds in memory.
    pub decoded_max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth_max: 32, decoded_max_bytes: 256 << 20 }
    }
}

/// What was decoded, and what had to be left out of it (`rejects.accepted` stays 0: nothing was appended yet).
#[derive(Clone, Debug, Default)]
pub struct Decoded<W> {
    pub write: W,
    pub rejects: Appended,
}
