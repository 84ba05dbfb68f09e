//! Durations as people write them in `apm.yaml` and PromQL: `90s`, `1h30m`, `500ms`. Knows no clock.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest first, as they are written.
const UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Longer than this is a slip of the pen.
const MS_MAX: u64 = 10 * 365 * 86_400_000;

/// For `#[serde(with = "duration")]`.
pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    written(ms(*duration)).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a duration: write it as `90s`, `5m`, `1h30m` or `30d`"))
    })
}

pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(MS_MAX as i64)
}

/// As PromQL reads it: `330000` is `5m30s`; nothing is `0s`.
pub(crate) fn written(ms: i64) -> String {
    let mut rest = ms.unsigned_abs();
    if rest == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    text
}

pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut smallest) = (text.trim(), 0u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let after = rest.get(digits..)?;
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (_, size) = UNITS.iter().find(|(unit, _)| Some(*unit) == after.get(..letters))?;
        if *size >= smallest {
            return None;
        }
        smallest = *size;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = after.get(letters..)?;
    }
    (!text.trim().is_empty() && total <= MS_MAX).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(parse(text), expect.map(Duration::from_millis), "{text}");
        };
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("500ms", Some(500));
        check("30d", Some(30 * 86_400_000));
        check("0s", Some(0));
        for bad in ["", "5", "m", "5x", "5m5m", "5s1h", "-5m", "5 m", "99999999999999999999s", "9999w"] {
            check(bad, None);
        }
        assert_eq!(written(330_500), "5m30s500ms");
        assert_eq!(written(0), "0s");
    }
}
