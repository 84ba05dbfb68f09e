//! Upper tails of the normal and of Student's t distribution. Knows nothing of where its numbers come from.
//!
//! erfc by its Taylor series near zero and by its continued fraction further out (Abramowitz and Stegun 7.1.6, 7.1.14); the
//! incomplete beta function by its continued fraction (26.5.8); ln Γ by Stirling's series (6.1.41) after shifting upwards.

use std::f64::consts::{PI, SQRT_2};

/// P(Z > z) for a standard normal Z. NaN stays NaN.
pub fn normal_above(z: f64) -> f64 {
    if z.is_nan() { f64::NAN } else { 0.5 * erfc(z / SQRT_2) }
}

/// P(T > t) for Student's t with `freedom` degrees; from 200 degrees on the normal is near enough. NaN stays NaN, and no
/// degree of freedom at all says nothing: 0.5.
pub fn student_above(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() {
        return f64::NAN;
    }
    if freedom >= 200.0 {
        return normal_above(t);
    }
    if freedom <= 0.0 || t == 0.0 {
        return 0.5;
    }
    if t.is_infinite() {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    let half = 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
    if t > 0.0 { half } else { 1.0 - half }
}

fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x > 27.0 {
        return 0.0;
    }
    if x < 2.0 {
        // erf(x) = 2/√π · e^(-x²) · Σ 2^n x^(2n+1) / (1·3·…·(2n+1)): all terms positive, so nothing cancels.
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-16 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    // From the inside out; 60 levels give full precision from 2 on.
    let fraction = (1..=60).rev().fold(x, |inner, k| x + f64::from(k) / 2.0 / inner);
    (-x * x).exp() / PI.sqrt() / fraction
}

fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let tail = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + tail - shift
}

/// Regularised I_x(a, b).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // The fraction converges quickly left of this point; right of it by symmetry.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp() / a;
    let coefficient = |m: i32| {
        let half = f64::from(m / 2);
        match m {
            0 => 1.0,
            m if m % 2 == 0 => half * (b - half) * x / ((a + 2.0 * half - 1.0) * (a + 2.0 * half)),
            _ => -(a + half) * (a + b + half) * x / ((a + 2.0 * half) * (a + 2.0 * half + 1.0)),
        }
    };
    let fraction = (1..=200).rev().fold(1.0, |inner, m| 1.0 + coefficient(m) / inner);
    front / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(got: f64, expect: f64) {
        assert!((got - expect).abs() <= 5e-6_f64.max(expect * 1e-4), "{got} instead of {expect}");
    }

    #[test]
    fn tails_as_in_the_tables() {
        // NIST/SEMATECH e-Handbook, tables 1.3.6.7.1 and 1.3.6.7.2.
        check(normal_above(0.0), 0.5);
        check(normal_above(1.0), 0.158655);
        check(normal_above(1.959964), 0.025);
        check(normal_above(-1.644854), 0.95);
        check(normal_above(3.090232), 0.001);
        check(normal_above(6.0), 9.8659e-10);
        check(student_above(6.314, 1.0), 0.0499975);
        check(student_above(1.812461, 10.0), 0.05);
        check(student_above(2.763769, 10.0), 0.01);
        check(student_above(-2.042272, 30.0), 0.975);
        check(student_above(3.340885, 140.0), 0.000536);
        check(student_above(0.0, 4.0), 0.5);
    }
}
