//! Parameters of the Prometheus API, read and refused in its words: Go's messages are part of what its clients show.
//!
//! Facts: `web/api/v1/api.go` and `strconv` (<https://pkg.go.dev/strconv>). Knows nothing of what is asked.

use std::time::Duration;

use base_signal::{Matcher, RangeMs};
use observe_ingest::scrape::PromDuration;
use observe_promql::syntax::quote;

use super::Failure;
use crate::params::Params;

/// Seconds beyond which no time is kept, about 285,000 years: sums of milliseconds cannot overflow.
const TIME_MAX_S: f64 = 9.0e12;
const NS: f64 = 1e9;

fn invalid(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::bad_data(format!("invalid parameter \"{name}\": {why}"))
}

/// A time that must be there, as `query_range` wants it.
pub(super) fn time(params: &Params, name: &str) -> Result<i64, Failure> {
    time_ms(params.get(name).unwrap_or_default()).map_err(|why| invalid(name, why))
}

/// A time that may be left out.
pub(super) fn time_or(params: &Params, name: &str, default_ms: i64) -> Result<i64, Failure> {
    let Some(text) = params.get(name) else { return Ok(default_ms) };
    time_ms(text).map_err(|why| invalid(name, format!("invalid time value for '{name}': {why}")))
}

/// `start` and `end`, open where they are missing; `None` when nothing can lie between them.
pub(super) fn range(params: &Params) -> Result<Option<RangeMs>, Failure> {
    let (start_ms, end_ms) = (time_or(params, "start", i64::MIN)?, time_or(params, "end", i64::MAX)?);
    Ok((start_ms <= end_ms).then(|| RangeMs::new(start_ms, end_ms)))
}

/// A duration in nanoseconds, which may be below zero.
pub(super) fn duration_ns(params: &Params, name: &str) -> Result<i64, Failure> {
    nanoseconds(params.get(name).unwrap_or_default()).map_err(|why| invalid(name, why))
}

/// `timeout`.
pub(super) fn timeout(params: &Params) -> Result<Option<Duration>, Failure> {
    if params.get("timeout").is_none() {
        return Ok(None);
    }
    let ns = duration_ns(params, "timeout")?;
    Ok(Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(0))))
}

/// `lookback_delta`; 0, as none given, is the engine's own.
pub(super) fn lookback_ms(params: &Params) -> Result<Option<i64>, Failure> {
    let Some(text) = params.get("lookback_delta") else { return Ok(None) };
    let ns =
        nanoseconds(text).map_err(|why| Failure::bad_data(format!("error parsing lookback delta duration: {why}")))?;
    Ok(Some(ns / 1_000_000).filter(|ms| *ms > 0))
}

/// `limit`: the most series, or names, of an answer; 0, as none given, is all.
pub(super) fn limit(params: &Params) -> Result<usize, Failure> {
    let Some(text) = params.get("limit") else { return Ok(0) };
    let number = whole(text).map_err(|why| invalid("limit", why))?;
    usize::try_from(number).map_err(|_| invalid("limit", "limit must be non-negative"))
}

/// A whole number as Go's `strconv.Atoi` takes it.
pub(super) fn whole(text: &str) -> Result<i64, String> {
    let refused = |why: &str| format!("strconv.Atoi: parsing {}: {why}", quote(text));
    text.parse::<i64>().map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => refused("value out of range"),
        _ => refused("invalid syntax"),
    })
}

/// A number that has its own sentence when it is none: `limit must be a number`.
pub(super) fn number(params: &Params, name: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = params.get(name) else { return Ok(None) };
    whole(text).map(Some).map_err(|_| Failure::bad_data(format!("{name} must be a number")))
}

/// Go's `strconv.ParseBool`.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(other))),
    }
}

/// Sets of matchers, each of one `match[]`; every set must leave something out.
pub(super) fn matchers(params: &Params) -> Result<Vec<Vec<Matcher>>, String> {
    let mut sets = Vec::new();
    for text in params.all("match[]") {
        sets.push(observe_promql::parse_selector(text).map_err(|error| error.to_string())?);
    }
    match sets.iter().any(|set: &Vec<Matcher>| set.iter().all(Matcher::matches_empty)) {
        true => Err("match[] must contain at least one non-empty matcher".to_owned()),
        false => Ok(sets),
    }
}

/// Unix seconds with decimals, or RFC 3339.
fn time_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse {} to a valid timestamp", quote(text));
    if let Some(seconds) = float(text) {
        // Go lets NaN, infinities and times beyond its years through and answers for another time.
        if seconds.is_nan() || seconds.abs() > TIME_MAX_S {
            return Err(bad());
        }
        // As Go does it: three decimals are kept, the rest is rounded.
        let ns = ((seconds.fract() * 1000.0).round() / 1000.0 * NS) as i64;
        return Ok((seconds.trunc() as i64) * 1000 + ns.div_euclid(1_000_000));
    }
    match text {
        "-292273086-05-16T16:47:06Z" => return Ok(i64::MIN),
        "+292277025-08-18T07:12:54.999999999Z" | "292277025-08-18T07:12:54.999999999Z" => return Ok(i64::MAX),
        _ => {}
    }
    if !is_rfc3339(text) {
        return Err(bad());
    }
    let timestamp: jiff::Timestamp = text.parse().map_err(|_| bad())?;
    i64::try_from(timestamp.as_nanosecond().div_euclid(1_000_000)).map_err(|_| bad())
}

/// The one form of RFC 3339 that Go takes: `2015-07-01T20:10:30.781+02:00`.
fn is_rfc3339(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let Some((head, tail)) = text.split_at_checked(pattern.len()) else { return false };
    let fits = |(have, want): (char, char)| if want == 'd' { have.is_ascii_digit() } else { have == want };
    let zone = tail.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    head.chars().zip(pattern.chars()).all(fits) && (zone == "Z" || zone.len() == 6 && zone.starts_with(['+', '-']))
}

fn nanoseconds(text: &str) -> Result<i64, String> {
    if let Some(seconds) = float(text) {
        let ns = seconds * NS;
        return match ns.is_nan() {
            true => Ok(i64::MIN),
            false if ns > i64::MAX as f64 || ns < i64::MIN as f64 => {
                Err(format!("cannot parse {} to a valid duration. It overflows int64", quote(text)))
            }
            false => Ok(ns as i64),
        };
    }
    let duration =
        PromDuration::parse(text).map_err(|_| format!("cannot parse {} to a valid duration", quote(text)))?;
    Ok(duration.ms.saturating_mul(1_000_000))
}

/// As Go's `strconv.ParseFloat`, hexadecimal forms left out; a number that is too large is none. `_` may stand between digits.
fn float(text: &str) -> Option<f64> {
    let between_digits = |at: usize| {
        let digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        at.checked_sub(1).is_some_and(digit) && digit(at + 1)
    };
    let plain = match text.contains('_') {
        true if text.match_indices('_').all(|(at, _)| between_digits(at)) => text.replace('_', ""),
        true => return None,
        false => text.to_owned(),
    };
    let number: f64 = plain.parse().ok()?;
    let said = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    (number.is_finite() || matches!(said.as_str(), "inf" | "infinity" | "nan")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_reads_them() {
        let check = |text: &str, expect: Option<i64>| {
            let bad = format!("cannot parse {} to a valid timestamp", quote(text));
            assert_eq!(time_ms(text), expect.ok_or(bad), "{text}");
        };
        check("1435781430.781", Some(1_435_781_430_781));
        check("1435781430.7816", Some(1_435_781_430_782));
        check("-1.5", Some(-1_500));
        check("1e3", Some(1_000_000));
        check("1_000", Some(1_000_000));
        check("2015-07-01T20:10:30.781Z", Some(1_435_781_430_781));
        check("2015-07-01T22:10:30.781+02:00", Some(1_435_781_430_781));
        check("-292273086-05-16T16:47:06Z", Some(i64::MIN));
        for text in [
            "",
            "soon",
            "NaN",
            "Inf",
            "1__0",
            "_1",
            "1e30",
            "1e400",
            "2015-07-01",
            "2015-07-01 20:10:30Z",
            "2015-07-01T20:10:30",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn durations_as_go_reads_them() {
        let check = |text: &str, expect: Result<i64, &str>| {
            assert_eq!(nanoseconds(text), expect.map_err(str::to_owned), "{text}")
        };
        check("90", Ok(90_000_000_000));
        check("1m30s", Ok(90_000_000_000));
        check("0.0000001", Ok(100));
        check("1e30", Err("cannot parse \"1e30\" to a valid duration. It overflows int64"));
        check("5 m", Err("cannot parse \"5 m\" to a valid duration"));
        check("", Err("cannot parse \"\" to a valid duration"));
    }

    #[test]
    fn whole_numbers_as_go_reads_them() {
        assert_eq!(whole("+5"), Ok(5));
        assert_eq!(whole("5.0"), Err("strconv.Atoi: parsing \"5.0\": invalid syntax".into()));
        assert_eq!(
            whole(&"9".repeat(30)),
            Err(format!("strconv.Atoi: parsing \"{}\": value out of range", "9".repeat(30)))
        );
    }
}
