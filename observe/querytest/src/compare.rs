//! Whether an outcome is the expected one; when not, both are told. An instant query is also asked again in the other ways
//! in which it must come to the same.

use base_signal::{Labels, is_stale_nan};
use observe_source::fake::FakeMetrics;

use crate::script::{Eval, Expected, Text, When};
use crate::{Answered, Language, Outcome, Point, Settings, histogram};

/// What was wanted and what came instead; the query, when it is another than the one written down.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    pub(crate) query: Option<String>,
    pub(crate) want: String,
    pub(crate) got: String,
}

fn missed(want: impl Into<String>, got: impl Into<String>) -> Result<(), Missed> {
    Err(Missed { query: None, want: want.into(), got: got.into() })
}

/// One expected or given series: its points by time, each with whether its hint counts.
type Rows = Vec<(Labels, Vec<(i64, Point, bool)>)>;

pub(crate) fn judge(
    eval: &Eval,
    settings: Settings,
    source: &FakeMetrics,
    language: &dyn Language,
) -> Result<(), Missed> {
    let judge = Judge { eval, settings };
    let outcome = language.evaluate(source, &eval.query, eval.when);
    let no_range = matches!(&outcome, Ok(Outcome { value: Answered::Matrix(_) | Answered::String(_), .. }));
    judge.outcome(outcome)?;
    let When::Instant { time_ms } = eval.when else { return Ok(()) };
    if eval.expected.fail.is_some() || no_range {
        return Ok(());
    }
    judge.as_step(&eval.query, time_ms, source, language)?;
    let pinned_ms = eval.expected.range_vector.map_or(time_ms, |(_, last_ms, _)| last_ms);
    let Some(pinned) = language.pinned(&eval.query, pinned_ms) else { return Ok(()) };
    let moments =
        if time_ms == 0 { vec![-1000, 1000] } else { vec![-10 * time_ms, 0, time_ms / 5, time_ms, 10 * time_ms] };
    for at_ms in moments {
        let named = |missed: Missed| Missed { query: Some(format!("{pinned} at {at_ms} ms")), ..missed };
        let outcome = language.evaluate(source, &pinned, When::Instant { time_ms: at_ms });
        judge.rows_only(outcome, at_ms).map_err(named)?;
        judge.as_step(&pinned, at_ms, source, language)?;
    }
    Ok(())
}

struct Judge<'e> {
    eval: &'e Eval,
    settings: Settings,
}

impl Judge<'_> {
    fn outcome(&self, outcome: Result<Outcome, String>) -> Result<(), Missed> {
        let expected = &self.eval.expected;
        let outcome = match (outcome, &expected.fail) {
            (Err(error), Some(wanted)) if wanted.fits(&error) => return Ok(()),
            (Err(error), Some(wanted)) => {
                return missed(format!("fail{}", wanted.show()), format!("fail msg: {error}"));
            }
            (Err(error), None) => return missed("no failure", format!("fail msg: {error}")),
            (Ok(outcome), Some(wanted)) => {
                return missed(format!("fail{}", wanted.show()), show(&rows_of(&outcome.value, self.eval.when)));
            }
            (Ok(outcome), None) => outcome,
        };
        notes("warn", &expected.warnings, expected.no_warnings, &outcome.warnings)?;
        notes("info", &expected.infos, expected.no_infos, &outcome.infos)?;
        self.value(expected, &outcome.value, self.eval.when)
    }

    /// The values alone: what is told beside them may name another place of another text.
    fn rows_only(&self, outcome: Result<Outcome, String>, time_ms: i64) -> Result<(), Missed> {
        match outcome {
            Ok(outcome) => self.value(&self.eval.expected, &outcome.value, When::Instant { time_ms }),
            Err(error) => missed("no failure", format!("fail msg: {error}")),
        }
    }

    /// Asked as the middle one of three steps.
    fn as_step(&self, query: &str, time_ms: i64, source: &FakeMetrics, language: &dyn Language) -> Result<(), Missed> {
        let expected = &self.eval.expected;
        let of_the_range = ["start()", "end()", "step()", "range()"].iter().any(|word| query.contains(word));
        if of_the_range || expected.ordered || expected.range_vector.is_some() || expected.string.is_some() {
            return Ok(());
        }
        let minute_ms = 60_000;
        let when = When::Range { start_ms: time_ms - minute_ms, end_ms: time_ms + minute_ms, step_ms: minute_ms };
        let named = |missed: Missed| Missed { query: Some(format!("{query} as a step of a range")), ..missed };
        let outcome = match language.evaluate(source, query, when) {
            Ok(outcome) => outcome,
            Err(error) => return missed("no failure", format!("fail msg: {error}")).map_err(named),
        };
        let Answered::Matrix(rows) = outcome.value else { return Ok(()) };
        let mut middle = Vec::new();
        for (labels, points) in rows {
            if let Some((_, point)) = points.into_iter().find(|(at_ms, _)| *at_ms == time_ms) {
                middle.push((labels, point));
            }
        }
        let answered = match (expected.scalar, middle.as_slice()) {
            (Some(_), [(_, Point::Float(value))]) => Answered::Scalar(*value),
            _ => Answered::Vector(middle),
        };
        self.value(expected, &answered, When::Instant { time_ms }).map_err(named)
    }

    fn value(&self, expected: &Expected, got: &Answered, when: When) -> Result<(), Missed> {
        match got {
            Answered::Scalar(value) => match expected.scalar {
                Some(wanted) if self.near(wanted, *value) => Ok(()),
                Some(wanted) => missed(histogram::show_number(wanted), histogram::show_number(*value)),
                None => missed(show(&self.wanted(when)), histogram::show_number(*value)),
            },
            Answered::String(text) => match &expected.string {
                Some(wanted) if wanted == text => Ok(()),
                wanted => missed(format!("string {wanted:?}"), format!("string {text:?}")),
            },
            Answered::Nothing | Answered::Vector(_) | Answered::Matrix(_) => {
                let (mut wanted, mut rows) = (self.wanted(when), rows_of(got, when));
                if let Some(scalar) = expected.scalar {
                    return missed(histogram::show_number(scalar), show(&rows));
                }
                if let Some(text) = &expected.string {
                    return missed(format!("string {text:?}"), show(&rows));
                }
                if expected.ordered && matches!(got, Answered::Matrix(_)) {
                    return missed("an order", "a matrix, which is always sorted by labels");
                }
                if let (Answered::Matrix(_), false) = (got, rows.is_sorted_by(|a, b| a.0 <= b.0)) {
                    return missed("series sorted by labels", show(&rows));
                }
                if !expected.ordered {
                    wanted.sort_by(|a, b| a.0.cmp(&b.0));
                    rows.sort_by(|a, b| a.0.cmp(&b.0));
                }
                let equal = wanted.len() == rows.len()
                    && wanted.iter().zip(&rows).all(|(a, b)| a.0 == b.0 && self.same_points(&a.1, &b.1));
                if equal { Ok(()) } else { missed(show(&wanted), show(&rows)) }
            }
        }
    }

    fn wanted(&self, when: When) -> Rows {
        let expected = &self.eval.expected;
        let (start_ms, step_ms) = match (expected.range_vector, when) {
            (Some((first_ms, _, step_ms)), _) => (first_ms, step_ms),
            (None, When::Instant { time_ms }) => (time_ms, 0),
            (None, When::Range { start_ms, step_ms, .. }) => (start_ms, step_ms),
        };
        let row = |series: &crate::Loaded| {
            let points = series.values.iter().enumerate().filter_map(|(i, item)| {
                let item = item.as_ref()?;
                Some((start_ms + step_ms * i as i64, item.point.clone(), item.hint_told))
            });
            (series.labels.clone(), points.collect())
        };
        expected.series.iter().map(row).collect()
    }

    fn same_points(&self, wanted: &[(i64, Point, bool)], got: &[(i64, Point, bool)]) -> bool {
        let equal = |a: &Point, b: &Point, hint: bool| match (a, b) {
            (Point::Float(a), Point::Float(b)) => self.near(*a, *b),
            (Point::Histogram(a), Point::Histogram(b)) => histogram::same(a, b, hint, &|a, b| self.near(a, b)),
            _ => false,
        };
        wanted.len() == got.len() && wanted.iter().zip(got).all(|(a, b)| a.0 == b.0 && equal(&a.1, &b.1, a.2))
    }

    fn near(&self, wanted: f64, got: f64) -> bool {
        if is_stale_nan(wanted) || is_stale_nan(got) {
            return is_stale_nan(wanted) && is_stale_nan(got);
        }
        let least = self.settings.tolerance * f64::MIN_POSITIVE;
        wanted == got
            || (wanted.is_nan() && got.is_nan())
            || (wanted - got).abs() <= least.max(self.settings.tolerance * wanted.abs())
    }
}

/// Every wanted text must be told, and when any is wanted, nothing else may be.
fn notes(kind: &str, wanted: &[Text], none: bool, got: &[String]) -> Result<(), Missed> {
    let told = || got.iter().map(|text| format!("{kind} msg: {text}")).collect::<Vec<_>>().join("\n");
    if none && !got.is_empty() {
        return missed(format!("no_{kind}"), told());
    }
    if let Some(missing) = wanted.iter().find(|wanted| !got.iter().any(|text| wanted.fits(text))) {
        return missed(format!("{kind}{}", missing.show()), if got.is_empty() { format!("no {kind}") } else { told() });
    }
    if !wanted.is_empty()
        && let Some(more) = got.iter().find(|text| !wanted.iter().any(|wanted| wanted.fits(text)))
    {
        let all: Vec<_> = wanted.iter().map(|wanted| format!("{kind}{}", wanted.show())).collect();
        return missed(format!("only {}", all.join(", ")), format!("{kind} msg: {more}"));
    }
    Ok(())
}

fn rows_of(got: &Answered, when: When) -> Rows {
    match (got, when) {
        (Answered::Vector(rows), When::Instant { time_ms }) => {
            rows.iter().map(|(labels, point)| (labels.clone(), vec![(time_ms, point.clone(), false)])).collect()
        }
        (Answered::Matrix(rows), _) => {
            let points = |points: &Vec<(i64, Point)>| points.iter().map(|(t, p)| (*t, p.clone(), false)).collect();
            rows.iter().map(|(labels, of)| (labels.clone(), points(of))).collect()
        }
        _ => Vec::new(),
    }
}

fn show(rows: &Rows) -> String {
    if rows.is_empty() {
        return "nothing".to_owned();
    }
    let row = |(labels, points): &(Labels, Vec<(i64, Point, bool)>)| {
        let points: Vec<_> = points.iter().map(|(time_ms, p, _)| format!("{} @{time_ms}ms", show_point(p))).collect();
        format!("{labels} {}", points.join(", "))
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn show_point(point: &Point) -> String {
    match point {
        Point::Float(value) => histogram::show_number(*value),
        Point::Histogram(native) => histogram::show(native),
    }
}
