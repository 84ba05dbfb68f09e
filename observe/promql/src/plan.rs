//! What the modifiers and durations of a query mean for given steps: where to read and how far. Knows no data.

use crate::answer::QueryError;
use crate::engine::clamp_time;
use crate::eval::Steps;
use crate::syntax::{At, BinaryOp, Duration, DurationKind, Expr, ExprKind, Modifiers, Span};

/// Go's durations end here: about 292 years.
const DURATION_MAX_S: f64 = 9_223_372_036.854_776;

/// Where a selector reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The one time of all steps, when there is an `@`.
    pub(crate) fixed_ms: Option<i64>,
    /// Taken from the step's (or the fixed) time.
    pub(crate) offset_ms: i64,
}

impl Reading {
    /// The times at which the selector itself is evaluated: one when it is fixed.
    pub(crate) fn steps(&self, steps: &Steps) -> Steps {
        match self.fixed_ms {
            Some(time_ms) => Steps { count: steps.count.min(1), ..Steps::instant(time_ms - self.offset_ms) },
            None => {
                Steps { start_ms: steps.start_ms - self.offset_ms, end_ms: steps.end_ms - self.offset_ms, ..*steps }
            }
        }
    }
}

pub(crate) fn reading(modifiers: &Modifiers, outer: &Steps) -> Result<Reading, QueryError> {
    let fixed_ms = modifiers.at.map(|at| match at {
        At::TimeMs(time_ms) => clamp_time(time_ms),
        At::Start => outer.start_ms,
        At::End => outer.end_ms,
    });
    let offset_ms = match &modifiers.offset {
        Some(duration) => duration_ms(duration, outer, true)?,
        None => 0,
    };
    Ok(Reading { fixed_ms, offset_ms })
}

/// Looks at all durations of a query before anything is read.
pub(crate) fn check_durations(expr: &Expr, outer: &Steps) -> Result<(), QueryError> {
    let check = |duration: &Option<Duration>| duration.iter().try_for_each(|d| duration_ms(d, outer, true).map(|_| ()));
    match &expr.kind {
        ExprKind::Selector(selector) => check(&selector.modifiers.offset)?,
        ExprKind::Range(range) => {
            duration_ms(&range.range, outer, false)?;
            check(&range.selector.modifiers.offset)?;
        }
        ExprKind::Subquery(subquery) => {
            check(&subquery.modifiers.offset)?;
            for duration in subquery.step.iter().chain([&subquery.range]) {
                duration_ms(duration, outer, false)?;
            }
        }
        _ => {}
    }
    // The expression of an aggregation is looked at before its parameter.
    let mut children = expr.children();
    if matches!(expr.kind, ExprKind::Aggregate(_)) {
        children.reverse();
    }
    children.into_iter().try_for_each(|child| check_durations(child, outer))
}

/// A duration in milliseconds; only an offset may be negative or nothing.
pub(crate) fn duration_ms(duration: &Duration, outer: &Steps, may_be_negative: bool) -> Result<i64, QueryError> {
    let refuse = |what: &str| {
        let Span { start, end } = told_span(duration);
        Err(QueryError::Unasked(format!("{start}:{end}: {what}")))
    };
    let seconds = seconds(duration, outer)?;
    if !seconds.is_finite() {
        return refuse("duration is NaN or infinite");
    }
    if seconds <= 0.0 && !may_be_negative {
        return refuse("duration must be greater than 0");
    }
    if seconds.abs() > DURATION_MAX_S {
        return refuse("duration is out of range");
    }
    Ok(match duration.kind {
        // Literals are rounded to nanoseconds first, expressions are cut, as Prometheus does.
        DurationKind::Seconds { .. } => (seconds * 1e9).round() as i64 / 1_000_000,
        _ => (seconds * 1000.0) as i64,
    })
}

/// Where an error points: without the parentheses around arithmetic.
fn told_span(duration: &Duration) -> Span {
    match &duration.kind {
        DurationKind::Paren(inner) if matches!(inner.kind, DurationKind::Binary { .. } | DurationKind::Paren(_)) => {
            told_span(inner)
        }
        DurationKind::Negative(inner) => Span::new(duration.span.start, told_span(inner).end),
        DurationKind::Binary { left, right, .. } => told_span(left).to(told_span(right)),
        _ => duration.span,
    }
}

fn seconds(duration: &Duration, outer: &Steps) -> Result<f64, QueryError> {
    Ok(match &duration.kind {
        DurationKind::Seconds { value, .. } => *value,
        DurationKind::Step => outer.step_ms as f64 / 1000.0,
        DurationKind::Range => (outer.end_ms - outer.start_ms) as f64 / 1000.0,
        DurationKind::MinOf(left, right) => seconds(left, outer)?.min(seconds(right, outer)?),
        DurationKind::MaxOf(left, right) => seconds(left, outer)?.max(seconds(right, outer)?),
        DurationKind::Negative(inner) => -seconds(inner, outer)?,
        DurationKind::Paren(inner) => seconds(inner, outer)?,
        DurationKind::Binary { op, left, right } => {
            let (left, right) = (seconds(left, outer)?, seconds(right, outer)?);
            let by_zero = |what: &str| {
                let Span { start, end } = told_span(duration);
                QueryError::Unasked(format!("{start}:{end}: {what} by zero"))
            };
            match op {
                BinaryOp::Add => left + right,
                BinaryOp::Sub => left - right,
                BinaryOp::Mul => left * right,
                BinaryOp::Div if right == 0.0 => return Err(by_zero("division")),
                BinaryOp::Div => left / right,
                BinaryOp::Mod if right == 0.0 => return Err(by_zero("modulo")),
                BinaryOp::Mod => left % right,
                BinaryOp::Pow => left.powf(right),
                _ => f64::NAN,
            }
        }
    })
}
