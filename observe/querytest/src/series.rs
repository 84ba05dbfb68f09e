//! The notation of series: `name{label="value"} 1+2x3 _ stale {{schema:0 sum:5 count:2 buckets:[1 1]}}x2`.

use base_signal::{Buckets, CounterReset, Labels, NativeHistogram, SpanRun, stale_nan};

use crate::Point;

/// A series and its values, one an interval; `None` where there is no sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub labels: Labels,
    pub values: Vec<Option<Point>>,
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
        let (label, tail) = if rest.starts_with('"') {
            quoted(rest).ok_or_else(|| bad("an open string"))?
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
        let (value, tail) = quoted(value.trim_start()).ok_or_else(|| bad("a value that is no string"))?;
        labels.set(label, value);
        rest = tail;
    }
}

/// A text in double quotes and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some((out, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

fn parse_values(text: &str) -> Result<Vec<Option<Point>>, String> {
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

fn push_item(item: &str, values: &mut Vec<Option<Point>>) -> Result<(), String> {
    let bad = || format!("`{item}` is not a value");
    if item.starts_with("{{") {
        let end = item.rfind("}}").ok_or_else(bad)?;
        let times: usize = match item[end + 2..].strip_prefix('x') {
            Some(times) => times.parse().map_err(|_| bad())?,
            None if end + 2 == item.len() => 0,
            None => return Err(bad()),
        };
        let body = &item[2..end];
        let (first, step) = match (body.split_once("}}+{{"), body.split_once("}}-{{")) {
            (Some((first, step)), _) => (first, Some((step, 1.0))),
            (None, Some((first, step))) => (first, Some((step, -1.0))),
            (None, None) => (body, None),
        };
        let mut histogram = parse_histogram(first)?;
        let step = step.map(|(text, sign)| Ok::<_, String>((parse_histogram(text)?, sign))).transpose()?;
        for i in 0..=times {
            if let (Some((step, sign)), true) = (&step, i > 0) {
                add(&mut histogram, step, *sign).map_err(|why| format!("{why}: `{item}`"))?;
            }
            values.push(Some(Point::Histogram(histogram.clone())));
        }
        return Ok(());
    }
    if let Some(rest) = item.strip_prefix('_') {
        let times: usize = match rest.strip_prefix('x') {
            Some(times) => times.parse().map_err(|_| bad())?,
            None if rest.is_empty() => 1,
            None => return Err(bad()),
        };
        values.extend((0..times).map(|_| None));
        return Ok(());
    }
    if item == "stale" {
        values.push(Some(Point::Float(stale_nan())));
        return Ok(());
    }
    let Some((formula, times)) = item.rsplit_once('x') else {
        values.push(Some(Point::Float(parse_number(item).ok_or_else(bad)?)));
        return Ok(());
    };
    let times: usize = times.parse().map_err(|_| bad())?;
    // The sign of the step is the first one that follows a digit and no exponent.
    let bytes = formula.as_bytes();
    let split = (1..bytes.len())
        .find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E' | b'+' | b'-'));
    let (mut value, step) = match split {
        Some(at) => (parse_number(&formula[..at]).ok_or_else(bad)?, parse_number(&formula[at..]).ok_or_else(bad)?),
        None => (parse_number(formula).ok_or_else(bad)?, 0.0),
    };
    for _ in 0..=times {
        values.push(Some(Point::Float(value)));
        value += step;
    }
    Ok(())
}

/// Adds buckets one by one: both must have the same layout, but one may have fewer buckets at its end.
fn add(histogram: &mut NativeHistogram, step: &NativeHistogram, sign: f64) -> Result<(), String> {
    let offset = |runs: &[SpanRun]| runs.first().map(|run| run.offset);
    let fits = |a: &[SpanRun], b: &[SpanRun]| a.is_empty() || b.is_empty() || offset(a) == offset(b);
    let same = histogram.schema == step.schema
        && histogram.custom_bounds == step.custom_bounds
        && fits(&histogram.positive_runs, &step.positive_runs)
        && fits(&histogram.negative_runs, &step.negative_runs);
    let (
        Buckets::Float { count, zero_count, positive, negative },
        Buckets::Float { count: more, zero_count: more_zero, positive: more_positive, negative: more_negative },
    ) = (&mut histogram.buckets, &step.buckets)
    else {
        return Err("integer histograms cannot grow".to_owned());
    };
    if !same {
        return Err("histograms of different layouts cannot be added here".to_owned());
    }
    *count += sign * more;
    *zero_count += sign * more_zero;
    histogram.sum += sign * step.sum;
    let sides = [
        (positive, more_positive, &mut histogram.positive_runs, &step.positive_runs),
        (negative, more_negative, &mut histogram.negative_runs, &step.negative_runs),
    ];
    for (buckets, more, runs, more_runs) in sides {
        if more.len() > buckets.len() {
            buckets.resize(more.len(), 0.0);
            runs.clone_from(more_runs);
        }
        buckets.iter_mut().zip(more).for_each(|(bucket, more)| *bucket += sign * more);
    }
    Ok(())
}

fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn parse_histogram(text: &str) -> Result<NativeHistogram, String> {
    let bad = |what: &str| format!("`{what}` in histogram `{text}`");
    let mut histogram = NativeHistogram {
        schema: 0,
        counter_reset: CounterReset::Unknown,
        zero_threshold: 0.0,
        sum: 0.0,
        positive_runs: Vec::new(),
        negative_runs: Vec::new(),
        buckets: Buckets::Float { count: 0.0, zero_count: 0.0, positive: Vec::new(), negative: Vec::new() },
        custom_bounds: Vec::new(),
    };
    let (mut count, mut zero_count, mut positive, mut negative) = (0.0, 0.0, Vec::new(), Vec::new());
    let (mut offset, mut negative_offset) = (0, 0);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once(':').ok_or_else(|| bad(rest))?;
        let (value, tail) = match tail.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or_else(|| bad(key))?,
            None => tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len())),
        };
        let number = || value.parse::<f64>().map_err(|_| bad(value));
        let whole = || value.parse::<i32>().map_err(|_| bad(value));
        let list = || -> Result<Vec<f64>, String> {
            value.split_whitespace().map(|v| v.parse::<f64>().map_err(|_| bad(v))).collect()
        };
        match key.trim() {
            "schema" => histogram.schema = whole()?,
            "sum" => histogram.sum = number()?,
            "count" => count = number()?,
            "z_bucket" => zero_count = number()?,
            "z_bucket_w" => histogram.zero_threshold = number()?,
            "offset" => offset = whole()?,
            "n_offset" => negative_offset = whole()?,
            "buckets" => positive = list()?,
            "n_buckets" => negative = list()?,
            "custom_values" => histogram.custom_bounds = list()?,
            "counter_reset_hint" => {
                histogram.counter_reset = match value {
                    "reset" => CounterReset::Reset,
                    "not_reset" => CounterReset::NoReset,
                    "gauge" => CounterReset::Gauge,
                    _ => CounterReset::Unknown,
                }
            }
            other => return Err(bad(other)),
        }
        rest = tail.trim_start();
    }
    let run = |offset: i32, buckets: &Vec<f64>| match u32::try_from(buckets.len()) {
        Ok(length) if length > 0 => vec![SpanRun { offset, length }],
        _ => Vec::new(),
    };
    histogram.positive_runs = run(offset, &positive);
    histogram.negative_runs = run(negative_offset, &negative);
    histogram.buckets = Buckets::Float { count, zero_count, positive, negative };
    Ok(histogram)
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
            let floats: Vec<_> =
                values.into_iter().map(|v| v.map(|p| if let Point::Float(f) = p { f } else { f64::NAN })).collect();
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
        let Some(Some(Point::Histogram(h))) = loaded.values.first() else { panic!("a histogram was wanted") };
        assert_eq!((h.schema, h.sum, h.count(), h.positive_runs[0].offset), (1, 5.0, 3.0, -1));
        assert_eq!(parse_series(r#"{"my.metric"} 1"#).unwrap().labels.get("__name__"), Some("my.metric"));
    }
}
