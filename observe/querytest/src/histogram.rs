//! Native histograms in the notation of the form: `{{schema:0 sum:5 count:2 buckets:[1 1]}}`, what adding one to another
//! gives, and whether two hold the same. Knows no series and no time.

use std::collections::BTreeMap;

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

/// A histogram, and whether its counter reset hint was written down: only then is it compared.
pub(crate) fn parse(text: &str) -> Result<(NativeHistogram, bool), String> {
    let bad = |what: &str| format!("`{what}` in histogram `{{{{{text}}}}}`");
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
    let (mut offset, mut negative_offset, mut hint_told) = (0, 0, false);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once(':').ok_or_else(|| bad(rest))?;
        let (value, tail) = match tail.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or_else(|| bad(key))?,
            None => tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len())),
        };
        let number = || crate::series::parse_number(value).ok_or_else(|| bad(value));
        let whole = || value.parse::<i32>().map_err(|_| bad(value));
        let list = || -> Result<Vec<f64>, String> {
            value.split_whitespace().map(|v| crate::series::parse_number(v).ok_or_else(|| bad(v))).collect()
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
                hint_told = true;
                histogram.counter_reset = match value {
                    "reset" => CounterReset::Reset,
                    "not_reset" => CounterReset::NoReset,
                    "gauge" => CounterReset::Gauge,
                    "unknown" => CounterReset::Unknown,
                    other => return Err(bad(other)),
                }
            }
            other => return Err(bad(other)),
        }
        rest = tail.trim_start();
    }
    histogram.positive_runs = run(offset, positive.len());
    histogram.negative_runs = run(negative_offset, negative.len());
    histogram.buckets = Buckets::Float { count, zero_count, positive, negative };
    Ok((histogram, hint_told))
}

fn run(offset: i32, length: usize) -> Vec<SpanRun> {
    match u32::try_from(length) {
        Ok(length) if length > 0 => vec![SpanRun { offset, length }],
        _ => Vec::new(),
    }
}

type ByIndex = BTreeMap<i32, f64>;

/// Buckets by index; empty ones are left out.
struct Parts {
    count: f64,
    zero_count: f64,
    positive: ByIndex,
    negative: ByIndex,
}

fn parts(histogram: &NativeHistogram) -> Parts {
    let by_index = |runs: &[SpanRun], counts: Vec<f64>| {
        let (mut out, mut index, mut counts) = (ByIndex::new(), 0i32, counts.into_iter());
        for run in runs {
            index = index.saturating_add(run.offset);
            for _ in 0..run.length {
                if let Some(count) = counts.next().filter(|count| *count != 0.0) {
                    out.insert(index, count);
                }
                index = index.saturating_add(1);
            }
        }
        out
    };
    let floats = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect();
    let (zero_count, positive, negative) = match &histogram.buckets {
        Buckets::Integer { zero_count, positive, negative, .. } => {
            (*zero_count as f64, floats(positive), floats(negative))
        }
        Buckets::Float { zero_count, positive, negative, .. } => (*zero_count, positive.clone(), negative.clone()),
    };
    Parts {
        count: histogram.count(),
        zero_count,
        positive: by_index(&histogram.positive_runs, positive),
        negative: by_index(&histogram.negative_runs, negative),
    }
}

fn laid_out(buckets: &ByIndex) -> (Vec<SpanRun>, Vec<f64>) {
    let (mut runs, mut counts, mut next) = (Vec::<SpanRun>::new(), Vec::new(), 0i32);
    for (index, count) in buckets.iter().filter(|(_, count)| **count != 0.0) {
        match runs.last_mut() {
            Some(run) if *index == next => run.length += 1,
            _ => runs.push(SpanRun { offset: index.saturating_sub(next), length: 1 }),
        }
        counts.push(*count);
        next = index.saturating_add(1);
    }
    (runs, counts)
}

/// `histogram` grown by `sign` times `step`; both must be of one layout, a finer step is made coarser.
pub(crate) fn add(histogram: &NativeHistogram, step: &NativeHistogram, sign: f64) -> Result<NativeHistogram, String> {
    let coarser = step.schema - histogram.schema;
    if coarser < 0 || histogram.custom_bounds != step.custom_bounds {
        return Err("histograms of these layouts cannot be added here".to_owned());
    }
    if histogram.zero_threshold != step.zero_threshold {
        return Err("histograms of different zero buckets cannot be added here".to_owned());
    }
    let (mut own, more) = (parts(histogram), parts(step));
    let index = |index: i32| if coarser == 0 { index } else { (index.saturating_sub(1) >> coarser) + 1 };
    for (own, more) in [(&mut own.positive, &more.positive), (&mut own.negative, &more.negative)] {
        more.iter().for_each(|(at, count)| *own.entry(index(*at)).or_default() += sign * count);
    }
    let ((positive_runs, positive), (negative_runs, negative)) = (laid_out(&own.positive), laid_out(&own.negative));
    let counter_reset = match (histogram.counter_reset, step.counter_reset) {
        (a, b) if a == b => a,
        (CounterReset::Gauge, _) | (_, CounterReset::Gauge) => CounterReset::Gauge,
        _ => CounterReset::Unknown,
    };
    Ok(NativeHistogram {
        sum: histogram.sum + sign * step.sum,
        counter_reset: if sign < 0.0 { CounterReset::Gauge } else { counter_reset },
        positive_runs,
        negative_runs,
        buckets: Buckets::Float {
            count: own.count + sign * more.count,
            zero_count: own.zero_count + sign * more.zero_count,
            positive,
            negative,
        },
        ..histogram.clone()
    })
}

/// The hint that a store gives to a sample after `before` when it is read: that a counter went on is known by comparison,
/// that it was reset is not told.
pub fn stored_hint(before: Option<&NativeHistogram>, histogram: &NativeHistogram) -> CounterReset {
    if histogram.counter_reset == CounterReset::Gauge {
        return CounterReset::Gauge;
    }
    let Some(before) = before.filter(|before| before.counter_reset != CounterReset::Gauge) else {
        return CounterReset::Unknown;
    };
    let (old, new) = (parts(before), parts(histogram));
    let grew =
        |old: &ByIndex, new: &ByIndex| old.iter().all(|(at, count)| new.get(at).copied().unwrap_or(0.0) >= *count);
    let goes_on = histogram.counter_reset != CounterReset::Reset
        && before.schema == histogram.schema
        && before.zero_threshold == histogram.zero_threshold
        && before.custom_bounds == histogram.custom_bounds
        && new.count >= old.count
        && new.zero_count >= old.zero_count
        && grew(&old.positive, &new.positive)
        && grew(&old.negative, &new.negative);
    if goes_on { CounterReset::NoReset } else { CounterReset::Unknown }
}

/// The same observations in the same buckets, whatever the layout on paper.
pub(crate) fn same(
    wanted: &NativeHistogram,
    got: &NativeHistogram,
    hint: bool,
    near: &dyn Fn(f64, f64) -> bool,
) -> bool {
    let (a, b) = (parts(wanted), parts(got));
    let buckets = |a: &ByIndex, b: &ByIndex| {
        a.len() == b.len() && a.iter().zip(b).all(|((at, a), (other, b))| at == other && near(*a, *b))
    };
    wanted.schema == got.schema
        && near(a.count, b.count)
        && near(wanted.sum, got.sum)
        && wanted.zero_threshold == got.zero_threshold
        && near(a.zero_count, b.zero_count)
        && wanted.custom_bounds == got.custom_bounds
        && buckets(&a.positive, &b.positive)
        && buckets(&a.negative, &b.negative)
        && (!hint || wanted.counter_reset == got.counter_reset)
}

/// A number as the notation writes it.
pub(crate) fn show_number(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "Inf" } else { "-Inf" }.to_owned() } else { value.to_string() }
}

/// In the notation of the form.
pub fn show(histogram: &NativeHistogram) -> String {
    let parts = parts(histogram);
    let mut out = Vec::new();
    let mut say = |key: &str, value: f64| {
        if value != 0.0 {
            out.push(format!("{key}:{}", show_number(value)));
        }
    };
    say("schema", f64::from(histogram.schema));
    say("count", parts.count);
    say("sum", histogram.sum);
    say("z_bucket", parts.zero_count);
    say("z_bucket_w", histogram.zero_threshold);
    let list = |values: &[f64]| values.iter().copied().map(show_number).collect::<Vec<_>>().join(" ");
    if !histogram.custom_bounds.is_empty() {
        out.push(format!("custom_values:[{}]", list(&histogram.custom_bounds)));
    }
    match histogram.counter_reset {
        CounterReset::Unknown => {}
        CounterReset::Reset => out.push("counter_reset_hint:reset".to_owned()),
        CounterReset::NoReset => out.push("counter_reset_hint:not_reset".to_owned()),
        CounterReset::Gauge => out.push("counter_reset_hint:gauge".to_owned()),
    }
    for (buckets, offset, name) in [(&parts.positive, "offset", "buckets"), (&parts.negative, "n_offset", "n_buckets")]
    {
        let (Some((first, _)), Some((last, _))) = (buckets.first_key_value(), buckets.last_key_value()) else {
            continue;
        };
        if *first != 0 {
            out.push(format!("{offset}:{first}"));
        }
        let counts: Vec<f64> = (*first..=*last).map(|i| buckets.get(&i).copied().unwrap_or(0.0)).collect();
        out.push(format!("{name}:[{}]", list(&counts)));
    }
    format!("{{{{{}}}}}", out.join(" "))
}
