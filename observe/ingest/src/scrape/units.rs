//! Prometheus's durations (`1h30m`) and sizes (`10MB`) in configuration files.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct UnitError {
    text: String,
    what: &'static str,
}

/// Milliseconds, written as `15s`, `1m30s`, `500ms`; units from y to ms in this order, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration {
    pub ms: i64,
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl PromDuration {
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let error =
            || UnitError { text: text.chars().take(60).collect(), what: "a duration such as 15s, 1m30s or 500ms" };
        if text == "0" {
            return Ok(PromDuration { ms: 0 });
        }
        let (mut rest, mut ms, mut unit_from) = (text, 0i64, 0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let at =
                UNITS.iter().position(|(name, _)| *name == unit).filter(|at| *at >= unit_from).ok_or_else(error)?;
            let number: i64 = number.parse().map_err(|_| error())?;
            let (_, unit_ms) = UNITS.get(at).ok_or_else(error)?;
            ms = number.checked_mul(*unit_ms).and_then(|part| ms.checked_add(part)).ok_or_else(error)?;
            unit_from = at + 1;
            rest = tail;
        }
        if text.is_empty() { Err(error()) } else { Ok(PromDuration { ms }) }
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.ms;
        for (unit, ms) in UNITS {
            // As Prometheus prints: years and weeks only when nothing else is left over.
            if rest >= ms && (!matches!(unit, "y" | "w") || rest % ms == 0) {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        PromDuration::parse(&text).map_err(D::Error::custom)
    }
}

/// Bytes, written as `512`, `64KB`, `10MiB`, `1GB`; all units are powers of 1024, as Prometheus reads them. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { text: text.chars().take(60).collect(), what: "a size such as 64KB, 10MB or 1GB" };
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim() {
            "" | "B" => 0,
            "KB" | "KiB" => 10,
            "MB" | "MiB" => 20,
            "GB" | "GiB" => 30,
            "TB" | "TiB" => 40,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(1 << shift).map(ByteSize).ok_or_else(error)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(ByteSize(bytes)),
            Written::Text(text) => ByteSize::parse(&text).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_back() {
        for (text, ms, shown) in [
            ("15s", 15_000, "15s"),
            ("1m30s", 90_000, "1m30s"),
            ("90s", 90_000, "1m30s"),
            ("500ms", 500, "500ms"),
            ("1d", 86_400_000, "1d"),
            ("1w", 604_800_000, "1w"),
            ("8d", 691_200_000, "8d"),
            ("0", 0, "0s"),
        ] {
            let duration = PromDuration::parse(text).unwrap();
            assert_eq!((duration.ms, duration.to_string().as_str()), (ms, shown), "{text}");
        }
        for text in ["", "15", "s", "1s1m", "1s1s", "-1s", "1.5s", "99999999999999999999s", "9999999999999y"] {
            assert!(PromDuration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(ByteSize::parse("10MB"), Ok(ByteSize(10 << 20)));
        assert_eq!(ByteSize::parse("512"), Ok(ByteSize(512)));
        assert!(ByteSize::parse("10 lots").is_err());
        assert!(ByteSize::parse("99999999999999TB").is_err());
    }
}
