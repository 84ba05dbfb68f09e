//! Series from a seed: all that a float can be, histograms of several layouts that grow, reset and end, mixed series,
//! gaps, and names beyond ASCII.

use base_signal::{
    Buckets, CounterReset, LabelArena, Labels, Matcher, NativeHistogram, RangeMs, SpanRun, TenantId, stale_nan,
};
use base_world::{Rng, World};
use observe_source::fake::FakeMetrics;
use observe_source::{Budget, Cancel, MetricBatch, MetricSource, MetricWrite, SelectHints, SelectMetrics};

use crate::{DataFolder, Export, Exported, TsdbError, export};

/// A Thursday, at an even hour.
pub(super) const BEGIN_MS: i64 = 1_709_236_800_000;

/// Each with its points in time.
pub(super) type Series = Vec<(Labels, Vec<(i64, Point)>)>;

#[derive(Clone, Debug)]
pub(super) enum Point {
    Float(u64),
    Histogram(NativeHistogram),
}

/// Of the same bits: a NaN too.
impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Point::Float(a), Point::Float(b)) => a == b,
            (Point::Histogram(a), Point::Histogram(b)) => {
                a.sum.to_bits() == b.sum.to_bits() && format!("{a:?}") == format!("{b:?}")
            }
            _ => false,
        }
    }
}

pub(super) fn series(seed: u64) -> Series {
    let mut rng = Rng::new(seed);
    let count = 1 + rng.index(12);
    let names = ["up", "http_requests_total", "my.metric", "größe", "𝄞"];
    let all = (0..count).map(|i| {
        let (name, value) = (names[rng.index(names.len())], format!("v{}\n\"\\ü{i}", rng.below(3)));
        let labels = Labels::from_pairs([("__name__", name), ("i", &i.to_string()), ("la.bel", &value)]);
        (labels, points(&mut rng))
    });
    let mut all: Series = all.collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn points(rng: &mut Rng) -> Vec<(i64, Point)> {
    let kind = rng.below(5);
    let step_ms = [1, 1000, 15_000, 60_000, 600_000][rng.index(5)];
    let mut time_ms = BEGIN_MS + rng.below(7_200_000) as i64;
    let mut histogram = first_histogram(rng, kind);
    let mut value = 0.0f64;
    let mut all = Vec::new();
    for _ in 0..rng.below(400) {
        let point = match kind {
            0 | 1 => {
                value = float(rng, value);
                Point::Float(value.to_bits())
            }
            4 if rng.chance(50) => Point::Float(rng.next_u64()),
            _ => {
                step(rng, &mut histogram, kind);
                let mut one = histogram.clone();
                if rng.chance(3) {
                    one.sum = stale_nan();
                }
                Point::Histogram(one)
            }
        };
        all.push((time_ms, point));
        time_ms += if rng.chance(90) { step_ms } else { 1 + rng.below(step_ms as u64 * 3) as i64 };
    }
    all
}

fn float(rng: &mut Rng, before: f64) -> f64 {
    match rng.below(20) {
        0 => stale_nan(),
        1 => f64::from_bits(rng.next_u64()),
        2 => f64::from_bits(0x7ff8_0000_0000_0000 | rng.below(1 << 40)),
        3 => [-0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 4.0, f64::MAX][rng.index(5)],
        4..8 => before,
        _ => (rng.below(1000) as f64 / 8.0) + if before.is_finite() { before } else { 0.0 },
    }
}

fn first_histogram(rng: &mut Rng, kind: u64) -> NativeHistogram {
    let runs = |rng: &mut Rng| -> Vec<SpanRun> {
        (0..rng.below(4)).map(|_| SpanRun { offset: rng.below(5) as i32 - 1, length: rng.below(5) as u32 }).collect()
    };
    let custom = rng.chance(30);
    let (positive_runs, negative_runs) = (runs(rng), if custom { vec![] } else { runs(rng) });
    let len = |runs: &[SpanRun]| runs.iter().map(|run| run.length as usize).sum::<usize>();
    let (p, n) = (len(&positive_runs), len(&negative_runs));
    let buckets = if kind == 2 {
        Buckets::Integer { count: 0, zero_count: 0, positive: vec![0; p], negative: vec![0; n] }
    } else {
        Buckets::Float { count: 0.0, zero_count: 0.0, positive: vec![0.0; p], negative: vec![0.0; n] }
    };
    NativeHistogram {
        schema: if custom { NativeHistogram::CUSTOM_SCHEMA } else { rng.below(13) as i32 - 4 },
        counter_reset: if rng.chance(20) { CounterReset::Gauge } else { CounterReset::Unknown },
        zero_threshold: [0.0, 2f64.powi(-128), 0.001][rng.index(3)],
        sum: 0.0,
        positive_runs,
        negative_runs,
        buckets,
        custom_bounds: if custom { vec![0.005, 1.0, 1.0 / 3.0 + 1.0, f64::from(1 << 30)] } else { vec![] },
    }
}

fn step(rng: &mut Rng, histogram: &mut NativeHistogram, kind: u64) {
    if rng.chance(5) {
        // Another layout, or the same one begun anew.
        let reset = histogram.counter_reset;
        *histogram = first_histogram(rng, kind);
        histogram.counter_reset = reset;
    }
    histogram.sum += rng.below(100) as f64 / 3.0;
    let many = if rng.chance(5) { 1 << 50 } else { 20 };
    match &mut histogram.buckets {
        Buckets::Integer { count, zero_count, positive, negative } => {
            for bucket in positive.iter_mut().chain(negative).chain([zero_count]) {
                let more = rng.below(many);
                *bucket += more;
                *count += more;
            }
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            for bucket in positive.iter_mut().chain(negative).chain([zero_count]) {
                let more = rng.below(many) as f64 / 4.0;
                *bucket += more;
                *count += more;
            }
        }
    }
}

pub(super) fn source(series: &Series) -> FakeMetrics {
    let mut source = FakeMetrics::default();
    let mut write = MetricWrite { series: LabelArena::default(), ..MetricWrite::default() };
    for (labels, points) in series {
        let set = write.series.push_set(labels.as_ref());
        for (time_ms, point) in points {
            match point {
                Point::Float(bits) => write.samples.push((set, *time_ms, f64::from_bits(*bits))),
                Point::Histogram(histogram) => write.histograms.push((set, *time_ms, histogram.clone())),
            }
        }
    }
    source.append(&write);
    source
}

/// Writes all that there is, cutting blocks at so much memory.
pub(super) fn written(out: &std::path::Path, source: &dyn MetricSource, index_bytes_max: usize) -> Exported {
    let wanted = Export {
        tenant: &TenantId::default(),
        matchers: &[],
        range: RangeMs::new(BEGIN_MS - 1, BEGIN_MS + 3 * 365 * 86_400_000),
        index_bytes_max,
        budget: &Budget::unlimited(),
        cancel: &Cancel::default(),
    };
    export(&World::real(), out, source, &wanted, &mut |_| {}).unwrap()
}

/// All that the blocks of a folder hold: points of a series in the order of blocks.
pub(super) fn read(folder: &std::path::Path, matchers: &[Matcher], range: RangeMs) -> Result<Series, TsdbError> {
    let world = World::real();
    let mut all = std::collections::BTreeMap::<Labels, Vec<(i64, Point)>>::new();
    for block in DataFolder::open(&world, folder)?.blocks {
        let reader = crate::BlockReader::open(&world, &block.folder)?;
        let mut batches = reader.batches(matchers, range)?;
        while let Some(batch) = batches.next_batch()? {
            add(&mut all, &batch);
        }
    }
    Ok(all.into_iter().collect())
}

/// What the source itself says.
pub(super) fn selected(source: &FakeMetrics, matchers: &[Matcher], range: RangeMs) -> Series {
    let request = SelectMetrics {
        tenant: &TenantId::default(),
        matchers,
        range,
        hints: SelectHints::default(),
        budget: &Budget::unlimited(),
        cancel: &Cancel::default(),
    };
    let mut all = std::collections::BTreeMap::new();
    let mut batches = source.select(&request).unwrap();
    while let Some(batch) = batches.next().unwrap() {
        add(&mut all, &batch);
    }
    all.into_iter().collect()
}

fn add(all: &mut std::collections::BTreeMap<Labels, Vec<(i64, Point)>>, batch: &MetricBatch) {
    let mut histograms = batch.histograms.iter().peekable();
    for (i, labels) in batch.series.iter().enumerate() {
        let points = all.entry(labels.clone()).or_default();
        for row in batch.rows(i) {
            let histogram = histograms.next_if(|(at, _)| *at == row).map(|(_, histogram)| told(histogram));
            let point = histogram.map_or(Point::Float(batch.values[row].to_bits()), Point::Histogram);
            points.push((batch.times_ms[row], point));
        }
    }
}

/// What is the same before and after: an end is only an end, and of resets only gauges are sure to be told alike.
fn told(histogram: &NativeHistogram) -> NativeHistogram {
    let mut told = histogram.clone();
    if told.counter_reset != CounterReset::Gauge {
        told.counter_reset = CounterReset::Unknown;
    }
    if told.is_stale() {
        let buckets = match told.buckets {
            Buckets::Integer { .. } => Buckets::Integer { count: 0, zero_count: 0, positive: vec![], negative: vec![] },
            Buckets::Float { .. } => Buckets::Float { count: 0.0, zero_count: 0.0, positive: vec![], negative: vec![] },
        };
        let reset = told.counter_reset;
        told = crate::histogram::stale_histogram(reset, buckets);
    }
    told
}
