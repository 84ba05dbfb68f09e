//! Functions of instant vectors and scalars that look at one sample at a time, and the few that look at a whole vector.
//! Range functions are in `window.rs`, those that change labels in `relabel.rs`, histograms' in `buckets.rs`.

use std::f64::consts::{LN_2, LN_10, PI};

use base_signal::{Labels, MatchOp};

use super::column::{Series, Steps, is_missing};
use super::select::Wanted;
use super::{Evaluated, Evaluator, Result, dates, execution, math};
use crate::syntax::{Call, Expr, ExprKind, NAME, Span, quote};

impl Evaluator<'_> {
    pub(super) fn function(&mut self, call: &Call, span: Span, steps: &Steps) -> Result<Evaluated> {
        let name = call.function.name;
        if let Some(compute) = elementwise(name) {
            let arg = self.arg_series(call, 0, steps)?;
            return self.mapped(arg, compute);
        }
        if let Some(compute) = dates::find(name) {
            let Some(arg) = call.args.first() else {
                let values = (0..steps.count).map(|i| compute((steps.time_ms(i).div_euclid(1000)) as f64)).collect();
                return Ok(Evaluated::Series(vec![self.column_of(Labels::empty(), values)?]));
            };
            let arg = self.series(arg, steps)?;
            return self.mapped(arg, compute);
        }
        match name {
            "time" => Ok(Evaluated::Scalar(self.each_step(steps, |time_ms| time_ms as f64 / 1000.0)?)),
            "pi" => Ok(Evaluated::Scalar(self.constant(PI, steps)?)),
            "start" => Ok(Evaluated::Scalar(self.constant(self.outer.start_ms as f64 / 1000.0, steps)?)),
            "end" => Ok(Evaluated::Scalar(self.constant(self.outer.end_ms as f64 / 1000.0, steps)?)),
            "step" => Ok(Evaluated::Scalar(self.constant(self.outer.step_ms as f64 / 1000.0, steps)?)),
            "range" => {
                let range_s = (self.outer.end_ms - self.outer.start_ms) as f64 / 1000.0;
                Ok(Evaluated::Scalar(self.constant(range_s, steps)?))
            }
            "min_of" | "max_of" => {
                let (mut left, right) = (self.arg_scalar(call, 0, steps)?, self.arg_scalar(call, 1, steps)?);
                let pick = if name == "min_of" { math::min } else { math::max };
                left.iter_mut().zip(right).for_each(|(l, r)| *l = pick(*l, r));
                Ok(Evaluated::Scalar(left))
            }
            "scalar" => self.only_value(call, steps),
            "vector" => {
                let values = self.arg_scalar(call, 0, steps)?;
                Ok(Evaluated::Series(vec![self.column_of(Labels::empty(), values)?]))
            }
            "timestamp" | "start_timestamp" => self.timestamp(call, steps),
            "info" => self.info_function(call, steps),
            "absent" => {
                let arg = self.arg(call, 0)?;
                let series = self.series(arg, steps)?;
                Ok(Evaluated::Series(self.absent(&series, arg, steps)?))
            }
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(call, steps),
            "round" => self.round(call, steps),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, span, steps),
            "label_replace" => Ok(Evaluated::Series(self.label_replace(call, steps)?)),
            "label_join" => Ok(Evaluated::Series(self.label_join(call, steps)?)),
            "histogram_quantile" => Ok(Evaluated::Series(self.histogram_quantile(call, steps)?)),
            "histogram_quantiles" => Ok(Evaluated::Series(self.histogram_quantiles(call, steps)?)),
            "histogram_fraction" => Ok(Evaluated::Series(self.histogram_fraction(call, steps)?)),
            "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev" | "histogram_stdvar" => {
                self.histogram_part(call, steps)
            }
            other => execution(format!("{} takes a range vector", quote(other))),
        }
    }

    pub(super) fn arg<'e>(&self, call: &'e Call, i: usize) -> Result<&'e Expr> {
        match call.args.get(i) {
            Some(arg) => Ok(arg),
            None => execution(format!("{} wants more arguments", call.function.name)),
        }
    }

    pub(super) fn arg_series(&mut self, call: &Call, i: usize, steps: &Steps) -> Result<Vec<Series>> {
        let arg = self.arg(call, i)?;
        self.series(arg, steps)
    }

    pub(super) fn arg_scalar(&mut self, call: &Call, i: usize, steps: &Steps) -> Result<Vec<f64>> {
        let arg = self.arg(call, i)?;
        self.scalar(arg, steps)
    }

    pub(super) fn arg_string(&self, call: &Call, i: usize) -> Result<String> {
        match &self.arg(call, i)?.unwrapped().kind {
            ExprKind::String(text) => Ok(text.clone()),
            _ => execution(format!("{} wants a string literal", call.function.name)),
        }
    }

    fn each_step(&self, steps: &Steps, value: impl Fn(i64) -> f64) -> Result<Vec<f64>> {
        let _charge = self.reserve(steps.count)?;
        Ok((0..steps.count).map(|i| value(steps.time_ms(i))).collect())
    }

    /// Floats go through `compute` and lose their name; histograms are left out.
    fn mapped(&mut self, series: Vec<Series>, compute: fn(f64) -> f64) -> Result<Evaluated> {
        let mapped = series.into_iter().map(|one| Series { drop_name: true, histograms: None, ..one }.map(compute));
        Ok(Evaluated::Series(mapped.filter(|one| !one.is_empty()).collect()))
    }

    /// As above, with the step at hand; `None` leaves the sample out.
    fn mapped_by_step(
        &mut self,
        series: Vec<Series>,
        compute: impl Fn(usize, f64) -> Option<f64>,
    ) -> Result<Evaluated> {
        let mapped = series.into_iter().map(|mut one| {
            for (step, value) in one.values.iter_mut().enumerate() {
                if !is_missing(*value) {
                    *value = compute(step, *value).unwrap_or_else(super::missing);
                }
            }
            Series { drop_name: true, histograms: None, ..one }
        });
        Ok(Evaluated::Series(mapped.filter(|one| !one.is_empty()).collect()))
    }

    fn clamp(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let series = self.arg_series(call, 0, steps)?;
        let first = self.arg_scalar(call, 1, steps)?;
        let (lowest, highest) = match call.function.name {
            "clamp_min" => (first, self.constant(f64::INFINITY, steps)?),
            "clamp_max" => (self.constant(f64::NEG_INFINITY, steps)?, first),
            _ => (first, self.arg_scalar(call, 2, steps)?),
        };
        self.mapped_by_step(series, |step, value| {
            let (low, high) = (lowest.get(step).copied()?, highest.get(step).copied()?);
            if high < low { None } else { Some(math::max(low, math::min(high, value))) }
        })
    }

    fn round(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let series = self.arg_series(call, 0, steps)?;
        let nearest = if call.args.len() > 1 { self.arg_scalar(call, 1, steps)? } else { self.constant(1.0, steps)? };
        self.mapped_by_step(series, |step, value| {
            let inverse = 1.0 / nearest.get(step).copied()?;
            Some((value * inverse + 0.5).floor() / inverse)
        })
    }

    fn only_value(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let series = self.arg_series(call, 0, steps)?;
        let mut values = self.constant(f64::NAN, steps)?;
        for (step, value) in values.iter_mut().enumerate() {
            let mut floats = series.iter().filter_map(|one| one.float(step));
            if let (Some(only), None) = (floats.next(), floats.next()) {
                *value = only;
            }
        }
        Ok(Evaluated::Scalar(values))
    }

    fn timestamp(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let arg = self.arg(call, 0)?;
        let starts = call.function.name == "start_timestamp";
        let arg = arg.unwrapped();
        let series = match &arg.kind {
            ExprKind::Selector(selector) => {
                let wanted = if starts { Wanted::Start } else { Wanted::Time };
                self.instant_selector(selector, arg.span, steps, wanted)?
            }
            // Only samples as they were stored know when what they count began.
            _ if starts => {
                self.series(arg, steps)?;
                Vec::new()
            }
            _ => {
                let mut series = self.series(arg, steps)?;
                for one in &mut series {
                    for step in 0..steps.count {
                        if one.is_present(step) {
                            one.values[step] = steps.time_ms(step) as f64 / 1000.0;
                        }
                    }
                    one.histograms = None;
                }
                series
            }
        };
        self.mapped(series, |value| value)
    }

    /// 1 where none of the series has a sample, with the labels that the selector asks for exactly.
    pub(super) fn absent(&mut self, series: &[Series], arg: &Expr, steps: &Steps) -> Result<Vec<Series>> {
        let mut absent = self.column(absent_labels(arg), steps)?;
        for (step, value) in absent.values.iter_mut().enumerate() {
            if !series.iter().any(|one| one.is_present(step)) {
                *value = 1.0;
            }
        }
        Ok(if absent.is_empty() { Vec::new() } else { vec![absent] })
    }

    fn sort(&mut self, call: &Call, span: Span, steps: &Steps) -> Result<Evaluated> {
        let mut series = self.arg_series(call, 0, steps)?;
        let name = call.function.name;
        // What comes to the same at every step is sorted once.
        if !steps.is_instant() && !self.arg(call, 0).is_ok_and(crate::pinned::is_fixed) {
            let text = "sort is ineffective for range queries since results are always ordered by labels";
            self.warn(span, text);
            if !name.starts_with("sort_by_label") {
                series.iter_mut().for_each(|one| one.histograms = None);
                series.retain(|one| !one.is_empty());
            }
            return Ok(Evaluated::Series(series));
        }
        if name.starts_with("sort_by_label") {
            let labels: Vec<String> = (1..call.args.len()).map(|i| self.arg_string(call, i)).collect::<Result<_>>()?;
            series.sort_by(|a, b| {
                let by_label = labels.iter().map(|label| {
                    let (a, b) = (a.labels.get(label), b.labels.get(label));
                    natural(a.unwrap_or_default(), b.unwrap_or_default())
                });
                let order = by_label.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then);
                order.then_with(|| a.labels.cmp(&b.labels))
            });
            if name.ends_with("_desc") {
                series.reverse();
            }
            return Ok(Evaluated::Series(series));
        }
        series.retain(|one| one.float(0).is_some());
        let descending = name == "sort_desc";
        series.sort_by(|a, b| {
            let (a, b) = (a.float(0).unwrap_or(f64::NAN), b.float(0).unwrap_or(f64::NAN));
            // NaN comes last either way.
            let order = a.is_nan().cmp(&b.is_nan());
            let values = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
            order.then(if descending { values.reverse() } else { values })
        });
        Ok(Evaluated::Series(series))
    }
}

/// Runs of digits compare as numbers, the rest as bytes.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(first_a), Some(first_b)) = (a.first(), b.first()) {
        if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let digits = |text: &[u8]| text.iter().take_while(|c| c.is_ascii_digit()).count();
            let ((number_a, rest_a), (number_b, rest_b)) = (a.split_at(digits(a)), b.split_at(digits(b)));
            let plain = |text: &[u8]| text.iter().position(|c| *c != b'0').unwrap_or(text.len());
            let (number_a, number_b) = (&number_a[plain(number_a)..], &number_b[plain(number_b)..]);
            let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
            if order.is_ne() {
                return order;
            }
            (a, b) = (rest_a, rest_b);
        } else if first_a != first_b {
            return first_a.cmp(first_b);
        } else {
            (a, b) = (&a[1..], &b[1..]);
        }
    }
    a.len().cmp(&b.len())
}

fn absent_labels(arg: &Expr) -> Labels {
    let matchers = match &arg.unwrapped().kind {
        ExprKind::Selector(selector) => &selector.matchers,
        ExprKind::Range(range) => &range.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut seen = Vec::new();
    let mut labels = Labels::empty().to_builder();
    for matcher in matchers.iter().filter(|m| m.name != NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&&matcher.name) {
            labels.set(matcher.name.clone(), matcher.value.clone());
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}

fn elementwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => log2,
        "log10" => |v| log2(v) * (LN_2 / LN_10),
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * PI / 180.0,
        "deg" => |v| v * 180.0 / PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// By exponent and mantissa, so that powers of two are exact, as in Go.
fn log2(value: f64) -> f64 {
    if !value.is_normal() || value < 0.0 {
        return value.log2();
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    if fraction == 0.5 {
        return (exponent - 1) as f64;
    }
    fraction.ln() * (1.0 / LN_2) + exponent as f64
}

/// Go's `%g`.
pub(super) fn short(value: f64) -> String {
    crate::syntax::format_number_short(value)
}
