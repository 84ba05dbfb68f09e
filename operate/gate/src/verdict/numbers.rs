//! Numbers as people read them. Knows units, not metrics.

use super::Unit;

pub(crate) fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{} %", digits(100.0 * value)),
        Unit::Seconds if value < 1.0 => format!("{} ms", digits(1000.0 * value)),
        Unit::Seconds => format!("{} s", digits(value)),
        Unit::PerSecond => format!("{}/s", digits(value)),
        Unit::Count => format!("{value:.0}"),
        Unit::Number => digits(value),
    }
}

/// How much more: points for shares, a plain number for counts, per cent for the rest.
pub(crate) fn difference(unit: Unit, effect: f64) -> String {
    match unit {
        Unit::Share => format!("{}{} points", plus(effect), digits(100.0 * effect)),
        Unit::Count => format!("{}{:.0}", plus(effect), effect),
        _ => format!("{}{} %", plus(effect), digits(100.0 * effect)),
    }
}

pub(crate) fn chance(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") }
}

fn plus(effect: f64) -> &'static str {
    if effect >= 0.0 { "+" } else { "" }
}

/// Three digits that count, at least those before the point.
fn digits(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let places = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if places > 0 && text.trim_start_matches(['-', '0', '.']).is_empty() { "0".into() } else { text }
}
