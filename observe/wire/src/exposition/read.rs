//! From text to rows. A text is taken whole or not at all: an error names the line and the column.
//!
//! Blanks, comments and line ends are taken more freely than either specification asks, and than Prometheus does.

use std::borrow::Cow;

use base_signal::MetricKind;

use super::Format;
use super::cursor::{Cursor, Problem, number, unescape};
use super::write::format_float;

/// Longest line that is read: past it something is not an exposition.
const LINE_MAX_BYTES: usize = 1 << 20;

/// Most labels of one sample; each is looked for among the others.
const LABELS_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}; the line begins {shown:?}")]
pub struct ExpositionError {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    pub what: String,
    /// The line's beginning.
    pub shown: String,
}

/// One thing the text says.
#[derive(Debug, PartialEq)]
pub enum Item<'a, 'r> {
    Sample(&'r Row<'a>),
    Kind { family: Cow<'a, str>, kind: MetricKind },
    Help { family: Cow<'a, str>, text: String },
    Unit { family: Cow<'a, str>, unit: &'a str },
}

/// A sample as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row<'a> {
    pub name: Cow<'a, str>,
    /// In the order of the text, without the name; values unescaped, `le` and `quantile` of numbers in one form (`1.0`).
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub value: f64,
    /// Unix milliseconds; `None` when the text leaves it to the scraper.
    pub time_ms: Option<i64>,
    pub exemplar: Option<ExemplarRow<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExemplarRow<'a> {
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub value: f64,
    pub time_ms: Option<i64>,
}

/// Reads a whole text and hands each item to `sink` in order. The row is reused between calls.
pub fn parse<'a>(body: &'a str, format: Format, mut sink: impl FnMut(Item<'a, '_>)) -> Result<(), ExpositionError> {
    let mut row = Row::default();
    let mut family = Family::default();
    let mut ended = false;
    let mut last = 0;
    for (i, line) in body.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        last = i;
        let result = if line.len() > LINE_MAX_BYTES {
            Err(Problem {
                column: 1,
                what: format!("a line of {} bytes; at most {LINE_MAX_BYTES} are read", line.len()),
            })
        } else if ended && !line.is_empty() {
            Err(Problem { column: 1, what: "nothing may follow # EOF".to_owned() })
        } else if format == Format::OpenMetrics && line == "# EOF" {
            ended = true;
            Ok(())
        } else {
            one_line(line, format, &mut row, &mut family, &mut sink)
        };
        result.map_err(|problem| error(i, line, problem))?;
    }
    if format == Format::OpenMetrics && !ended {
        let problem = Problem { column: 1, what: "the text ends without # EOF: it was cut off".to_owned() };
        return Err(error(last, "", problem));
    }
    Ok(())
}

fn error(index: usize, line: &str, problem: Problem) -> ExpositionError {
    let shown = line.chars().take(80).collect();
    ExpositionError { line: index + 1, column: problem.column, what: problem.what, shown }
}

/// The family the last `# TYPE` was of: it decides which labels are numbers.
#[derive(Default)]
struct Family<'a> {
    name: Cow<'a, str>,
    kind: MetricKind,
}

impl Family<'_> {
    /// The label that holds a number in samples of this name.
    fn number_label(&self, name: &str) -> Option<&'static str> {
        let suffix = name.strip_prefix(self.name.as_ref())?;
        match (self.kind, suffix) {
            (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => Some("le"),
            (MetricKind::Summary, "") => Some("quantile"),
            _ => None,
        }
    }
}

fn one_line<'a>(
    line: &'a str,
    format: Format,
    row: &mut Row<'a>,
    family: &mut Family<'a>,
    sink: &mut impl FnMut(Item<'a, '_>),
) -> Result<(), Problem> {
    let mut cursor = Cursor::new(line);
    if format == Format::Prometheus {
        cursor.space();
    }
    match cursor.peek() {
        None if format == Format::Prometheus => Ok(()),
        // The one empty line is the one after the last line feed.
        None => Ok(()),
        Some(b'#') => comment(cursor, family, sink),
        Some(_) => {
            sample(&mut cursor, format, row)?;
            if let Some(label) = family.number_label(&row.name) {
                for (_, value) in row.labels.iter_mut().filter(|(name, _)| name == label) {
                    if let Some(number) = number(value) {
                        *value = Cow::Owned(openmetrics_float(number));
                    }
                }
            }
            sink(Item::Sample(row));
            Ok(())
        }
    }
}

/// `1` and `1.0` are one bucket: whole numbers get a `.0`, as Prometheus 3 stores them.
fn openmetrics_float(number: f64) -> String {
    let text = format_float(number);
    if number.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

fn comment<'a>(
    mut cursor: Cursor<'a>,
    family: &mut Family<'a>,
    sink: &mut impl FnMut(Item<'a, '_>),
) -> Result<(), Problem> {
    cursor.eat(b'#');
    let blank = cursor.space();
    let keyword = cursor.word();
    // `#TYPE` and a bare `# HELP` are comments like any other.
    if !blank || !matches!(keyword, "TYPE" | "HELP" | "UNIT") || !cursor.space() {
        return Ok(());
    }
    let name = if cursor.peek() == Some(b'"') {
        cursor.quoted()?
    } else {
        Cow::Borrowed(cursor.metric_name().ok_or_else(|| cursor.wanted("a metric name"))?)
    };
    // A help text may be missing; a blank before it is one, more belong to it.
    let rest = cursor.rest();
    let text = rest.strip_prefix([' ', '\t']).unwrap_or(rest);
    match keyword {
        "TYPE" => {
            let word = text.trim();
            let kind = MetricKind::parse(word);
            let kind = kind.ok_or_else(|| {
                cursor.problem(format!(
                    "{word:?} is not a metric type; counter, gauge, histogram, summary and untyped are the usual ones"
                ))
            })?;
            *family = Family { name: name.clone(), kind };
            sink(Item::Kind { family: name, kind });
        }
        "HELP" => sink(Item::Help { family: name, text: unescape(text) }),
        _ => sink(Item::Unit { family: name, unit: text.trim() }),
    }
    Ok(())
}

fn sample<'a>(cursor: &mut Cursor<'a>, format: Format, row: &mut Row<'a>) -> Result<(), Problem> {
    row.labels.clear();
    row.exemplar = None;
    row.name = Cow::Borrowed(cursor.metric_name().unwrap_or_default());
    if cursor.peek() != Some(b'{') && row.name.is_empty() {
        return Err(cursor.wanted("a metric name"));
    }
    cursor.space();
    if cursor.eat(b'{') {
        labels(cursor, &mut row.labels, Some(&mut row.name))?;
    }
    if row.name.is_empty() {
        return Err(cursor.wanted("a metric name, before or inside of the braces"));
    }
    cursor.space();
    row.value = value(cursor)?;
    row.time_ms = None;
    let blank = cursor.space();
    if blank && cursor.peek().is_some_and(|b| b != b'#') {
        row.time_ms = Some(time(cursor, format)?);
        cursor.space();
    }
    if format == Format::OpenMetrics && cursor.eat(b'#') {
        row.exemplar = Some(exemplar(cursor)?);
    }
    if cursor.is_done() { Ok(()) } else { Err(cursor.wanted("the end of the line")) }
}

fn exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<ExemplarRow<'a>, Problem> {
    let mut exemplar = ExemplarRow::default();
    cursor.space();
    if !cursor.eat(b'{') {
        return Err(cursor.wanted("the exemplar's labels in braces"));
    }
    labels(cursor, &mut exemplar.labels, None)?;
    cursor.space();
    exemplar.value = value(cursor)?;
    cursor.space();
    if !cursor.is_done() {
        exemplar.time_ms = Some(time(cursor, Format::OpenMetrics)?);
        cursor.space();
    }
    Ok(exemplar)
}

/// After the opening brace up to and with the closing one. A quoted text alone is the metric's name (UTF-8 names).
fn labels<'a>(
    cursor: &mut Cursor<'a>,
    labels: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>,
    mut metric: Option<&mut Cow<'a, str>>,
) -> Result<(), Problem> {
    loop {
        cursor.space();
        if cursor.eat(b'}') {
            return Ok(());
        }
        let name = if cursor.peek() == Some(b'"') {
            cursor.quoted()?
        } else {
            Cow::Borrowed(cursor.label_name().ok_or_else(|| cursor.wanted("a label name or `}`"))?)
        };
        cursor.space();
        match &mut metric {
            Some(metric) if metric.is_empty() && cursor.peek() != Some(b'=') => **metric = name,
            _ => {
                if !cursor.eat(b'=') {
                    return Err(cursor.wanted("`=`"));
                }
                cursor.space();
                let value = cursor.quoted()?;
                if labels.iter().any(|(n, _)| *n == name) || (metric.is_some() && name == "__name__") {
                    return Err(cursor.problem(format!("label {name:?} is given twice")));
                }
                if labels.len() >= LABELS_MAX {
                    return Err(cursor.problem(format!("more than {LABELS_MAX} labels")));
                }
                labels.push((name, value));
            }
        }
        // Prometheus does not insist on the comma, so some exporters forget it.
        let blank = cursor.space();
        if !cursor.eat(b',') && !blank && cursor.peek() != Some(b'}') {
            return Err(cursor.wanted("`,` or `}`"));
        }
    }
}

fn value(cursor: &mut Cursor<'_>) -> Result<f64, Problem> {
    let before = cursor.wanted("a number");
    number(cursor.word()).ok_or(before)
}

/// Milliseconds in Prometheus's format, seconds with a fraction in OpenMetrics.
fn time(cursor: &mut Cursor<'_>, format: Format) -> Result<i64, Problem> {
    let before = cursor.wanted("a time");
    let word = cursor.word();
    let time = match format {
        Format::Prometheus => word.parse::<i64>().ok(),
        Format::OpenMetrics => number(word).filter(|seconds| seconds.is_finite()).map(|s| (s * 1000.0).round() as i64),
    };
    time.ok_or(before)
}
