//! Prometheus remote write 1: snappy-compressed `prometheus.WriteRequest` to series, samples, native histograms.
//!
//! The messages are those of `prompb/remote.proto` and `types.proto`. Read straight from the bytes: label texts are
//! borrowed until they land in the arena. A series with bad labels is left out with all its items and counted; it does not
//! spoil the rest. Knows nothing of limits on series or of what a store thinks of a sample.

mod encode;
mod histogram;
mod plain;

use base_signal::{Exemplar, Labels, Metadata, MetricKind};
use observe_source::{MetricWrite, RejectReason};

use crate::compression::with_snappy_block;
use crate::proto::{Reader, WireValue};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

pub use encode::encode_message;
pub(crate) use encode::{put_histogram, put_labels};
pub(crate) use histogram::decode as decode_histogram;

/// Decodes a request as it came: one snappy block.
pub fn decode_write_request(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    let limit_bytes = usize::try_from(limits.decoded_max_bytes).unwrap_or(usize::MAX);
    with_snappy_block(body, limit_bytes, |body| decode_message(body, limits))
}

/// Decodes the uncompressed message.
pub fn decode_message(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    // A sample takes at least 2 bytes on the wire and 24 here; everything else is smaller in proportion.
    let mut decoder = Decoder { decoded: Decoded::default(), left_bytes: limits.decoded_max_bytes, limits };
    // Nearly all of a request is labels, and no set is longer than what it was sent as.
    decoder.decoded.write.series.reserve(body.len());
    let mut labels = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => decoder.series(value, &mut labels).map_err(|e| e.within("timeseries"))?,
            3 => decoder.metadata(value).map_err(|e| e.within("metadata"))?,
            _ => {}
        }
        labels.clear();
    }
    Ok(decoder.decoded)
}

struct Decoder<'l> {
    decoded: Decoded<MetricWrite>,
    left_bytes: u64,
    limits: &'l Limits,
}

impl Decoder<'_> {
    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let error = DecodeErrorKind::TooLarge(self.limits.decoded_max_bytes);
        self.left_bytes = self.left_bytes.checked_sub(bytes as u64).ok_or_else(|| DecodeError::new(error))?;
        Ok(())
    }

    fn series<'a>(&mut self, value: WireValue<'a>, pairs: &mut Vec<(&'a str, &'a str)>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        if let Some((series, items)) = plain::labels(bytes, &mut self.decoded.write.series) {
            self.charge(bytes.len())?;
            return self.items(series, Reader::at(bytes.get(items..).unwrap_or_default(), offset + items));
        }
        // Labels come first in practice but need not: two passes keep that from mattering.
        let mut reader = Reader::at(bytes, offset);
        let (mut items, mut not_utf8) = (0u64, false);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => match pair(value) {
                    Ok(pair) => pairs.push(pair),
                    Err(e) if *e.kind() == DecodeErrorKind::Utf8 => not_utf8 = true,
                    Err(e) => return Err(e.within("labels")),
                },
                2..=4 => items += 1,
                _ => {}
            }
        }
        let problem = if not_utf8 { Some("a label is not valid UTF-8".to_owned()) } else { label_problem(pairs) };
        if let Some(problem) = problem {
            for _ in 0..items.max(1) {
                self.decoded.rejects.reject(RejectReason::InvalidLabels, || problem.clone());
            }
            return Ok(());
        }
        self.charge(bytes.len())?;
        let series = self.decoded.write.series.push(pairs);
        self.items(series, Reader::at(bytes, offset))
    }

    /// What a series carries beside its labels.
    fn items(&mut self, series: u32, mut reader: Reader<'_>) -> Result<(), DecodeError> {
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    self.charge(24)?;
                    let (time_ms, sample) = sample(value).map_err(|e| e.within("samples"))?;
                    self.decoded.write.samples.push((series, time_ms, sample));
                }
                3 => {
                    self.charge(64)?;
                    match exemplar(value) {
                        Ok(exemplar) => self.decoded.write.exemplars.push((series, exemplar)),
                        Err(e) if *e.kind() == DecodeErrorKind::Utf8 => {
                            self.decoded
                                .rejects
                                .reject(RejectReason::InvalidLabels, || e.within("exemplars").to_string());
                        }
                        Err(e) => return Err(e.within("exemplars")),
                    }
                }
                4 => {
                    let (inner, _) = value.bytes()?;
                    self.charge(200 + inner.len() * 8)?;
                    match histogram::decode(value).map_err(|e| e.within("histograms"))? {
                        Ok((time_ms, histogram)) => self.decoded.write.histograms.push((series, time_ms, histogram)),
                        Err(problem) => self.decoded.rejects.reject(RejectReason::Invalid, || problem),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&mut self, value: WireValue<'_>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        self.charge(bytes.len() + 96)?;
        let mut reader = Reader::at(bytes, offset);
        let (mut family, mut metadata) = (String::new(), Metadata::default());
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => metadata.kind = kind(value.unsigned()?),
                2 => family = value.text()?.to_owned(),
                4 => metadata.help = value.text()?.to_owned(),
                5 => metadata.unit = value.text()?.to_owned(),
                _ => {}
            }
        }
        if !family.is_empty() {
            self.decoded.write.metadata.push((family, metadata));
        }
        Ok(())
    }
}

/// A metric's kind by its number in either version.
pub(crate) fn kind(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// A `Label`: name and value.
fn pair(value: WireValue<'_>) -> Result<(&str, &str), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut name, mut text) = ("", "");
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// The sender must sort labels by name, name each once, and name the metric.
pub(crate) fn label_problem(pairs: &[(&str, &str)]) -> Option<String> {
    let of = |what: &str| {
        let shown: Vec<_> = pairs.iter().take(8).map(|(n, v)| format!("{n}={v:?}")).collect();
        Some(format!("{what} in {{{}}}", shown.join(", ")).chars().take(300).collect())
    };
    for window in pairs.windows(2) {
        if let [(before, _), (after, _)] = window
            && before >= after
        {
            return of(if before == after { "a label name twice" } else { "labels not sorted by name" });
        }
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return of("an empty label name");
    }
    if !pairs.iter().any(|(name, value)| *name == "__name__" && !value.is_empty()) {
        return of("no metric name (__name__)");
    }
    None
}

fn sample(value: WireValue<'_>) -> Result<(i64, f64), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    if let Some(sample) = plain::sample(bytes) {
        return Ok(sample);
    }
    let mut reader = Reader::at(bytes, offset);
    let (mut time_ms, mut sample) = (0, 0.0);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => sample = value.double()?,
            2 => time_ms = value.unsigned()? as i64,
            _ => {}
        }
    }
    Ok((time_ms, sample))
}

fn exemplar(value: WireValue<'_>) -> Result<Exemplar, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut pairs, mut time_ms, mut sample) = (Vec::new(), 0, 0.0);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => pairs.push(pair(value)?),
            2 => sample = value.double()?,
            3 => time_ms = value.unsigned()? as i64,
            _ => {}
        }
    }
    Ok(Exemplar { labels: Labels::from_pairs(pairs), time_ms, value: sample })
}

#[cfg(test)]
mod tests;
