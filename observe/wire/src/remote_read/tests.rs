//! Requests as Prometheus sends them, and answers taken apart again by a decoder of the tests' own.

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

use super::*;

fn matcher_bytes(op: u64, name: &str, value: &str) -> Vec<u8> {
    let mut out = Writer::default();
    out.varint(1, op).text(2, name).text(3, value);
    out.0
}

fn request(matcher: &[u8], accepted: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.message(1, |query| {
        query.varint(1, -5i64 as u64).varint(2, 2000).bytes(3, matcher);
        query.message(4, |hints| {
            hints.varint(1, 15_000);
        });
    });
    out.bytes(2, accepted);
    pack_snappy(&out.0)
}

#[test]
fn requests() {
    let found = decode_read_request(&request(&matcher_bytes(2, "job", "a|b"), &[1, 0]), &Limits::default()).unwrap();
    assert_eq!((found.answer(), found.queries.len()), (Ok(Answer::StreamedChunks), 1));
    let query = &found.queries[0];
    assert_eq!((query.range.start_ms, query.range.end_ms), (-5, 2000));
    assert!(query.matchers[0].matches("b") && !query.matchers[0].matches("c"));
    let answer = |accepted: Vec<u64>| ReadRequest { accepted, ..ReadRequest::default() }.answer();
    assert_eq!(answer(vec![]), Ok(Answer::Samples));
    assert_eq!(answer(vec![7, 0]), Ok(Answer::Samples));
    assert!(
        answer(vec![7]).unwrap_err().starts_with("server does not support any of the requested response types: [7]")
    );
}

#[test]
fn what_is_refused() {
    let check = |body: &[u8], expect: &str| {
        let error = decode_read_request(body, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(b"no snappy", "snappy");
    check(&request(&matcher_bytes(9, "job", "a"), &[]), "queries.matchers: invalid matcher type");
    check(&request(&matcher_bytes(2, "job", "("), &[]), "queries.matchers");
    let mut many = Writer::default();
    (0..=QUERIES_MAX).for_each(|_| {
        many.bytes(1, &[]);
    });
    check(&pack_snappy(&many.0), "more than 128 queries");
}

/// Reads bits as Prometheus does, from its description of the format.
struct Unpacker<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Unpacker<'_> {
    fn bits(&mut self, count: u32) -> u64 {
        (0..count).fold(0, |number, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            number << 1 | u64::from(bit)
        })
    }

    fn uvarint(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.bits(8);
            number |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn signed(&mut self, count: u32) -> i64 {
        let number = self.bits(count);
        if count < 64 && number > 1 << (count - 1) { number as i64 - (1 << count) } else { number as i64 }
    }

    fn floats(&mut self) -> Vec<(i64, u64)> {
        let count = self.bits(16);
        let (mut time, mut delta, mut value, mut window) = (0i64, 0i64, 0u64, (0, 0));
        let mut all = Vec::new();
        for i in 0..count {
            if i == 0 {
                let zigzag = self.uvarint();
                time = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                value = self.bits(64);
            } else {
                if i == 1 {
                    delta = self.uvarint() as i64;
                } else {
                    let ones = (0..4).take_while(|_| self.bits(1) == 1).count();
                    delta += match ones {
                        0 => 0,
                        1 => self.signed(14),
                        2 => self.signed(17),
                        3 => self.signed(20),
                        _ => self.signed(64),
                    };
                }
                time += delta;
                if self.bits(1) == 1 {
                    if self.bits(1) == 1 {
                        let leading = self.bits(5) as u32;
                        let count = match self.bits(6) as u32 {
                            0 => 64,
                            count => count,
                        };
                        window = (leading, 64 - leading - count);
                    }
                    value ^= self.bits(64 - window.0 - window.1) << window.1;
                }
            }
            all.push((time, value));
        }
        all
    }
}

/// Floats of all frames, and encodings of their chunks.
fn frames(batch: &MetricBatch) -> (Vec<(i64, u64)>, Vec<u64>) {
    let (mut floats, mut encodings) = (Vec::new(), Vec::new());
    encode_frames(batch, 1, |frame| {
        let mut reader = Reader::new(&frame);
        let length = reader.varint().unwrap() as usize;
        let message = &frame[frame.len() - length..];
        let checksum = &frame[frame.len() - length - 4..frame.len() - length];
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        let mut reader = Reader::new(message);
        let (_, series) = reader.field().unwrap().unwrap();
        assert_eq!(reader.field().unwrap().unwrap().1.unsigned().unwrap(), 1, "the query's number");
        let mut reader = Reader::new(series.bytes().unwrap().0);
        while let Some((number, value)) = reader.field().unwrap() {
            if number != 2 {
                continue;
            }
            let (mut reader, mut encoding) = (Reader::new(value.bytes().unwrap().0), 0);
            while let Some((number, value)) = reader.field().unwrap() {
                match number {
                    3 => encoding = value.unsigned().unwrap(),
                    4 if encoding == 1 => {
                        floats.extend(Unpacker { bytes: value.bytes().unwrap().0, at: 0 }.floats());
                    }
                    _ => {}
                }
            }
            encodings.push(encoding);
        }
        true
    });
    (floats, encodings)
}

fn batch(points: &[(i64, f64)]) -> MetricBatch {
    MetricBatch {
        series: vec![Labels::from_pairs([("__name__", "up")])],
        ends: vec![points.len()],
        times_ms: points.iter().map(|point| point.0).collect(),
        values: points.iter().map(|point| point.1).collect(),
        ..MetricBatch::default()
    }
}

#[test]
fn floats_come_out_as_they_went_in() {
    let odd =
        [0.0, -0.0, 1.0, 1.0, 1.5, f64::NAN, base_signal::stale_nan(), f64::INFINITY, f64::MIN_POSITIVE, -1e300, 0.1];
    let gaps = [1, 15_000, 15_000, 15_001, 1 << 13, 1 << 16, 1 << 19, 1 << 40, 3, 15_000];
    let mut points = vec![(-7_000_000_000_000, 0.5)];
    for i in 0..500 {
        points.push((points[i].0 + gaps[i % gaps.len()], odd[i * 7 % odd.len()] * (1.0 + (i / 50) as f64)));
    }
    let (found, encodings) = frames(&batch(&points));
    assert_eq!(found, points.iter().map(|(time, value)| (*time, value.to_bits())).collect::<Vec<_>>());
    assert_eq!(encodings, [1; 5], "120 to a chunk");
}

#[test]
fn histograms_part_the_floats() {
    let histogram = NativeHistogram {
        schema: 3,
        counter_reset: CounterReset::NoReset,
        zero_threshold: 1e-128,
        sum: 4.5,
        positive_runs: vec![SpanRun { offset: -2, length: 2 }],
        negative_runs: vec![],
        buckets: Buckets::Integer { count: 7, zero_count: 2, positive: vec![3, 2], negative: vec![] },
        custom_bounds: vec![],
    };
    let float = NativeHistogram {
        buckets: Buckets::Float { count: 7.0, zero_count: 2.0, positive: vec![3.0, 2.0], negative: vec![] },
        ..histogram.clone()
    };
    let mut batch = batch(&[(1, 1.0), (2, f64::NAN), (3, f64::NAN), (4, 4.0)]);
    batch.histograms = vec![(1, histogram), (2, float)];
    let (found, encodings) = frames(&batch);
    assert_eq!((found, encodings), (vec![(1, 1f64.to_bits()), (4, 4f64.to_bits())], vec![1, 2, 3, 1]));
    let mut answer = SamplesAnswer::default();
    answer.add(&batch);
    // The answer's series is a write's series: what reads the one reads the other.
    let written = crate::remote_write::decode_message(&answer.0.0, &Limits::default()).unwrap().write;
    assert_eq!((written.samples.len(), written.histograms.len()), (2, 2));
    assert_eq!(written.histograms[0].2, batch.histograms[0].1);
}
