//! What decoding remote write 1.0 costs on one core: `cargo run --release -p observe-wire --example remote_write_rate`. 50,000 series with 5 to 8 labels, one
//! sample of each a round, in requests of 2,000. Prints nanoseconds a sample: unpacking alone, and all of it.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures real time and prints")]

use std::hint::black_box;
use std::time::Instant;

use observe_wire::proto::Writer;
use observe_wire::{Limits, compression, remote_write};

const SERIES: u64 = 50_000;
const EACH: u64 = 2_000;
const ROUNDS: u64 = 40;

fn main() {
    let bodies: Vec<Vec<u8>> = (0..SERIES / EACH).map(body).collect();
    let limits = Limits::default();
    let packed: usize = bodies.iter().map(Vec::len).sum();
    let plain: usize =
        bodies.iter().filter_map(|body| compression::snappy_block(body, usize::MAX).ok()).map(|b| b.len()).sum();
    println!("{} B a sample, {} B packed", plain as u64 / SERIES, packed as u64 / SERIES);
    measure("unpack", || bodies.iter().for_each(|body| drop(black_box(compression::snappy_block(body, usize::MAX)))));
    measure("unpack and decode", || {
        for body in &bodies {
            let decoded = remote_write::decode_write_request(body, &limits);
            assert!(decoded.is_ok_and(|decoded| decoded.write.samples.len() as u64 == EACH), "all samples");
        }
    });
}

fn measure(what: &str, mut round: impl FnMut()) {
    round();
    let begun = Instant::now();
    (0..ROUNDS).for_each(|_| round());
    println!("{what}: {:.0} ns a sample", begun.elapsed().as_nanos() as f64 / (ROUNDS * SERIES) as f64);
}

fn body(request: u64) -> Vec<u8> {
    let mut all = Writer::default();
    for series in request * EACH..(request + 1) * EACH {
        all.message(1, |one| {
            for (name, value) in labels(series) {
                one.message(1, |pair| {
                    pair.text(1, name).text(2, &value);
                });
            }
            one.message(2, |sample| {
                sample.double(1, (series % 1000) as f64).varint(2, 1_767_225_600_000);
            });
        });
    }
    compression::pack_snappy(&all.0)
}

/// Sorted by name, as senders do.
fn labels(series: u64) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("__name__", format!("http_server_requests_{}_total", series % 50)),
        ("code", if series.is_multiple_of(7) { "500" } else { "200" }.to_owned()),
        ("handler", format!("/api/v1/handler-{}", series / 50 % 10)),
        ("instance", format!("10.0.{}.{}:9090", series / 500 % 250, series % 250)),
        ("job", format!("service-{}", series % 20)),
    ];
    if series.is_multiple_of(2) {
        labels.push(("namespace", format!("team-{}", series % 12)));
        labels.push(("pod", format!("service-{}-7d9f8b6c5d-{:05}", series % 20, series / 500)));
    }
    if series.is_multiple_of(3) {
        labels.push(("zone", "eu-central-1a".to_owned()));
    }
    labels
}
