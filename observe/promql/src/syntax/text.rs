//! How numbers, durations and strings are written in PromQL, both ways. The rules are those of Go's `strconv` and of
//! Prometheus' `model.Duration`, because canonical queries are compared as text.

/// Units from the largest, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];
/// Go keeps durations in 64-bit nanoseconds: about 292 years.
const DURATION_MAX_MS: u64 = (i64::MAX / 1_000_000) as u64;

/// `1h30m` in milliseconds. Units go from large to small, each once.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("not a valid duration string: {}", quote(text));
    let mut rest = text;
    let mut total_ms = 0u64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let unit_len = tail.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at(unit_len);
        let position = UNITS.iter().position(|(name, _)| *name == unit);
        let Some(position) = position else {
            return Err(format!("unknown unit {} in duration {}", quote(unit), quote(text)));
        };
        if position < next_unit {
            return Err(bad());
        }
        next_unit = position + 1;
        total_ms = number
            .checked_mul(UNITS[position].1)
            .and_then(|part_ms| total_ms.checked_add(part_ms))
            .filter(|ms| *ms <= DURATION_MAX_MS)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    i64::try_from(total_ms).map_err(|_| bad())
}

/// The canonical form: `1h30m`, `5s500ms`; years and weeks only when they divide evenly.
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if duration_ms < 0 {
        out.push('-');
    }
    let mut rest_ms = duration_ms.unsigned_abs();
    for (unit, unit_ms) in UNITS {
        let only_exact = unit == "y" || unit == "w";
        if rest_ms < unit_ms || (only_exact && !rest_ms.is_multiple_of(unit_ms)) {
            continue;
        }
        out.push_str(&format!("{}{unit}", rest_ms / unit_ms));
        rest_ms %= unit_ms;
    }
    out
}

/// Whole milliseconds of a length in seconds, cut as Go cuts them: first rounded to nanoseconds.
pub(crate) fn seconds_to_ms(seconds: f64) -> i64 {
    ((seconds * 1e9).round() as i64) / 1_000_000
}

/// Decimal, hexadecimal, octal (leading zero) or floating; underscores between digits.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "+inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    let syntax = || format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text));
    let plain = lower.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map(|n| n as f64).map_err(|_| syntax());
    }
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if octal && let Ok(n) = i64::from_str_radix(&plain, 8) {
        return Ok(n as f64);
    }
    let number: f64 = plain.parse().map_err(|_| syntax())?;
    if number.is_infinite() {
        return Err(format!("strconv.ParseFloat: parsing {}: value out of range", quote(text)));
    }
    Ok(number)
}

/// The shortest decimal form without an exponent that reads back the same; `+Inf`, `-Inf`, `NaN`.
pub(crate) fn format_number(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        number.to_string()
    }
}

/// Go's `%v` and `%g` of a float: the fewest digits, an exponent below 1e-4 and from 1e6 on.
pub(crate) fn format_number_short(number: f64) -> String {
    let magnitude = number.abs();
    if !number.is_finite() || magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format_number(number);
    }
    let text = format!("{number:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// In double quotes, as Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x80 && c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if !is_printable(c) && (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if !is_printable(c) => out.push_str(&format!("\\U{:08x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Close to Go's `unicode.IsPrint`: no controls, no spaces but the ASCII one, no format or private characters.
fn is_printable(c: char) -> bool {
    let hidden = matches!(c as u32, 0xad | 0x200b..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0xe000..=0xf8ff
        | 0xfeff | 0xfff0..=0xfffb | 0xe0000..=0x10ffff);
    c == ' ' || !(c.is_control() || c.is_whitespace() || hidden)
}

/// The text of a quoted string, quotes included in `quoted`; the lexer has checked its escapes.
pub(crate) fn unquote(quoted: &str) -> Result<String, &'static str> {
    let mut chars = quoted.chars();
    let opened = chars.next();
    chars.next_back();
    if opened == Some('`') {
        return Ok(chars.as_str().to_owned());
    }
    let mut bytes = Vec::with_capacity(quoted.len());
    while let Some(c) = chars.next() {
        if c != '\\' {
            push_char(&mut bytes, c);
            continue;
        }
        match chars.next().ok_or("escape sequence not terminated")? {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            'x' => bytes.push(digits(&mut chars, 2, 16, 0)? as u8),
            'u' => push_char(&mut bytes, to_char(digits(&mut chars, 4, 16, 0)?)?),
            'U' => push_char(&mut bytes, to_char(digits(&mut chars, 8, 16, 0)?)?),
            c @ '0'..='7' => bytes.push(digits(&mut chars, 2, 8, c as u32 - '0' as u32)? as u8),
            other => push_char(&mut bytes, other),
        }
    }
    // Bytes that are no UTF-8 can be written by their codes, but no label holds them.
    Ok(String::from_utf8(bytes).unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn to_char(code: u32) -> Result<char, &'static str> {
    char::from_u32(code).ok_or("escape sequence is an invalid Unicode code point")
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32, first: u32) -> Result<u32, &'static str> {
    let mut code = first;
    for _ in 0..count {
        let digit = chars.next().and_then(|c| c.to_digit(radix)).ok_or("illegal character in escape sequence")?;
        code = code.wrapping_mul(radix).wrapping_add(digit);
    }
    Ok(code)
}

/// Whether a label name can stand without quotes.
pub(crate) fn is_plain_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A label name, in quotes when it needs them.
pub(crate) fn label_name(name: &str) -> String {
    if is_plain_label(name) { name.to_owned() } else { quote(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_both_ways() {
        let table = [
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("1ms", 1, "1ms"),
            ("12w6d", 90 * 86_400_000, "90d"),
            ("2w", 14 * 86_400_000, "2w"),
            ("365d", 365 * 86_400_000, "1y"),
            ("1y", 365 * 86_400_000, "1y"),
            ("1d12h1500ms", 36 * 3_600_000 + 1500, "1d12h1s500ms"),
        ];
        for (text, duration_ms, printed) in table {
            assert_eq!(parse_duration_ms(text), Ok(duration_ms), "{text}");
            assert_eq!(format_duration_ms(duration_ms), printed, "{text}");
        }
        for bad in ["1m1h", "5m5m", "1x", "300y", "99999999999999999999s"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quotes_both_ways() {
        for text in ["", "plain", "a\"b\\c\n\t\u{7}", "é漢", "\u{0}\u{7f}\u{ad}\u{feff}", "'"] {
            assert_eq!(unquote(&quote(text)).as_deref(), Ok(text));
        }
        assert_eq!(unquote(r"'\x41\102\u0043\U00000044\''").as_deref(), Ok("ABCD'"));
        assert_eq!(unquote(r"`a\n`").as_deref(), Ok(r"a\n"));
        assert_eq!(unquote(r#""\xff""#).as_deref(), Ok("\u{fffd}"));
    }
}
