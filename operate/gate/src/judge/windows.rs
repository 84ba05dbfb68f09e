//! Answers of span metrics as windows: requests, errors and how many were slower than each bound. Knows no statistics.

use std::collections::BTreeMap;

use crate::ask::Period;
use crate::evidence::{Evidence, Heard, Series, series};
use crate::settings::NanStrategy;

/// More requests a second are no requests, and their squares would be no numbers.
const RATE_MAX: f64 = 1e12;

/// More than any question asks for; an answer beyond it is cut.
const WINDOWS_MAX: usize = 5000;
const BOUNDS_MAX: usize = 200;

/// What happened in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Its end, Unix milliseconds.
    pub(crate) end_ms: i64,
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    /// Requests whose latency was counted.
    pub(crate) timed: f64,
    /// Of those, slower than each of the track's bounds.
    pub(crate) above: Vec<f64>,
}

/// The windows of one period, in order; a window without data is not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    pub(crate) windows: Vec<Window>,
    /// The series is there, even if it says zero; else nothing is known of it.
    pub(crate) seen: bool,
    /// Why nothing is known, where the question failed.
    pub(crate) unknown: Option<String>,
    /// The same for latency.
    pub(crate) latency_unknown: Option<String>,
}

/// Tracks with the same bounds, so that they can be compared.
#[derive(Debug)]
pub(crate) struct Tracks {
    pub(crate) bounds: Vec<f64>,
    pub(crate) tracks: BTreeMap<String, Track>,
}

/// Series of one period by upper bound, ascending; the last is +Inf.
type Buckets<'a> = Vec<(f64, &'a [(i64, f64)])>;

impl Tracks {
    /// Reads `calls` and `latency` of these periods; rates become counts of a window of `step_ms`.
    pub(crate) fn read(evidence: &Evidence, periods: &[Period], step_ms: i64, nan: NanStrategy) -> Self {
        let seconds = step_ms as f64 / 1000.0;
        let mut buckets = Vec::new();
        let mut tracks = BTreeMap::new();
        let mut common: Option<Vec<f64>> = None;
        for period in periods {
            let mut track = Track::default();
            match series(evidence, &period.id("calls")) {
                Heard::Series(found) => track.read_calls(found, seconds, nan),
                Heard::Unknown(why) => track.unknown = Some(why.to_owned()),
            }
            let of_period = match series(evidence, &period.id("latency")) {
                Heard::Series(found) => by_bound(found),
                Heard::Unknown(why) => {
                    track.latency_unknown = Some(why.to_owned());
                    Buckets::new()
                }
            };
            let finite: Vec<f64> =
                of_period.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
            if !of_period.is_empty() {
                let both = |common: Vec<f64>| common.into_iter().filter(|bound| finite.contains(bound)).collect();
                common = Some(common.map_or(finite.clone(), both));
            }
            buckets.push((period.id(""), of_period));
            tracks.insert(period.id(""), track);
        }
        let bounds = common.unwrap_or_default();
        for (id, of_period) in buckets {
            if let Some(track) = tracks.get_mut(&id) {
                track.read_latency(&of_period, &bounds, seconds);
            }
        }
        Tracks { bounds, tracks }
    }

    pub(crate) fn of(&self, period: Period) -> &Track {
        const NONE: &Track = &Track { windows: Vec::new(), seen: false, unknown: None, latency_unknown: None };
        self.tracks.get(&period.id("")).unwrap_or(NONE)
    }
}

impl Track {
    fn read_calls(&mut self, found: &[Series], seconds: f64, nan: NanStrategy) {
        let mut windows: Vec<Window> = Vec::with_capacity(found.first().map_or(0, |series| series.points.len()));
        for series in found {
            let mut at = 0;
            let is_error = series.labels.get("status_code").is_some_and(|code| code == "STATUS_CODE_ERROR");
            for (end_ms, rate) in &series.points {
                let rate = match rate.is_finite() {
                    true => rate.clamp(0.0, RATE_MAX),
                    false if nan == NanStrategy::Replace => 0.0,
                    false => continue,
                };
                // Mostly the next one; a search only where a hole or a disorder is.
                if windows.get(at).is_none_or(|window| window.end_ms != *end_ms) {
                    at = windows.partition_point(|window| window.end_ms < *end_ms);
                    if windows.get(at).is_none_or(|window| window.end_ms != *end_ms) {
                        if windows.len() >= WINDOWS_MAX {
                            continue;
                        }
                        windows.insert(at, Window { end_ms: *end_ms, ..Window::default() });
                    }
                }
                if let Some(window) = windows.get_mut(at) {
                    window.requests += rate * seconds;
                    window.errors += if is_error { rate * seconds } else { 0.0 };
                }
                at += 1;
            }
        }
        self.seen = !windows.is_empty();
        self.windows = windows;
    }

    fn read_latency(&mut self, buckets: &Buckets<'_>, bounds: &[f64], seconds: f64) {
        let Some((_, totals)) = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY) else { return };
        let mut total = Walk(totals);
        let mut below: Vec<Walk<'_>> = bounds
            .iter()
            .map(|bound| Walk(buckets.iter().find(|(other, _)| other == bound).map_or(&[], |(_, points)| *points)))
            .collect();
        for window in &mut self.windows {
            let Some(rate) = total.at(window.end_ms) else { continue };
            window.timed = rate * seconds;
            // Extrapolated rates of buckets can be off by a rounding: never below zero, never rising.
            let mut least = window.timed;
            window.above.extend(below.iter_mut().map(|walk| {
                let at_most = walk.at(window.end_ms).unwrap_or(0.0) * seconds;
                least = (window.timed - at_most).clamp(0.0, least);
                least
            }));
        }
    }
}

/// Points in order of time, read once from front to back.
struct Walk<'a>(&'a [(i64, f64)]);

impl Walk<'_> {
    /// The finite value at this moment; moments have to be asked in order.
    fn at(&mut self, time_ms: i64) -> Option<f64> {
        while let Some(((at_ms, value), rest)) = self.0.split_first() {
            if *at_ms > time_ms {
                return None;
            }
            self.0 = rest;
            if *at_ms == time_ms {
                return value.is_finite().then(|| value.clamp(0.0, RATE_MAX));
            }
        }
        None
    }
}

/// Bounds that are no positive number are left out; of two series with one bound the first counts.
fn by_bound(found: &[Series]) -> Buckets<'_> {
    let bound = |series: &Series| series.labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|b| *b > 0.0);
    let mut buckets: Buckets<'_> = found.iter().filter_map(|one| Some((bound(one)?, one.points.as_slice()))).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|a, b| a.0 == b.0);
    // The last is the total: of too many the ones before it go.
    if buckets.len() > BOUNDS_MAX {
        buckets.drain(BOUNDS_MAX - 1..buckets.len() - 1);
    }
    buckets
}
