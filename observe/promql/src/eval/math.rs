//! Sums that do not lose digits, quantiles, regression: numbers in, numbers out.

/// Kahan's summation with Neumaier's improvement, as Prometheus sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Kahan {
    pub(crate) fn starting_with(sum: f64) -> Self {
        Kahan { sum, compensation: 0.0 }
    }

    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A mean that survives a sum beyond the largest float: it then goes on incrementally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    running: Kahan,
    incremental: bool,
    count: f64,
}

impl Mean {
    pub(crate) fn starting_with(value: f64) -> Self {
        Mean { running: Kahan::starting_with(value), incremental: false, count: 1.0 }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.running;
            next.add(value);
            if !next.sum.is_infinite() {
                self.running = next;
                return;
            }
            self.incremental = true;
            self.running.sum /= self.count - 1.0;
            self.running.compensation /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.running.sum *= share;
        self.running.compensation *= share;
        self.running.add(value / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        if self.incremental {
            return self.running.total();
        }
        self.running.sum / self.count + self.running.compensation / self.count
    }
}

/// The quantile of unsorted values, which are sorted here with NaN first. NaN for none.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Least squares over (time, value); returns slope per second and the value at `intercept_ms`.
pub(crate) fn linear_regression(times_ms: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    let first = values.first().copied().unwrap_or(f64::NAN);
    if values.iter().skip(1).all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (time_ms, value) in times_ms.iter().zip(values) {
        let x = (time_ms - intercept_ms) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*value);
        xy_sum.add(x * value);
        xx_sum.add(x * x);
    }
    let n = values.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = xx_sum.total() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Go's `math.Max`: a NaN on either side wins, but over infinity.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ => a.max(b),
    }
}

/// Go's `math.Min`.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::NEG_INFINITY, _) | (_, f64::NEG_INFINITY) => f64::NEG_INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ => a.min(b),
    }
}

/// Whether two numbers differ by less than `epsilon` of their sum.
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}
