//! OpenTelemetry's metric and attribute names as Prometheus 3 translates them by default: underscores, unit and type
//! suffixes.
//!
//! Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification and the behaviour of
//! Prometheus 3 with `translation_strategy: UnderscoreEscapingWithSuffixes`.

/// What the suffixes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The Prometheus name of a metric.
pub(super) fn metric_name(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<&str> = words(name).collect();
    let unit = unit_words(unit);
    for word in &unit {
        // `process.memory.bytes` with the unit By does not become `…_bytes_bytes`.
        if !words.contains(&word.as_str()) {
            words.push(word);
        }
    }
    let suffix = match kind {
        Kind::Counter => Some("total"),
        Kind::Gauge if unit.first().is_some_and(|word| word == "ratio") => Some("ratio"),
        Kind::Gauge | Kind::Histogram => None,
    };
    if kind != Kind::Gauge {
        // Only a gauge's unit 1 is a ratio.
        if unit.first().is_some_and(|word| word == "ratio") && !self::words(name).any(|word| word == "ratio") {
            words.retain(|word| *word != "ratio");
        }
    }
    if let Some(suffix) = suffix {
        words.retain(|word| *word != suffix);
        words.push(suffix);
    }
    let joined = words.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// The Prometheus name of an attribute.
pub(super) fn label_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    match name.chars().next() {
        None => "_".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("key_{name}"),
        Some(_) => name,
    }
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|word| !word.is_empty())
}

/// `By/s` is `bytes`, `per`, `second` joined as one tail: the words a unit adds. Text in braces is a remark, no unit.
fn unit_words(unit: &str) -> Vec<String> {
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main, Some(per)),
        None => (unit, None),
    };
    let mut found = Vec::new();
    if let Some(word) = plain(main) {
        found.push(match word.as_str() {
            "d" => "days".to_owned(),
            "h" => "hours".to_owned(),
            "min" => "minutes".to_owned(),
            "s" => "seconds".to_owned(),
            "ms" => "milliseconds".to_owned(),
            "us" => "microseconds".to_owned(),
            "ns" => "nanoseconds".to_owned(),
            "By" => "bytes".to_owned(),
            "KiBy" => "kibibytes".to_owned(),
            "MiBy" => "mebibytes".to_owned(),
            "GiBy" => "gibibytes".to_owned(),
            "TiBy" => "tibibytes".to_owned(),
            "KBy" => "kilobytes".to_owned(),
            "MBy" => "megabytes".to_owned(),
            "GBy" => "gigabytes".to_owned(),
            "TBy" => "terabytes".to_owned(),
            "m" => "meters".to_owned(),
            "V" => "volts".to_owned(),
            "A" => "amperes".to_owned(),
            "J" => "joules".to_owned(),
            "W" => "watts".to_owned(),
            "g" => "grams".to_owned(),
            "Cel" => "celsius".to_owned(),
            "Hz" => "hertz".to_owned(),
            "%" => "percent".to_owned(),
            "1" => "ratio".to_owned(),
            _ => cleaned(&word),
        });
    }
    if let Some(word) = per.and_then(plain) {
        let word = match word.as_str() {
            "s" => "second".to_owned(),
            "m" => "minute".to_owned(),
            "h" => "hour".to_owned(),
            "d" => "day".to_owned(),
            "w" => "week".to_owned(),
            "mo" => "month".to_owned(),
            "y" => "year".to_owned(),
            _ => cleaned(&word),
        };
        found.push(format!("per_{word}"));
    }
    found.retain(|word| !word.is_empty());
    found
}

fn plain(unit: &str) -> Option<String> {
    let unit = unit.trim();
    (!unit.is_empty() && !unit.contains(['{', '}'])).then(|| unit.to_owned())
}

fn cleaned(unit: &str) -> String {
    words(unit).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, unit: &str, kind: Kind, expect: &str) {
        assert_eq!(metric_name(name, unit, kind), expect, "{name} [{unit}] {kind:?}");
    }

    #[test]
    fn names_are_those_of_prometheus_3() {
        use Kind::{Counter, Gauge, Histogram};
        check("http.server.request.duration", "s", Histogram, "http_server_request_duration_seconds");
        check("http.server.active_requests", "{request}", Gauge, "http_server_active_requests");
        check("cache.hits", "{hit}", Counter, "cache_hits_total");
        check("cache.hits_total", "", Counter, "cache_hits_total");
        check("total.hits", "", Counter, "hits_total");
        check("net.io", "By", Counter, "net_io_bytes_total");
        check("memory.bytes", "By", Gauge, "memory_bytes");
        check("net.rate", "By/s", Gauge, "net_rate_bytes_per_second");
        check("cpu.utilization", "1", Gauge, "cpu_utilization_ratio");
        check("quality.score.ratio", "1", Gauge, "quality_score_ratio");
        check("jobs", "1", Counter, "jobs_total");
        check("2xx..answers", "", Gauge, "_2xx_answers");
        check("notional", "USD", Counter, "notional_USD_total");
        assert_eq!(label_name("http.response.status_code"), "http_response_status_code");
        assert_eq!(label_name("0day"), "key_0day");
    }

    #[test]
    fn every_unit_that_has_a_word() {
        use Kind::Gauge;
        let words = [
            ("d", "days"),
            ("h", "hours"),
            ("min", "minutes"),
            ("ms", "milliseconds"),
            ("us", "microseconds"),
            ("ns", "nanoseconds"),
            ("KiBy", "kibibytes"),
            ("MiBy", "mebibytes"),
            ("GiBy", "gibibytes"),
            ("TiBy", "tibibytes"),
            ("KBy", "kilobytes"),
            ("MBy", "megabytes"),
            ("GBy", "gigabytes"),
            ("TBy", "terabytes"),
            ("m", "meters"),
            ("V", "volts"),
            ("A", "amperes"),
            ("J", "joules"),
            ("W", "watts"),
            ("g", "grams"),
            ("Cel", "celsius"),
            ("Hz", "hertz"),
            ("%", "percent"),
            ("By/m", "bytes_per_minute"),
            ("By/h", "bytes_per_hour"),
            ("By/d", "bytes_per_day"),
            ("By/w", "bytes_per_week"),
            ("By/mo", "bytes_per_month"),
            ("By/y", "bytes_per_year"),
            ("{packet}/s", "per_second"),
            ("By/{op}", "bytes"),
            ("a-b", "a_b"),
        ];
        for (unit, word) in words {
            check("x", unit, Gauge, &format!("x_{word}"));
        }
        assert_eq!((label_name(""), label_name("a..b")), ("_".to_owned(), "a_b".to_owned()));
    }
}
