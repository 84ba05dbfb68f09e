//! Forty queries as dashboards, alerts and people ask them, over 20,000 series of an hour, each asked by one client several times. The sum of their
//! medians is told, and each query by itself: a server may be fast on the whole and slow at what one team asks all day.

use std::time::Instant;

use super::super::spine::good;
use super::load::{Request, Series, now_ms};
use super::server::{Running, Under};
use super::{Figure, REST, Size};
use crate::http::Client;
use crate::sh;

const SERIES: u64 = 20_000;
const STEP_MS: u64 = 15_000;
/// Samples of one series in a request.
const BATCH: usize = 40;
const SERIES_EACH: u64 = 500;
const TIMES: usize = 7;

/// Asked for one moment: the end.
const INSTANT: [&str; 20] = [
    "http_server_requests_0_total",
    "sum(http_server_requests_0_total)",
    "sum by (job) (http_server_requests_1_total)",
    "rate(http_server_requests_2_total[5m])",
    "sum by (code) (rate(http_server_requests_3_total[5m]))",
    "topk(5, rate(http_server_requests_4_total[5m]))",
    "count({__name__=~\"http_server_requests_1.*\"})",
    "sum by (job) (rate({__name__=~\"http_server_requests_.*\",code=\"500\"}[5m]))",
    "count by (handler) ({job=\"service-3\"})",
    "avg_over_time(http_server_requests_5_total[30m])",
    "quantile(0.9, http_server_requests_6_total)",
    "max by (instance) (http_server_requests_7_total{zone=\"eu-central-1a\"})",
    "http_server_requests_8_total{instance=~\"10.0.1.*\"}",
    "sum(rate(http_server_requests_9_total{code=\"500\"}[5m])) / sum(rate(http_server_requests_9_total[5m]))",
    "absent(http_server_requests_none_total)",
    "increase(http_server_requests_10_total[1h])",
    "stddev by (handler) (http_server_requests_11_total)",
    "http_server_requests_12_total - http_server_requests_12_total offset 5m",
    "predict_linear(http_server_requests_13_total[30m], 3600)",
    "count(http_server_requests_14_total > 100)",
];

/// Asked for the hour, a point every 15 s.
const RANGE: [&str; 20] = [
    "http_server_requests_20_total{job=\"service-0\"}",
    "sum(http_server_requests_20_total)",
    "sum by (job) (rate(http_server_requests_21_total[5m]))",
    "rate(http_server_requests_22_total[1m])",
    "sum by (handler, code) (rate(http_server_requests_23_total[5m]))",
    "topk(3, sum by (instance) (rate(http_server_requests_24_total[5m])))",
    "sum(rate(http_server_requests_25_total{code=\"500\"}[5m])) / sum(rate(http_server_requests_25_total[5m]))",
    "max_over_time(http_server_requests_26_total[10m])",
    "avg by (job) (avg_over_time(http_server_requests_27_total[5m]))",
    "count by (job) (http_server_requests_28_total)",
    "quantile by (handler) (0.95, rate(http_server_requests_29_total[5m]))",
    "increase(http_server_requests_30_total{pod=~\"service-1.*\"}[5m])",
    "sum(rate({__name__=~\"http_server_requests_3[0-9]_total\"}[5m]))",
    "deriv(http_server_requests_31_total[10m])",
    "max(max_over_time(rate(http_server_requests_32_total[1m])[10m:1m]))",
    "http_server_requests_33_total > bool 1000",
    "sum by (zone) (irate(http_server_requests_34_total[2m]))",
    "abs(delta(http_server_requests_35_total[5m]))",
    "sum by (job) (http_server_requests_36_total) / on (job) count by (job) (http_server_requests_36_total)",
    "min by (namespace) (http_server_requests_37_total{namespace!=\"\"})",
];

pub(super) fn suite(server: &Under, size: &Size) -> sh::Outcome<Vec<Figure>> {
    let running = server.start()?;
    let mut client = running.client()?;
    let begin_ms = now_ms() / STEP_MS * STEP_MS - (size.query_samples + 8) * STEP_MS;
    load(&running, &mut client, begin_ms, size.query_samples)?;
    running.settle(REST)?;
    let end_s = (begin_ms + (size.query_samples - 1) * STEP_MS) / 1_000;
    let mut figures = vec![Figure { what: "ms: forty queries, sum of the medians", value: 0.0 }];
    let instant = INSTANT.map(|query| (query, format!("/api/v1/query?nocache=1&time={end_s}")));
    let range = RANGE.map(|query| {
        let begin_s = begin_ms / 1_000;
        (query, format!("/api/v1/query_range?nocache=1&start={begin_s}&end={end_s}&step=15"))
    });
    for (query, path) in instant.into_iter().chain(range) {
        let path = format!("{path}&query={}", escaped(query));
        let value = median_ms(&mut client, &path).map_err(|why| format!("{query}: {why}"))?;
        figures.push(Figure { what: query, value });
    }
    let sum = figures.iter().map(|figure| figure.value).sum();
    if let Some(first) = figures.first_mut() {
        first.value = sum;
    }
    Ok(figures)
}

fn load(running: &Running, client: &mut Client, begin_ms: u64, samples: u64) -> sh::Outcome {
    let series = Series::new(SERIES);
    for round in (0..samples).step_by(BATCH) {
        for from in (0..SERIES).step_by(SERIES_EACH as usize) {
            let values = |number: u64| -> [(u64, f64); BATCH] {
                std::array::from_fn(|n| {
                    let step = round + n as u64;
                    (begin_ms + step * STEP_MS, (step * (1 + number % 20)) as f64)
                })
            };
            running.write(client, &Request::with(&series, from..from + SERIES_EACH, values))?;
        }
    }
    Ok(())
}

fn median_ms(client: &mut Client, path: &str) -> sh::Outcome<f64> {
    let mut taken = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        good(&client.get(path)?, path)?;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken.get(TIMES / 2).copied().unwrap_or(0.0))
}

/// For a query string.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
