//! Sizes and spans of time as people write them.

use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer};

/// Bytes; `512MB` counts in powers of 1024, as Prometheus and Grafana read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A span of time as Prometheus writes it: `15d`, `1h30m`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    pub const fn from_secs(secs: u64) -> Self {
        Span(Duration::from_secs(secs))
    }

    pub fn as_millis_i64(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a size; write a number and B, KB, MB, GB or TB, such as 512MB");
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..split].parse().map_err(|_| bad())?;
        let unit: u64 = match text[split..].trim().to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "K" | "KB" | "KIB" => 1 << 10,
            "M" | "MB" | "MIB" => 1 << 20,
            "G" | "GB" | "GIB" => 1 << 30,
            "T" | "TB" | "TIB" => 1 << 40,
            _ => return Err(bad()),
        };
        let bytes = number * unit as f64;
        if bytes.is_finite() && bytes < 2f64.powi(62) { Ok(ByteSize(bytes as u64)) } else { Err(bad()) }
    }
}

impl FromStr for Span {
    type Err = String;

    /// Source: `common/model/time.go`'s form; each unit at most once, largest first. A bare `0` is no time.
    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 7] = [
            ("y", 365 * 86_400_000),
            ("w", 7 * 86_400_000),
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
            ("ms", 1),
        ];
        let bad = || format!("`{text}` is not a span of time; write numbers with y, w, d, h, m, s or ms, such as 15d");
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Span(Duration::ZERO));
        }
        let mut total_ms = 0u64;
        let mut smallest = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            let letters = &rest[digits..];
            let end = letters.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(letters.len());
            let place = UNITS.iter().position(|(unit, _)| *unit == &letters[..end]).ok_or_else(bad)?;
            if place < smallest {
                return Err(bad());
            }
            smallest = place + 1;
            let part = number.checked_mul(UNITS[place].1).ok_or_else(bad)?;
            total_ms = total_ms.checked_add(part).ok_or_else(bad)?;
            rest = &letters[end..];
        }
        if smallest == 0 { Err(bad()) } else { Ok(Span(Duration::from_millis(total_ms))) }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_as_people_write() {
        let size = |text: &str| text.parse::<ByteSize>().ok().map(|s| s.0);
        assert_eq!(
            ["1", "1.5KB", "20 GB", "2GiB", "x", "1XB", "", "1e9999"].map(size),
            [Some(1), Some(1536), Some(20 << 30), Some(2 << 30), None, None, None, None]
        );
        let span = |text: &str| text.parse::<Span>().ok().map(|s| s.0.as_millis());
        assert_eq!(
            ["15d", "1h30m", "500ms", "0", "1m1h", "1", "", "5x", "99999999999999y"].map(span),
            [Some(1_296_000_000), Some(5_400_000), Some(500), Some(0), None, None, None, None, None]
        );
    }
}
