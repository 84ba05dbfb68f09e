//! A file of unit tests, read whole or not at all. Carries nothing out.

use std::collections::BTreeMap;

use base_signal::{Labels, MatchOp};
use lib_yaml_edit::{Dialect, Node, Word};
use observe_promql::{parse, parse_selector};
use observe_querytest::{Item, parse_series};

use crate::fault::Fault;
use crate::read::{Reader, is_null, root};

/// What stands in one file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Patterns of paths, relative to the file's folder, each with its line.
    pub rule_files: Vec<String>,
    pub(crate) interval_ms: i64,
    pub(crate) group_order: Vec<String>,
    pub(crate) fuzzy: bool,
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) interval_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) series: Vec<(Labels, Vec<Option<Item>>)>,
    pub(crate) alerts: Vec<AlertCase>,
    pub(crate) exprs: Vec<ExprCase>,
    pub(crate) external_labels: BTreeMap<String, String>,
    pub(crate) external_url: String,
}

#[derive(Clone, Debug)]
pub(crate) struct AlertCase {
    pub(crate) line: usize,
    pub(crate) at_ms: i64,
    pub(crate) name: String,
    /// Labels and annotations, the alert's name among them.
    pub(crate) expected: Vec<(BTreeMap<String, String>, BTreeMap<String, String>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct ExprCase {
    pub(crate) line: usize,
    pub(crate) at_ms: i64,
    pub(crate) expr: String,
    pub(crate) expected: Vec<Expected>,
}

/// A sample that must come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// In the notation of query tests.
    pub(crate) histogram: Option<String>,
}

const FILE_KEYS: [&str; 5] = ["rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"];
const TEST_KEYS: [&str; 8] = [
    "interval",
    "input_series",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
    "name",
    "start_timestamp",
];
const INTERVAL_MS: i64 = 60_000;

impl TestFile {
    /// Reads a file's text; all that is wrong is told at once.
    pub fn parse(text: &str) -> Result<TestFile, Vec<Fault>> {
        let mut reader = Reader::default();
        let mut file = TestFile {
            rule_files: Vec::new(),
            interval_ms: INTERVAL_MS,
            group_order: Vec::new(),
            fuzzy: false,
            tests: Vec::new(),
        };
        let Some(root) = root(text).map_err(|fault| vec![fault])? else { return Ok(file) };
        if reader.keys(&root, "a file of unit tests", &FILE_KEYS) {
            file.rule_files =
                reader.items(&root, "rule_files").iter().map(|item| reader.scalar(item, "rule_files")).collect();
            file.interval_ms =
                reader.duration(&root, "evaluation_interval").filter(|ms| *ms > 0).unwrap_or(INTERVAL_MS);
            for item in reader.items(&root, "group_eval_order") {
                let name = reader.scalar(item, "group_eval_order");
                if file.group_order.contains(&name) {
                    reader.fault(Fault::at(item, format!("group name repeated in evaluation order: {name}")));
                }
                file.group_order.push(name);
            }
            file.fuzzy = reader.flag(&root, "fuzzy_compare");
            for node in reader.items(&root, "tests") {
                file.tests.push(test(&mut reader, node, file.interval_ms));
            }
        }
        if reader.faults.is_empty() { Ok(file) } else { Err(reader.faults) }
    }
}

fn test(reader: &mut Reader, node: &Node, interval_ms: i64) -> Test {
    reader.keys(node, "a test", &TEST_KEYS);
    Test {
        line: node.line as usize,
        name: reader.text(node, "name"),
        interval_ms: reader.duration(node, "interval").filter(|ms| *ms > 0).unwrap_or(interval_ms),
        start_ms: start(reader, node),
        series: reader.items(node, "input_series").iter().map(|item| series(reader, item)).collect(),
        alerts: reader.items(node, "alert_rule_test").iter().map(|item| alert(reader, item)).collect(),
        exprs: reader.items(node, "promql_expr_test").iter().map(|item| expr(reader, item)).collect(),
        external_labels: reader.texts(node, "external_labels"),
        external_url: reader.text(node, "external_url"),
    }
}

/// Unix seconds, or RFC 3339.
fn start(reader: &mut Reader, node: &Node) -> i64 {
    let Some(value) = node.get("start_timestamp").filter(|value| !is_null(value)) else { return 0 };
    let text = reader.scalar(value, "start_timestamp");
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e11);
    let read = seconds.map(|seconds| (seconds * 1000.0).round() as i64);
    let read = read.or_else(|| text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond()));
    read.unwrap_or_else(|| {
        let fault = Fault::at(value, format!("cannot parse \"{text}\" to a valid timestamp"));
        reader.fault(fault.hint("Unix seconds, or a time such as 2026-01-31T12:00:00Z"));
        0
    })
}

fn series(reader: &mut Reader, node: &Node) -> (Labels, Vec<Option<Item>>) {
    reader.keys(node, "a series", &["series", "values"]);
    let (metric, values) = (reader.text(node, "series"), reader.text(node, "values"));
    let place = node.get("series").unwrap_or(node);
    let labels = labels(&metric).unwrap_or_else(|why| {
        reader.fault(Fault::at(place, why));
        Labels::empty()
    });
    // The name is of no matter here.
    let loaded = parse_series(&format!("x {}", values.split_whitespace().collect::<Vec<_>>().join(" ")));
    let values = loaded.map(|loaded| loaded.values).unwrap_or_else(|why| {
        reader.fault(Fault::at(node.get("values").unwrap_or(node), why));
        Vec::new()
    });
    (labels, values)
}

/// A metric as PromQL writes it, each label with one value.
fn labels(text: &str) -> Result<Labels, String> {
    let text = text.trim();
    if text == "{}" {
        return Ok(Labels::empty());
    }
    let matchers = parse_selector(text).map_err(|error| format!("`{text}` is no series: {error}"))?;
    match matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        Some(other) => Err(format!("`{text}` is no series: the label `{}` must have one value", other.name)),
        None => Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value)))),
    }
}

fn alert(reader: &mut Reader, node: &Node) -> AlertCase {
    reader.keys(node, "an item of `alert_rule_test`", &["eval_time", "alertname", "exp_alerts"]);
    let name = reader.text(node, "alertname");
    if name.is_empty() {
        reader.fault(Fault::at(node, "an item under alert_rule_test misses required attribute alertname"));
    }
    let mut expected = Vec::new();
    for item in reader.items(node, "exp_alerts") {
        if is_null(item) {
            expected.push((BTreeMap::from([("alertname".to_owned(), name.clone())]), BTreeMap::new()));
            continue;
        }
        reader.keys(item, "an expected alert", &["exp_labels", "exp_annotations"]);
        let mut labels = reader.texts(item, "exp_labels");
        labels.insert("alertname".to_owned(), name.clone());
        expected.push((labels, reader.texts(item, "exp_annotations")));
    }
    AlertCase { line: node.line as usize, at_ms: reader.duration(node, "eval_time").unwrap_or(0), name, expected }
}

fn expr(reader: &mut Reader, node: &Node) -> ExprCase {
    reader.keys(node, "an item of `promql_expr_test`", &["expr", "eval_time", "exp_samples"]);
    let expr = reader.text(node, "expr");
    if let Err(error) = parse(&expr) {
        reader.fault(Fault::at(node.get("expr").unwrap_or(node), format!("could not parse expression: {error}")));
    }
    let expected = reader.items(node, "exp_samples").iter().map(|item| sample(reader, item)).collect();
    ExprCase { line: node.line as usize, at_ms: reader.duration(node, "eval_time").unwrap_or(0), expr, expected }
}

fn sample(reader: &mut Reader, node: &Node) -> Expected {
    reader.keys(node, "an expected sample", &["labels", "value", "histogram"]);
    let text = reader.text(node, "labels");
    let place = node.get("labels").unwrap_or(node);
    let labels = labels(&text).unwrap_or_else(|why| {
        reader.fault(Fault::at(place, why));
        Labels::empty()
    });
    let value = node.get("value").filter(|value| !is_null(value)).map_or(0.0, |value| number(reader, value));
    let written = reader.text(node, "histogram");
    let histogram = (!written.is_empty()).then(|| {
        let items = parse_series(&format!("x {written}")).map(|loaded| loaded.values);
        match items.as_deref() {
            Ok([Some(Item { point: observe_querytest::Point::Histogram(histogram), .. })]) => {
                observe_querytest::show_histogram(histogram)
            }
            _ => {
                let place = node.get("histogram").unwrap_or(node);
                reader.fault(Fault::at(place, format!("`{written}` is not one histogram")));
                String::new()
            }
        }
    });
    Expected { labels, value, histogram }
}

/// A number as YAML writes it: `.inf` and `.nan` as well.
fn number(reader: &mut Reader, node: &Node) -> f64 {
    let text = node.text().unwrap_or_default();
    let read = match node.word(Dialect::Core) {
        Some(Word::Number(number)) => number.as_f64(),
        _ => match text.to_ascii_lowercase().as_str() {
            ".inf" | "+.inf" => Some(f64::INFINITY),
            "-.inf" => Some(f64::NEG_INFINITY),
            ".nan" => Some(f64::NAN),
            _ => None,
        },
    };
    read.unwrap_or_else(|| {
        reader.fault(Fault::at(node, "`value` must be a number"));
        0.0
    })
}
