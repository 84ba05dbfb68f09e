//! The points of a series as chunks, and back: where one chunk ends and the next begins. Knows no file.

use base_signal::{Buckets, CounterReset, NativeHistogram};

use crate::bytes::Malformed;
use crate::float_histogram::{self, FloatHistogramChunk};
use crate::histogram::{self, HistogramChunk};
use crate::layout::{Layout, reset_bits};
use crate::xor::{self, FloatChunk};
use crate::xor2;

/// As Prometheus cuts them.
const SAMPLES_MAX: u16 = 120;
/// A chunk of histograms ends past this, so that wide ones do not make chunks that are slow to search.
const HISTOGRAM_BYTES_MAX: usize = 1024;
/// But never with fewer than this.
const HISTOGRAMS_MIN: u16 = 10;

pub(crate) const XOR: u8 = 1;
pub(crate) const HISTOGRAM: u8 = 2;
pub(crate) const FLOAT_HISTOGRAM: u8 = 3;
/// Newer ones, read and never written.
pub(crate) const XOR2: u8 = 4;
pub(crate) const HISTOGRAM_STARTS: u8 = 5;
pub(crate) const FLOAT_HISTOGRAM_STARTS: u8 = 6;
pub(crate) const READ: [u8; 6] = [XOR, HISTOGRAM, FLOAT_HISTOGRAM, XOR2, HISTOGRAM_STARTS, FLOAT_HISTOGRAM_STARTS];

/// A finished chunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) samples: u16,
    pub(crate) encoding: u8,
    pub(crate) data: Vec<u8>,
}

/// One point of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    Float(f64),
    Histogram(&'a NativeHistogram),
}

/// Cuts the points of one series, ascending in time, into chunks.
#[derive(Default)]
pub(crate) struct Chunker {
    open: Option<Open>,
    done: Vec<Chunk>,
}

struct Open {
    min_ms: i64,
    max_ms: i64,
    count: u16,
    kind: Kind,
}

enum Kind {
    Float(FloatChunk),
    Histogram(Box<HistogramChunk>, Before),
    FloatHistogram(Box<FloatHistogramChunk>, Before),
}

/// What decides whether the next histogram fits behind the last.
struct Before {
    layout: Layout,
    reset: CounterReset,
    last: NativeHistogram,
}

impl Chunker {
    pub(crate) fn push(&mut self, time_ms: i64, point: Point<'_>) {
        let follows = match (self.open.as_ref(), point) {
            (Some(open), point) => open.takes(point),
            (None, _) => Follows::New(CounterReset::Unknown),
        };
        if let Follows::New(reset) = follows {
            self.close();
            self.open = Some(Open::new(time_ms, point, reset));
        }
        if let Some(open) = &mut self.open {
            open.push(time_ms, point);
        }
    }

    /// All chunks; the next point begins another series.
    pub(crate) fn finish(&mut self) -> Vec<Chunk> {
        self.close();
        std::mem::take(&mut self.done)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (encoding, data) = match open.kind {
            Kind::Float(chunk) => (XOR, chunk.finish()),
            Kind::Histogram(chunk, before) => (HISTOGRAM, with_head(chunk.into_bytes(), open.count, before.reset)),
            Kind::FloatHistogram(chunk, before) => {
                (FLOAT_HISTOGRAM, with_head(chunk.into_bytes(), open.count, before.reset))
            }
        };
        let Open { min_ms, max_ms, count: samples, .. } = open;
        self.done.push(Chunk { min_ms, max_ms, samples, encoding, data });
    }
}

fn with_head(mut data: Vec<u8>, count: u16, reset: CounterReset) -> Vec<u8> {
    data[..2].copy_from_slice(&count.to_be_bytes());
    data[2] = reset_bits(reset);
    data
}

enum Follows {
    Same,
    /// In a new chunk, of which this is known.
    New(CounterReset),
}

impl Open {
    fn new(time_ms: i64, point: Point<'_>, found: CounterReset) -> Self {
        let kind = match point {
            Point::Float(_) => Kind::Float(FloatChunk::new()),
            Point::Histogram(histogram) => {
                let layout = Layout::of(histogram);
                // Who sent it knows best.
                let reset = match histogram.counter_reset {
                    told @ (CounterReset::Gauge | CounterReset::Reset) => told,
                    CounterReset::Unknown | CounterReset::NoReset => found,
                };
                match histogram.buckets {
                    Buckets::Integer { .. } => {
                        let chunk = Box::new(HistogramChunk::new(&layout));
                        Kind::Histogram(chunk, Before { layout, reset, last: histogram.clone() })
                    }
                    Buckets::Float { .. } => {
                        let chunk = Box::new(FloatHistogramChunk::new(&layout));
                        Kind::FloatHistogram(chunk, Before { layout, reset, last: histogram.clone() })
                    }
                }
            }
        };
        Open { min_ms: time_ms, max_ms: time_ms, count: 0, kind }
    }

    fn takes(&self, point: Point<'_>) -> Follows {
        let full = self.count >= SAMPLES_MAX;
        let (before, len, histogram) = match (&self.kind, point) {
            (Kind::Float(_), Point::Float(_)) if !full => return Follows::Same,
            (Kind::Histogram(chunk, before), Point::Histogram(histogram))
                if matches!(histogram.buckets, Buckets::Integer { .. }) =>
            {
                (before, chunk.len(), histogram)
            }
            (Kind::FloatHistogram(chunk, before), Point::Histogram(histogram))
                if matches!(histogram.buckets, Buckets::Float { .. }) =>
            {
                (before, chunk.len(), histogram)
            }
            _ => return Follows::New(CounterReset::Unknown),
        };
        let gauge = (before.reset == CounterReset::Gauge, histogram.counter_reset == CounterReset::Gauge);
        let after_stale = before.last.is_stale() && !histogram.is_stale();
        let changed = !histogram.is_stale() && before.layout != Layout::of(histogram);
        if gauge.0 != gauge.1 || after_stale || changed {
            return Follows::New(CounterReset::Unknown);
        }
        let counts = !gauge.0 && !histogram.is_stale();
        if counts && (histogram.counter_reset == CounterReset::Reset || fell(&before.last, histogram)) {
            return Follows::New(CounterReset::Reset);
        }
        let heavy = self.count >= HISTOGRAMS_MIN && len > HISTOGRAM_BYTES_MAX;
        let known = if gauge.0 { CounterReset::Gauge } else { CounterReset::NoReset };
        if full || heavy { Follows::New(known) } else { Follows::Same }
    }

    fn push(&mut self, time_ms: i64, point: Point<'_>) {
        match (&mut self.kind, point) {
            (Kind::Float(chunk), Point::Float(value)) => chunk.push(time_ms, value.to_bits()),
            (Kind::Histogram(chunk, before), Point::Histogram(histogram)) => {
                if let Buckets::Integer { count, zero_count, positive, negative } = &histogram.buckets {
                    chunk.push(time_ms, histogram.sum, (*count, *zero_count, positive, negative));
                }
                before.last = histogram.clone();
            }
            (Kind::FloatHistogram(chunk, before), Point::Histogram(histogram)) => {
                if let Buckets::Float { count, zero_count, positive, negative } = &histogram.buckets {
                    chunk.push(time_ms, histogram.sum, (*count, *zero_count, positive, negative));
                }
                before.last = histogram.clone();
            }
            // `takes` has seen to it.
            _ => return,
        }
        self.max_ms = time_ms;
        self.count += 1;
    }
}

/// Whether any count of the same layout is lower: the counter began anew.
fn fell(before: &NativeHistogram, now: &NativeHistogram) -> bool {
    fn any<T: PartialOrd>(before: &[T], now: &[T]) -> bool {
        before.iter().zip(now).any(|(before, now)| now < before)
    }
    match (&before.buckets, &now.buckets) {
        (
            Buckets::Integer { count: c0, zero_count: z0, positive: p0, negative: n0 },
            Buckets::Integer { count: c1, zero_count: z1, positive: p1, negative: n1 },
        ) => c1 < c0 || z1 < z0 || any(p0, p1) || any(n0, n1),
        (
            Buckets::Float { count: c0, zero_count: z0, positive: p0, negative: n0 },
            Buckets::Float { count: c1, zero_count: z1, positive: p1, negative: n1 },
        ) => c1 < c0 || z1 < z0 || any(p0, p1) || any(n0, n1),
        _ => true,
    }
}

/// The points of one series as they are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Points {
    pub(crate) times_ms: Vec<i64>,
    /// A row that is a histogram has a NaN of no meaning.
    pub(crate) values: Vec<f64>,
    /// (row, histogram)
    pub(crate) histograms: Vec<(usize, NativeHistogram)>,
}

impl Points {
    /// Adds the points of a chunk for which `wanted` is true of the time.
    pub(crate) fn read(
        &mut self,
        encoding: u8,
        data: &[u8],
        mut wanted: impl FnMut(i64) -> bool,
    ) -> Result<(), Malformed> {
        let float = |points: &mut Points, time: i64, bits: u64, wanted: bool| {
            if wanted {
                points.times_ms.push(time);
                points.values.push(f64::from_bits(bits));
            }
        };
        let starts = matches!(encoding, HISTOGRAM_STARTS | FLOAT_HISTOGRAM_STARTS);
        match encoding {
            XOR => xor::read(data, |time, bits| float(self, time, bits, wanted(time))),
            XOR2 => xor2::read(data, |time, bits| float(self, time, bits, wanted(time))),
            HISTOGRAM | HISTOGRAM_STARTS => {
                histogram::read(data, starts, |time, histogram| self.add(time, histogram, wanted(time)))
            }
            _ => float_histogram::read(data, starts, |time, histogram| self.add(time, histogram, wanted(time))),
        }
    }

    fn add(&mut self, time: i64, histogram: NativeHistogram, wanted: bool) {
        if wanted {
            self.histograms.push((self.times_ms.len(), histogram));
            self.times_ms.push(time);
            self.values.push(f64::NAN);
        }
    }
}
