//! `load_with_nhcb`: the classic histograms among loaded series once more, as native histograms with custom buckets.
//! Knows the naming of classic histograms (`_bucket` with `le`, `_count`, `_sum`) and no file.

use std::collections::BTreeMap;

use base_signal::{Buckets, CounterReset, Labels, NativeHistogram, SpanRun};

use crate::Point;
use crate::series::Loaded;

/// What is known of one histogram at one moment.
#[derive(Default)]
struct Classic {
    /// Bound and cumulative count, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The histograms of `loaded`, by labels, with the place of each in the sequence.
pub(crate) fn native(loaded: &[Loaded]) -> Result<Vec<(Labels, usize, NativeHistogram)>, String> {
    let mut found: BTreeMap<Labels, BTreeMap<usize, Classic>> = BTreeMap::new();
    for series in loaded {
        let name = series.labels.get("__name__").unwrap_or_default();
        let Some((base, part)) =
            ["_bucket", "_count", "_sum"].into_iter().find_map(|part| Some((name.strip_suffix(part)?, part)))
        else {
            continue;
        };
        let mut labels = series.labels.to_builder();
        labels.set("__name__", base);
        labels.remove("le");
        let moments = found.entry(labels.build()).or_default();
        let bound = series.labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        for (at, item) in series.values.iter().enumerate() {
            let Some(Point::Float(value)) = item.as_ref().map(|item| &item.point) else { continue };
            let classic = moments.entry(at).or_default();
            match (part, bound) {
                ("_bucket", Some(bound)) => classic.buckets.push((bound, *value)),
                ("_bucket", None) => {}
                ("_count", _) => classic.count = Some(*value),
                _ => classic.sum = *value,
            }
        }
    }
    let mut out = Vec::new();
    for (labels, moments) in found {
        for (at, classic) in moments {
            out.push((labels.clone(), at, classic.native().map_err(|why| format!("{labels}: {why}"))?));
        }
    }
    Ok(out)
}

impl Classic {
    fn native(mut self) -> Result<NativeHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by_key(|(bound, _)| bound.to_bits());
        let total = self.count.or(self.buckets.last().map(|(_, count)| *count)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, total));
        }
        let mut counts = Vec::with_capacity(self.buckets.len());
        let mut below = 0.0;
        for (bound, count) in &self.buckets {
            if *count < below {
                return Err(format!("bucket counts are not cumulative: {count} at le={bound} after {below}"));
            }
            counts.push(count - below);
            below = *count;
        }
        if below != total {
            return Err(format!("the count {total} is not that of the last bucket, {below}"));
        }
        let length = u32::try_from(counts.len()).map_err(|_| "too many buckets".to_owned())?;
        Ok(NativeHistogram {
            schema: NativeHistogram::CUSTOM_SCHEMA,
            counter_reset: CounterReset::Unknown,
            zero_threshold: 0.0,
            sum: self.sum,
            positive_runs: vec![SpanRun { offset: 0, length }],
            negative_runs: Vec::new(),
            buckets: Buckets::Float { count: total, zero_count: 0.0, positive: counts, negative: Vec::new() },
            custom_bounds: self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect(),
        })
    }
}
