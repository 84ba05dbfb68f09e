//! Sizes and times as compose writes them. It knows no key.

/// `64m`, `1.5g`, `1024`, `20kb`, `1GiB`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let unit = text[end..].trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" if unit.contains('i') => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let number: f64 = text[..end].parse().ok()?;
    let bytes = number * 1024_f64.powi(power);
    (bytes.is_finite() && bytes.abs() < 9e18).then_some(bytes as i64)
}

/// `1m30s`, `500ms`, `1.5h`, in nanoseconds.
pub fn nanos(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3_600e9,
                "d" => 86_400e9,
                "w" => 604_800e9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (total < 9e18).then_some(total.round() as u64)
}

/// `1m30s`, as compose prints it.
pub(crate) fn time_text(nanos: u64) -> String {
    let second = 1_000_000_000;
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fraction = |whole: u64, part: u64, digits: usize, unit: &str| {
        let part = format!("{part:0digits$}");
        let part = part.trim_end_matches('0');
        if part.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{part}{unit}") }
    };
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return fraction(nanos / 1_000, nanos % 1_000, 3, "µs");
    }
    if nanos < second {
        return fraction(nanos / 1_000_000, nanos % 1_000_000, 6, "ms");
    }
    let (seconds, rest) = (nanos / second, nanos % second);
    let last = fraction(seconds % 60, rest, 9, "s");
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => last,
        (0, minutes) => format!("{minutes}m{last}"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}"),
    }
}
/// A whole number as YAML 1.1 and 1.2 write it: `448`, `0700` and `0o700` are one.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = [("0o", 8), ("0x", 16), ("0b", 2), ("0", 8)];
    let found = radix.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)));
    let (digits, radix) = found.filter(|(digits, _)| !digits.is_empty()).unwrap_or((digits, 10));
    let starts_well = digits.starts_with(|first: char| first.is_ascii_hexdigit());
    i64::from_str_radix(digits, radix).ok().filter(|_| starts_well).map(|number| sign * number)
}
