//! The canonical text of a query: one space around operators, matchers sorted, durations in their shortest form. What is
//! printed parses back to the same tree.

use std::fmt;

use base_signal::{MatchOp, Matcher};

use super::ast::ValueType;
use super::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationKind, Expr, ExprKind, Extension, Matching, Modifiers,
    Selector, Subquery,
};
use super::selector::NAME;
use super::text::{format_duration_ms, format_number, format_number_short, label_name, quote, seconds_to_ms};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, is_duration } => f.write_str(&number(*value, *is_duration)),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Selector(selector) => {
                f.write_str(&bare_selector(selector))?;
                f.write_str(&at(&selector.modifiers))?;
                f.write_str(extension(selector.extension))?;
                f.write_str(&offset(&selector.modifiers))
            }
            ExprKind::Range(range) => {
                let selector = &range.selector;
                write!(f, "{}[{}]", bare_selector(selector), length(&range.range))?;
                f.write_str(extension(selector.extension))?;
                f.write_str(&at(&selector.modifiers))?;
                f.write_str(&offset(&selector.modifiers))
            }
            ExprKind::Subquery(subquery) => {
                write!(f, "{}{}", subquery.expr, subquery_tail(subquery))
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            ExprKind::Aggregate(aggregate) => {
                f.write_str(&aggregate_head(aggregate))?;
                match &aggregate.param {
                    Some(param) => write!(f, "({param}, {})", aggregate.expr),
                    None => write!(f, "({})", aggregate.expr),
                }
            }
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.left, binary_middle(binary), binary.right)
            }
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { "-" } else { "+" }),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Seconds { value, is_duration } => f.write_str(&number(*value, *is_duration)),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::MinOf(left, right) => write!(f, "min_of({left}, {right})"),
            DurationKind::MaxOf(left, right) => write!(f, "max_of({left}, {right})"),
            DurationKind::Negative(inner) => write!(f, "-{inner}"),
            DurationKind::Binary { op, left, right } => write!(f, "{left} {} {right}", op.as_str()),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn number(value: f64, is_duration: bool) -> String {
    // Cut, not rounded: so does Prometheus.
    if is_duration { format_duration_ms((value * 1e9) as i64 / 1_000_000) } else { format_number(value) }
}

/// Between brackets and after `offset` a plain number is printed as the duration it means.
fn length(duration: &Duration) -> String {
    match duration.kind {
        DurationKind::Seconds { value, .. } => format_duration_ms(seconds_to_ms(value)),
        _ => duration.to_string(),
    }
}

pub(crate) fn matcher(matcher: &Matcher) -> String {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    format!("{}{op}{}", label_name(&matcher.name), quote(&matcher.value))
}

fn bare_selector(selector: &Selector) -> String {
    let is_name = |m: &Matcher| m.name == NAME && m.op == MatchOp::Equal && m.value == selector.name;
    let hidden = |m: &Matcher| !selector.name.is_empty() && is_name(m);
    let mut matchers: Vec<String> = selector.matchers.iter().filter(|m| !hidden(m)).map(matcher).collect();
    matchers.sort();
    if matchers.is_empty() {
        return if selector.name.is_empty() { "{}".to_owned() } else { selector.name.clone() };
    }
    format!("{}{{{}}}", selector.name, matchers.join(","))
}

fn at(modifiers: &Modifiers) -> String {
    match modifiers.at {
        Some(At::TimeMs(time_ms)) => {
            let sign = if time_ms < 0 { "-" } else { "" };
            let magnitude_ms = time_ms.unsigned_abs();
            format!(" @ {sign}{}.{:03}", magnitude_ms / 1000, magnitude_ms % 1000)
        }
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        None => String::new(),
    }
}

fn offset(modifiers: &Modifiers) -> String {
    modifiers.offset.as_ref().map(|duration| format!(" offset {}", length(duration))).unwrap_or_default()
}

fn extension(extension: Option<Extension>) -> &'static str {
    match extension {
        Some(Extension::Anchored) => " anchored",
        Some(Extension::Smoothed) => " smoothed",
        None => "",
    }
}

/// `sum by (job) `: all that stands before the parentheses.
pub(super) fn aggregate_head(aggregate: &Aggregate) -> String {
    let op = aggregate.op.as_str();
    match (aggregate.without, aggregate.labels.is_empty()) {
        (true, _) => format!("{op} without ({}) ", labels(&aggregate.labels)),
        (false, false) => format!("{op} by ({}) ", labels(&aggregate.labels)),
        (false, true) => op.to_owned(),
    }
}

/// `/ on (job)`: the operator and how sides are matched.
pub(super) fn binary_middle(binary: &Binary) -> String {
    format!("{}{}", binary.op.as_str(), modifiers(binary))
}

/// `[1h:5m] @ end()`: all that stands behind the expression.
pub(super) fn subquery_tail(subquery: &Subquery) -> String {
    let step = subquery.step.as_ref().map(length).unwrap_or_default();
    let modifiers = &subquery.modifiers;
    format!("[{}:{step}]{}{}", length(&subquery.range), at(modifiers), offset(modifiers))
}

fn labels(names: &[String]) -> String {
    names.iter().map(|name| label_name(name)).collect::<Vec<_>>().join(", ")
}

fn modifiers(binary: &Binary) -> String {
    let mut out = String::new();
    if binary.return_bool {
        out.push_str(" bool");
    }
    let vectors = binary.left.value_type() == ValueType::Vector && binary.right.value_type() == ValueType::Vector;
    if vectors {
        out.push_str(&matching(&binary.matching));
    }
    out
}

fn matching(matching: &Matching) -> String {
    let mut out = String::new();
    let grouped = matching.cardinality != Cardinality::OneToOne;
    if !matching.labels.is_empty() || matching.on || grouped {
        out.push_str(&format!(" {} ({})", if matching.on { "on" } else { "ignoring" }, labels(&matching.labels)));
    }
    if grouped {
        let side = if matching.cardinality == Cardinality::ManyToOne { "left" } else { "right" };
        out.push_str(&format!(" group_{side} ({})", labels(&matching.include)));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => {
            out.push_str(&format!(" fill ({})", format_number_short(left)));
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    out.push_str(&format!(" fill_{side} ({})", format_number_short(value)));
                }
            }
        }
    }
    out
}
