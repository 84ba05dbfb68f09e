//! Answers of the Prometheus and Loki query APIs as JSON text, written straight into the reply: a matrix of a million points
//! is not first built as a tree. Number and time formats are Prometheus's (`util/jsonutil`).

use std::fmt::Write;

use base_signal::{Buckets, Labels, NativeHistogram};

/// `"1.5"`, `"+Inf"`, `"1e+21"`: quoted, shortest form that reads back the same, exponent only for very large and small.
pub(crate) fn put_value(out: &mut String, value: f64) {
    out.push('"');
    let size = value.abs();
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
    } else {
        let _ = write!(out, "{value}");
    }
    out.push('"');
}

/// Seconds, with three decimals when there are milliseconds.
pub(crate) fn put_time_ms(out: &mut String, time_ms: i64) {
    if time_ms < 0 {
        out.push('-');
    }
    let size = time_ms.unsigned_abs();
    let _ = write!(out, "{}", size / 1000);
    if !size.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", size % 1000);
    }
}

pub(crate) fn put_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

pub(crate) fn put_labels(out: &mut String, labels: &Labels) {
    put_pairs(out, labels.iter());
}

pub(crate) fn put_pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push('{');
    put_list(out, pairs, |out, (name, value)| {
        put_string(out, name);
        out.push(':');
        put_string(out, value);
    });
    out.push('}');
}

/// Items with commas between; the brackets are the caller's.
pub(crate) fn put_list<T>(out: &mut String, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut String, T)) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        put(out, item);
    }
}

/// `[time,"value"]`
pub(crate) fn put_point(out: &mut String, time_ms: i64, value: f64) {
    out.push('[');
    put_time_ms(out, time_ms);
    out.push(',');
    put_value(out, value);
    out.push(']');
}

/// `[time,{"count":…,"sum":…,"buckets":[[boundaries,lower,upper,count],…]}]`, empty buckets left out.
pub(crate) fn put_histogram_point(out: &mut String, time_ms: i64, histogram: &NativeHistogram) {
    out.push('[');
    put_time_ms(out, time_ms);
    out.push_str(",{\"count\":");
    put_value(out, histogram.count());
    out.push_str(",\"sum\":");
    put_value(out, histogram.sum);
    let buckets = bucket_rows(histogram);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":[");
        put_list(out, buckets.into_iter(), |out, (boundaries, lower, upper, count)| {
            let _ = write!(out, "[{boundaries},");
            put_value(out, lower);
            out.push(',');
            put_value(out, upper);
            out.push(',');
            put_value(out, count);
            out.push(']');
        });
        out.push(']');
    }
    out.push_str("}]");
}

/// (boundary rule, lower, upper, count), ascending. Rules: 0 open left, 1 open right, 2 open both, 3 closed both; the lowest
/// custom bucket is closed at -Inf.
fn bucket_rows(histogram: &NativeHistogram) -> Vec<(u8, f64, f64, f64)> {
    let (zero, positive, negative): (f64, Vec<f64>, Vec<f64>) = match &histogram.buckets {
        Buckets::Integer { zero_count, positive, negative, .. } => {
            let floats = |counts: &[u64]| counts.iter().map(|c| *c as f64).collect();
            (*zero_count as f64, floats(positive), floats(negative))
        }
        Buckets::Float { zero_count, positive, negative, .. } => (*zero_count, positive.clone(), negative.clone()),
    };
    let indexed = |runs: &[base_signal::SpanRun], counts: Vec<f64>| {
        let mut index = 0i64;
        let mut rows = Vec::with_capacity(counts.len());
        let mut counts = counts.into_iter();
        for run in runs {
            index += i64::from(run.offset);
            for count in counts.by_ref().take(run.length as usize) {
                rows.push((index, count));
                index += 1;
            }
        }
        rows
    };
    let custom = histogram.schema == NativeHistogram::CUSTOM_SCHEMA;
    let bound = |index: i64| -> f64 {
        if custom {
            let at = |i: i64| usize::try_from(i).ok().and_then(|i| histogram.custom_bounds.get(i)).copied();
            return if index < 0 { f64::NEG_INFINITY } else { at(index).unwrap_or(f64::INFINITY) };
        }
        let bound = 2f64.powf(index as f64 * 2f64.powi(-histogram.schema));
        // The last bucket of finite values ends at the largest of them.
        let last = (1024f64 * 2f64.powi(histogram.schema)) as i64;
        if bound.is_infinite() && index <= last { f64::MAX } else { bound }
    };
    let mut rows = Vec::new();
    for (index, count) in indexed(&histogram.negative_runs, negative).into_iter().rev().filter(|(_, c)| *c != 0.0) {
        rows.push((1, -bound(index), -bound(index - 1), count));
    }
    // What is taken off may leave less than nothing; Prometheus tells other buckets of that, but not this one.
    if zero > 0.0 {
        rows.push((3, -histogram.zero_threshold, histogram.zero_threshold, zero));
    }
    for (index, count) in indexed(&histogram.positive_runs, positive).into_iter().filter(|(_, c)| *c != 0.0) {
        let rule = if custom && index == 0 { 3 } else { 0 };
        rows.push((rule, bound(index - 1), bound(index), count));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_prometheus_writes_them() {
        let shown = |value| {
            let mut out = String::new();
            put_value(&mut out, value);
            out
        };
        let table = [
            (0.0, "\"0\""),
            (-0.0, "\"-0\""),
            (1.0, "\"1\""),
            (0.1, "\"0.1\""),
            (1e20, "\"100000000000000000000\""),
            (1e21, "\"1e+21\""),
            (1.5e-7, "\"1.5e-07\""),
            (0.000001, "\"0.000001\""),
            (f64::NEG_INFINITY, "\"-Inf\""),
            (f64::NAN, "\"NaN\""),
        ];
        for (value, expected) in table {
            assert_eq!(shown(value), expected);
        }
        let time = |ms| {
            let mut out = String::new();
            put_time_ms(&mut out, ms);
            out
        };
        assert_eq!([1000, 1_500, 1_020, -1_500].map(time), ["1", "1.500", "1.020", "-1.500"]);
    }
}
