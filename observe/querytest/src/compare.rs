//! Whether an outcome is the expected one; when not, both are told.

use base_signal::Labels;

use crate::script::{Eval, Expected, When};
use crate::{Answered, Outcome, Point};

/// Relative: enough for sums in another order, far less than any wrong rule.
const TOLERANCE: f64 = 1e-13;

type Rows = Vec<(Labels, Vec<(i64, Point)>)>;

pub(crate) fn check(eval: &Eval, outcome: Result<Outcome, String>) -> Result<(), String> {
    let expected = &eval.expected;
    let outcome = match (outcome, &expected.fail) {
        (Err(error), Some(wanted)) if error.contains(wanted) => return Ok(()),
        (Err(error), Some(wanted)) => return Err(format!("  wanted error: {wanted}\n  got error:    {error}")),
        (Err(error), None) => return Err(format!("  failed: {error}")),
        (Ok(outcome), Some(wanted)) => return Err(format!("  wanted error: {wanted}\n  got: {:?}", outcome.value)),
        (Ok(outcome), None) => outcome,
    };
    notes("warning", &expected.warnings, expected.no_warnings, &outcome.warnings)?;
    notes("info", &expected.infos, expected.no_infos, &outcome.infos)?;
    values(eval, expected, &outcome.value)
}

fn notes(kind: &str, wanted: &[String], none: bool, got: &[String]) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("  wanted no {kind}, got: {got:?}"));
    }
    match wanted.iter().find(|wanted| got.is_empty() || !got.iter().any(|text| text.contains(wanted.as_str()))) {
        Some(missing) => Err(format!("  wanted {kind}: {missing}\n  got: {got:?}")),
        None => Ok(()),
    }
}

fn values(eval: &Eval, expected: &Expected, got: &Answered) -> Result<(), String> {
    let differ = |wanted: String| Err(format!("  wanted: {wanted}\n  got:    {}", show(got)));
    match got {
        Answered::Scalar(value) => match expected.scalar {
            Some(wanted) if same(wanted, *value) => Ok(()),
            wanted => differ(format!("{wanted:?}")),
        },
        Answered::String(text) => match &expected.string {
            Some(wanted) if wanted == text => Ok(()),
            wanted => differ(format!("{wanted:?}")),
        },
        Answered::Nothing | Answered::Vector(_) | Answered::Matrix(_) => {
            let mut wanted = wanted_rows(eval);
            let mut rows = got_rows(eval, got);
            if !expected.ordered {
                wanted.sort_by(|a, b| a.0.cmp(&b.0));
                rows.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let equal = expected.scalar.is_none()
                && wanted.len() == rows.len()
                && wanted.iter().zip(&rows).all(|(a, b)| a.0 == b.0 && same_points(&a.1, &b.1));
            if equal { Ok(()) } else { differ(show_rows(&wanted)) }
        }
    }
}

fn wanted_rows(eval: &Eval) -> Rows {
    let (start_ms, step_ms) = match eval.when {
        When::Instant { time_ms } => (time_ms, 0),
        When::Range { start_ms, step_ms, .. } => (start_ms, step_ms),
    };
    let points = |values: &[Option<Point>]| {
        let at = |(i, value): (usize, &Option<Point>)| Some((start_ms + step_ms * i as i64, value.clone()?));
        values.iter().enumerate().filter_map(at).collect()
    };
    eval.expected.series.iter().map(|series| (series.labels.clone(), points(&series.values))).collect()
}

fn got_rows(eval: &Eval, got: &Answered) -> Rows {
    match (got, eval.when) {
        (Answered::Vector(rows), When::Instant { time_ms }) => {
            rows.iter().map(|(labels, point)| (labels.clone(), vec![(time_ms, point.clone())])).collect()
        }
        // A range vector asked for at one moment: its points are listed without their times.
        (Answered::Matrix(rows), When::Instant { time_ms }) => {
            let untimed = |points: &Vec<(i64, Point)>| points.iter().map(|(_, p)| (time_ms, p.clone())).collect();
            rows.iter().map(|(labels, points)| (labels.clone(), untimed(points))).collect()
        }
        (Answered::Matrix(rows), When::Range { .. }) => rows.clone(),
        _ => Vec::new(),
    }
}

fn same_points(wanted: &[(i64, Point)], got: &[(i64, Point)]) -> bool {
    let equal = |a: &Point, b: &Point| match (a, b) {
        (Point::Float(a), Point::Float(b)) => same(*a, *b),
        (Point::Histogram(a), Point::Histogram(b)) => a == b,
        _ => false,
    };
    wanted.len() == got.len() && wanted.iter().zip(got).all(|(a, b)| a.0 == b.0 && equal(&a.1, &b.1))
}

fn same(wanted: f64, got: f64) -> bool {
    wanted == got || (wanted.is_nan() && got.is_nan()) || (wanted - got).abs() <= TOLERANCE * wanted.abs()
}

fn show(got: &Answered) -> String {
    match got {
        Answered::Vector(rows) => {
            let row = |(labels, point): &(Labels, Point)| format!("{labels} {}", show_point(point));
            rows.iter().map(row).collect::<Vec<_>>().join("\n          ")
        }
        Answered::Matrix(rows) => show_rows(rows),
        other => format!("{other:?}"),
    }
}

fn show_rows(rows: &Rows) -> String {
    let row = |(labels, points): &(Labels, Vec<(i64, Point)>)| {
        let points: Vec<_> = points.iter().map(|(time_ms, p)| format!("{}@{time_ms}", show_point(p))).collect();
        format!("{labels} {}", points.join(" "))
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n          ")
}

fn show_point(point: &Point) -> String {
    match point {
        Point::Float(value) => format!("{value:?}"),
        Point::Histogram(histogram) => format!("{histogram:?}"),
    }
}
