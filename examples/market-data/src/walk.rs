//! Prices as geometric random walks, replayable from a seed.
//!
//! Numbers come from SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), normal
//! ones by the Box-Muller transform. A weak pull towards the start keeps a demo that runs for weeks in sight.

/// A small deterministic source of numbers. Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `0..count`; 0 when `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// One in `count` times true.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Mean 0, standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// How strongly one step pulls the price back to its start.
const PULL: f64 = 0.0005;

/// One price on its walk.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    start: f64,
    price: f64,
    step: f64,
}

impl Walk {
    pub(crate) fn new(start: f64, step: f64) -> Self {
        Self { start, price: start, step }
    }

    /// The next price: always above 0.
    pub(crate) fn next(&mut self, chance: &mut Chance) -> f64 {
        let pull = PULL * (self.start / self.price).ln();
        self.price *= (pull + self.step * chance.normal()).exp();
        self.price
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(seed: u64, count: usize) -> Vec<f64> {
        let mut chance = Chance::new(seed);
        let mut walk = Walk::new(100.0, 0.001);
        (0..count).map(|_| walk.next(&mut chance)).collect()
    }

    #[test]
    fn a_seed_replays_its_prices_and_they_stay_in_sight() {
        assert_eq!(prices(7, 100), prices(7, 100));
        assert_ne!(prices(7, 100), prices(8, 100));
        assert!(prices(7, 200_000).iter().all(|price| (60.0..160.0).contains(price)));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut chance = Chance::new(3);
        let drawn: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let deviation = (drawn.iter().map(|x| x * x).sum::<f64>() / 20_000.0).sqrt();
        assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.03, "{mean} {deviation}");
    }
}
