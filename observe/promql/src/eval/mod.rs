//! Evaluation: a tree over steps to columns. Each kind of node has a file; this one sends them there and holds what all
//! share: the source, the budget, the annotations.
//!
//! Memory is charged to the query's budget column by column, before it is taken, and given back when a column is dropped.

mod aggregate;
mod binary;
mod buckets;
mod column;
mod cumulative;
mod dates;
mod extended;
mod functions;
mod info;
mod matching;
mod math;
mod names;
mod native;
mod native_read;
mod native_total;
mod notes;
mod over_time;
mod pairs;
mod rate;
mod ratio;
mod relabel;
mod select;
mod smooth;
mod topk;
mod window;

use std::collections::BTreeMap;

use base_signal::Labels;
use observe_source::{Annotations, Budget, Level, MetricSource, Reservation};

use crate::answer::{Query, QueryError};
use crate::engine::Engine;
use crate::plan;
use crate::syntax::{BinaryOp, Call, Expr, ExprKind, Span, line_column, quote};

use buckets::Forced;
use column::missing;
pub(crate) use column::without_dropped_names;
pub(crate) use column::{Series, Steps};

/// What an expression comes to.
#[derive(Debug)]
pub(crate) enum Evaluated {
    /// One a step.
    Scalar(Vec<f64>),
    String(String),
    Series(Vec<Series>),
}

pub(crate) struct Evaluator<'a> {
    engine: &'a Engine,
    source: &'a dyn MetricSource,
    query: &'a Query<'a>,
    /// Of the whole query: what `@ start()` and `@ end()` mean.
    outer: Steps,
    /// What of histograms is asked for where we are in the tree.
    buckets: Buckets,
    /// What the source said.
    annotations: Annotations,
    /// Our own remarks. Of one text said of several places, Prometheus keeps the last.
    remarks: BTreeMap<(Level, String), Span>,
    /// Classic histograms that were made monotonic, by metric.
    forced: BTreeMap<String, (Forced, Span)>,
    /// How often samples began before the ones before them, by metric.
    overlaps: BTreeMap<String, (usize, Span)>,
}

/// Whether buckets matter: functions of counts and sums do without, unless what is around or within needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Buckets {
    skippable: bool,
    needed: bool,
}

type Result<T> = std::result::Result<T, QueryError>;

fn execution<T>(text: impl Into<String>) -> Result<T> {
    Err(QueryError::Execution(text.into()))
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(engine: &'a Engine, source: &'a dyn MetricSource, query: &'a Query<'a>, outer: Steps) -> Self {
        Evaluator {
            engine,
            source,
            query,
            outer,
            buckets: Buckets::default(),
            annotations: Annotations::default(),
            remarks: BTreeMap::new(),
            forced: BTreeMap::new(),
            overlaps: BTreeMap::new(),
        }
    }

    pub(crate) fn into_annotations(mut self) -> Annotations {
        for (metric, (forced, span)) in std::mem::take(&mut self.forced) {
            self.info(span, forced.text(&metric));
        }
        for (metric, (count, span)) in std::mem::take(&mut self.overlaps) {
            let times = if count > 1 { format!(" ({count} occurrences)") } else { String::new() };
            let metric = quote(&metric);
            self.warn(
                span,
                format!(
                    "sample has start time that overlaps with previous sample timestamp for metric {metric}{times}"
                ),
            );
        }
        for ((level, text), span) in std::mem::take(&mut self.remarks) {
            let place = self.place(span);
            match level {
                Level::Warning => self.annotations.warn(format!("PromQL warning: {text} ({place})")),
                Level::Info => self.annotations.info(format!("PromQL info: {text} ({place})")),
            }
        }
        self.annotations
    }

    pub(crate) fn eval(&mut self, expr: &Expr, steps: &Steps) -> Result<Evaluated> {
        self.query.cancel.check()?;
        let before = self.buckets;
        match &expr.kind {
            ExprKind::Call(call) => match call.function.name {
                "histogram_count" | "histogram_sum" | "histogram_avg" => self.buckets.skippable = true,
                "histogram_quantile"
                | "histogram_quantiles"
                | "histogram_fraction"
                | "histogram_stddev"
                | "histogram_stdvar" => self.buckets.needed = true,
                _ => {}
            },
            ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => {
                self.buckets.needed = true;
            }
            _ => {}
        }
        let evaluated = self.eval_here(expr, steps);
        self.buckets = before;
        evaluated
    }

    fn only_stats(&self) -> bool {
        self.buckets.skippable && !self.buckets.needed
    }

    fn eval_here(&mut self, expr: &Expr, steps: &Steps) -> Result<Evaluated> {
        Ok(match &expr.kind {
            ExprKind::Number { value, .. } => Evaluated::Scalar(self.constant(*value, steps)?),
            ExprKind::String(text) => Evaluated::String(text.clone()),
            ExprKind::Paren(inner) => return self.eval(inner, steps),
            ExprKind::Selector(selector) => {
                Evaluated::Series(self.instant_selector(selector, expr.span, steps, select::Wanted::Value)?)
            }
            ExprKind::Unary { negative, expr } => self.unary(*negative, expr, steps)?,
            ExprKind::Binary(binary) => self.binary(binary, expr.span, steps)?,
            ExprKind::Aggregate(aggregate) => Evaluated::Series(self.aggregate(aggregate, expr.span, steps)?),
            ExprKind::Call(call) => self.call(call, expr.span, steps)?,
            ExprKind::Range(_) | ExprKind::Subquery(_) => {
                return execution("a range vector stands only in a function or alone in an instant query");
            }
        })
    }

    fn unary(&mut self, negative: bool, expr: &Expr, steps: &Steps) -> Result<Evaluated> {
        match self.eval(expr, steps)? {
            Evaluated::Scalar(mut values) if negative => {
                values.iter_mut().for_each(|value| *value = -*value);
                Ok(Evaluated::Scalar(values))
            }
            Evaluated::Series(series) if negative => {
                let negated = series.into_iter().map(|mut one| {
                    for slot in one.histograms.iter_mut().flatten() {
                        let negate = |histogram: &_| binary::histogram_with_float(BinaryOp::Mul, histogram, -1.0);
                        *slot = slot.as_deref().and_then(negate);
                    }
                    Series { drop_name: true, ..one }.map(|value| -value)
                });
                Ok(Evaluated::Series(negated.collect()))
            }
            same => Ok(same),
        }
    }

    fn call(&mut self, call: &Call, span: Span, steps: &Steps) -> Result<Evaluated> {
        if call.args.iter().any(|arg| matches!(arg.unwrapped().kind, ExprKind::Range(_) | ExprKind::Subquery(_))) {
            return Ok(Evaluated::Series(self.range_function(call, steps)?));
        }
        self.function(call, span, steps)
    }

    fn scalar(&mut self, expr: &Expr, steps: &Steps) -> Result<Vec<f64>> {
        match self.eval(expr, steps)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => execution("a scalar was wanted"),
        }
    }

    fn series(&mut self, expr: &Expr, steps: &Steps) -> Result<Vec<Series>> {
        match self.eval(expr, steps)? {
            Evaluated::Series(series) => Ok(series),
            _ => execution("an instant vector was wanted"),
        }
    }

    fn constant(&self, value: f64, steps: &Steps) -> Result<Vec<f64>> {
        // Scalars live shortly; the reservation only refuses what could never fit.
        let _charge = self.reserve(steps.count)?;
        Ok(vec![value; steps.count])
    }

    fn reserve(&self, values: usize) -> Result<Reservation> {
        Ok(self.query.budget.reserve(values as u64 * 8)?)
    }

    fn budget(&self) -> &'a Budget {
        self.query.budget
    }

    /// A series without samples.
    fn column(&self, labels: Labels, steps: &Steps) -> Result<Series> {
        let charge = self.query.budget.reserve((steps.count * 8 + labels.as_bytes().len() + 64) as u64)?;
        Ok(Series { labels, values: vec![missing(); steps.count], histograms: None, drop_name: false, _charge: charge })
    }

    fn column_of(&self, labels: Labels, values: Vec<f64>) -> Result<Series> {
        let charge = self.query.budget.reserve((values.len() * 8 + labels.as_bytes().len() + 64) as u64)?;
        Ok(Series { labels, values, histograms: None, drop_name: false, _charge: charge })
    }

    fn warn(&mut self, span: Span, text: impl Into<String>) {
        self.remarks.insert((Level::Warning, text.into()), span);
    }

    fn info(&mut self, span: Span, text: impl Into<String>) {
        self.remarks.insert((Level::Info, text.into()), span);
    }

    fn place(&self, span: Span) -> String {
        let (line, column) = line_column(self.query.text, span.start).unwrap_or((1, 1));
        format!("{line}:{column}")
    }

    fn modifiers(&self, modifiers: &crate::syntax::Modifiers) -> Result<plan::Reading> {
        plan::reading(modifiers, &self.outer)
    }
}
