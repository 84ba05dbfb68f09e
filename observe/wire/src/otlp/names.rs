//! OpenTelemetry names to Prometheus names, as Prometheus 3 translates by default (`UnderscoreEscapingWithSuffixes`).
//!
//! The rules are those of the specification's "Prometheus and OpenMetrics compatibility" page and of
//! `prometheus/otlptranslator`. Knows names and units, no values.

use std::borrow::Cow;

/// What the suffix of a metric name depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    Gauge,
    /// A sum that only grows.
    Counter,
    Other,
}

/// `http.server.duration`, `ms` → `http_server_duration_milliseconds`; counters end in `_total`, gauges of unit `1` in
/// `_ratio`. Empty when nothing of the name is left.
pub fn metric_name(name: &str, unit: &str, kind: NameKind) -> String {
    let mut tokens: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|t| !t.is_empty()).collect();
    let (main, per) = unit_words(unit);
    let (mut main, per) = (clean(main), clean(per));
    if tokens.contains(&main.as_str()) {
        main.clear();
    }
    let per_suffix = format!("per_{per}");
    if !main.is_empty() {
        tokens.push(&main);
    }
    if !per.is_empty() {
        tokens.push(&per_suffix);
    }
    if kind == NameKind::Counter {
        tokens.retain(|token| *token != "total");
        tokens.push("total");
    }
    if kind == NameKind::Gauge && unit == "1" {
        tokens.retain(|token| *token != "ratio");
        tokens.push("ratio");
    }
    let joined = tokens.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// `http.method` → `http_method`; a leading digit gets `key_`, a single leading underscore `key`. `None` when nothing but
/// underscores would be left.
pub fn label_name(name: &str) -> Option<Cow<'_, str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut clean = if name.chars().all(plain) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.chars().map(|c| if plain(c) { c } else { '_' }).collect())
    };
    if clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean = Cow::Owned(format!("key_{clean}"));
    } else if clean.starts_with('_') && !clean.starts_with("__") {
        clean = Cow::Owned(format!("key{clean}"));
    }
    clean.chars().any(|c| c != '_').then_some(clean)
}

/// The words for what is measured and for what it is measured by (`By/s` → `bytes`, `second`).
fn unit_words(unit: &str) -> (&str, &str) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let plain = |text: &'_ str| !text.contains(['{', '}']);
    let (main, per) = (main.trim(), per.trim());
    (if plain(main) { main_word(main) } else { "" }, if plain(per) { per_word(per) } else { "" })
}

fn main_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// A unit nobody knows, made fit for a name: runs of other characters become one underscore, none at the ends.
fn clean(unit: &str) -> String {
    let words = unit.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, unit: &str, kind: NameKind, expect: &str) {
        assert_eq!(metric_name(name, unit, kind), expect, "{name} [{unit}]");
    }

    #[test]
    fn metric_names_as_prometheus_translates_them() {
        use NameKind::{Counter, Gauge, Other};
        check("http.server.request.duration", "s", Other, "http_server_request_duration_seconds");
        check("http.requests", "{request}", Counter, "http_requests_total");
        check("http_requests_total", "1", Counter, "http_requests_total");
        check("a.total.count", "", Counter, "a_count_total");
        check("system.cpu.utilization", "1", Gauge, "system_cpu_utilization_ratio");
        check("disk.io", "By/s", Gauge, "disk_io_bytes_per_second");
        check("disk.bytes", "By", Other, "disk_bytes");
        check("speed", "m/s", Gauge, "speed_meters_per_second");
        check("requests", "{req}/s", Gauge, "requests_per_second");
        check("bytes.per.second", "By/s", Gauge, "bytes_per_second_per_second");
        check("2xx..count", "", Other, "_2xx_count");
        check("fuel", "l/100 km", Gauge, "fuel_l_per_100_km");
        check("jvm.memory.used", "By", Gauge, "jvm_memory_used_bytes");
        check("ünï", "", Gauge, "n");
        check("...", "", Gauge, "");
    }

    #[test]
    fn label_names_as_prometheus_translates_them() {
        for (name, expect) in [
            ("http.method", Some("http_method")),
            ("1st", Some("key_1st")),
            ("_private", Some("key_private")),
            ("__kept", Some("__kept")),
            ("a..b", Some("a__b")),
            ("___", None),
            ("", None),
            ("…", Some("key_")),
            ("é.x", Some("__x")),
        ] {
            assert_eq!(label_name(name).as_deref(), expect, "{name}");
        }
    }
}
