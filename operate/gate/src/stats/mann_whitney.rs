//! The Mann-Whitney U test: do values of one set tend to be larger than those of another? Knows no time and no service.
//!
//! Mann and Whitney (1947), normal approximation with correction for ties and for continuity, as R's `wilcox.test(exact =
//! FALSE)`, SciPy's `mannwhitneyu(method="asymptotic")` and Kayenta compute it.

use super::normal_above;

/// What the ranks say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// U of the first set: how many pairs have the larger value in it, ties half.
    pub u: f64,
    /// U as a share of all pairs: 0.5 when neither tends to be larger (the common language effect size).
    pub share: f64,
    /// Chance of so large a U when both are alike.
    pub p_greater: f64,
    /// Chance of so small a U when both are alike.
    pub p_less: f64,
    pub p_two_sided: f64,
}

/// Compares two sets; values that are NaN are left out. `None` when one is empty. Sets in which all is equal give p = 1.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<MannWhitney> {
    let mut all: Vec<(f64, bool)> = Vec::with_capacity(first.len() + second.len());
    all.extend(first.iter().filter(|v| !v.is_nan()).map(|v| (*v, true)));
    let n1 = all.len() as f64;
    all.extend(second.iter().filter(|v| !v.is_nan()).map(|v| (*v, false)));
    let n2 = all.len() as f64 - n1;
    if n1 == 0.0 || n2 == 0.0 {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Equal values share the mean of their ranks; each such group takes t³ - t from the variance.
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let of_first = group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        rank_sum += of_first * (before + (size + 1.0) / 2.0);
        ties += size * size * size - size;
        before += size;
    }
    let (n, pairs) = (n1 + n2, n1 * n2);
    let u = rank_sum - n1 * (n1 + 1.0) / 2.0;
    let variance = pairs / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
    let above = |over: f64| {
        if variance > 0.0 { normal_above((over - 0.5) / variance.sqrt()) } else { 1.0 }
    };
    let over = u - pairs / 2.0;
    let (p_greater, p_less) = (above(over), above(-over));
    let p_two_sided = (2.0 * p_greater.min(p_less)).min(1.0);
    Some(MannWhitney { u, share: u / pairs, p_greater, p_less, p_two_sided })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &[f64], second: &[f64], u: f64, p_greater: f64, p_two_sided: f64) {
        let got = mann_whitney(first, second).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 6e-5;
        assert!(got.u == u && near(got.p_greater, p_greater) && near(got.p_two_sided, p_two_sided), "{got:?}");
    }

    #[test]
    fn published_examples() {
        // The example of SciPy's documentation (age at diagnosis): U = 17, asymptotic p = 0.11134688653.
        check(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0], 17.0, 0.0556734, 0.1113469);
        // Hollander and Wolfe (1973), p. 69, permeability, as in R's manual: W = 35; large sample z = 9.5 / 8.165.
        let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        check(&term, &[1.15, 0.88, 0.90, 0.74, 1.21], 35.0, 0.12231, 0.24463);
        // Nothing to tell apart.
        check(&[3.0, 3.0], &[3.0, 3.0, 3.0], 3.0, 1.0, 1.0);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
    }

    /// Over all ways to deal the same values to two sets, U has exactly the mean and the variance used, ties or not.
    #[test]
    fn the_variance_is_that_of_all_permutations() {
        for values in [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 9.0]] {
            let (mut us, mut z_used) = (Vec::new(), 0.0_f64);
            for hand in 0u32..128 {
                if hand.count_ones() != 3 {
                    continue;
                }
                let pick = |want: bool| {
                    let of = |(i, v): (usize, &f64)| ((hand >> i & 1 == 1) == want).then_some(*v);
                    values.iter().enumerate().filter_map(of).collect::<Vec<_>>()
                };
                let got = mann_whitney(&pick(true), &pick(false)).unwrap();
                us.push(got.u);
                if got.u > 6.5 {
                    // From the p back to the standard deviation that it was made with.
                    let z =
                        (0..6000).map(|i| f64::from(i) / 1000.0).find(|z| normal_above(*z) <= got.p_greater).unwrap();
                    z_used = (got.u - 6.0 - 0.5) / z;
                }
            }
            let mean = us.iter().sum::<f64>() / us.len() as f64;
            let variance = us.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / us.len() as f64;
            assert_eq!(mean, 6.0);
            assert!((variance.sqrt() - z_used).abs() < 0.01, "{} against {z_used}", variance.sqrt());
        }
    }
}
