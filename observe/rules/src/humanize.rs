//! Numbers, times and addresses as templates tell them to people. Knows no template.

use std::net::IpAddr;

use lib_gotmpl::{show_float, significant};

/// Go's `%.4g`.
pub(crate) fn four_digits(value: f64) -> String {
    if value.is_finite() { significant(value, 4) } else { show_float(value) }
}

/// The number in a range from which its prefix is taken.
fn small(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

fn large(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    four_digits(value) + prefix
}

/// With metric prefixes: `1.235M`, `5m`.
pub(crate) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 {
        return large(value, 1000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    let (value, prefix) = small(value);
    four_digits(value) + prefix
}

/// With prefixes of powers of 1024: `1.5Gi`.
pub(crate) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    large(value, 1024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

/// Seconds: `1d 2h 0m 5s`, `12.34ms`.
pub(crate) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four_digits(value);
    }
    if value == 0.0 {
        return four_digits(value) + "s";
    }
    if value.abs() < 1.0 {
        let (value, prefix) = small(value);
        return four_digits(value) + prefix + "s";
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(value)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// Seconds since 1970 as Go prints a time.
pub(crate) fn timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(four_digits(value));
    }
    let too_far =
        || format!("{} cannot be represented as a nanoseconds timestamp since it overflows int64", show_float(value));
    let ns = value * 1e9;
    if ns.abs() > i64::MAX as f64 {
        return Err(too_far());
    }
    let time = jiff::Timestamp::from_millisecond((ns as i64).div_euclid(1_000_000)).map_err(|_| too_far())?;
    let ms = time.as_millisecond().rem_euclid(1000);
    let fraction = format!(".{ms:03}");
    let fraction = if ms == 0 { "" } else { fraction.trim_end_matches('0') };
    Ok(format!("{}{fraction} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S")))
}

/// Seconds as Go prints a duration: `1h0m5.5s`, `2.5ms`.
pub(crate) fn go_duration(value: f64) -> String {
    let ns = (value * 1e9) as i64;
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    let of = |unit: u64| show_decimal(ns, unit);
    match ns {
        0 => "0s".to_owned(),
        ns if ns < 1000 => format!("{sign}{ns}ns"),
        ns if ns < 1_000_000 => format!("{sign}{}µs", of(1000)),
        ns if ns < 1_000_000_000 => format!("{sign}{}ms", of(1_000_000)),
        ns => {
            let (minutes, seconds) = (ns / 60_000_000_000, show_decimal(ns % 60_000_000_000, 1_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn show_decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The first letter of each word large.
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => out.push(c),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_alphanumeric() || matches!(c, '\'' | '’' | '_');
    }
    out
}

/// `host:port` or `[v6]:port`.
pub(crate) fn host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']').map(|host| (host, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

/// The first part of a host's name, with its port; an address stays.
pub(crate) fn without_domain(text: &str) -> String {
    let (host, port) = host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") }
}
