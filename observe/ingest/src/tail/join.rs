//! Parts of a line, which runtimes cut after 16 KiB, put together again. Knows where each part began, so that no position moves past a line that is not
//! whole yet. Reads nothing.

use super::batch::{Oddities, Whole};
use super::line::Stream;

/// The parts of one line that have come so far.
pub(super) struct Join {
    pub(super) restart: u32,
    pub(super) stream: Stream,
    /// When the first part was read, on the monotonic clock.
    pub(super) since_ns: u64,
    /// Where the parts begin, in each file that has any: the file's number and the offset.
    pub(super) origins: Vec<(u64, u64)>,
    time_ns: i64,
    text: Vec<u8>,
    /// With what was cut.
    whole_bytes: u64,
}

impl Join {
    pub(super) fn new(restart: u32, stream: Stream, time_ns: i64, since_ns: u64) -> Self {
        Join { restart, stream, since_ns, origins: Vec::new(), time_ns, text: Vec::new(), whole_bytes: 0 }
    }

    /// One part more; `cut_bytes` of it are lost already.
    pub(super) fn push(&mut self, file: u64, offset: u64, text: &[u8], cut_bytes: u64, line_max_bytes: usize) {
        if self.origins.last().is_none_or(|(last, _)| *last != file) {
            self.origins.push((file, offset));
        }
        self.whole_bytes += text.len() as u64 + cut_bytes;
        let room = line_max_bytes.saturating_sub(self.text.len()).min(text.len());
        self.text.extend_from_slice(&text[..room]);
    }

    /// Where this line begins in the file.
    pub(super) fn origin(&self, file: u64) -> Option<u64> {
        self.origins.iter().find(|(own, _)| *own == file).map(|(_, offset)| *offset)
    }

    pub(super) fn finish(self, partial: bool) -> Whole {
        let cut = self.whole_bytes > self.text.len() as u64;
        let odd = Oddities { partial, whole_bytes: cut.then_some(self.whole_bytes), ..Oddities::default() };
        Whole { time_ns: self.time_ns, stream: Some(self.stream), restart: self.restart, text: self.text, odd }
    }
}
