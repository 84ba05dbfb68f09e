//! The notation of series: `name{label="value"} 1+2x3 _ stale {{schema:0 sum:5 count:2 buckets:[1 1]}}x2`.

use base_signal::{Labels, stale_nan};

use crate::{Point, histogram};

/// The most values that one item of the notation may stand for.
const REPEATS_MAX: usize = 10_000_000;

/// A series and its values, one an interval; `None` where there is no sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub labels: Labels,
    pub values: Vec<Option<Item>>,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub point: Point,
    /// Whether a histogram's counter reset hint was written down.
    pub hint_told: bool,
}

impl From<f64> for Item {
    fn from(value: f64) -> Self {
        Item { point: Point::Float(value), hint_told: false }
    }
}

/// `5m`, `1h30m`, `90s`, `0`, or plain seconds.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total_ms = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at(unit_len);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return Err(format!("`{text}` is not a duration")),
        };
        total_ms += number.parse::<i64>().map_err(|_| format!("`{text}` is not a duration"))? * unit_ms;
        rest = tail;
    }
    Ok(sign * total_ms)
}

/// One line of `load`, or of expected results.
pub fn parse_series(line: &str) -> Result<Loaded, String> {
    let (labels, rest) = parse_metric(line.trim())?;
    Ok(Loaded { labels, values: parse_values(rest)? })
}

fn parse_metric(line: &str) -> Result<(Labels, &str), String> {
    let bad = |what: &str| format!("{what} in series `{line}`");
    let name_len = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_len);
    let mut labels = Labels::empty().to_builder();
    labels.set("__name__", name);
    let Some(inside) = rest.strip_prefix('{').filter(|inside| !inside.starts_with('{')) else {
        return Ok((labels.build(), rest));
    };
    rest = inside;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels.build(), after));
        }
        let (label, tail) = if rest.starts_with(['"', '\'', '`']) {
            unquoted(rest).ok_or_else(|| bad("an open string"))?
        } else {
            let end = rest.find(['=', ' ']).ok_or_else(|| bad("a label without a value"))?;
            let (label, tail) = rest.split_at(end);
            (label.to_owned(), tail)
        };
        let Some(value) = tail.trim_start().strip_prefix('=') else {
            labels.set("__name__", label);
            rest = tail;
            continue;
        };
        let (value, tail) = unquoted(value.trim_start()).ok_or_else(|| bad("a value that is no string"))?;
        labels.set(label, value);
        rest = tail;
    }
}

/// A text in quotes of any of the three kinds, and what follows it.
pub(crate) fn unquoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut bytes = Vec::new();
    let mut chars = text.get(1..)?.chars();
    loop {
        let c = chars.next()?;
        if c == quote {
            return Some((String::from_utf8(bytes).ok()?, chars.as_str()));
        }
        if c != '\\' || quote == '`' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escaped = match chars.next()? {
            'x' => {
                bytes.push(u8::try_from(hexadecimal(&mut chars, 2)?).ok()?);
                continue;
            }
            'u' => char::from_u32(hexadecimal(&mut chars, 4)?)?,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            other => other,
        };
        bytes.extend(escaped.encode_utf8(&mut [0; 4]).bytes());
    }
}

fn hexadecimal(chars: &mut std::str::Chars<'_>, count: usize) -> Option<u32> {
    let digits: String = chars.by_ref().take(count).collect();
    u32::from_str_radix(&digits, 16).ok()
}

/// `metric{…}@st OFFSETS`: when the counters of the samples on the next line began, from each sample's time, in
/// milliseconds. `None` for another kind of line.
pub(crate) fn parse_starts(line: &str) -> Option<Result<Loaded, String>> {
    let (metric, offsets) = line.split_at(line.find([' ', '\t'])?);
    let metric = metric.strip_suffix("@st")?;
    let parse = || {
        let (labels, _) = parse_metric(metric)?;
        let mut values = Vec::new();
        for item in offsets.split_whitespace() {
            push_offset(item, &mut values).ok_or_else(|| format!("`{item}` is no start timestamp"))?;
        }
        Ok(Loaded { labels, values })
    };
    Some(parse())
}

fn push_offset(item: &str, values: &mut Vec<Option<Item>>) -> Option<()> {
    let (formula, times) = match item.rsplit_once('x') {
        Some((formula, times)) => (formula, Some(repeats(times)?)),
        None => (item, None),
    };
    if formula == "_" {
        values.extend((0..times.unwrap_or(1)).map(|_| None));
        return Some(());
    }
    let split = formula.get(1..)?.find(['+', '-']).map_or(formula.len(), |at| at + 1);
    let (first, step) = formula.split_at(split);
    let offset = |text: &str| match text {
        "" => Some(0),
        text => parse_duration_ms(text.strip_prefix('+').unwrap_or(text)).ok(),
    };
    let (first, step) = (offset(first)?, offset(step)?);
    values.extend((0..=times.unwrap_or(0)).map(|i| Some(((first + step * i as i64) as f64).into())));
    Some(())
}

fn parse_values(text: &str) -> Result<Vec<Option<Item>>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (item, tail) = if rest.starts_with("{{") {
            // Blanks within a histogram belong to it; those between histograms do not.
            let mut end = 0;
            loop {
                end += rest[end..].find("}}").ok_or_else(|| format!("an open histogram in `{text}`"))? + 2;
                if !rest[end..].starts_with("+{{") && !rest[end..].starts_with("-{{") {
                    break;
                }
            }
            let tail = rest[end..].find(char::is_whitespace).map_or(rest.len(), |i| end + i);
            rest.split_at(tail)
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        push_item(item, &mut values)?;
        rest = tail.trim_start();
    }
    Ok(values)
}

fn repeats(text: &str) -> Option<usize> {
    text.parse().ok().filter(|times| *times <= REPEATS_MAX)
}

fn push_item(item: &str, values: &mut Vec<Option<Item>>) -> Result<(), String> {
    let bad = || format!("`{item}` is not a value");
    if item.starts_with("{{") {
        let end = item.rfind("}}").ok_or_else(bad)?;
        let times: usize = match item[end + 2..].strip_prefix('x') {
            Some(text) => repeats(text).ok_or_else(bad)?,
            None if end + 2 == item.len() => 0,
            None => return Err(bad()),
        };
        let body = &item[2..end];
        let (first, step) = match (body.split_once("}}+{{"), body.split_once("}}-{{")) {
            (Some((first, step)), _) => (first, Some((step, 1.0))),
            (None, Some((first, step))) => (first, Some((step, -1.0))),
            (None, None) => (body, None),
        };
        let (mut native, hint_told) = histogram::parse(first)?;
        let step = step.map(|(text, sign)| Ok::<_, String>((histogram::parse(text)?, sign))).transpose()?;
        for i in 0..=times {
            if let (Some(((step, _), sign)), true) = (&step, i > 0) {
                native = histogram::add(&native, step, *sign).map_err(|why| format!("{why}: `{item}`"))?;
            }
            values.push(Some(Item { point: Point::Histogram(native.clone()), hint_told }));
        }
        return Ok(());
    }
    if let Some(rest) = item.strip_prefix('_') {
        let times: usize = match rest.strip_prefix('x') {
            Some(text) => repeats(text).ok_or_else(bad)?,
            None if rest.is_empty() => 1,
            None => return Err(bad()),
        };
        values.extend((0..times).map(|_| None));
        return Ok(());
    }
    if item == "stale" {
        values.push(Some(stale_nan().into()));
        return Ok(());
    }
    let Some((formula, times)) = item.rsplit_once('x') else {
        values.push(Some(parse_number(item).ok_or_else(bad)?.into()));
        return Ok(());
    };
    let times = repeats(times).ok_or_else(bad)?;
    // The sign of the step is the first one that follows a digit and no exponent.
    let bytes = formula.as_bytes();
    let split = (1..bytes.len())
        .find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E' | b'+' | b'-'));
    let (mut value, step) = match split {
        Some(at) => (parse_number(&formula[..at]).ok_or_else(bad)?, parse_number(&formula[at..]).ok_or_else(bad)?),
        None => (parse_number(formula).ok_or_else(bad)?, 0.0),
    };
    for _ in 0..=times {
        values.push(Some(value.into()));
        value += step;
    }
    Ok(())
}

/// Decimal as Rust and Go both read it, or hexadecimal.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| sign * value as f64),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unrolled() {
        let table: [(&str, &[Option<f64>]); 6] = [
            ("1+2x3", &[Some(1.0), Some(3.0), Some(5.0), Some(7.0)]),
            ("1-1x1 _ 5x1", &[Some(1.0), Some(0.0), None, Some(5.0), Some(5.0)]),
            ("_x2 -1.5e-1", &[None, None, Some(-0.15)]),
            ("-2-3x1", &[Some(-2.0), Some(-5.0)]),
            ("1e-3+1e-3x1", &[Some(0.001), Some(0.002)]),
            ("Inf -Inf", &[Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
        ];
        for (text, expected) in table {
            let values = parse_values(text).unwrap();
            let floats: Vec<_> = values
                .into_iter()
                .map(|v| v.map(|i| if let Point::Float(f) = i.point { f } else { f64::NAN }))
                .collect();
            assert_eq!(floats, expected, "{text}");
        }
        assert!(parse_values("1+x3").is_err());
        assert!(parse_values("abc").is_err());
    }

    #[test]
    fn metrics_and_histograms() {
        let loaded =
            parse_series(r#"m{a="x y", "b.c"="\"q\""} {{schema:1 sum:5 count:3 offset:-1 buckets:[1 2]}}x1 7"#);
        let loaded = loaded.unwrap();
        assert_eq!(loaded.labels.get("b.c"), Some("\"q\""));
        assert_eq!((loaded.labels.get("a"), loaded.labels.get("__name__")), (Some("x y"), Some("m")));
        assert_eq!(loaded.values.len(), 3);
        let Some(Some(Item { point: Point::Histogram(h), .. })) = loaded.values.first() else {
            panic!("a histogram was wanted")
        };
        assert_eq!((h.schema, h.sum, h.count(), h.positive_runs[0].offset), (1, 5.0, 3.0, -1));
        assert_eq!(parse_series(r#"{"my.metric"} 1"#).unwrap().labels.get("__name__"), Some("my.metric"));
    }
}
