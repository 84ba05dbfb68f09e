//! Samples as Prometheus's own clients would write them (`prometheus.WriteRequest`, snappy), made by hand: a journey shares no encoder with what it judges.

/// One series: labels sorted by name, points as (Unix ms, value), histograms as (Unix ms, counts of the buckets of schema 0 from 1 on, sum).
#[derive(Debug, Clone, Default)]
pub struct Series {
    pub labels: Vec<(String, String)>,
    pub points: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Vec<u64>, f64)>,
}

impl Series {
    pub fn new(labels: &[(&str, &str)], points: Vec<(i64, f64)>) -> Self {
        let mut labels: Vec<_> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        labels.sort();
        Series { labels, points, histograms: Vec::new() }
    }
}

/// The body of a POST to `/api/v1/write`.
pub fn request(series: &[Series]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in series {
        let mut message = Vec::new();
        for (name, value) in &one.labels {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut message, 1, &label);
        }
        for (time_ms, value) in &one.points {
            let mut sample = Vec::new();
            put_double(&mut sample, 1, *value);
            put_number(&mut sample, 2, *time_ms as u64);
            put_bytes(&mut message, 2, &sample);
        }
        for (time_ms, counts, sum) in &one.histograms {
            put_bytes(&mut message, 4, &histogram(*time_ms, counts, *sum));
        }
        put_bytes(&mut out, 1, &message);
    }
    snappy(&out)
}

fn histogram(time_ms: i64, counts: &[u64], sum: f64) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, counts.iter().sum());
    put_double(&mut out, 3, sum);
    put_double(&mut out, 5, 2f64.powi(-128));
    let mut run = Vec::new();
    put_number(&mut run, 1, 2);
    put_number(&mut run, 2, counts.len() as u64);
    put_bytes(&mut out, 11, &run);
    let (mut deltas, mut before) = (Vec::new(), 0i64);
    for count in counts {
        let delta = *count as i64 - before;
        varint(&mut deltas, (delta << 1 ^ delta >> 63) as u64);
        before = *count as i64;
    }
    put_bytes(&mut out, 12, &deltas);
    put_number(&mut out, 15, time_ms as u64);
    out
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn put_double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | 1);
    out.extend(value.to_bits().to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A block of nothing but literals: <https://github.com/google/snappy/blob/main/format_description.txt>.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    for chunk in bytes.chunks(60) {
        out.push(((chunk.len() - 1) << 2) as u8);
        out.extend_from_slice(chunk);
    }
    out
}
