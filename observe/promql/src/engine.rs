//! The door: a text and a time in, an answer out. Checks parameters and turns columns back into points; the evaluation is
//! in `eval`.

use base_signal::Labels;
use observe_source::MetricSource;

use crate::answer::{Answer, PointValue, Query, QueryError, SeriesPoints, Value, VectorPoint};
use crate::eval::{Evaluated, Evaluator, Series, Steps, without_dropped_names};
use crate::plan::check_durations;
use crate::syntax::{Expr, ValueType, parse};

/// Times beyond this are cut: with it no sum of times can overflow. About 285,000 years.
pub(crate) const TIME_MAX_MS: i64 = 1 << 53;

/// Evaluates queries; holds only settings.
#[derive(Clone, Debug)]
pub struct Engine {
    /// How far an instant selector looks back for a sample.
    pub lookback_ms: i64,
    /// The most steps of a range query.
    pub max_points: usize,
    /// The step of a subquery that names none: the rules' evaluation interval.
    pub subquery_step_ms: i64,
}

impl Default for Engine {
    fn default() -> Self {
        Engine { lookback_ms: 300_000, max_points: 11_000, subquery_step_ms: 60_000 }
    }
}

impl Engine {
    /// The value at one moment.
    pub fn instant(&self, source: &dyn MetricSource, query: &Query<'_>, time_ms: i64) -> Result<Answer, QueryError> {
        let expr = parse(query.text)?;
        let steps = Steps::instant(clamp_time(time_ms));
        check_durations(&expr, &steps)?;
        let mut evaluator = Evaluator::new(self, source, query, steps);
        let value = match expr.value_type() {
            ValueType::Matrix => Value::Matrix(evaluator.matrix(&expr)?),
            _ => match evaluator.eval(&expr, &steps)? {
                Evaluated::Scalar(values) => Value::Scalar(steps.start_ms, values.first().copied().unwrap_or(f64::NAN)),
                Evaluated::String(text) => Value::String(steps.start_ms, text),
                Evaluated::Series(series) => Value::Vector(vector(without_dropped_names(series)?, steps.start_ms)),
            },
        };
        Ok(Answer { value, annotations: evaluator.into_annotations() })
    }

    /// The values at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; always a matrix.
    pub fn range(
        &self,
        source: &dyn MetricSource,
        query: &Query<'_>,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, QueryError> {
        let expr = parse(query.text)?;
        let steps = self.range_steps(start_ms, end_ms, step_ms)?;
        check_range_type(&expr)?;
        check_durations(&expr, &steps)?;
        let mut evaluator = Evaluator::new(self, source, query, steps);
        let series = match evaluator.eval(&expr, &steps)? {
            Evaluated::Scalar(values) => {
                let points = values.iter().enumerate().map(|(i, value)| (steps.time_ms(i), *value)).collect();
                vec![SeriesPoints { labels: Labels::empty(), points, histograms: Vec::new() }]
            }
            Evaluated::String(_) => Vec::new(),
            Evaluated::Series(series) => {
                let series = without_dropped_names(series)?.into_iter();
                let mut series: Vec<_> = series.filter_map(|s| points(s, &steps)).collect();
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                series
            }
        };
        Ok(Answer { value: Value::Matrix(series), annotations: evaluator.into_annotations() })
    }

    fn range_steps(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Steps, QueryError> {
        let (start_ms, end_ms) = (clamp_time(start_ms), clamp_time(end_ms));
        let bad = |text: &str| Err(QueryError::BadData(text.to_owned()));
        if end_ms < start_ms {
            return bad("invalid parameter \"end\": end timestamp must not be before start time");
        }
        if step_ms <= 0 {
            return bad("invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
                 Try a positive integer");
        }
        let steps = Steps::range(start_ms, end_ms, step_ms);
        // Prometheus counts intervals, not points.
        if steps.count - 1 > self.max_points {
            return Err(QueryError::BadData(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                thousands(self.max_points)
            )));
        }
        Ok(steps)
    }
}

fn check_range_type(expr: &Expr) -> Result<(), QueryError> {
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => Err(QueryError::Unasked(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            other.documented()
        ))),
    }
}

pub(crate) fn clamp_time(time_ms: i64) -> i64 {
    time_ms.clamp(-TIME_MAX_MS, TIME_MAX_MS)
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn vector(series: Vec<Series>, time_ms: i64) -> Vec<VectorPoint> {
    let point = |series: Series| {
        let value = match series.histogram(0) {
            Some(histogram) => PointValue::Histogram(histogram.clone()),
            None => PointValue::Float(series.float(0)?),
        };
        Some(VectorPoint { labels: series.labels, time_ms, value })
    };
    series.into_iter().filter_map(point).collect()
}

fn points(series: Series, steps: &Steps) -> Option<SeriesPoints> {
    let points: Vec<_> = (0..steps.count).filter_map(|i| Some((steps.time_ms(i), series.float(i)?))).collect();
    let histograms: Vec<_> =
        (0..steps.count).filter_map(|i| Some((steps.time_ms(i), series.histogram(i)?.clone()))).collect();
    let empty = points.is_empty() && histograms.is_empty();
    (!empty).then_some(SeriesPoints { labels: series.labels, points, histograms })
}
