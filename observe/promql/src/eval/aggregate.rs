//! Aggregations that make one series a group. Groups are found once, from labels; then every series is folded into its
//! group's columns. `topk` and its like, which choose series, are in `topk.rs`.

use std::sync::Arc;

use ahash::HashMap;
use base_signal::{Labels, NativeHistogram};

use super::column::{Series, Steps, is_missing};
use super::math::{Kahan, Mean, quantile};
use super::native::Native;
use super::native_total::Total;
use super::notes::Remark;
use super::{Evaluator, Result, execution, names};
use crate::syntax::{Aggregate, AggregateOp, ExprKind, Span, format_number};

/// Series by group, in the order in which groups first appear.
pub(super) struct Groups {
    pub(super) labels: Vec<Labels>,
    /// The places of a group's series in the input, ascending.
    pub(super) members: Vec<Vec<usize>>,
}

impl Groups {
    pub(super) fn of(series: &[Series], names: &[String], without: bool) -> Self {
        let mut places: HashMap<Labels, usize> = HashMap::default();
        let mut groups = Groups { labels: Vec::new(), members: Vec::new() };
        for (i, one) in series.iter().enumerate() {
            let labels = names::group_labels(&one.labels, names, without);
            let place = *places.entry(labels.clone()).or_insert(groups.labels.len());
            if place == groups.labels.len() {
                groups.labels.push(labels);
                groups.members.push(Vec::new());
            }
            groups.members[place].push(i);
        }
        groups
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, span: Span, steps: &Steps) -> Result<Vec<Series>> {
        use AggregateOp::*;
        match aggregate.op {
            CountValues => return self.count_values(aggregate, steps),
            Topk | Bottomk | Limitk | LimitRatio => return self.choose(aggregate, span, steps),
            _ => {}
        }
        let q = match &aggregate.param {
            Some(param) => self.scalar(param, steps)?,
            None => Vec::new(),
        };
        let series = self.series(&aggregate.expr, steps)?;
        if let Some(param) = &aggregate.param {
            self.check_quantile(&extremes(&q), param.unwrapped().span);
        }
        self.histograms_in(aggregate.op, &series, aggregate.expr.unwrapped().span)?;
        let groups = Groups::of(&series, &aggregate.labels, aggregate.without);
        let mut out = Vec::with_capacity(groups.labels.len());
        for (labels, members) in groups.labels.into_iter().zip(&groups.members) {
            self.query.cancel.check()?;
            let members: Vec<&Series> = members.iter().filter_map(|i| series.get(*i)).collect();
            let mut column = self.column(labels, steps)?;
            column.drop_name = members.iter().any(|one| one.drop_name);
            // The scratch columns of a fold: as many bytes again, a few times over.
            let _scratch = self.reserve(steps.count * 5)?;
            match aggregate.op {
                Sum => sum(&members, &mut column.values),
                Avg => avg(&members, &mut column.values),
                Min => fold(&members, &mut column.values, |best, value| value < best || best.is_nan()),
                Max => fold(&members, &mut column.values, |best, value| value > best || best.is_nan()),
                Stddev => variance(&members, &mut column.values, f64::sqrt),
                Stdvar => variance(&members, &mut column.values, |v| v),
                Quantile => quantiles(&members, &mut column.values, &q),
                _ => counted(&members, &mut column.values, aggregate.op == Group),
            }
            if matches!(aggregate.op, Sum | Avg) && members.iter().any(|one| one.histograms.is_some()) {
                self.sum_histograms(aggregate, &members, &mut column)?;
            }
            if !column.is_empty() {
                out.push(column);
            }
        }
        Ok(out)
    }

    /// Sums, or means, of histograms; a step with floats beside them has no result.
    fn sum_histograms(&mut self, aggregate: &Aggregate, members: &[&Series], out: &mut Series) -> Result<()> {
        let span = aggregate.expr.unwrapped().span;
        for step in 0..out.values.len() {
            let histograms = || members.iter().filter_map(|one| one.histogram(step)).map(|h| h.as_ref());
            let Some(first) = histograms().next() else { continue };
            if !is_missing(out.values[step]) {
                out.clear(step);
                self.warn(span, "encountered a mix of histograms and floats for aggregation");
                continue;
            }
            match self.total(aggregate, members, step, first) {
                Some(total) => out.set_histogram(step, total),
                None => out.clear(step),
            }
        }
        Ok(())
    }

    fn total(
        &mut self,
        aggregate: &Aggregate,
        members: &[&Series],
        step: usize,
        first: &NativeHistogram,
    ) -> Option<Arc<NativeHistogram>> {
        let span = aggregate.expr.unwrapped().span;
        let mut total = Total::starting_with(first, aggregate.op == AggregateOp::Avg);
        let more = members.iter().filter_map(|one| Some((one, one.histogram(step)?))).skip(1);
        for (one, histogram) in more {
            if total.add(histogram).is_err() {
                self.remark(span, Remark::MixedSchemas, &one.labels);
                if total.told.bounds_differed {
                    self.remark(span, Remark::BoundsDiffer("aggregation"), &one.labels);
                }
                return None;
            }
        }
        if total.told.bounds_differed {
            self.info(span, "mismatched custom buckets were reconciled during aggregation");
        }
        if total.told.hints_collided {
            self.warn(span, "conflicting counter resets during histogram aggregation");
        }
        Some(total.finish())
    }

    /// What an aggregation does about native histograms in its input.
    fn histograms_in(&mut self, op: AggregateOp, series: &[Series], span: Span) -> Result<()> {
        use AggregateOp::*;
        if !series.iter().any(|one| one.histograms.is_some()) {
            return Ok(());
        }
        match op {
            Min | Max | Stddev | Stdvar | Quantile => {
                self.info(span, format!("ignored histogram in {} aggregation", op.as_str()));
            }
            _ => {}
        }
        Ok(())
    }

    fn count_values(&mut self, aggregate: &Aggregate, steps: &Steps) -> Result<Vec<Series>> {
        let Some(ExprKind::String(label)) = aggregate.param.as_ref().map(|param| &param.unwrapped().kind) else {
            return execution("count_values wants a string literal");
        };
        // What was no UTF-8 has been replaced; the text tells what it was.
        if label.is_empty() || label.contains(char::REPLACEMENT_CHARACTER) {
            let span = aggregate.param.as_ref().map(|param| param.unwrapped().span).unwrap_or_default();
            let written = self.query.text.get(span.start..span.end).unwrap_or_default();
            return execution(format!("invalid label name {written}"));
        }
        let series = self.series(&aggregate.expr, steps)?;
        let mut kept = aggregate.labels.clone();
        if !aggregate.without {
            kept.push(label.clone());
        }
        let mut places: HashMap<Labels, usize> = HashMap::default();
        let mut out: Vec<Series> = Vec::new();
        for one in &series {
            let mut by_value: HashMap<String, usize> = HashMap::default();
            for step in 0..steps.count {
                let shown = match (one.histogram(step), one.float(step)) {
                    (Some(histogram), _) => Native::new(histogram).show(),
                    (None, Some(value)) => format_number(value),
                    (None, None) => continue,
                };
                let place = match by_value.get(&shown) {
                    Some(place) => *place,
                    None => {
                        let mut labels = one.labels.to_builder();
                        labels.set(label.clone(), shown.clone());
                        let labels = names::group_labels(&labels.build(), &kept, aggregate.without);
                        let place = *places.entry(labels.clone()).or_insert(out.len());
                        if place == out.len() {
                            out.push(self.column(labels, steps)?);
                        }
                        by_value.insert(shown, place);
                        place
                    }
                };
                if let Some(slot) = out.get_mut(place).and_then(|column| column.values.get_mut(step)) {
                    *slot = if is_missing(*slot) { 1.0 } else { *slot + 1.0 };
                }
            }
        }
        Ok(out)
    }
}

/// What is said about a quantile that changes by the step: NaN, the largest that is too large and the smallest that is too small.
fn extremes(values: &[f64]) -> Vec<f64> {
    let numbers = || values.iter().copied().filter(|value| !value.is_nan());
    let nan = values.iter().copied().find(|value| value.is_nan());
    let (most, least) = (numbers().reduce(f64::max), numbers().reduce(f64::min));
    nan.into_iter().chain(most.filter(|most| *most > 1.0)).chain(least.filter(|least| *least < 0.0)).collect()
}

fn floats<'a>(series: &'a Series) -> impl Iterator<Item = (usize, f64)> + 'a {
    series.values.iter().copied().enumerate().filter(|(_, value)| !is_missing(*value))
}

fn sum(members: &[&Series], out: &mut [f64]) {
    let mut compensations = vec![0.0; out.len()];
    for (step, value) in members.iter().flat_map(|one| floats(one)) {
        if is_missing(out[step]) {
            out[step] = value;
            continue;
        }
        let mut running = Kahan { sum: out[step], compensation: compensations[step] };
        running.add(value);
        (out[step], compensations[step]) = (running.sum, running.compensation);
    }
    for (value, compensation) in out.iter_mut().zip(compensations).filter(|(value, _)| !is_missing(**value)) {
        *value += compensation;
    }
}

fn avg(members: &[&Series], out: &mut [f64]) {
    let mut means: Vec<Option<Mean>> = vec![None; out.len()];
    for (step, value) in members.iter().flat_map(|one| floats(one)) {
        match &mut means[step] {
            Some(mean) => mean.add(value),
            none => *none = Some(Mean::starting_with(value)),
        }
    }
    for (slot, mean) in out.iter_mut().zip(means) {
        if let Some(mean) = mean {
            *slot = mean.value();
        }
    }
}

fn fold(members: &[&Series], out: &mut [f64], better: fn(f64, f64) -> bool) {
    for (step, value) in members.iter().flat_map(|one| floats(one)) {
        if is_missing(out[step]) || better(out[step], value) {
            out[step] = value;
        }
    }
}

/// Welford's algorithm, as Prometheus runs it; the first value counts as its own mean.
fn variance(members: &[&Series], out: &mut [f64], finish: fn(f64) -> f64) {
    let mut means = vec![0.0; out.len()];
    let mut counts = vec![0.0; out.len()];
    for (step, value) in members.iter().flat_map(|one| floats(one)) {
        counts[step] += 1.0;
        if counts[step] == 1.0 {
            means[step] = value;
            out[step] = if value.is_finite() { 0.0 } else { f64::NAN };
            continue;
        }
        let delta = value - means[step];
        means[step] += delta / counts[step];
        out[step] += delta * (value - means[step]);
    }
    for (value, count) in out.iter_mut().zip(counts).filter(|(_, count)| *count > 0.0) {
        *value = finish(*value / count);
    }
}

fn quantiles(members: &[&Series], out: &mut [f64], q: &[f64]) {
    let mut values = Vec::with_capacity(members.len());
    for (step, slot) in out.iter_mut().enumerate() {
        values.clear();
        values.extend(members.iter().filter_map(|one| one.float(step)));
        if !values.is_empty() {
            *slot = quantile(q.get(step).copied().unwrap_or(f64::NAN), &mut values);
        }
    }
}

/// `count`, or `group` when all that is asked is whether there is anything.
fn counted(members: &[&Series], out: &mut [f64], only_whether: bool) {
    for (step, slot) in out.iter_mut().enumerate() {
        let count = members.iter().filter(|one| one.is_present(step)).count();
        if count > 0 {
            *slot = if only_whether { 1.0 } else { count as f64 };
        }
    }
}
