//! PromQL as a language under test: the engine's own language behind the trait that query tests ask for. What a user's
//! `apm test query` runs is what answers in the engine.

use observe_promql::{Engine, PointValue, Query, QueryError, SeriesPoints, Value};
use observe_querytest::{Answered, Failure, Language, Outcome, Point, Report, ScriptError, Settings, When};
use observe_source::fake::FakeMetrics;
use observe_source::{Budget, Cancel, Level};

/// No case of a test may take more memory than this.
const CASE_MAX_BYTES: u64 = 1 << 30;

/// One failed case, in words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedCase {
    /// From 1.
    pub line: usize,
    pub query: String,
    pub want: String,
    pub got: String,
}

/// What became of one file of query tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryTests {
    pub passed: usize,
    pub failed: Vec<FailedCase>,
}

/// Runs the query tests of one file; an error names the line that cannot be read.
pub fn query_tests(script: &str) -> Result<QueryTests, ScriptError> {
    let Report { passed, failures } = observe_querytest::run(script, Settings::PROMETHEUS, &PromQl)?;
    let told = |Failure { line, query, want, got }| FailedCase { line, query, want, got };
    Ok(QueryTests { passed, failed: failures.into_iter().map(told).collect() })
}

struct PromQl;

impl Language for PromQl {
    fn evaluate(&self, source: &FakeMetrics, text: &str, when: When) -> Result<Outcome, String> {
        let (tenant, budget, cancel) = (Default::default(), Budget::new(CASE_MAX_BYTES), Cancel::default());
        let query = Query { text, tenant: &tenant, budget: &budget, cancel: &cancel };
        let engine = Engine::default();
        let answer = match when {
            When::Instant { time_ms } => engine.instant(source, &query, time_ms),
            When::Range { start_ms, end_ms, step_ms } => engine.range(source, &query, start_ms, end_ms, step_ms),
        };
        let answer = answer.map_err(|error| match error {
            QueryError::Parse(error) => error.to_string(),
            QueryError::Unasked(text) => text,
            other => other.to_string(),
        })?;
        let notes = |level| answer.annotations.of(level).map(str::to_owned).collect();
        let (warnings, infos) = (notes(Level::Warning), notes(Level::Info));
        Ok(Outcome { value: answered(answer.value), warnings, infos })
    }

    fn pinned(&self, query: &str, time_ms: i64) -> Option<String> {
        observe_promql::pinned(query, time_ms)
    }
}

fn answered(value: Value) -> Answered {
    match value {
        Value::Scalar(_, value) => Answered::Scalar(value),
        Value::String(_, text) => Answered::String(text),
        Value::Vector(points) => Answered::Vector(points.into_iter().map(|p| (p.labels, point(p.value))).collect()),
        Value::Matrix(series) => Answered::Matrix(series.into_iter().map(|s| (s.labels.clone(), points(s))).collect()),
    }
}

fn point(value: PointValue) -> Point {
    match value {
        PointValue::Float(value) => Point::Float(value),
        PointValue::Histogram(histogram) => Point::Histogram((*histogram).clone()),
    }
}

fn points(series: SeriesPoints) -> Vec<(i64, Point)> {
    let floats = series.points.into_iter().map(|(time_ms, value)| (time_ms, Point::Float(value)));
    let histograms = series.histograms.into_iter().map(|(time_ms, h)| (time_ms, Point::Histogram((*h).clone())));
    let mut points: Vec<_> = floats.chain(histograms).collect();
    points.sort_by_key(|(time_ms, _)| *time_ms);
    points
}
