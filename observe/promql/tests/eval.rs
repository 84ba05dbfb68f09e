//! Runs every file of `tests/cases` against the engine, over the in-memory source.

use std::path::Path;

use base_signal::TenantId;
use observe_promql::{Engine, PointValue, Query, QueryError, Value};
use observe_querytest::{Answered, Language, Outcome, Point, Settings, When, run};
use observe_source::fake::FakeMetrics;
use observe_source::{
    Annotations, Budget, Cancel, ExemplarSeries, LabelQuery, Level, MetricBatch, MetricBatches, MetricSource,
    MetricWrite, SelectMetrics, SourceError,
};

struct PromQl;

impl Language for PromQl {
    fn evaluate(&self, source: &FakeMetrics, text: &str, when: When) -> Result<Outcome, String> {
        evaluate(source, text, when)
    }

    fn pinned(&self, query: &str, time_ms: i64) -> Option<String> {
        observe_promql::pinned(query, time_ms)
    }
}

fn evaluate(source: &FakeMetrics, text: &str, when: When) -> Result<Outcome, String> {
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
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
    assert_eq!(budget.used_bytes(), 0, "memory stays charged after {text}");
    let notes = |level| answer.annotations.of(level).map(str::to_owned).collect();
    let (warnings, infos) = (notes(Level::Warning), notes(Level::Info));
    let value = match answer.value {
        Value::Scalar(_, value) => Answered::Scalar(value),
        Value::String(_, text) => Answered::String(text),
        Value::Vector(points) => Answered::Vector(points.into_iter().map(|p| (p.labels, point(p.value))).collect()),
        Value::Matrix(series) => {
            let points = |s: observe_promql::SeriesPoints| {
                let floats = s.points.into_iter().map(|(t, v)| (t, Point::Float(v)));
                let histograms = s.histograms.into_iter().map(|(t, h)| (t, Point::Histogram((*h).clone())));
                let mut points: Vec<_> = floats.chain(histograms).collect();
                points.sort_by_key(|(time_ms, _)| *time_ms);
                (s.labels, points)
            };
            Answered::Matrix(series.into_iter().map(points).collect())
        }
    };
    Ok(Outcome { value, warnings, infos })
}

fn point(value: PointValue) -> Point {
    match value {
        PointValue::Float(value) => Point::Float(value),
        PointValue::Histogram(histogram) => Point::Histogram((*histogram).clone()),
    }
}

#[test]
fn all_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (passed, failures) = judge(&folder, Settings::EXACT);
    assert!(failures.len() + passed > 230, "only {passed} cases in {}", folder.display());
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

#[expect(clippy::disallowed_methods, reason = "the cases are files beside this test")]
fn judge(folder: &Path, settings: Settings) -> (usize, Vec<String>) {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for file in &files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        match run(&std::fs::read_to_string(file).expect("a text"), settings, &PromQl) {
            Ok(report) => {
                passed += report.passed;
                let told = report.failures.iter().map(|failure| {
                    let observe_querytest::Failure { line, query, want, got } = failure;
                    format!("{name}:{line}: {query}\n  want: {want}\n  got:  {got}")
                });
                failures.extend(told);
            }
            Err(why) => failures.push(format!("{name}: {why}")),
        }
    }
    (passed, failures)
}

#[test]
fn histograms_of_whole_numbers_count_as_those_of_floats() {
    use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};
    let mut source = FakeMetrics::default();
    let mut write = MetricWrite::default();
    let series = write.series.push(&mut vec![("__name__", "h")]);
    for (time_ms, factor) in [(0, 1), (60_000, 3)] {
        let histogram = NativeHistogram {
            schema: 0,
            counter_reset: CounterReset::Unknown,
            zero_threshold: 0.5,
            sum: 2.0 * factor as f64,
            positive_runs: vec![SpanRun { offset: 1, length: 2 }],
            negative_runs: vec![SpanRun { offset: 0, length: 1 }],
            buckets: Buckets::Integer {
                count: 5 * factor,
                zero_count: factor,
                positive: vec![2 * factor, factor],
                negative: vec![factor],
            },
            custom_bounds: Vec::new(),
        };
        write.histograms.push((series, time_ms, histogram));
    }
    source.append(&write);
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
    let value = |text: &str| {
        let query = Query { text, tenant: &tenant, budget: &budget, cancel: &cancel };
        match Engine::default().instant(&source, &query, 60_000).unwrap().value {
            Value::Vector(points) => match points[0].value {
                PointValue::Float(value) => value,
                PointValue::Histogram(_) => f64::NAN,
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value("histogram_count(h)"), 15.0);
    // (1, 2] holds the third to the fourth of five.
    assert!((value("histogram_quantile(0.6, h)") - 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(value("histogram_fraction(-1, 1, h)"), 0.4);
    // 10 more within a minute, and half a minute before it.
    assert_eq!(value("histogram_count(increase(h[5m]))"), 15.0);
}

#[test]
fn limits_are_told() {
    let source = FakeMetrics::default();
    let (tenant, cancel) = (TenantId::default(), Cancel::default());
    let small = Budget::new(1000);
    let query = |text, budget, cancel| Query { text, tenant: &tenant, budget, cancel };
    let engine = Engine::default();

    let error = engine.range(&source, &query("vector(1)", &small, &cancel), 0, 10_000_000, 1000).unwrap_err();
    assert_eq!(error.error_type(), "execution");
    assert!(error.to_string().contains("more than its share of 1000"), "{error}");
    assert_eq!(small.used_bytes(), 0);

    let free = Budget::unlimited();
    let error = engine.range(&source, &query("1", &free, &cancel), 0, 11_001_000, 1000).unwrap_err();
    assert_eq!(
        (error.error_type(), error.to_string().as_str()),
        (
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)"
        )
    );
    assert!(engine.range(&source, &query("1", &free, &cancel), 0, 11_000_000, 1000).is_ok());

    let stopped = Cancel::default();
    stopped.cancel();
    let error = engine.instant(&source, &query("1", &free, &stopped), 0).unwrap_err();
    assert_eq!(
        (error.error_type(), error.to_string().as_str()),
        ("canceled", "query was canceled in expression evaluation")
    );
}

#[test]
fn answers_and_errors_have_the_apis_names() {
    let source = FakeMetrics::default();
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
    let engine = Engine::default();
    for (text, name) in [("1", "scalar"), ("'a'", "string"), ("vector(1)", "vector"), ("a[1m]", "matrix")] {
        let query = Query { text, tenant: &tenant, budget: &budget, cancel: &cancel };
        assert_eq!(engine.instant(&source, &query, 0).unwrap().value.type_name(), name);
    }
    let table = [
        (SourceError::Shed { what: "memory", retry_after_ms: 1 }, "unavailable"),
        (SourceError::Unavailable { reason: "no sync".into() }, "unavailable"),
        (SourceError::Storage { reason: "seg-1: bad checksum".into() }, "internal"),
        (SourceError::Budget { wanted_bytes: 2, limit_bytes: 1 }, "execution"),
        (SourceError::Cancelled, "canceled"),
    ];
    for (error, name) in table {
        assert_eq!(QueryError::from(error).error_type(), name);
    }
}

/// A source whose batches do not hold what they promise.
struct Broken;

impl MetricSource for Broken {
    fn select(&self, _: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        let series = vec![base_signal::Labels::from_pairs([("__name__", "a")])];
        let batch =
            MetricBatch { series, ends: vec![3], times_ms: vec![0], values: vec![1.0], ..MetricBatch::default() };
        Ok(Box::new(Once(Some(batch))))
    }
    fn label_names(&self, _: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        Err(SourceError::Cancelled)
    }
    fn label_values(&self, _: &str, _: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        Err(SourceError::Cancelled)
    }
    fn series(&self, _: &LabelQuery<'_>) -> Result<(Vec<base_signal::Labels>, Annotations), SourceError> {
        Err(SourceError::Cancelled)
    }
    fn exemplars(&self, _: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        Err(SourceError::Cancelled)
    }
    fn metadata(&self, _: &TenantId, _: Option<&str>) -> Result<Vec<(String, base_signal::Metadata)>, SourceError> {
        Err(SourceError::Cancelled)
    }
}

struct Once(Option<MetricBatch>);

impl MetricBatches for Once {
    fn next(&mut self) -> Result<Option<MetricBatch>, SourceError> {
        Ok(self.0.take())
    }
}

#[test]
fn a_broken_source_is_an_error_and_no_panic() {
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
    let query = Query { text: "a", tenant: &tenant, budget: &budget, cancel: &cancel };
    let error = Engine::default().instant(&Broken, &query, 0).unwrap_err();
    assert_eq!(error.to_string(), "the source returned a broken batch for {__name__=\"a\"}");
}

#[test]
fn extreme_times_do_not_overflow() {
    let mut source = FakeMetrics::default();
    let mut write = MetricWrite::default();
    let series = write.series.push(&mut vec![("__name__", "a")]);
    write.samples.extend([(series, i64::MIN, 1.0), (series, 0, 2.0), (series, i64::MAX, 3.0)]);
    source.append(&write);
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
    let engine = Engine::default();
    for text in ["a @ 1e18", "rate(a[292y] offset 292y)", "a offset -292y", "rate(a[5m] @ -1e15)", "sum(a[10y:1y])"] {
        for time_ms in [i64::MIN, 0, i64::MAX] {
            let query = Query { text, tenant: &tenant, budget: &budget, cancel: &cancel };
            let _ = engine.instant(&source, &query, time_ms);
            let _ = engine.range(&source, &query, time_ms, i64::MAX, i64::MAX);
        }
    }
}

#[test]
fn the_deepest_query_fits_the_stack() {
    let source = FakeMetrics::default();
    let (tenant, budget, cancel) = (TenantId::default(), Budget::unlimited(), Cancel::default());
    let chain = |link: &str, part: &str| vec![part; 230].join(link);
    let nested = |open: &str, close: &str| open.repeat(36) + "a" + &close.repeat(36);
    for text in [chain(" or ", "vector(1)"), chain("+", "1"), nested("(", ")"), nested("sum(", ")"), nested("-(", ")")]
    {
        let query = Query { text: &text, tenant: &tenant, budget: &budget, cancel: &cancel };
        let answer = Engine::default().range(&source, &query, 0, 1000, 1000);
        assert!(answer.is_ok(), "{:.40}: {answer:?}", text);
    }
}
