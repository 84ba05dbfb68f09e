//! Series from a seed: counters that are reset, gauges with everything a float can be, gaps, stale markers, classic and native
//! histograms of several layouts, some that change their kind, info series; out of phase with each other.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and any seed will do.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len() as u64) as usize]
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Native {
    pub(crate) schema: i32,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) zero_threshold: f64,
    pub(crate) zero_count: f64,
    pub(crate) positive_offset: i32,
    pub(crate) positive: Vec<f64>,
    pub(crate) negative_offset: i32,
    pub(crate) negative: Vec<f64>,
    pub(crate) bounds: Vec<f64>,
    /// As the wire numbers them: 0 unknown, 3 gauge.
    pub(crate) hint: u8,
}

#[derive(Clone, Debug)]
pub(crate) enum Sample {
    Float(f64),
    Native(Native),
}

#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    /// Milliseconds since 1970, ascending.
    pub(crate) samples: Vec<(i64, Sample)>,
}

/// What a series does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    /// Cumulative buckets up to the one with this place, of five.
    Bucket(usize),
    Exponential,
    ExponentialGauge,
    /// Custom bounds; which of two sets.
    Custom(usize),
    /// Floats first, then histograms.
    Mixed,
    Info,
}

const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "5", "+Inf"];
const SAMPLES: i64 = 100;
const EVERY_MS: i64 = 15_000;

/// All series there are, sorted by labels.
fn all() -> Vec<(Vec<(String, String)>, Kind)> {
    let mut out = Vec::new();
    let mut add = |kind: Kind, labels: &[(&str, &str)]| {
        let mut labels: Vec<_> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        labels.sort();
        out.push((labels, kind));
    };
    for (job, instance) in [("api", "a:1"), ("api", "b:1"), ("web", "a:1"), ("db", "c:9")] {
        let of = |name: &'static str| [("__name__", name), ("job", job), ("instance", instance)];
        let with = |name, more: (&'static str, &'static str)| [of(name).to_vec(), vec![more]].concat();
        add(Kind::Counter, &with("c_total", ("code", "200")));
        add(Kind::Counter, &with("c_total", ("code", "500")));
        add(Kind::Counter, &of("errors"));
        add(Kind::Gauge, &of("g"));
        add(Kind::Gauge, &with("m", ("x", "1")));
        add(Kind::Gauge, &with("m", ("x", "2")));
        add(Kind::Exponential, &of("nh"));
        add(Kind::ExponentialGauge, &of("ng"));
        add(Kind::Custom(if job == "api" { 0 } else { 1 }), &of("nc"));
        add(Kind::Mixed, &of("mix"));
        add(Kind::Info, &with("target_info", ("version", if job == "db" { "2" } else { "1" })));
        add(Kind::Info, &with("build_info", ("build", "x")));
    }
    for job in ["api", "web"] {
        for (place, bound) in BOUNDS.iter().enumerate() {
            add(Kind::Bucket(place), &[("__name__", "b_bucket"), ("job", job), ("le", bound)]);
        }
        add(Kind::Counter, &[("__name__", "b_sum"), ("job", job)]);
        add(Kind::Bucket(4), &[("__name__", "b_count"), ("job", job)]);
    }
    // Classic buckets beside a native histogram of the same name and labels.
    add(Kind::Exponential, &[("__name__", "dual"), ("job", "api")]);
    for (place, bound) in BOUNDS.iter().enumerate() {
        add(Kind::Bucket(place), &[("__name__", "dual"), ("job", "api"), ("le", bound)]);
    }
    add(Kind::Gauge, &[("__name__", "my.metric"), ("la.bel", "ü x")]);
    add(Kind::Gauge, &[("__name__", "my.metric"), ("la.bel", "y"), ("job", "api")]);
    out.sort();
    out
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Every series with one sample.
pub(crate) fn catalogue(time_ms: i64) -> Vec<Written> {
    let one = |(labels, _)| Written { labels, samples: vec![(time_ms, Sample::Float(0.0))] };
    all().into_iter().map(one).collect()
}

pub(crate) fn of_seed(seed: u64, begin_ms: i64) -> Vec<Written> {
    let mut random = Random::new(seed);
    let mut out = Vec::new();
    for (labels, kind) in all() {
        // Some are not there at all.
        if random.once_in(12) {
            continue;
        }
        let phase_ms = if random.once_in(2) { 0 } else { random.below(EVERY_MS as u64) as i64 };
        let mut grown = Grown::default();
        let mut samples = Vec::new();
        let mut gap = 0;
        let buckets = Random::new(seed ^ 77);
        let mut shared = buckets.clone();
        for i in 0..SAMPLES {
            let time_ms = begin_ms + phase_ms + i * EVERY_MS;
            let drawn = shared.next();
            if gap > 0 {
                gap -= 1;
                continue;
            }
            if random.once_in(40) {
                gap = random.below(30);
            }
            if random.once_in(60) {
                samples.push((time_ms, Sample::Float(f64::from_bits(0x7ff0_0000_0000_0002))));
                continue;
            }
            samples.push((time_ms, grown.sample(kind, i, drawn, &mut random)));
        }
        out.push(Written { labels, samples });
    }
    out
}

/// Where a series stands.
#[derive(Clone, Debug, Default)]
struct Grown {
    value: f64,
    native: Native,
}

impl Grown {
    fn sample(&mut self, kind: Kind, i: i64, drawn: u64, random: &mut Random) -> Sample {
        match kind {
            Kind::Counter => {
                if random.once_in(25) {
                    self.value = 0.0;
                }
                self.value += random.below(50) as f64 * 0.5;
                Sample::Float(self.value)
            }
            Kind::Gauge => Sample::Float(gauge(random)),
            // Buckets of one histogram grow by shares of what is drawn for all of them.
            Kind::Bucket(place) => {
                self.value += ((drawn % 20) * (place as u64 + 1) / 5) as f64;
                Sample::Float(self.value - if random.once_in(50) { 1.0 } else { 0.0 })
            }
            Kind::Info => Sample::Float(1.0),
            Kind::Mixed if i < SAMPLES / 2 => Sample::Float(random.below(9) as f64),
            Kind::Mixed | Kind::Exponential => Sample::Native(self.exponential(random, false)),
            Kind::ExponentialGauge => Sample::Native(self.exponential(random, true)),
            Kind::Custom(set) => Sample::Native(self.custom(set, random)),
        }
    }

    fn exponential(&mut self, random: &mut Random, gauge: bool) -> Native {
        let native = &mut self.native;
        if native.count == 0.0 || gauge || random.once_in(20) {
            *native = Native {
                schema: random.below(4) as i32 - 1,
                zero_threshold: [0.0, 0.001, 0.5][random.below(3) as usize],
                // Beyond the widest zero bucket.
                positive_offset: 1 + random.below(5) as i32,
                negative_offset: 1 + random.below(3) as i32,
                positive: vec![0.0; 1 + random.below(5) as usize],
                negative: vec![0.0; random.below(3) as usize],
                hint: if gauge { 3 } else { 0 },
                ..Native::default()
            };
        }
        let mut more = 0.0;
        for bucket in native.positive.iter_mut().chain(&mut native.negative).chain([&mut native.zero_count]) {
            let grown = random.below(4) as f64;
            *bucket += grown;
            more += grown;
        }
        native.count += more;
        native.sum += more * (random.below(9) as f64 - 2.0) / 2.0;
        let mut native = native.clone();
        // Observations that are NaN are in no bucket.
        if random.once_in(40) {
            (native.sum, native.count) = (f64::NAN, native.count + 2.0);
        }
        native
    }

    fn custom(&mut self, set: usize, random: &mut Random) -> Native {
        let native = &mut self.native;
        if native.count == 0.0 || random.once_in(25) {
            let bounds: &[f64] = if set == 0 { &[0.5, 1.0, 5.0] } else { &[-1.0, 1.0, 2.0, 5.0] };
            let positive = vec![0.0; bounds.len() + 1];
            *native = Native { schema: -53, bounds: bounds.to_vec(), positive, ..Native::default() };
        }
        for bucket in &mut native.positive {
            let grown = random.below(5) as f64;
            *bucket += grown;
            native.count += grown;
            native.sum += grown * 1.5;
        }
        native.clone()
    }
}

fn gauge(random: &mut Random) -> f64 {
    match random.below(24) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        4 => 1e300,
        5 => 0.1,
        6 => -7.25,
        n => (random.below(40) as f64 - 10.0) * if n % 2 == 0 { 1.0 } else { 0.3 },
    }
}
