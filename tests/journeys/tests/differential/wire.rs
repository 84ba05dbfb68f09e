//! Remote write 1.0 of all that the differential test makes up: floats and histograms of both signs, of every schema.

use tests_journeys::protobuf::{bytes, double, number, signed, snappy};

use super::series::{Native, Sample, Written};

pub(crate) fn remote_write(written: &[Written]) -> Vec<u8> {
    let mut request = Vec::new();
    for series in written {
        let mut message = Vec::new();
        for (name, value) in &series.labels {
            let mut label = Vec::new();
            bytes(&mut label, 1, name.as_bytes());
            bytes(&mut label, 2, value.as_bytes());
            bytes(&mut message, 1, &label);
        }
        for (time_ms, sample) in &series.samples {
            match sample {
                Sample::Float(value) => {
                    let mut float = Vec::new();
                    double(&mut float, 1, *value);
                    number(&mut float, 2, *time_ms as u64);
                    bytes(&mut message, 2, &float);
                }
                Sample::Native(native) => bytes(&mut message, 4, &histogram(native, *time_ms)),
            }
        }
        bytes(&mut request, 1, &message);
    }
    snappy(&request)
}

fn histogram(native: &Native, time_ms: i64) -> Vec<u8> {
    let mut out = Vec::new();
    double(&mut out, 2, native.count);
    double(&mut out, 3, native.sum);
    signed(&mut out, 4, i64::from(native.schema));
    double(&mut out, 5, native.zero_threshold);
    double(&mut out, 7, native.zero_count);
    for (field, counts, offset, buckets) in
        [(8, 10, native.negative_offset, &native.negative), (11, 13, native.positive_offset, &native.positive)]
    {
        if buckets.is_empty() {
            continue;
        }
        let mut span = Vec::new();
        signed(&mut span, 1, i64::from(offset));
        number(&mut span, 2, buckets.len() as u64);
        bytes(&mut out, field, &span);
        bytes(&mut out, counts, &buckets.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<_>>());
    }
    number(&mut out, 14, u64::from(native.hint));
    number(&mut out, 15, time_ms as u64);
    if !native.bounds.is_empty() {
        bytes(&mut out, 16, &native.bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect::<Vec<_>>());
    }
    out
}
