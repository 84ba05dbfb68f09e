//! Evaluation: a tree over steps to columns. Each kind of node has a file; this one sends them there and holds what all
//! share: the source, the budget, the annotations.
//!
//! Memory is charged to the query's budget column by column, before it is taken, and given back when a column is dropped.

mod aggregate;
mod binary;
mod buckets;
mod column;
mod dates;
mod functions;
mod matching;
mod math;
mod names;
mod native;
mod over_time;
mod rate;
mod relabel;
mod select;
mod topk;
mod window;

use std::collections::BTreeMap;

use base_signal::Labels;
use observe_source::{Annotations, Budget, Level, MetricSource, Reservation};

use crate::answer::{Query, QueryError};
use crate::engine::Engine;
use crate::plan;
use crate::syntax::{BinaryOp, Call, Expr, ExprKind, Span, line_column};

pub(crate) use column::{Series, Steps};
use column::{merge_same_labels, missing};

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
    /// What the source said.
    annotations: Annotations,
    /// Our own remarks. Of one text said of several places, Prometheus keeps the last.
    remarks: BTreeMap<(Level, String), Span>,
}

type Result<T> = std::result::Result<T, QueryError>;

fn execution<T>(text: impl Into<String>) -> Result<T> {
    Err(QueryError::Execution(text.into()))
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(engine: &'a Engine, source: &'a dyn MetricSource, query: &'a Query<'a>, outer: Steps) -> Self {
        Evaluator { engine, source, query, outer, annotations: Annotations::default(), remarks: BTreeMap::new() }
    }

    pub(crate) fn into_annotations(mut self) -> Annotations {
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
        Ok(match &expr.kind {
            ExprKind::Number { value, .. } => Evaluated::Scalar(self.constant(*value, steps)?),
            ExprKind::String(text) => Evaluated::String(text.clone()),
            ExprKind::Paren(inner) => return self.eval(inner, steps),
            ExprKind::Selector(selector) => {
                Evaluated::Series(self.instant_selector(selector, steps, select::Wanted::Value)?)
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
                    let labels = names::without_name(&one.labels);
                    for slot in one.histograms.iter_mut().flatten() {
                        let negate = |histogram: &_| binary::histogram_with_float(BinaryOp::Mul, histogram, -1.0);
                        *slot = slot.as_deref().and_then(negate);
                    }
                    Series { labels, ..one }.map(|value| -value)
                });
                Ok(Evaluated::Series(merge_same_labels(negated.collect())?))
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
        Ok(Series { labels, values: vec![missing(); steps.count], histograms: None, _charge: charge })
    }

    fn column_of(&self, labels: Labels, values: Vec<f64>) -> Result<Series> {
        let charge = self.query.budget.reserve((values.len() * 8 + labels.as_bytes().len() + 64) as u64)?;
        Ok(Series { labels, values, histograms: None, _charge: charge })
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

/// What is not computed yet is refused by name, never answered wrongly.
fn no_histograms<T>(what: &str) -> Result<T> {
    execution(format!("{what} is not supported on native histograms yet; filter them out of its input"))
}
