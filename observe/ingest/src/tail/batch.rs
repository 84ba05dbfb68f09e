//! Lines on their way out: the batch, how it is filled, and how a line becomes an entry. Knows no file.

use base_signal::LogEntry;
use observe_source::LogWrite;
use observe_wire::detect_level;

use super::line::Stream;
use super::resource::{Pairs, Resource};

/// Estimated heap bytes of an entry and of a pair beside their texts.
const ENTRY_BYTES: usize = 96;
const PAIR_BYTES: usize = 48;
/// Entries without a text weigh something too.
const ENTRIES_MAX: usize = 50_000;

/// Lines to hand to a sink; give it back to [`super::Tail::acknowledge`] when they are durable there.
#[derive(Debug)]
pub struct Batch {
    pub(super) id: u64,
    pub(super) write: LogWrite,
    pub(super) bytes: usize,
}

impl Batch {
    /// In the order of each container's lines.
    pub fn write(&self) -> &LogWrite {
        &self.write
    }

    /// Estimated size in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What is unusual about a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// In no known format.
    pub(super) malformed: bool,
    /// Its rest did not come, or its beginning was sent before.
    pub(super) partial: bool,
    /// What its text had before it was cut.
    pub(super) whole_bytes: Option<u64>,
}

/// A line that is complete.
pub(super) struct Whole {
    pub(super) time_ns: i64,
    pub(super) stream: Option<Stream>,
    pub(super) restart: u32,
    pub(super) text: Vec<u8>,
    pub(super) odd: Oddities,
}

#[derive(Default)]
pub(super) struct Builder {
    pub(super) write: LogWrite,
    pub(super) bytes: usize,
    /// Of files, as read.
    pub(super) raw_bytes: u64,
    bytes_max: usize,
}

impl Builder {
    pub(super) fn new(bytes_max: usize) -> Self {
        Builder { bytes_max, ..Builder::default() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max || self.write.entries.len() >= ENTRIES_MAX
    }
}

/// Of one container: its stream in the batch that is being filled, and the metadata that its entries have in common.
#[derive(Default)]
pub(super) struct Writer {
    stream: Option<u32>,
    shared: Vec<(u32, Option<Stream>, Pairs, usize)>,
}

impl Writer {
    /// A new batch is begun.
    pub(super) fn new_batch(&mut self) {
        self.stream = None;
    }

    /// The resource is another one.
    pub(super) fn forget(&mut self) {
        *self = Writer::default();
    }

    pub(super) fn push(&mut self, whole: Whole, resource: &Resource, to: &mut Builder) {
        let stream = *self.stream.get_or_insert_with(|| {
            let mut labels: Vec<(&str, &str)> = resource.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            to.write.streams.push(&mut labels)
        });
        let known = self.shared.iter().position(|(r, s, ..)| (*r, *s) == (whole.restart, whole.stream));
        let known = known.unwrap_or_else(|| {
            if self.shared.len() > 8 {
                self.shared.clear();
            }
            let mut pairs = resource.metadata(whole.restart, whole.stream);
            pairs.retain(|(name, _)| name != LEVEL);
            let bytes = pairs.iter().map(|(name, value)| name.len() + value.len() + PAIR_BYTES).sum();
            self.shared.push((whole.restart, whole.stream, pairs, bytes));
            self.shared.len() - 1
        });
        let (_, _, shared, shared_bytes) = &self.shared[known];
        let line = text(whole.text, whole.odd.whole_bytes.is_some());
        let mut metadata = Vec::with_capacity(shared.len() + 3);
        metadata.extend_from_slice(shared);
        let mut add = |name: &str, value: String| {
            let at = metadata.partition_point(|(n, _)| n.as_str() < name);
            metadata.insert(at, (name.to_owned(), value));
        };
        add(LEVEL, detect_level(&[], &line).to_owned());
        if whole.odd.malformed {
            add("log_malformed", "true".to_owned());
        }
        if whole.odd.partial {
            add("log_partial", "true".to_owned());
        }
        if let Some(bytes) = whole.odd.whole_bytes {
            add("log_truncated_from_bytes", bytes.to_string());
        }
        to.bytes += ENTRY_BYTES + line.len() + shared_bytes + PAIR_BYTES;
        to.write.entries.push(LogEntry { stream, time_ns: whole.time_ns, line, metadata });
    }
}

const LEVEL: &str = "detected_level";

/// A line is whatever a program wrote; bad UTF-8 must not lose it. A character that a cut has halved is left out.
fn text(bytes: Vec<u8>, cut: bool) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let (whole, broken) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none());
        let mut bytes = error.into_bytes();
        if cut && broken {
            bytes.truncate(whole);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
