//! Functions over range vectors: the windows of every step of every series, and the subqueries that can stand for a
//! selector. What is computed in a window is in `rate.rs` and `over_time.rs`.

use std::sync::Arc;

use base_signal::{CounterReset, Labels, NativeHistogram};

use super::column::{Series, Steps, is_missing};
use super::notes::Notes;
use super::select::Samples;
use super::{Evaluated, Evaluator, Result, execution, names, over_time, pairs, rate};
use crate::plan;
use crate::syntax::{Call, Expr, ExprKind, Extension, Span, Subquery, quote};

/// Steps of a subquery beyond this are refused: the number of samples at which Prometheus gives up.
const SUBQUERY_STEPS_MAX: usize = 50_000_000;

/// The samples of one series in `(start_ms, end_ms]`. Never without any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub(super) times_ms: &'a [i64],
    pub(super) values: &'a [f64],
    pub(super) histogram_times_ms: &'a [i64],
    pub(super) histograms: &'a [Arc<NativeHistogram>],
    /// When what each sample counts began, 0 where that is not known; may be shorter than the samples.
    pub(super) starts_ms: &'a [i64],
    pub(super) histogram_starts_ms: &'a [i64],
    /// With one, the samples reach further than the window: a lookback before it, and for `smoothed` behind it.
    pub(super) extension: Option<Extension>,
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
}

pub(super) struct RangeFunction {
    pub(super) compute: fn(&Window<'_>, &mut Notes) -> Outcome,
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
        let Some(function) = rate::find(name).or_else(|| pairs::find(name)).or_else(|| over_time::find(name)) else {
            return execution(format!("{} takes no range vector", quote(name)));
        };
        let quantile_span =
            if name == "quantile_over_time" { call.args.first().map(|q| q.unwrapped().span) } else { None };
        let mut run = Run {
            name,
            function,
            scalars,
            steps: *steps,
            arg_span: place_of(arg),
            quantile_span,
            reach: Reach::default(),
            out: Vec::new(),
        };
        match &arg.unwrapped().kind {
            ExprKind::Range(range) => {
                let window_ms = plan::duration_ms(&range.range, &self.outer, false)?;
                let at = self.modifiers(&range.selector.modifiers)?.steps(steps);
                run.reach = self.reach(name, range.selector.extension)?;
                self.for_each_samples(range, &at, window_ms, run.reach, name, |evaluator, labels, samples| {
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
        Ok(run.out)
    }

    /// How far beyond its window a function reads; few can.
    fn reach(&self, name: &str, extension: Option<Extension>) -> Result<Reach> {
        const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
        const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];
        let Some(extension) = extension else { return Ok(Reach::default()) };
        let (word, able): (_, &[&str]) = match extension {
            Extension::Anchored => ("anchored", &ANCHORED),
            Extension::Smoothed => ("smoothed", &SMOOTHED),
        };
        if !able.contains(&name) {
            return execution(format!("{word} modifier can only be used with: {} - not with {name}", able.join(", ")));
        }
        Ok(self.reach_of(extension))
    }

    pub(super) fn reach_of(&self, extension: Extension) -> Reach {
        let lookback_ms = self.engine.lookback_ms;
        let after_ms = if extension == Extension::Smoothed { lookback_ms } else { 0 };
        Reach { extension: Some(extension), before_ms: lookback_ms, after_ms }
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
        let before = std::mem::replace(&mut self.buckets.needed, true);
        let evaluated = self.eval(&subquery.expr, &inner);
        self.buckets.needed = before;
        let Evaluated::Series(series) = evaluated? else {
            return execution("a subquery wants an instant vector");
        };
        let mut out = Vec::with_capacity(series.len());
        for one in series {
            let charge = self.reserve(inner.count * 2)?;
            let drop_name = one.drop_name;
            out.push((one.labels.clone(), Samples { drop_name, _charge: Some(charge), ..samples(&one, &inner) }));
        }
        Ok(out)
    }
}

/// Looked at only where there is a window to smooth.
fn check_args(name: &str, args: &[f64; 2]) -> Result<()> {
    if name == "double_exponential_smoothing" {
        for (value, (what, symbol)) in args.iter().zip([("smoothing", "sf"), ("trend", "tf")]) {
            if *value <= 0.0 || *value >= 1.0 {
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

/// Where remarks on a range vector point. The samples of a subquery have no place of their own: the query's beginning.
fn place_of(arg: &Expr) -> Span {
    match arg.unwrapped().kind {
        ExprKind::Subquery(_) => Span::default(),
        _ => arg.unwrapped().span,
    }
}

/// How far beyond its window a selector is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    pub(super) extension: Option<Extension>,
    pub(super) before_ms: i64,
    pub(super) after_ms: i64,
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
    reach: Reach,
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
        let counts_starts = matches!(self.name, "rate" | "irate" | "increase" | "resets");
        let mut series = evaluator.column(labels.clone(), &self.steps)?;
        series.drop_name = samples.drop_name || !keeps_name;
        let mut notes = Notes::default();
        let mut floats = Slide::default();
        let mut histograms = Slide::default();
        for step in 0..self.steps.count {
            let end_ms = at.time_ms(if at.count == 1 { 0 } else { step });
            let start_ms = end_ms - window_ms;
            let (read_ms, until_ms) = (start_ms - self.reach.before_ms, end_ms + self.reach.after_ms);
            let (from, to) = floats.over(&samples.times_ms, read_ms, until_ms);
            let (histograms_from, histograms_to) = histograms.over(&samples.histogram_times_ms, read_ms, until_ms);
            if from == to && histograms_from == histograms_to {
                continue;
            }
            let arg = |i: usize| self.scalars.get(i).and_then(|values| values.get(step)).copied().unwrap_or(f64::NAN);
            let window = Window {
                times_ms: &samples.times_ms[from..to],
                values: &samples.values[from..to],
                histogram_times_ms: &samples.histogram_times_ms[histograms_from..histograms_to],
                histograms: &samples.histograms[histograms_from..histograms_to],
                starts_ms: samples.starts_ms.get(from..to).filter(|_| counts_starts).unwrap_or_default(),
                histogram_starts_ms: samples
                    .histogram_starts_ms
                    .get(histograms_from..histograms_to)
                    .filter(|_| counts_starts)
                    .unwrap_or_default(),
                extension: self.reach.extension,
                step_ms: self.steps.time_ms(step),
                start_ms,
                end_ms,
                args: [arg(0), arg(1)],
            };
            check_args(self.name, &window.args)?;
            if let (Some(span), false) = (self.quantile_span, window.values.is_empty()) {
                evaluator.check_quantile(&window.args[..1], span);
            }
            match (self.function.compute)(&window, &mut notes) {
                Outcome::Nothing => {}
                Outcome::Float(value) => series.values[step] = value,
                Outcome::Histogram(histogram) => series.set_histogram(step, histogram),
            }
            for remark in notes.take() {
                evaluator.remark(self.arg_span, remark, labels);
            }
            if self.function.floats_only && !window.values.is_empty() && !window.histograms.is_empty() {
                let text = format!(
                    "ignored histograms in a range containing both floats and histograms for metric name {}",
                    quote(names::metric_name(labels))
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
