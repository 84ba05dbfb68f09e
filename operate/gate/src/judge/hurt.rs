//! Since when people have been hurt by what failed. Knows no verdict but the metrics that failed.

use super::bench::Bench;
use super::measure::Statistic;
use crate::settings::Metric;
use crate::verdict::Judged;

/// Start of the first window in which the release was worse than it should be: the earliest of the failed critical metrics,
/// or the release itself where a failure has no windows (a check, a restart).
pub(super) fn since_ms(bench: &Bench<'_>, metrics: &[Judged]) -> Option<i64> {
    let failed = metrics.iter().filter(|metric| metric.critical && metric.outcome.is_worse());
    failed.map(|metric| onset(bench, metric).unwrap_or(bench.subject.released_ms)).min()
}

/// The start of the stretch up to now whose excess is largest (the turning point of a cumulative sum, as Page's CUSUM has
/// it): single bad windows long before do not count.
fn onset(bench: &Bench<'_>, judged: &Judged) -> Option<i64> {
    let statistic = match judged.name.as_str() {
        name if name == Metric::ErrorRate.name() => Statistic::ErrorShare,
        name if name == Metric::LatencyP50.name() => Statistic::Quantile(0.5),
        name if name == Metric::LatencyP95.name() => Statistic::Quantile(0.95),
        name if name == Metric::LatencyP99.name() => Statistic::Quantile(0.99),
        _ => return None,
    };
    let (new, old) = (judged.new?, judged.old?);
    let between = match statistic.is_log() {
        true => (new.ln() + old.ln()) / 2.0,
        false => (new + old) / 2.0,
    };
    let (mut sum, mut best, mut since) = (0.0, 0.0, None);
    for window in bench.new_track().windows.iter().rev() {
        if let Some(measure) = statistic.of(window, &bench.tracks.bounds) {
            sum += (measure.value - between) * measure.requests;
        }
        if sum > best {
            (best, since) = (sum, Some(window.end_ms - bench.settings.step_ms()));
        }
    }
    since.map(|since| since.max(bench.subject.released_ms))
}
