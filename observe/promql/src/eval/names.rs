//! Labels in evaluation: which name is dropped when, signatures for matching and grouping, and how sets are shown.

use base_signal::Labels;

use crate::syntax::{NAME, is_plain_label, quote};

/// The metric name, and what says what kind of metric it is: gone as soon as a value means something else.
fn is_metadata(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

pub(crate) fn without_name(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata(name)) { labels.without(is_metadata) } else { labels.clone() }
}

pub(crate) fn metric_name(labels: &Labels) -> &str {
    labels.get(NAME).unwrap_or_default()
}

/// The labels by which a series belongs to a group of an aggregation.
pub(crate) fn group_labels(labels: &Labels, names: &[String], without: bool) -> Labels {
    if without {
        labels.without(|name| name == NAME || names.iter().any(|n| n == name))
    } else if names.is_empty() {
        Labels::empty()
    } else {
        labels.without(|name| !names.iter().any(|n| n == name))
    }
}

/// The labels by which two sides of an operator match.
pub(crate) fn match_labels(labels: &Labels, names: &[String], on: bool) -> Labels {
    if on {
        labels.without(|name| !names.iter().any(|n| n == name))
    } else {
        labels.without(|name| name == NAME || names.iter().any(|n| n == name))
    }
}

/// As Prometheus prints a set: `{__name__="up", job="x"}`.
pub(crate) fn show(labels: &Labels) -> String {
    let pair = |(name, value): (&str, &str)| {
        let name = if is_plain_label(name) { name.to_owned() } else { quote(name) };
        format!("{name}={}", quote(value))
    };
    format!("{{{}}}", labels.iter().map(pair).collect::<Vec<_>>().join(", "))
}
