//! Values are exact: every codec gives back the bits it was given, and rubbish never panics.

use base_signal::{Buckets, CounterReset, NativeHistogram, STALE_NAN_BITS, SpanRun};
use base_world::Rng;
use observe_block::codec::{self, Reader};
use observe_block::{Record, RecordKind};

use crate::chunk::{Chunk, decode_chunk, xor_decode, xor_encode};
use crate::column::{RUN_VALUES, decode_run, decode_times, encode_run, encode_times};
use crate::histogram::{histogram_bytes, take_histogram};
use crate::record::{self, Entry};

/// Shapes that real series have, and the odd values that break codecs.
pub(super) fn shapes(rng: &mut Rng, len: usize) -> Vec<Vec<u64>> {
    let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, f64::MAX, 1e300];
    let mut counter = 0u64;
    let mut shapes: Vec<Vec<u64>> = vec![
        vec![1.5f64.to_bits(); len],
        (0..len).map(|i| (i as f64).to_bits()).collect(),
        (0..len).map(|_| ((rng.below(20_000) as f64 - 10_000.0) / 100.0).to_bits()).collect(),
        (0..len).map(|_| rng.next_u64()).collect(),
        (0..len).map(|_| odd[rng.index(odd.len())].to_bits()).collect(),
        (0..len).map(|i| (0.1 + i as f64 * 0.2).to_bits()).collect(),
        (0..len).map(|_| (u64::MAX as f64 - rng.below(3) as f64 * 4096.0).to_bits()).collect(),
    ];
    shapes.push((0..len).map(|i| if i % 50 == 49 { STALE_NAN_BITS } else { ((i * 7) as f64).to_bits() }).collect());
    shapes
        .push((0..len).map(|i| if i % 20 == 3 { (-0.0f64).to_bits() } else { f64::from(i as u8).to_bits() }).collect());
    let mut grow = |_| {
        counter = if rng.chance(2) { 0 } else { counter + rng.below(1000) };
        (counter as f64).to_bits()
    };
    shapes.push((0..len).map(&mut grow).collect());
    shapes
}

fn check_run(values: &[u64]) -> usize {
    let mut bytes = Vec::new();
    for run in values.chunks(RUN_VALUES) {
        encode_run(&mut bytes, run);
    }
    let (mut reader, mut back) = (Reader::new(&bytes), Vec::new());
    while !reader.is_empty() {
        decode_run(&mut reader, &mut back).expect("decodes");
    }
    assert_eq!(back, values);
    bytes.len()
}

#[test]
fn values_and_times_come_back_bit_for_bit() {
    let mut rng = Rng::new(11);
    for len in [1, 2, 3, 7, 240, 512, 513, 1500] {
        for values in shapes(&mut rng, len) {
            check_run(&values);
            assert_eq!(xor_decode(&xor_encode(&values), len), Some(values.clone()));
            let mut time = rng.next_u64() as i64 >> 20;
            let (mut chunk, mut times) = (Chunk::default(), Vec::new());
            for bits in &values {
                time += [1, 1000, 15_000, 15_000, 15_001, 1 << 40][rng.index(6)];
                chunk.push(time, *bits);
                times.push(time);
            }
            let mut back = Vec::new();
            decode_chunk(&chunk.to_bytes(), chunk.count.into(), |time, bits| back.push((time, bits)));
            assert_eq!(back, times.iter().copied().zip(values).collect::<Vec<_>>());
            assert_eq!(decode_times(&encode_times(&times)).expect("times"), times);
        }
    }
    assert_eq!(decode_times(&encode_times(&[])), Ok(vec![]));
    let extremes = [i64::MIN, -1, 0, i64::MAX];
    assert_eq!(decode_times(&encode_times(&extremes)).expect("extremes"), extremes);
}

#[test]
fn what_is_regular_is_small() {
    let times: Vec<i64> = (0..5760).map(|i| 1_767_225_600_000 + i * 15_000).collect();
    assert!(encode_times(&times).len() < 20);
    let counter: Vec<u64> = (0..4096).map(|i| ((i * 3) as f64).to_bits()).collect();
    assert!(check_run(&counter) < 4096 / 10, "a regular counter");
    let gauge: Vec<u64> = (0..4096).map(|i| (20.0 + f64::from(i % 37) / 10.0).to_bits()).collect();
    assert!(check_run(&gauge) < 4096, "a gauge with one decimal: under a byte a sample");
}

pub(super) fn histogram(rng: &mut Rng) -> NativeHistogram {
    let (positive, negative) = (rng.index(6), rng.index(3));
    let run = |len: usize, rng: &mut Rng| {
        if len == 0 { vec![] } else { vec![SpanRun { offset: rng.below(9) as i32 - 4, length: len as u32 }] }
    };
    let buckets = if rng.chance(50) {
        Buckets::Integer {
            count: rng.next_u64(),
            zero_count: rng.below(3),
            positive: (0..positive).map(|_| rng.below(1000)).collect(),
            negative: (0..negative).map(|_| rng.below(1000)).collect(),
        }
    } else {
        Buckets::Float {
            count: f64::from_bits(rng.next_u64()),
            zero_count: -0.0,
            positive: (0..positive).map(|_| rng.below(1000) as f64 / 3.0).collect(),
            negative: (0..negative).map(|_| f64::NAN).collect(),
        }
    };
    NativeHistogram {
        schema: rng.below(13) as i32 - 4,
        counter_reset: [CounterReset::Unknown, CounterReset::Reset, CounterReset::NoReset, CounterReset::Gauge]
            [rng.index(4)],
        zero_threshold: 1e-128,
        sum: if rng.chance(20) { f64::from_bits(STALE_NAN_BITS) } else { rng.below(99) as f64 / 7.0 },
        positive_runs: run(positive, rng),
        negative_runs: run(negative, rng),
        buckets,
        custom_bounds: (0..rng.below(3)).map(|i| i as f64).collect(),
    }
}

#[test]
fn histograms_come_back_bit_for_bit() {
    let mut rng = Rng::new(5);
    for _ in 0..500 {
        let bytes = histogram_bytes(&histogram(&mut rng));
        let back = take_histogram(&mut Reader::new(&bytes)).expect("decodes");
        assert_eq!(histogram_bytes(&back), bytes);
        let cut = &bytes[..rng.index(bytes.len())];
        assert!(take_histogram(&mut Reader::new(cut)).is_err());
    }
}

#[test]
fn rubbish_is_refused_without_a_panic() {
    let mut rng = Rng::new(9);
    for _ in 0..20_000 {
        let len = rng.index(60);
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        if let Some(codec) = bytes.get_mut(1).filter(|_| rng.chance(70)) {
            *codec = rng.below(3) as u8;
        }
        let _ = decode_run(&mut Reader::new(&bytes), &mut Vec::new());
        let _ = decode_times(&bytes);
        let _ = take_histogram(&mut Reader::new(&bytes));
        let _ = xor_decode(&bytes, rng.index(600));
        decode_chunk(&bytes, 9, |_, _| {});
    }
}

/// Logs of earlier versions have each value whole.
#[test]
fn samples_as_they_were_written_before_are_read() {
    let samples =
        [(3u32, 1_700_000_000_000i64, 1.5f64), (2, 1_700_000_000_000, -0.0), (900, 1_699_999_999_000, f64::NAN)];
    let (mut payload, mut last) = (Vec::new(), (0i64, 0i64));
    for (id, time_ms, value) in samples {
        codec::put_zigzag(&mut payload, i64::from(id) - last.0);
        codec::put_zigzag(&mut payload, time_ms - last.1);
        codec::put_u64(&mut payload, value.to_bits());
        last = (id.into(), time_ms);
    }
    let mut found = Vec::new();
    let of = |payload| Record { kind: RecordKind::Samples, tenant: "default", payload };
    record::read(&of(&payload), |entry| {
        if let Entry::Sample(id, time_ms, bits) = entry {
            found.push((id, time_ms, bits));
        }
    })
    .expect("reads");
    assert_eq!(found, samples.map(|(id, time_ms, value)| (id, time_ms, value.to_bits())));
    assert!(record::read(&of(&payload[..payload.len() - 1]), |_| {}).is_err());
}
