//! OpenTelemetry's exponential histograms as native histograms.
//!
//! Bucket `i` of OpenTelemetry is (base^i, base^(i+1)]; Prometheus counts by the upper bound, so indices move up by one.
//! Scales above 8 are merged down to 8 by halving indices, scales below -4 have no counterpart.

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun, stale_nan};

use super::metrics_model::{BucketsModel, ExponentialPoint};

const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;

/// The zero threshold of a sender that did not say, as Prometheus sets it.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Up to so many empty buckets are written out; a wider gap starts a new run. The constant is client_golang's.
const GAP_MAX: i64 = 2;

/// Why a point cannot be taken, in words for the sender.
pub(super) fn to_native(point: &ExponentialPoint<'_>) -> Result<NativeHistogram, String> {
    if point.scale < SCHEMA_MIN {
        return Err(format!("scale {} is below {SCHEMA_MIN}, the coarsest that can be stored", point.scale));
    }
    let scale_down = (point.scale - SCHEMA_MAX).clamp(0, 31) as u32;
    let (positive_runs, positive) = buckets(&point.positive, scale_down)?;
    let (negative_runs, negative) = buckets(&point.negative, scale_down)?;
    let stale = point.stem.no_recorded_value();
    Ok(NativeHistogram {
        schema: point.scale.min(SCHEMA_MAX),
        // Whether the sender restarted is seen from the counts; a hint could only be wrong.
        counter_reset: CounterReset::Unknown,
        zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD },
        sum: if stale { stale_nan() } else { point.sum.unwrap_or(0.0) },
        positive_runs,
        negative_runs,
        buckets: Buckets::Integer { count: point.count, zero_count: point.zero_count, positive, negative },
        custom_bounds: Vec::new(),
    })
}

fn buckets(model: &BucketsModel<'_>, scale_down: u32) -> Result<(Vec<SpanRun>, Vec<u64>), String> {
    let (mut runs, mut counts) = (Vec::<SpanRun>::new(), Vec::<u64>::new());
    // The index after the last bucket written.
    let mut next = 0i64;
    for (i, &count) in model.counts.iter().enumerate() {
        if count == 0 {
            continue;
        }
        let index = ((i64::from(model.offset) + i as i64) >> scale_down) + 1;
        if let (Some(last), true) = (counts.last_mut(), index == next - 1) {
            *last = last.saturating_add(count);
            continue;
        }
        let gap = index - next;
        match runs.last_mut() {
            Some(run) if gap <= GAP_MAX => {
                counts.extend((0..gap).map(|_| 0));
                run.length += gap as u32 + 1;
            }
            _ => {
                let offset = i32::try_from(gap).map_err(|_| format!("bucket index {index} does not fit 32 bits"))?;
                runs.push(SpanRun { offset, length: 1 });
            }
        }
        counts.push(count);
        next = index + 1;
    }
    Ok((runs, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scale: i32, offset: i32, counts: &[u64], runs: &[(i32, u32)], expect: &[u64]) {
        let mut point = ExponentialPoint { scale, count: counts.iter().sum(), ..ExponentialPoint::default() };
        point.positive.offset = offset;
        point.positive.counts = counts.to_vec();
        let native = to_native(&point).unwrap();
        let found: Vec<_> = native.positive_runs.iter().map(|r| (r.offset, r.length)).collect();
        let Buckets::Integer { positive, .. } = &native.buckets else { panic!("integers in, integers out") };
        assert_eq!((found.as_slice(), positive.as_slice()), (runs, expect), "scale {scale} offset {offset} {counts:?}");
    }

    #[test]
    fn buckets_move_up_by_one_and_merge_down_to_scale_8() {
        check(0, 0, &[1, 2, 3], &[(1, 3)], &[1, 2, 3]);
        check(0, -3, &[4], &[(-2, 1)], &[4]);
        check(3, 10, &[1, 0, 0, 5], &[(11, 4)], &[1, 0, 0, 5]);
        check(3, 10, &[1, 0, 0, 0, 5, 0], &[(11, 1), (3, 1)], &[1, 5]);
        check(3, 10, &[0, 0, 7], &[(13, 1)], &[7]);
        // Scale 9 to 8: indices -1, 0, 1, 2, 3 become -1, 0, 0, 1, 1 and then move up.
        check(9, -1, &[1, 2, 3, 4, 5], &[(0, 3)], &[1, 5, 9]);
        check(20, 0, &[1; 4096], &[(1, 1)], &[4096]);
        check(0, 5, &[], &[], &[]);
    }

    #[test]
    fn what_has_no_counterpart_is_refused_in_words() {
        let point = ExponentialPoint { scale: -5, ..ExponentialPoint::default() };
        assert_eq!(to_native(&point).unwrap_err(), "scale -5 is below -4, the coarsest that can be stored");
        let mut point = ExponentialPoint::default();
        point.positive.offset = i32::MAX;
        point.positive.counts = vec![1];
        assert!(to_native(&point).unwrap_err().contains("32 bits"));
    }
}
