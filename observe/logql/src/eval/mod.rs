//! Running a query: the engine, its limits and its errors. It pulls batches from the source and holds no threads.

mod binary;
mod logs;
mod range;
mod samples;
mod vector;

use base_signal::{Labels, TenantId};
use observe_source::{Annotations, Budget, Cancel, Direction, LogSource, Reservation, SourceError};

use crate::answer::{Answer, Data, Point, Sample, Series, Statistics};
use crate::pipeline::Refused;
use crate::syntax::{AggregateOp, Expr, ExprKind, ParseError, parse};

/// Limits of every query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most lines that one answer holds (Loki's max_entries_limit_per_query).
    pub entries_max: usize,
    /// The most intervals of a range query.
    pub steps_max: usize,
    /// Refuse selectors that fit every stream, as Loki does.
    pub selector_required: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { entries_max: 5_000, steps_max: 11_000, selector_required: true }
    }
}

/// What is asked, by whom, and what it may take.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub text: &'a str,
    pub tenant: &'a TenantId,
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// Why there is no answer. All but `Source` are the asker's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A number or range that makes no sense, or is over a limit.
    #[error("{0}")]
    Invalid(String),
    /// A line could not be parsed and no filter said to leave it out; or series that cannot be matched.
    #[error("{0}")]
    Execution(String),
}

/// Evaluates LogQL over any source of lines.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    pub settings: Settings,
}

/// The moments at which a metric query is evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) start_ns: i64,
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn time(self, i: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(i as i64))
    }

    pub(crate) fn last(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }
}

/// One series over all steps.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Option<f64>>,
}

/// What an expression gives.
pub(crate) enum Value {
    Number(f64),
    Vector(Vec<Column>),
}

/// A query under way.
pub(crate) struct Run<'a> {
    pub(crate) source: &'a dyn LogSource,
    pub(crate) query: &'a Query<'a>,
    pub(crate) steps: Steps,
    pub(crate) statistics: Statistics,
    pub(crate) annotations: Annotations,
    held: Vec<Reservation>,
    pending_bytes: u64,
}

/// Memory is reserved in pieces of this size, not line by line.
const RESERVE_BYTES: u64 = 64 << 10;

impl<'a> Run<'a> {
    fn new(source: &'a dyn LogSource, query: &'a Query<'a>, steps: Steps) -> Self {
        let (statistics, annotations) = Default::default();
        Run { source, query, steps, statistics, annotations, held: Vec::new(), pending_bytes: 0 }
    }

    /// Accounts for memory that the answer is about to hold.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), SourceError> {
        self.pending_bytes += bytes as u64;
        if self.pending_bytes >= RESERVE_BYTES {
            self.held.push(self.query.budget.reserve(self.pending_bytes)?);
            self.pending_bytes = 0;
        }
        Ok(())
    }

    pub(crate) fn refused(&self, refused: Refused) -> QueryError {
        ParseError::at(self.query.text, crate::syntax::Span { start: refused.start, end: refused.start }, refused.why)
            .into()
    }

    pub(crate) fn value(&mut self, expr: &Expr) -> Result<Value, QueryError> {
        match &expr.kind {
            ExprKind::Log(_) => Err(QueryError::Invalid("lines cannot be used as numbers".into())),
            ExprKind::Number(number) => Ok(Value::Number(*number)),
            ExprKind::Vector(number) => {
                let values = vec![Some(*number); self.steps.count];
                Ok(Value::Vector(vec![Column { labels: Labels::empty(), values }]))
            }
            ExprKind::Range(aggregation) => range::evaluate(self, expr, aggregation, None).map(Value::Vector),
            ExprKind::Aggregate(aggregation) => vector::aggregate(self, aggregation).map(Value::Vector),
            ExprKind::Binary(binary) => {
                let (left, right) = (self.value(&binary.left)?, self.value(&binary.right)?);
                binary::apply(binary, left, right)
            }
            ExprKind::LabelReplace(replace) => vector::label_replace(self, replace).map(Value::Vector),
        }
    }

    fn answer(self, data: Data) -> Answer {
        Answer { data, statistics: self.statistics, annotations: self.annotations }
    }
}

impl Engine {
    /// Lines or numbers over a range. For lines, `end_ns` is excluded as in Loki and `step_ms` has no meaning; for numbers
    /// both ends are evaluated and `limit` and `direction` have no meaning.
    #[expect(clippy::too_many_arguments, reason = "the parameters of Loki's query_range, in its order")]
    pub fn query_range(
        &self,
        source: &dyn LogSource,
        query: &Query<'_>,
        start_ns: i64,
        end_ns: i64,
        step_ms: i64,
        limit: usize,
        direction: Direction,
    ) -> Result<Answer, QueryError> {
        let expr = self.parsed(query)?;
        if end_ns < start_ns {
            return Err(QueryError::Invalid("end timestamp must not be before or equal to start time".into()));
        }
        if let ExprKind::Log(log) = &expr.kind {
            if limit > self.settings.entries_max {
                let max = self.settings.entries_max;
                let text = format!(
                    "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {max})"
                );
                return Err(QueryError::Invalid(text));
            }
            let mut run = Run::new(source, query, Steps { start_ns, step_ns: 1, count: 1 });
            let streams = logs::evaluate(&mut run, log, (start_ns, end_ns), limit, direction)?;
            return Ok(run.answer(Data::Streams(streams)));
        }
        if step_ms <= 0 {
            let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(QueryError::Invalid(text.into()));
        }
        let step_ns = step_ms.saturating_mul(1_000_000);
        let count = (i128::from(end_ns) - i128::from(start_ns)) / i128::from(step_ns) + 1;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // Loki counts intervals, not points.
        if count - 1 > self.settings.steps_max {
            let max = self.settings.steps_max;
            let text = format!(
                "exceeded maximum resolution of {max} points per timeseries. Try increasing the value of the step parameter"
            );
            return Err(QueryError::Invalid(text));
        }
        let mut run = Run::new(source, query, Steps { start_ns, step_ns, count });
        let columns = match run.value(&expr)? {
            Value::Number(number) => vec![Column { labels: Labels::empty(), values: vec![Some(number); count] }],
            Value::Vector(columns) => columns,
        };
        let mut series: Vec<Series> = columns
            .into_iter()
            .map(|column| {
                let point =
                    |(i, value): (usize, &Option<f64>)| value.map(|value| Point { time_ns: run.steps.time(i), value });
                Series { points: column.values.iter().enumerate().filter_map(point).collect(), labels: column.labels }
            })
            .filter(|series: &Series| !series.points.is_empty())
            .collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(run.answer(Data::Matrix(series)))
    }

    /// Numbers at one moment.
    pub fn query(
        &self,
        source: &dyn LogSource,
        query: &Query<'_>,
        time_ns: i64,
        _limit: usize,
        _direction: Direction,
    ) -> Result<Answer, QueryError> {
        let expr = self.parsed(query)?;
        if matches!(expr.kind, ExprKind::Log(_)) {
            let text = "log queries are not supported as an instant query type, please change your query to a range query type";
            return Err(QueryError::Invalid(text.into()));
        }
        let mut run = Run::new(source, query, Steps { start_ns: time_ns, step_ns: 1, count: 1 });
        let columns = match run.value(&expr)? {
            Value::Number(value) => return Ok(run.answer(Data::Scalar { time_ns, value })),
            Value::Vector(columns) => columns,
        };
        let mut samples: Vec<Sample> = columns
            .into_iter()
            .filter_map(|column| {
                let value = column.values.first().copied().flatten()?;
                Some(Sample { labels: column.labels, point: Point { time_ns, value } })
            })
            .collect();
        samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        if let ExprKind::Aggregate(aggregation) = &expr.kind {
            match aggregation.op {
                AggregateOp::TopK | AggregateOp::ApproxTopK | AggregateOp::SortDesc => {
                    samples.sort_by(|a, b| vector::descending(a.point.value, b.point.value));
                }
                AggregateOp::BottomK | AggregateOp::Sort => {
                    samples.sort_by(|a, b| vector::ascending(a.point.value, b.point.value));
                }
                _ => {}
            }
        }
        Ok(run.answer(Data::Vector(samples)))
    }

    fn parsed(&self, query: &Query<'_>) -> Result<Expr, QueryError> {
        let expr = parse(query.text)?;
        if self.settings.selector_required {
            check_selectors(query.text, &expr)?;
        }
        Ok(expr)
    }
}

fn check_selectors(text: &str, expr: &Expr) -> Result<(), ParseError> {
    let log = match &expr.kind {
        ExprKind::Log(log) => log,
        ExprKind::Range(range) => &range.log,
        ExprKind::Aggregate(aggregation) => return check_selectors(text, &aggregation.of),
        ExprKind::LabelReplace(replace) => return check_selectors(text, &replace.of),
        ExprKind::Binary(binary) => {
            check_selectors(text, &binary.left)?;
            return check_selectors(text, &binary.right);
        }
        ExprKind::Number(_) | ExprKind::Vector(_) => return Ok(()),
    };
    if log
        .selector
        .matchers
        .iter()
        .any(|m| !m.matches_empty() && matches!(m.op, base_signal::MatchOp::Equal | base_signal::MatchOp::Regex))
    {
        return Ok(());
    }
    let message = "queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
                   For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";
    Err(ParseError::whole(text, message))
}
