//! Durations and sizes as LogQL writes and reads them. Sources: Go's time.ParseDuration, Prometheus's d, w and y, and the
//! size suffixes of Loki's documentation.

const NS_PER_S: f64 = 1e9;
const DURATION_UNITS: [(&str, f64); 11] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", NS_PER_S),
    ("m", 60.0 * NS_PER_S),
    ("h", 3600.0 * NS_PER_S),
    ("d", 86_400.0 * NS_PER_S),
    ("w", 604_800.0 * NS_PER_S),
    ("y", 31_536_000.0 * NS_PER_S),
];

/// `1h30m`, `250ms`, `1.5s`, `-5m`, `0`; `None` when it is not one or overflows.
pub(crate) fn parse_duration_ns(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total_ns = 0i64;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, unit_ns) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        // Whole numbers stay exact; only fractions go through floats.
        let part_ns = match number.parse::<i64>() {
            Ok(whole) => whole.checked_mul(*unit_ns as i64)?,
            Err(_) => {
                let part = number.parse::<f64>().ok()? * unit_ns;
                if part.abs() >= i64::MAX as f64 {
                    return None;
                }
                part.round() as i64
            }
        };
        total_ns = total_ns.checked_add(part_ns)?;
        rest = tail;
    }
    Some(if negative { -total_ns } else { total_ns })
}

/// Shortest lossless form: `1h30m`, `1s500ms`.
pub(super) fn print_duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".into();
    }
    let mut rest = ns.unsigned_abs();
    let mut out = String::from(if ns < 0 { "-" } else { "" });
    let units = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
        ("ns", 1),
    ];
    for (unit, unit_ns) in units {
        if rest >= unit_ns {
            out.push_str(&format!("{}{unit}", rest / unit_ns));
            rest %= unit_ns;
        }
    }
    out
}

/// `20MB`, `1.5KiB`, `100`; `None` when it is not one.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let scale: u64 = match unit.as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "p" | "pb" => 1_000_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        "pi" | "pib" => 1 << 50,
        _ => return None,
    };
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale),
        Err(_) => {
            let bytes = number.parse::<f64>().ok()? * scale as f64;
            (bytes < u64::MAX as f64).then_some(bytes as u64)
        }
    }
}
