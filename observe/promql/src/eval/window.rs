//! Functions over range vectors: the windows of every step of every series, and the subqueries that can stand for a
//! selector. What is computed in a window is in `rate.rs` and `over_time.rs`.

use std::sync::Arc;

use base_signal::{CounterReset, Labels, NativeHistogram};

use super::column::{Series, Steps, is_missing, refuse_same_labels};
use super::native::Unfit;
use super::select::Samples;
use super::{Evaluated, Evaluator, Result, execution, names, no_histograms, over_time, rate};
use crate::plan;
use crate::syntax::{Call, Expr, ExprKind, Span, Subquery, quote};

/// Steps of a subquery beyond this are refused: the number of samples at which Prometheus gives up.
const SUBQUERY_STEPS_MAX: usize = 50_000_000;

/// The samples of one series in `(start_ms, end_ms]`. Never empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub(super) times_ms: &'a [i64],
    pub(super) values: &'a [f64],
    pub(super) histogram_times_ms: &'a [i64],
    pub(super) histograms: &'a [Arc<NativeHistogram>],
    /// The time of the step, which an offset or `@` sets apart from the window's end.
    pub(super) step_ms: i64,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// The scalar arguments at this step, in order.
    pub(super) args: [f64; 2],
}

/// What a function makes of a window.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Nothing,
    Float(f64),
    Histogram(Arc<NativeHistogram>),
    /// Floats and histograms that cannot be combined.
    Mixed,
    /// A histogram, or none, and what is said about the metric of this name.
    Remarked(Option<Arc<NativeHistogram>>, Remark),
    /// Not computed yet; the query is refused.
    NoHistograms,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Remark {
    NotCounter,
    NotGauge,
    MixedSchemas,
    HintsCollide,
}

impl Outcome {
    /// Of histograms that were combined, or could not be.
    pub(super) fn combined(result: std::result::Result<Option<Arc<NativeHistogram>>, Unfit>) -> Self {
        match result {
            Ok(Some(histogram)) => Outcome::Histogram(histogram),
            Ok(None) => Outcome::Nothing,
            Err(Unfit::Mixed) => Outcome::Remarked(None, Remark::MixedSchemas),
            Err(Unfit::Unsupported) => Outcome::NoHistograms,
        }
    }
}

pub(super) struct RangeFunction {
    pub(super) compute: fn(&Window<'_>) -> Outcome,
    /// Looks at floats only and says so when there were histograms beside them.
    pub(super) floats_only: bool,
}

impl Evaluator<'_> {
    pub(super) fn range_function(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let name = call.function.name;
        let is_range = |arg: &Expr| matches!(arg.unwrapped().kind, ExprKind::Range(_) | ExprKind::Subquery(_));
        let Some(place) = call.args.iter().position(is_range) else {
            return execution(format!("{name} wants a range vector"));
        };
        let mut scalars = Vec::new();
        for (i, arg) in call.args.iter().enumerate() {
            if i != place {
                scalars.push(self.scalar(arg, steps)?);
            }
        }
        let Some(arg) = call.args.get(place) else { return execution("a range vector was wanted") };
        let Some(function) = rate::find(name).or_else(|| over_time::find(name)) else {
            return execution(format!("function {} is not supported yet", quote(name)));
        };
        check_args(name, &scalars)?;
        let quantile_span = if name == "quantile_over_time" { call.args.first().map(|q| q.span) } else { None };
        let mut run =
            Run { name, function, scalars, steps: *steps, arg_span: arg.span, quantile_span, out: Vec::new() };
        match &arg.unwrapped().kind {
            ExprKind::Range(range) => {
                let window_ms = plan::duration_ms(&range.range, &self.outer, false)?;
                let at = self.modifiers(&range.selector.modifiers)?.steps(steps);
                self.for_each_samples(range, &at, window_ms, name, |evaluator, labels, samples| {
                    run.series(evaluator, labels, &samples, &at, window_ms)
                })?;
            }
            ExprKind::Subquery(subquery) => {
                let window_ms = plan::duration_ms(&subquery.range, &self.outer, false)?;
                let at = self.modifiers(&subquery.modifiers)?.steps(steps);
                for (labels, samples) in self.subquery(subquery, &at, window_ms)? {
                    run.series(self, &labels, &samples, &at, window_ms)?;
                }
            }
            _ => return execution(format!("{name} wants a range vector")),
        }
        if name == "absent_over_time" {
            return self.absent(&run.out, arg, steps);
        }
        refuse_same_labels(run.out)
    }

    pub(super) fn check_quantile(&mut self, q: &[f64], span: Span) {
        for value in q.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            let shown = super::functions::short(*value);
            self.warn(span, format!("quantile value should be between 0 and 1, got {shown}"));
        }
    }

    /// The samples that a subquery's expression has at its own steps.
    pub(super) fn subquery(
        &mut self,
        subquery: &Subquery,
        at: &Steps,
        window_ms: i64,
    ) -> Result<Vec<(Labels, Samples)>> {
        if at.count == 0 {
            return Ok(Vec::new());
        }
        let step_ms = match &subquery.step {
            Some(step) => plan::duration_ms(step, &self.outer, false)?.max(1),
            None => self.engine.subquery_step_ms.max(1),
        };
        // The first multiple of the step that is within the first window, which is open on the left.
        let open_ms = at.start_ms - window_ms;
        let start_ms = open_ms.div_euclid(step_ms) * step_ms + step_ms;
        let inner = Steps::range(start_ms, at.end_ms, step_ms);
        if inner.count > SUBQUERY_STEPS_MAX {
            return execution("query processing would load too many samples into memory in query execution");
        }
        if inner.count == 0 {
            return Ok(Vec::new());
        }
        let Evaluated::Series(series) = self.eval(&subquery.expr, &inner)? else {
            return execution("a subquery wants an instant vector");
        };
        let mut out = Vec::with_capacity(series.len());
        for one in series {
            let charge = self.reserve(inner.count * 2)?;
            out.push((one.labels.clone(), Samples { _charge: Some(charge), ..samples(&one, &inner) }));
        }
        Ok(out)
    }
}

fn check_args(name: &str, scalars: &[Vec<f64>]) -> Result<()> {
    if name == "double_exponential_smoothing" {
        for (values, (what, symbol)) in scalars.iter().zip([("smoothing", "sf"), ("trend", "tf")]) {
            if let Some(value) = values.iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                return execution(format!("invalid {what} factor. Expected: 0 < {symbol} < 1, got: {value:.6}"));
            }
        }
    }
    Ok(())
}

fn samples(series: &Series, steps: &Steps) -> Samples {
    let mut samples = Samples::default();
    for (step, value) in series.values.iter().enumerate() {
        if let Some(histogram) = series.histogram(step) {
            samples.histogram_times_ms.push(steps.time_ms(step));
            samples.histograms.push(without_hint(histogram));
        } else if !is_missing(*value) {
            samples.times_ms.push(steps.time_ms(step));
            samples.values.push(*value);
        }
    }
    samples
}

/// A subquery may skip samples or return them twice, so what they say of the sample before them no longer holds.
fn without_hint(histogram: &Arc<NativeHistogram>) -> Arc<NativeHistogram> {
    match histogram.counter_reset {
        CounterReset::Unknown | CounterReset::Gauge => histogram.clone(),
        CounterReset::Reset | CounterReset::NoReset => {
            Arc::new(NativeHistogram { counter_reset: CounterReset::Unknown, ..(**histogram).clone() })
        }
    }
}

/// One call of a range function on its way over the series.
struct Run {
    name: &'static str,
    function: RangeFunction,
    scalars: Vec<Vec<f64>>,
    steps: Steps,
    arg_span: Span,
    /// Where a quantile that may be out of its bounds was written.
    quantile_span: Option<Span>,
    out: Vec<Series>,
}

impl Run {
    fn series(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        labels: &Labels,
        samples: &Samples,
        at: &Steps,
        window_ms: i64,
    ) -> Result<()> {
        let keeps_name = matches!(self.name, "last_over_time" | "first_over_time");
        let out_labels = if keeps_name { labels.clone() } else { names::without_name(labels) };
        let mut series = evaluator.column(out_labels, &self.steps)?;
        let mut floats = Slide::default();
        let mut histograms = Slide::default();
        for step in 0..self.steps.count {
            let end_ms = at.time_ms(if at.count == 1 { 0 } else { step });
            let start_ms = end_ms - window_ms;
            let (from, to) = floats.over(&samples.times_ms, start_ms, end_ms);
            let (histograms_from, histograms_to) = histograms.over(&samples.histogram_times_ms, start_ms, end_ms);
            if from == to && histograms_from == histograms_to {
                continue;
            }
            let arg = |i: usize| self.scalars.get(i).and_then(|values| values.get(step)).copied().unwrap_or(f64::NAN);
            let window = Window {
                times_ms: &samples.times_ms[from..to],
                values: &samples.values[from..to],
                histogram_times_ms: &samples.histogram_times_ms[histograms_from..histograms_to],
                histograms: &samples.histograms[histograms_from..histograms_to],
                step_ms: self.steps.time_ms(step),
                start_ms,
                end_ms,
                args: [arg(0), arg(1)],
            };
            if let (Some(span), false) = (self.quantile_span, window.values.is_empty()) {
                evaluator.check_quantile(&window.args[..1], span);
            }
            let metric = || quote(names::metric_name(labels));
            match (self.function.compute)(&window) {
                Outcome::Nothing => {}
                Outcome::Float(value) => series.values[step] = value,
                Outcome::Histogram(histogram) => series.set_histogram(step, histogram),
                Outcome::Mixed => {
                    let text = format!("encountered a mix of histograms and floats for metric name {}", metric());
                    evaluator.warn(self.arg_span, text);
                }
                Outcome::Remarked(histogram, remark) => {
                    if let Some(histogram) = histogram {
                        series.set_histogram(step, histogram);
                    }
                    let text = match remark {
                        Remark::NotCounter => format!("this native histogram metric is not a counter: {}", metric()),
                        Remark::NotGauge => format!("this native histogram metric is not a gauge: {}", metric()),
                        Remark::MixedSchemas => format!(
                            "vector contains a mix of histograms with exponential and custom buckets schemas for \
                             metric name {}",
                            metric()
                        ),
                        Remark::HintsCollide => "conflicting counter resets during histogram aggregation".to_owned(),
                    };
                    evaluator.warn(self.arg_span, text);
                }
                Outcome::NoHistograms => return no_histograms(self.name),
            }
            if self.function.floats_only && !window.values.is_empty() && !window.histograms.is_empty() {
                let text = format!(
                    "ignored histograms in a range containing both floats and histograms for metric name {}",
                    metric()
                );
                evaluator.info(self.quantile_span.unwrap_or(self.arg_span), text);
            }
        }
        if series.is_empty() {
            return Ok(());
        }
        let name = names::metric_name(labels);
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        let has_floats = series.values.iter().any(|value| !is_missing(*value));
        if matches!(self.name, "rate" | "increase") && has_floats && !name.is_empty() && !counts {
            let text = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(name)
            );
            evaluator.info(self.arg_span, text);
        }
        self.out.push(series);
        Ok(())
    }
}

/// The two ends of a window that only moves forward.
#[derive(Default)]
struct Slide {
    from: usize,
    to: usize,
}

impl Slide {
    fn over(&mut self, times_ms: &[i64], start_ms: i64, end_ms: i64) -> (usize, usize) {
        while times_ms.get(self.to).is_some_and(|t| *t <= end_ms) {
            self.to += 1;
        }
        while self.from < self.to && times_ms.get(self.from).is_some_and(|t| *t <= start_ms) {
            self.from += 1;
        }
        (self.from, self.to)
    }
}
