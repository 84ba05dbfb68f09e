//! Prometheus remote write 2: snappy-compressed `io.prometheus.write.v2.Request`, in which every text stands once.
//!
//! Form: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>. A series that is wrong is left out with all its items and
//! counted; the rest goes on. Knows nothing of limits on series or of what a store thinks of a sample.

use base_signal::{Exemplar, Labels, Metadata, MetricKind};
use observe_source::{MetricWrite, RejectReason};

use crate::compression::snappy_block;
use crate::proto::{Reader, WireValue};
use crate::remote_write::{decode_histogram, kind as of_number, label_problem};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

/// Decodes a request as it came: one snappy block.
pub fn decode_request(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    let limit_bytes = usize::try_from(limits.decoded_max_bytes).unwrap_or(usize::MAX);
    decode_message(&snappy_block(body, limit_bytes)?, limits)
}

/// Decodes the uncompressed message.
pub fn decode_message(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    let mut decoder = Decoder {
        decoded: Decoded::default(),
        symbols: Vec::new(),
        left_bytes: limits.decoded_max_bytes,
        limits,
        families: ahash::HashSet::default(),
    };
    // The texts may stand behind what names them.
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        if number == 4 {
            decoder.charge(size_of::<&str>())?;
            decoder.symbols.push(value.text().map_err(|e| e.within("symbols"))?);
        }
    }
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        if number == 5 {
            decoder.series(value).map_err(|e| e.within("timeseries"))?;
        }
    }
    Ok(decoder.decoded)
}

struct Decoder<'a> {
    decoded: Decoded<MetricWrite>,
    symbols: Vec<&'a str>,
    left_bytes: u64,
    limits: &'a Limits,
    /// Those whose metadata was taken: it comes with every series of a family.
    families: ahash::HashSet<String>,
}

/// Fields of one series, where they lie.
#[derive(Default)]
struct Fields<'a> {
    refs: Vec<u64>,
    samples: Vec<WireValue<'a>>,
    histograms: Vec<WireValue<'a>>,
    exemplars: Vec<WireValue<'a>>,
    metadata: Option<WireValue<'a>>,
}

impl<'a> Decoder<'a> {
    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let error = DecodeErrorKind::TooLarge(self.limits.decoded_max_bytes);
        self.left_bytes = self.left_bytes.checked_sub(bytes as u64).ok_or_else(|| DecodeError::new(error))?;
        Ok(())
    }

    fn series(&mut self, value: WireValue<'a>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        let mut fields = Fields::default();
        let mut reader = Reader::at(bytes, offset);
        while let Some((number, value)) = reader.field()? {
            self.charge(24)?;
            match number {
                1 => numbers(value, &mut fields.refs)?,
                2 => fields.samples.push(value),
                3 => fields.histograms.push(value),
                4 => fields.exemplars.push(value),
                5 => fields.metadata = Some(value),
                _ => {}
            }
        }
        let items = fields.samples.len() + fields.histograms.len() + fields.exemplars.len();
        let named = self.labels(&fields.refs).and_then(|pairs| match label_problem(&pairs) {
            None => Ok(pairs),
            Some(problem) => Err(problem),
        });
        let mut pairs = match named {
            Ok(pairs) => pairs,
            Err(problem) => {
                self.reject(RejectReason::InvalidLabels, items.max(1), &problem);
                return Ok(());
            }
        };
        let name = pairs.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| *value);
        if fields.samples.is_empty() && fields.histograms.is_empty() {
            let problem = format!("TimeSeries must contain at least one sample or histogram for series {name}");
            self.reject(RejectReason::Invalid, items.max(1), &problem);
            return Ok(());
        }
        self.charge(pairs.iter().map(|(name, value)| name.len() + value.len() + 16).sum())?;
        let series = self.decoded.write.series.push(&mut pairs);
        if let Some(metadata) = fields.metadata {
            self.metadata(name, metadata).map_err(|e| e.within("metadata"))?;
        }
        let mut created_ms = 0;
        for value in fields.samples {
            let (time_ms, sample, start_ms) = sample(value).map_err(|e| e.within("samples"))?;
            self.decoded.write.samples.push((series, time_ms, sample));
            created_ms = start_ms;
        }
        for value in fields.histograms {
            self.charge(200 + value.bytes()?.0.len() * 8)?;
            let start_ms = start_of(value).map_err(|e| e.within("histograms"))?;
            match decode_histogram(value).map_err(|e| e.within("histograms"))? {
                Ok((time_ms, histogram)) => {
                    self.decoded.write.histograms.push((series, time_ms, histogram));
                    created_ms = start_ms;
                }
                Err(problem) => self.reject(RejectReason::Invalid, 1, &problem),
            }
        }
        if created_ms > 0 {
            self.decoded.write.created.push((series, created_ms));
        }
        for value in fields.exemplars {
            self.charge(64)?;
            match self.exemplar(value).map_err(|e| e.within("exemplars"))? {
                Ok(exemplar) => self.decoded.write.exemplars.push((series, exemplar)),
                Err(problem) => {
                    self.reject(RejectReason::InvalidLabels, 1, &format!("an exemplar of {name}: {problem}"))
                }
            }
        }
        Ok(())
    }

    fn reject(&mut self, reason: RejectReason, count: usize, why: &str) {
        (0..count).for_each(|_| self.decoded.rejects.reject(reason, || why.to_owned()));
    }

    fn symbol(&self, number: u64) -> Result<&'a str, String> {
        let found = usize::try_from(number).ok().and_then(|number| self.symbols.get(number).copied());
        found.ok_or_else(|| format!("text {number} is named, and there are {} in the request", self.symbols.len()))
    }

    /// Sorted by name: the form does not promise it.
    fn labels(&self, refs: &[u64]) -> Result<Vec<(&'a str, &'a str)>, String> {
        if !refs.len().is_multiple_of(2) {
            return Err(format!("{} label references; each label has two", refs.len()));
        }
        let mut pairs = Vec::with_capacity(refs.len() / 2);
        for pair in refs.chunks_exact(2) {
            pairs.push((self.symbol(pair[0])?, self.symbol(pair[1])?));
        }
        pairs.sort_unstable();
        // A label that is empty is one that is not there.
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(pairs)
    }

    fn metadata(&mut self, name: &str, value: WireValue<'_>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        let mut reader = Reader::at(bytes, offset);
        let (mut kind, mut help, mut unit) = (MetricKind::Unknown, 0, 0);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => kind = of_number(value.unsigned()?),
                3 => help = value.unsigned()?,
                4 => unit = value.unsigned()?,
                _ => {}
            }
        }
        // A text that is not there costs its metadata, not its samples.
        let (Ok(help), Ok(unit)) = (self.symbol(help), self.symbol(unit)) else { return Ok(()) };
        if (kind, help, unit) == (MetricKind::Unknown, "", "") {
            return Ok(());
        }
        let family = family(name, kind);
        if !self.families.contains(family) {
            self.charge(family.len() * 2 + help.len() + unit.len() + 128)?;
            self.families.insert(family.to_owned());
            let metadata = Metadata { kind, help: help.to_owned(), unit: unit.to_owned() };
            self.decoded.write.metadata.push((family.to_owned(), metadata));
        }
        Ok(())
    }

    /// The inner error is of what the exemplar names.
    fn exemplar(&self, value: WireValue<'_>) -> Result<Result<Exemplar, String>, DecodeError> {
        let (bytes, offset) = value.bytes()?;
        let mut reader = Reader::at(bytes, offset);
        let (mut refs, mut value, mut time_ms) = (Vec::new(), 0.0, 0);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => numbers(field, &mut refs)?,
                2 => value = field.double()?,
                3 => time_ms = field.unsigned()? as i64,
                _ => {}
            }
        }
        Ok(self.labels(&refs).map(|pairs| Exemplar { labels: Labels::from_pairs(pairs), time_ms, value }))
    }
}

/// The family of a series: a histogram's and a summary's parts have one.
fn family(name: &str, kind: MetricKind) -> &str {
    let parts: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => &["_bucket", "_sum", "_count", "_gsum", "_gcount"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

/// Packed or one by one.
fn numbers(value: WireValue<'_>, into: &mut Vec<u64>) -> Result<(), DecodeError> {
    let Ok((bytes, offset)) = value.bytes() else {
        into.push(value.unsigned()?);
        return Ok(());
    };
    let mut reader = Reader::at(bytes, offset);
    while !reader.is_empty() {
        into.push(reader.varint()?);
    }
    Ok(())
}

/// Time, value, and when its counter began.
fn sample(value: WireValue<'_>) -> Result<(i64, f64, i64), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut time_ms, mut sample, mut start_ms) = (0, 0.0, 0);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => sample = value.double()?,
            2 => time_ms = value.unsigned()? as i64,
            3 => start_ms = value.unsigned()? as i64,
            _ => {}
        }
    }
    Ok((time_ms, sample, start_ms))
}

/// When a histogram's counts began.
fn start_of(value: WireValue<'_>) -> Result<i64, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    while let Some((number, value)) = reader.field()? {
        if number == 17 {
            return Ok(value.unsigned()? as i64);
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Writer;

    const SYMBOLS: [&str; 9] = ["", "__name__", "took_bucket", "le", "1", "How long", "seconds", "trace_id", "ab"];

    fn request(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut out = Writer::default();
        // The series first: the texts may come later.
        out.message(5, fill);
        SYMBOLS.iter().for_each(|symbol| {
            out.text(4, symbol);
        });
        out.0
    }

    fn one_sample(out: &mut Writer) {
        out.message(2, |sample| {
            sample.double(1, 2.5).varint(2, 1000).varint(3, 400);
        });
    }

    #[test]
    fn all_that_a_series_may_carry() {
        let body = request(|out| {
            out.bytes(1, &[3, 4, 1, 2]);
            one_sample(out);
            out.message(3, |histogram| {
                histogram.varint(1, 3).double(3, 1.5).varint(6, 3).varint(15, 2000).varint(17, 500);
            });
            out.message(4, |exemplar| {
                exemplar.bytes(1, &[7, 8]).double(2, 0.5).varint(3, 900);
            });
            out.message(5, |metadata| {
                metadata.varint(1, 3).varint(3, 5).varint(4, 6);
            });
        });
        let decoded = decode_message(&body, &Limits::default()).unwrap();
        let write = decoded.write;
        assert_eq!(write.series.get(0).to_labels(), Labels::from_pairs([("__name__", "took_bucket"), ("le", "1")]));
        assert_eq!((write.samples, write.created), (vec![(0, 1000, 2.5)], vec![(0, 500)]));
        assert_eq!((write.histograms[0].1, write.histograms[0].2.count()), (2000, 3.0));
        assert_eq!(write.exemplars[0].1.labels, Labels::from_pairs([("trace_id", "ab")]));
        let metadata = Metadata { kind: MetricKind::Histogram, help: "How long".into(), unit: "seconds".into() };
        assert_eq!(write.metadata, [("took".to_owned(), metadata)]);
        assert_eq!(decoded.rejects.rejected_count(), 0);
    }

    #[test]
    fn what_is_wrong_with_a_series_is_told_and_costs_no_other() {
        let check = |refs: &[u8], samples: bool, expect: &str| {
            let mut body = request(|out| {
                out.bytes(1, refs);
                if samples {
                    one_sample(out);
                }
            });
            body.extend(request(|out| {
                out.bytes(1, &[1, 2]);
                one_sample(out);
            }));
            let decoded = decode_message(&body, &Limits::default()).unwrap();
            assert_eq!(decoded.write.samples.len(), 1, "{expect}");
            assert!(decoded.rejects.message().contains(expect), "{}", decoded.rejects.message());
        };
        check(&[1, 2, 3], true, "3 label references");
        check(&[1, 99], true, "text 99 is named, and there are 18 in the request");
        check(&[3, 4], true, "no metric name");
        check(&[1, 2, 3, 4, 3, 6], true, "a label name twice");
        check(&[1, 2], false, "TimeSeries must contain at least one sample or histogram");
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { decoded_max_bytes: 200, ..Limits::default() };
        let body = request(|out| (0..20).for_each(|_| one_sample(out)));
        assert!(decode_message(&body, &limits).unwrap_err().is_too_large());
        assert!(decode_message(&[0x2a, 0x05, 0x08], &Limits::default()).is_err());
    }
}
