//! Filters on lines and on labels.

use base_signal::Pattern;
use memchr::memmem::Finder;

use super::ip::IpRange;
use super::pattern::LinePattern;
use super::row::{ERROR, ERROR_DETAILS, Row};
use crate::syntax::{
    BinaryOp, FilterText, LabelFilter, LabelFilterKind, LineFilter, LineOp, parse_bytes, parse_duration_ns,
};

/// A compiled line filter.
pub(super) struct LineTest {
    negative: bool,
    any: Vec<TextTest>,
}

enum TextTest {
    Contains(Finder<'static>),
    Regex(Pattern),
    Form(LinePattern),
    Ip(IpRange),
}

impl LineTest {
    /// The error says what is wrong with a pattern or range.
    pub(super) fn new(filter: &LineFilter) -> Result<Self, String> {
        let test = |text: &FilterText| match (text, filter.op) {
            (FilterText::Ip(range), _) => IpRange::new(range).map(TextTest::Ip).ok_or_else(|| not_a_range(range)),
            (FilterText::Text(text), LineOp::Pattern | LineOp::NotPattern) => {
                LinePattern::new(text).map(TextTest::Form).map_err(str::to_owned)
            }
            (FilterText::Text(text), _) => Ok(TextTest::Contains(Finder::new(text).into_owned())),
            (FilterText::Regex(pattern), _) => Ok(TextTest::Regex(pattern.clone())),
        };
        let any = filter.any.iter().map(test).collect::<Result<_, _>>()?;
        Ok(LineTest { negative: filter.op.is_negative(), any })
    }

    pub(super) fn passes(&self, line: &str) -> bool {
        let found = self.any.iter().any(|test| match test {
            TextTest::Contains(finder) => finder.find(line.as_bytes()).is_some(),
            TextTest::Regex(pattern) => pattern.is_match(line),
            TextTest::Form(form) => form.is_match(line),
            TextTest::Ip(range) => range.is_in(line),
        });
        found != self.negative
    }
}

fn not_a_range(text: &str) -> String {
    format!(
        "ip: invalid pattern {text:?}, an address, a network like 10.0.0.0/8 or a range like 10.0.0.1-10.0.0.9 is wanted"
    )
}

/// What is wrong with a label filter.
pub(super) fn wrong(filter: &LabelFilter) -> Option<String> {
    match &filter.kind {
        LabelFilterKind::And(a, b) | LabelFilterKind::Or(a, b) => wrong(a).or_else(|| wrong(b)),
        LabelFilterKind::Ip { range, .. } => IpRange::new(range).is_none().then(|| not_a_range(range)),
        _ => None,
    }
}

/// Whether the line stays. A value that is no number where one is compared marks the line with an error and keeps it: only
/// a filter on `__error__` drops it, as in Loki.
pub(crate) fn passes(filter: &LabelFilter, row: &mut Row<'_>) -> bool {
    match &filter.kind {
        LabelFilterKind::And(a, b) => passes(a, row) && passes(b, row),
        LabelFilterKind::Or(a, b) => passes(a, row) || passes(b, row),
        LabelFilterKind::Match(matcher) => matcher.matches(row.get(&matcher.name)),
        LabelFilterKind::Number { name, op, value } => {
            number(row, name, *op, *value, |text| text.trim().parse::<f64>().ok())
        }
        LabelFilterKind::Duration { name, op, value_ns } => {
            number(row, name, *op, *value_ns as f64, |text| parse_duration_ns(text).map(|ns| ns as f64))
        }
        LabelFilterKind::Bytes { name, op, value_bytes } => {
            number(row, name, *op, *value_bytes as f64, |text| parse_bytes(text).map(|bytes| bytes as f64))
        }
        LabelFilterKind::Ip { name, negative, range } => {
            let text = row.get(name);
            // The range was checked before any line was looked at.
            !text.is_empty() && IpRange::new(range).is_some_and(|range| range.is_in(text) != *negative)
        }
    }
}

fn number(row: &mut Row<'_>, name: &str, op: BinaryOp, wanted: f64, read: impl Fn(&str) -> Option<f64>) -> bool {
    if row.error().is_some() && name != ERROR && name != ERROR_DETAILS {
        return true;
    }
    let text = row.get(name);
    if text.is_empty() {
        return false;
    }
    match read(text) {
        Some(value) => compare(op, value, wanted),
        None => {
            let details = format!("the value {:?} of {name} is not of the kind it is compared with", short(text));
            row.fail("LabelFilterErr", details);
            true
        }
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

pub(crate) fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterEqual => left >= right,
        BinaryOp::Less => left < right,
        BinaryOp::LessEqual => left <= right,
        _ => false,
    }
}
