//! The shape in which evaluation works: series as columns over the steps of a query, so that labels are looked at once per
//! query and values step by step. A step without a sample holds the stale NaN, which no computation can produce.

use std::sync::Arc;

use ahash::HashMap;
use base_signal::{Labels, NativeHistogram, is_stale_nan, stale_nan};
use observe_source::Reservation;

use crate::answer::QueryError;

/// The moments a query is evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for an instant query.
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn instant(time_ms: i64) -> Self {
        Steps { start_ms: time_ms, end_ms: time_ms, step_ms: 0, count: 1 }
    }

    /// No steps when the end is before the start; `step_ms` must be positive.
    pub(crate) fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let count = if end_ms < start_ms { 0 } else { (end_ms - start_ms) / step_ms.max(1) + 1 };
        Steps { start_ms, end_ms, step_ms, count: count as usize }
    }

    pub(crate) fn time_ms(&self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    pub(crate) fn is_instant(&self) -> bool {
        self.start_ms == self.end_ms
    }
}

pub(crate) type Histograms = Vec<Option<Arc<NativeHistogram>>>;

/// One series over the steps.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// One a step; where there is no float, the stale NaN.
    pub(crate) values: Vec<f64>,
    /// One a step, when there is any histogram at all. A step holds a float or a histogram, never both.
    pub(crate) histograms: Option<Histograms>,
    /// The values are no longer the metric's own: the answer leaves the name out. Until then it stays, so that operators
    /// further out can still tell series apart.
    pub(crate) drop_name: bool,
    /// Gives the memory back to the query's budget.
    pub(crate) _charge: Reservation,
}

pub(crate) fn missing() -> f64 {
    stale_nan()
}

pub(crate) fn is_missing(value: f64) -> bool {
    is_stale_nan(value)
}

impl Series {
    pub(crate) fn float(&self, step: usize) -> Option<f64> {
        self.values.get(step).copied().filter(|value| !is_missing(*value))
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<NativeHistogram>> {
        self.histograms.as_ref()?.get(step)?.as_ref()
    }

    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.float(step).is_some() || self.histogram(step).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_missing(*value))
            && self.histograms.as_ref().is_none_or(|column| column.iter().all(Option::is_none))
    }

    pub(crate) fn clear(&mut self, step: usize) {
        if let Some(value) = self.values.get_mut(step) {
            *value = missing();
        }
        self.clear_histogram(step);
    }

    pub(crate) fn clear_histogram(&mut self, step: usize) {
        if let Some(slot) = self.histograms.as_mut().and_then(|column| column.get_mut(step)) {
            *slot = None;
        }
    }

    pub(crate) fn set_histogram(&mut self, step: usize, histogram: Arc<NativeHistogram>) {
        let count = self.values.len();
        let column = self.histograms.get_or_insert_with(|| vec![None; count]);
        if let Some(slot) = column.get_mut(step) {
            *slot = Some(histogram);
        }
    }

    /// Changes every float in place.
    pub(crate) fn map(mut self, f: impl Fn(f64) -> f64) -> Series {
        for value in &mut self.values {
            if !is_missing(*value) {
                *value = f(*value);
            }
        }
        self
    }

    /// Takes the samples of another series with the same labels; false when both have one at the same step, of the same
    /// kind if only that matters.
    fn absorb(&mut self, other: Series, same_kind: bool) -> bool {
        for step in 0..self.values.len() {
            if !other.is_present(step) {
                continue;
            }
            let clash = match same_kind {
                true => {
                    (self.float(step).is_some() && other.float(step).is_some())
                        || (self.histogram(step).is_some() && other.histogram(step).is_some())
                }
                false => self.is_present(step),
            };
            if clash {
                return false;
            }
            if let Some(histogram) = other.histogram(step) {
                self.set_histogram(step, histogram.clone());
            }
            if let Some((slot, value)) = self.values.get_mut(step).zip(other.float(step)) {
                *slot = value;
            }
        }
        true
    }
}

/// Series whose labels have become the same are one series, unless both have a sample at one step. Series without any
/// sample are left out.
pub(crate) fn merge_same_labels(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    merge(series, false)
}

/// As above, but a float and a histogram at one step are no clash: the answer then has both, as Prometheus' has.
pub(crate) fn merge_relabelled(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    merge(series, true)
}

fn merge(series: Vec<Series>, same_kind: bool) -> Result<Vec<Series>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::default();
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        if one.is_empty() {
            continue;
        }
        match places.get(&one.labels).and_then(|place| merged.get_mut(*place)) {
            Some(earlier) => {
                if !earlier.absorb(one, same_kind) {
                    return Err(same_labelset());
                }
            }
            None => {
                places.insert(one.labels.clone(), merged.len());
                merged.push(one);
            }
        }
    }
    Ok(merged)
}

/// Leaves the names out where they no longer hold; what has become the same is one series.
pub(crate) fn without_dropped_names(mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    for one in series.iter_mut().filter(|one| one.drop_name) {
        one.labels = super::names::without_name(&one.labels);
    }
    merge_relabelled(series)
}

fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}
