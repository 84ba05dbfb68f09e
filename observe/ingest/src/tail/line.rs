//! One raw line of a log file taken apart: CRI's `TIME stdout|stderr F|P text`, or Docker's json-file object. Knows no file, and joins nothing.

use std::borrow::Cow;

use serde::Deserialize;

/// Where the container wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// The value of `log.iostream`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A raw line, or the part of one that the runtime has cut.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// `None`, without time and stream: it is in neither format, and `text` is all of it.
    pub(super) said: Option<(i64, Stream)>,
    /// More of the same line follows.
    pub(super) partial: bool,
    pub(super) text: Cow<'a, [u8]>,
}

/// `raw` without its newline.
pub(super) fn parse(raw: &[u8]) -> Line<'_> {
    let read = if raw.first() == Some(&b'{') { docker(raw) } else { cri(raw) };
    read.unwrap_or(Line { said: None, partial: false, text: Cow::Borrowed(raw) })
}

fn cri(raw: &[u8]) -> Option<Line<'_>> {
    let (time, rest) = word(raw)?;
    let (stream, rest) = word(rest)?;
    let stream = match stream {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // An empty text may come without the space before it. Tags are separated by colons, the first one is whole or partial.
    let (tags, text) = word(rest).unwrap_or((rest, &[]));
    let partial = match tags.split(|b| *b == b':').next()? {
        b"F" => false,
        b"P" => true,
        _ => return None,
    };
    Some(Line { said: Some((unix_ns(time)?, stream)), partial, text: Cow::Borrowed(text) })
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Docker leaves the newline in the text; where it is missing the line goes on.
fn docker(raw: &[u8]) -> Option<Line<'_>> {
    let line: DockerLine<'_> = serde_json::from_slice(raw).ok()?;
    let stream = match line.stream.as_ref() {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => return None,
    };
    let mut text = line.log.into_owned();
    let partial = !text.ends_with('\n');
    if !partial {
        text.pop();
    }
    Some(Line { said: Some((unix_ns(line.time.as_bytes())?, stream)), partial, text: Cow::Owned(text.into_bytes()) })
}

/// RFC 3339 with any number of decimals to Unix nanoseconds: `2026-01-02T03:04:05.678901234+02:00`.
pub(super) fn unix_ns(time: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| {
        time.get(from..to)?.iter().try_fold(0i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let is = |at: usize, wanted: &[u8]| time.get(at).is_some_and(|b| wanted.contains(b));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second is 60.
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (mut at, mut fraction_ns, mut unit_ns) = (19, 0, 100_000_000);
    if is(at, b".") {
        at += 1;
        while let Some(digit) = time.get(at).filter(|b| b.is_ascii_digit()) {
            fraction_ns += i64::from(digit - b'0') * unit_ns;
            unit_ns /= 10;
            at += 1;
        }
    }
    let offset_s = match time.get(at)? {
        b'Z' | b'z' if time.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if time.len() == at + 6 && is(at + 3, b":") => {
            let offset_s = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            if *sign == b'+' { offset_s } else { -offset_s }
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
