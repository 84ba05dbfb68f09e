//! Samples as Prometheus's own clients would write them (`prometheus.WriteRequest`, snappy), made by hand: a journey shares no encoder with what it judges.

use crate::protobuf::{bytes, double, number, snappy, varint, zigzag};

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
            bytes(&mut label, 1, name.as_bytes());
            bytes(&mut label, 2, value.as_bytes());
            bytes(&mut message, 1, &label);
        }
        for (time_ms, value) in &one.points {
            let mut sample = Vec::new();
            double(&mut sample, 1, *value);
            number(&mut sample, 2, *time_ms as u64);
            bytes(&mut message, 2, &sample);
        }
        for (time_ms, counts, sum) in &one.histograms {
            bytes(&mut message, 4, &histogram(*time_ms, counts, *sum));
        }
        bytes(&mut out, 1, &message);
    }
    snappy(&out)
}

fn histogram(time_ms: i64, counts: &[u64], sum: f64) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, 1, counts.iter().sum());
    double(&mut out, 3, sum);
    double(&mut out, 5, 2f64.powi(-128));
    let mut run = Vec::new();
    number(&mut run, 1, 2);
    number(&mut run, 2, counts.len() as u64);
    bytes(&mut out, 11, &run);
    let (mut deltas, mut before) = (Vec::new(), 0i64);
    for count in counts {
        let delta = *count as i64 - before;
        varint(&mut deltas, zigzag(delta));
        before = *count as i64;
    }
    bytes(&mut out, 12, &deltas);
    number(&mut out, 15, time_ms as u64);
    out
}
