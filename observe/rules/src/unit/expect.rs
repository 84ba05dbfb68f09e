//! What came beside what was expected, as strictly as promtool compares. Carries nothing out.

use std::collections::BTreeMap;

use base_signal::Labels;
use observe_promql::PointValue;
use observe_promql::syntax::format_duration_ms;

use super::file::Expected;
use crate::ask::Found;

type Texts = BTreeMap<String, String>;
/// What was wanted and what came, in words.
type Missed = (String, String);

/// Alerts are the same in any order.
pub(super) fn alerts(wanted: &[(Texts, Texts)], mut got: Vec<(Texts, Texts)>) -> Result<(), Missed> {
    let mut wanted = wanted.to_vec();
    wanted.sort();
    got.sort();
    if wanted == got { Ok(()) } else { Err((show_alerts(&wanted), show_alerts(&got))) }
}

fn show_alerts(alerts: &[(Texts, Texts)]) -> String {
    if alerts.is_empty() {
        return "no alert".to_owned();
    }
    let texts = |texts: &Texts| {
        let pairs: Vec<String> = texts.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    let one = |(labels, annotations): &(Texts, Texts)| match annotations.is_empty() {
        true => texts(labels),
        false => format!("{} with {}", texts(labels), texts(annotations)),
    };
    alerts.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Samples are the same in any order; with `fuzzy` a value may be the next one to what is expected.
pub(super) fn samples(wanted: &[Expected], found: &[Found], fuzzy: bool) -> Result<(), Missed> {
    let mut wanted = wanted.to_vec();
    let mut got: Vec<Expected> = found.iter().map(sample).collect();
    for list in [&mut wanted, &mut got] {
        list.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    let alike = |(a, b): (&Expected, &Expected)| {
        let near = a.value == b.value || (fuzzy && (a.value.next_down() == b.value || a.value.next_up() == b.value));
        a.labels == b.labels && near && a.histogram == b.histogram
    };
    match wanted.len() == got.len() && wanted.iter().zip(&got).all(alike) {
        true => Ok(()),
        false => Err((show_samples(&wanted), show_samples(&got))),
    }
}

fn sample(found: &Found) -> Expected {
    let (value, histogram) = match &found.value {
        PointValue::Float(value) => (*value, None),
        PointValue::Histogram(histogram) => (0.0, Some(observe_querytest::show_histogram(histogram))),
    };
    Expected { labels: found.labels.clone(), value, histogram }
}

pub(super) fn show_samples(samples: &[Expected]) -> String {
    if samples.is_empty() {
        return "no sample".to_owned();
    }
    let one = |sample: &Expected| match &sample.histogram {
        Some(histogram) => format!("{} {histogram}", show(&sample.labels)),
        None => format!("{} {}", show(&sample.labels), sample.value),
    };
    samples.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn show(labels: &Labels) -> String {
    let name = labels.get("__name__").unwrap_or_default();
    let rest = labels.without(|name| name == "__name__");
    if rest.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{rest}") }
}

pub(super) fn duration(ms: i64) -> String {
    format_duration_ms(ms)
}
