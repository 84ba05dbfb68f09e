//! A front's own figures, in Prometheus's text format. Counts; does not know what a request is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// Upper bounds of the latency buckets, and how they are written.
const BOUNDS: [(u64, &str); 14] = [
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (10_000_000_000, "10"),
    (60_000_000_000, "60"),
];
/// Names of past releases are forgotten beyond this.
const NAMES_MAX: usize = 256;

/// Of one upstream's name, or of answers that the front gave itself.
pub(crate) struct Counters {
    codes: Box<[AtomicU64; 500]>,
    buckets: [AtomicU64; BOUNDS.len()],
    sum_ns: AtomicU64,
    count: AtomicU64,
    pub(crate) connect_errors: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) cut: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            codes: Box::new([const { AtomicU64::new(0) }; 500]),
            buckets: [const { AtomicU64::new(0) }; BOUNDS.len()],
            sum_ns: AtomicU64::new(0),
            count: AtomicU64::new(0),
            connect_errors: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// A request that ended, with the time from its head to the last byte of its answer.
    pub(crate) fn ended(&self, code: u16, took_ns: u64) {
        if let Some(counter) = usize::from(code).checked_sub(100).and_then(|index| self.codes.get(index)) {
            counter.fetch_add(1, Relaxed);
        }
        if let Some(bucket) = self.buckets.get(BOUNDS.partition_point(|(bound, _)| *bound < took_ns)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(took_ns, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }
}

/// A gauge of one upstream as it is now.
pub(crate) struct Now {
    pub(crate) name: String,
    pub(crate) healthy: bool,
    pub(crate) in_flight: u64,
    pub(crate) weight: u32,
    pub(crate) idle_connections: u64,
}

#[derive(Default)]
pub(crate) struct Metrics {
    by_name: Mutex<BTreeMap<String, Arc<Counters>>>,
    /// Answers of the front's own: refusals, and no upstream at all.
    pub(crate) own: Counters,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) switches: AtomicU64,
}

impl Metrics {
    /// The counters of an upstream's name; they go on when it comes back.
    pub(crate) fn of(&self, name: &str) -> Arc<Counters> {
        let mut by_name = self.by_name.lock();
        if by_name.len() >= NAMES_MAX {
            // Whoever still counts holds another reference.
            by_name.retain(|_, counters| Arc::strong_count(counters) > 1);
        }
        by_name.entry(name.to_owned()).or_default().clone()
    }

    pub(crate) fn text(&self, generation: u64, now: &[Now]) -> String {
        let mut out = String::with_capacity(4096);
        let by_name: Vec<(String, Arc<Counters>)> =
            self.by_name.lock().iter().map(|(name, counters)| (name.clone(), counters.clone())).collect();
        let all = || by_name.iter().map(|(name, counters)| (name.as_str(), &**counters)).chain([("", &self.own)]);
        head(
            &mut out,
            "requests_total",
            "counter",
            "Requests that ended, by status and upstream; none: answered by the front.",
        );
        for (name, counters) in all() {
            for (code, count) in counters.codes.iter().enumerate() {
                let (count, code) = (count.load(Relaxed), code + 100);
                if count > 0 {
                    let _ = writeln!(out, "apm_front_requests_total{{upstream=\"{name}\",code=\"{code}\"}} {count}");
                }
            }
        }
        head(
            &mut out,
            "request_duration_seconds",
            "histogram",
            "From a request's head to the last byte of its answer.",
        );
        for (name, counters) in all() {
            let mut below = 0;
            for (bucket, (_, bound)) in counters.buckets.iter().zip(BOUNDS) {
                below += bucket.load(Relaxed);
                let _ = writeln!(
                    out,
                    "apm_front_request_duration_seconds_bucket{{upstream=\"{name}\",le=\"{bound}\"}} {below}"
                );
            }
            let count = counters.count.load(Relaxed).max(below);
            #[expect(clippy::cast_precision_loss, reason = "a sum of seconds is told in float64")]
            let sum = counters.sum_ns.load(Relaxed) as f64 / 1e9;
            let _ = writeln!(
                out,
                "apm_front_request_duration_seconds_bucket{{upstream=\"{name}\",le=\"+Inf\"}} {count}\n\
                 apm_front_request_duration_seconds_sum{{upstream=\"{name}\"}} {sum}\n\
                 apm_front_request_duration_seconds_count{{upstream=\"{name}\"}} {count}"
            );
        }
        type Field = fn(&Counters) -> &AtomicU64;
        let counters: [(&str, &str, Field); 3] = [
            ("connect_errors_total", "Connections to an upstream that could not be made.", |c| &c.connect_errors),
            ("retries_total", "Requests sent again because they had surely not been taken.", |c| &c.retries),
            ("cut_total", "Answers and tunnels that ended before their time.", |c| &c.cut),
        ];
        for (metric, help, field) in counters {
            head(&mut out, metric, "counter", help);
            for (name, counters) in all() {
                let _ = writeln!(out, "apm_front_{metric}{{upstream=\"{name}\"}} {}", field(counters).load(Relaxed));
            }
        }
        type Gauge = fn(&Now) -> u64;
        let gauges: [(&str, &str, Gauge); 4] = [
            ("upstream_healthy", "1 while the upstream is well.", |now| u64::from(now.healthy)),
            ("upstream_in_flight", "Requests that have begun and not ended.", |now| now.in_flight),
            ("upstream_weight", "The upstream's share of new requests.", |now| u64::from(now.weight)),
            ("upstream_idle_connections", "Connections kept for the next request.", |now| now.idle_connections),
        ];
        for (metric, help, value) in gauges {
            head(&mut out, metric, "gauge", help);
            for one in now {
                let _ = writeln!(out, "apm_front_{metric}{{upstream=\"{}\"}} {}", one.name, value(one));
            }
        }
        let single = [
            ("connections", "gauge", "Clients' connections that are open.", self.connections.load(Relaxed)),
            ("connections_total", "counter", "Clients' connections taken.", self.connections_total.load(Relaxed)),
            ("switches_total", "counter", "Changes of the set of upstreams.", self.switches.load(Relaxed)),
            ("generation", "gauge", "The generation of the set in force.", generation),
        ];
        for (metric, kind, help, value) in single {
            head(&mut out, metric, kind, help);
            let _ = writeln!(out, "apm_front_{metric} {value}");
        }
        out
    }
}

fn head(out: &mut String, metric: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP apm_front_{metric} {help}\n# TYPE apm_front_{metric} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        let blue = metrics.of("blue");
        blue.ended(200, 500_000);
        blue.ended(200, 700_000);
        blue.ended(503, 70_000_000_000);
        metrics.own.ended(400, 1);
        let text = metrics.text(7, &[]);
        let check = |line: &str| assert!(text.lines().any(|one| one == format!("apm_front_{line}")), "{line}\n{text}");
        check(r#"requests_total{upstream="blue",code="200"} 2"#);
        check(r#"requests_total{upstream="blue",code="503"} 1"#);
        check(r#"requests_total{upstream="",code="400"} 1"#);
        check(r#"request_duration_seconds_bucket{upstream="blue",le="0.0005"} 1"#);
        check(r#"request_duration_seconds_bucket{upstream="blue",le="0.001"} 2"#);
        check(r#"request_duration_seconds_bucket{upstream="blue",le="60"} 2"#);
        check(r#"request_duration_seconds_bucket{upstream="blue",le="+Inf"} 3"#);
        check(r#"request_duration_seconds_sum{upstream="blue"} 70.0012"#);
        check("generation 7");
    }

    #[test]
    fn names_of_the_past_are_forgotten() {
        let metrics = Metrics::default();
        let kept = metrics.of("kept");
        for release in 0..1_000 {
            metrics.of(&format!("v{release}"));
        }
        assert!(metrics.by_name.lock().len() <= NAMES_MAX);
        assert!(Arc::ptr_eq(&kept, &metrics.of("kept")));
    }
}
