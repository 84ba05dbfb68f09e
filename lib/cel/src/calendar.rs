//! Durations as Go writes them and times as RFC 3339 does, in nanoseconds; and the parts of a time in UTC. Knows no clock and no time zone but fixed offsets.

pub(crate) const SECOND_NS: i64 = 1_000_000_000;
const UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND_NS),
    ("m", 60 * SECOND_NS),
    ("h", 3600 * SECOND_NS),
];

/// `1h30m`, `-1.5s`, `0`: as Go's `time.ParseDuration`, in nanoseconds.
pub fn duration(text: &str) -> Option<i64> {
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
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() || part.contains('.') || whole.len() > 20 {
            return None;
        }
        let scale = i128::from(*scale);
        total += if whole.is_empty() { 0 } else { whole.parse::<i128>().ok()? * scale };
        let part: String = part.chars().take(18).collect();
        if !part.is_empty() {
            let tens = 10_i128.pow(u32::try_from(part.len()).ok()?);
            total += part.parse::<i128>().ok()? * scale / tens;
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// As CEL writes a duration: seconds.
pub(crate) fn duration_text(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let (whole, part) = (ns.unsigned_abs() / 1_000_000_000, ns.unsigned_abs() % 1_000_000_000);
    if part == 0 {
        return format!("{sign}{whole}s");
    }
    format!("{sign}{whole}.{}s", format!("{part:09}").trim_end_matches('0'))
}

/// The day's number since 1970-01-01 in the proleptic Gregorian calendar. <https://howardhinnant.github.io/date_algorithms.html>
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) ns: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// From 0.
    pub(crate) day_of_year: i64,
}

/// The parts of a time at an offset of so many seconds from UTC.
pub(crate) fn civil(at_ns: i128, offset_s: i64) -> Civil {
    let second = i128::from(SECOND_NS);
    let (seconds, ns) = (at_ns.div_euclid(second), at_ns.rem_euclid(second));
    let seconds = i64::try_from(seconds).unwrap_or(0) + offset_s;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let step = (5 * of_year + 2) / 153;
    let day = of_year - (153 * step + 2) / 5 + 1;
    let month = if step < 10 { step + 3 } else { step - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
        ns: i64::try_from(ns).unwrap_or(0),
        weekday: (days + 4).rem_euclid(7),
        day_of_year: days - day_number(year, 1, 1),
    }
}

/// `2024-02-29T12:00:00.5Z`, in nanoseconds since 1970; within the years 1 to 9999.
pub fn timestamp(text: &str) -> Option<i128> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let sign = |at: usize, wanted: &str| (text.get(at..=at)? == wanted).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    sign(4, "-").and_then(|()| sign(7, "-")).and_then(|()| sign(13, ":")).and_then(|()| sign(16, ":"))?;
    if !matches!(text.get(10..11)?, "T" | "t") {
        return None;
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let mut rest = text.get(19..)?;
    let mut ns = 0;
    if let Some(tail) = rest.strip_prefix('.') {
        let end = tail.find(|c: char| !c.is_ascii_digit())?;
        let digits: String = tail.get(..end)?.chars().chain("000000000".chars()).take(9).collect();
        ns = digits.parse::<i64>().ok().filter(|_| end > 0)?;
        rest = tail.get(end..)?;
    }
    let offset_s = if matches!(rest, "Z" | "z") { 0 } else { offset(rest)? };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 || year < 1 {
        return None;
    }
    let seconds = day_number(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    Some(i128::from(seconds) * i128::from(SECOND_NS) + i128::from(ns))
}

/// `+01:30`, in seconds.
pub(crate) fn offset(text: &str) -> Option<i64> {
    let negative = match text.get(..1)? {
        "+" => false,
        "-" => true,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some(if negative { -seconds } else { seconds })
}

pub(crate) fn timestamp_text(at_ns: i128) -> String {
    let t = civil(at_ns, 0);
    let part = if t.ns == 0 { String::new() } else { format!(".{}", format!("{:09}", t.ns).trim_end_matches('0')) };
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{part}Z", t.year, t.month, t.day, t.hour, t.minute, t.second)
}
