//! A query with all that it reads pinned to one moment by `@`: it must then come to the same whenever it is asked. Only
//! rewrites the text; evaluates nothing.

use crate::syntax::{At, Duration, Expr, ExprKind, Modifiers, parse};

/// Functions whose result is not fixed by what they read: they look at the time of the step itself.
const OF_THE_MOMENT: [&str; 16] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
    "start",
    "end",
    "step",
    "range",
    "start_timestamp",
];

/// `None` when the query is refused, or depends on the moment at which it is asked whatever is pinned.
pub fn pinned(query: &str, time_ms: i64) -> Option<String> {
    let mut expr = parse(query).ok()?;
    pin(&mut expr, time_ms).then(|| expr.to_string())
}

/// Whether an expression comes to the same at every step: all that it reads is pinned.
pub(crate) fn is_fixed(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Selector(selector) => selector.modifiers.at.is_some(),
        ExprKind::Range(range) => range.selector.modifiers.at.is_some(),
        ExprKind::Subquery(subquery) => return subquery.modifiers.at.is_some(),
        ExprKind::Call(call) => !OF_THE_MOMENT.contains(&call.function.name),
        _ => true,
    };
    // The second argument of `info` reads nothing by itself.
    let read = if matches!(&expr.kind, ExprKind::Call(call) if call.function.name == "info") { 1 } else { usize::MAX };
    own && expr.children().into_iter().take(read).all(is_fixed)
}

/// False for what cannot be pinned.
fn pin(expr: &mut Expr, time_ms: i64) -> bool {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Selector(selector) => pin_here(&mut selector.modifiers, time_ms),
        ExprKind::Range(range) => pin_here(&mut range.selector.modifiers, time_ms) && !of_the_query(&range.range),
        // What is within reads at the subquery's steps.
        ExprKind::Subquery(subquery) => {
            let within = [Some(&subquery.range), subquery.step.as_ref()].into_iter().flatten().any(of_the_query);
            pin_here(&mut subquery.modifiers, time_ms) && !within && fixed(&subquery.expr)
        }
        ExprKind::Call(call) => {
            let moment = OF_THE_MOMENT.contains(&call.function.name) || call.function.name == "info";
            !moment && call.args.iter_mut().all(|arg| pin(arg, time_ms))
        }
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter_mut().chain([&mut aggregate.expr]).all(|part| pin(part, time_ms))
        }
        ExprKind::Binary(binary) => pin(&mut binary.left, time_ms) && pin(&mut binary.right, time_ms),
        ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => pin(expr, time_ms),
    }
}

fn pin_here(modifiers: &mut Modifiers, time_ms: i64) -> bool {
    if matches!(modifiers.at, Some(At::Start | At::End)) || modifiers.offset.as_ref().is_some_and(of_the_query) {
        return false;
    }
    modifiers.at.get_or_insert(At::TimeMs(time_ms));
    true
}

/// Whether all within a subquery means the same in every query.
fn fixed(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Call(call) => !matches!(call.function.name, "start" | "end" | "step" | "range" | "info"),
        ExprKind::Selector(selector) => !matches!(selector.modifiers.at, Some(At::Start | At::End)),
        ExprKind::Range(range) => !matches!(range.selector.modifiers.at, Some(At::Start | At::End)),
        _ => true,
    };
    own && expr.children().into_iter().all(fixed)
}

/// A duration written with the step or range of the query.
fn of_the_query(duration: &Duration) -> bool {
    use crate::syntax::DurationKind::{Binary, MaxOf, MinOf, Negative, Paren, Range, Seconds, Step};
    match &duration.kind {
        Seconds { .. } => false,
        Step | Range => true,
        Negative(inner) | Paren(inner) => of_the_query(inner),
        MinOf(left, right) | MaxOf(left, right) | Binary { left, right, .. } => {
            of_the_query(left) || of_the_query(right)
        }
    }
}
