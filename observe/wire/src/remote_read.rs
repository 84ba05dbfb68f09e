//! Prometheus remote read: what is asked for, and samples or chunks as the answer.
//!
//! The messages are those of `prompb/remote.proto`. A streamed answer is frames of one series each: length, CRC-32C, message
//! (`storage/remote/chunked.go`). Knows no store and no HTTP.

mod bits;
mod chunk;

use base_signal::{Labels, MatchOp, Matcher, RangeMs};
use observe_source::MetricBatch;

use crate::compression::{pack_snappy, snappy_block};
use crate::proto::{Reader, WireValue, Writer};
use crate::remote_write::{put_histogram, put_labels};
use crate::{DecodeError, DecodeErrorKind, Limits};

pub use chunk::SAMPLES_PER_CHUNK;

/// What a client asks for.
#[derive(Clone, Debug, Default)]
pub struct ReadRequest {
    pub queries: Vec<ReadQuery>,
    /// Kinds of answers it takes, the one it likes best first; none means samples.
    pub accepted: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct ReadQuery {
    pub range: RangeMs,
    pub matchers: Vec<Matcher>,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Samples,
    StreamedChunks,
}

/// Queries of one request. A Prometheus sends one.
const QUERIES_MAX: usize = 128;
const MATCHERS_MAX: usize = 1024;

impl ReadRequest {
    /// The first kind of the client's that we know; an error names what it wanted.
    pub fn answer(&self) -> Result<Answer, String> {
        let known = |kind: &u64| match kind {
            0 => Some(Answer::Samples),
            1 => Some(Answer::StreamedChunks),
            _ => None,
        };
        if self.accepted.is_empty() {
            return Ok(Answer::Samples);
        }
        self.accepted.iter().find_map(known).ok_or_else(|| {
            let accepted = &self.accepted;
            format!("server does not support any of the requested response types: {accepted:?}; supported: SAMPLES, STREAMED_XOR_CHUNKS")
        })
    }
}

/// Decodes a request as it came: one snappy block.
pub fn decode_read_request(body: &[u8], limits: &Limits) -> Result<ReadRequest, DecodeError> {
    let limit_bytes = usize::try_from(limits.decoded_max_bytes).unwrap_or(usize::MAX);
    let message = snappy_block(body, limit_bytes)?;
    let mut request = ReadRequest::default();
    let mut reader = Reader::new(&message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 if request.queries.len() == QUERIES_MAX => {
                return Err(DecodeErrorKind::Content(format!("more than {QUERIES_MAX} queries in one request")).into());
            }
            1 => request.queries.push(query(value).map_err(|e| e.within("queries"))?),
            // Packed or one by one.
            2 => match value.bytes() {
                Ok((bytes, offset)) => {
                    let mut packed = Reader::at(bytes, offset);
                    while !packed.is_empty() && request.accepted.len() < QUERIES_MAX {
                        request.accepted.push(packed.varint()?);
                    }
                }
                Err(_) => request.accepted.push(value.unsigned()?),
            },
            _ => {}
        }
    }
    Ok(request)
}

fn query(value: WireValue<'_>) -> Result<ReadQuery, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut start_ms, mut end_ms, mut matchers) = (0, 0, Vec::new());
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => start_ms = value.unsigned()? as i64,
            2 => end_ms = value.unsigned()? as i64,
            3 if matchers.len() == MATCHERS_MAX => {
                return Err(DecodeErrorKind::Content(format!("more than {MATCHERS_MAX} matchers in one query")).into());
            }
            3 => matchers.push(matcher(value).map_err(|e| e.within("matchers"))?),
            // Hints: every sample of the range is answered, whatever it is wanted for.
            _ => {}
        }
    }
    Ok(ReadQuery { range: RangeMs::new(start_ms, end_ms), matchers })
}

fn matcher(value: WireValue<'_>) -> Result<Matcher, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut op, mut name, mut text) = (0, "", "");
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => op = value.unsigned()?,
            2 => name = value.text()?,
            3 => text = value.text()?,
            _ => {}
        }
    }
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        _ => return Err(DecodeErrorKind::Content("invalid matcher type".to_owned()).into()),
    };
    Matcher::new(name, op, text).map_err(|error| DecodeErrorKind::Content(error.to_string()).into())
}

/// The series of one query's answer, as they come.
#[derive(Clone, Debug, Default)]
pub struct SamplesAnswer(Writer);

impl SamplesAnswer {
    pub fn add(&mut self, batch: &MetricBatch) {
        for (i, labels) in batch.series.iter().enumerate() {
            self.0.message(1, |out| put_series(out, labels, batch, i));
        }
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> usize {
        self.0.0.len()
    }
}

/// The whole answer, packed, of the queries in their order.
pub fn encode_samples(results: &[SamplesAnswer]) -> Vec<u8> {
    let mut out = Writer::default();
    for result in results {
        out.bytes(1, &result.0.0);
    }
    pack_snappy(&out.0)
}

fn put_series(out: &mut Writer, labels: &Labels, batch: &MetricBatch, i: usize) {
    put_labels(out, labels.as_ref());
    for row in batch.rows(i) {
        let time_ms = batch.times_ms[row];
        match batch.histograms.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(at) => {
                out.message(4, |out| put_histogram(out, time_ms, &batch.histograms[at].1));
            }
            Err(_) => {
                out.message(2, |out| {
                    out.double(1, batch.values[row]).varint(2, time_ms as u64);
                });
            }
        }
    }
}

/// A frame ends when it holds so many bytes: Prometheus's `storage.remote.read-max-bytes-in-frame`.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The frames of a batch, each to be sent as it is. A large series is split over several.
pub fn encode_frames(batch: &MetricBatch, query: usize, mut send: impl FnMut(Vec<u8>) -> bool) -> bool {
    for (i, labels) in batch.series.iter().enumerate() {
        let mut head = Writer::default();
        put_labels(&mut head, labels.as_ref());
        let room = FRAME_BYTES_MAX.saturating_sub(head.0.len());
        let mut chunks = Writer::default();
        for chunk in chunk::chunks(batch, i) {
            chunks.message(2, |out| {
                out.varint(1, chunk.time_min_ms as u64).varint(2, chunk.time_max_ms as u64);
                out.varint(3, chunk.encoding).bytes(4, &chunk.data);
            });
            if chunks.0.len() >= room && !send(frame(&head, &std::mem::take(&mut chunks), query)) {
                return false;
            }
        }
        if !chunks.0.is_empty() && !send(frame(&head, &chunks, query)) {
            return false;
        }
    }
    true
}

fn frame(head: &Writer, chunks: &Writer, query: usize) -> Vec<u8> {
    let mut message = Writer::default();
    message.message(1, |series| {
        series.0.extend_from_slice(&head.0);
        series.0.extend_from_slice(&chunks.0);
    });
    if query > 0 {
        message.varint(2, query as u64);
    }
    let mut out = Writer::default();
    out.put_varint(message.0.len() as u64);
    out.0.extend_from_slice(&crc32c::crc32c(&message.0).to_be_bytes());
    out.0.extend_from_slice(&message.0);
    out.0
}

#[cfg(test)]
mod tests;
