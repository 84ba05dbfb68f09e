//! Sums and means of many native histograms, with what there is to say of them.

use std::sync::Arc;

use base_signal::{CounterReset, NativeHistogram};

use super::native::{Combined, Mixed, Native};

/// A sum or a mean of histograms as it grows; the mean survives a sum beyond the largest float.
pub(super) struct Total {
    sum: Native,
    /// The mean, once the sum is too large.
    mean: Option<Native>,
    count: f64,
    wants_mean: bool,
    pub(super) told: Combined,
    resets: bool,
    no_resets: bool,
}

impl Total {
    pub(super) fn starting_with(first: &NativeHistogram, wants_mean: bool) -> Self {
        let mut total = Total {
            sum: Native::new(first),
            mean: None,
            count: 1.0,
            wants_mean,
            told: Combined::default(),
            resets: false,
            no_resets: false,
        };
        total.see(first);
        total
    }

    fn see(&mut self, histogram: &NativeHistogram) {
        self.resets |= histogram.counter_reset == CounterReset::Reset;
        self.no_resets |= histogram.counter_reset == CounterReset::NoReset;
        self.told.hints_collided = self.resets && self.no_resets;
    }

    pub(super) fn add(&mut self, histogram: &NativeHistogram) -> Result<(), Mixed> {
        self.see(histogram);
        self.count += 1.0;
        let mut more = Native::new(histogram);
        let bounds = |told: &mut Combined, new: Combined| told.bounds_differed |= new.bounds_differed;
        if self.mean.is_none() {
            if !self.wants_mean {
                let new = self.sum.add_exactly(&more)?;
                bounds(&mut self.told, new);
                return Ok(());
            }
            let mut next = self.sum.clone();
            let new = next.add_exactly(&more)?;
            bounds(&mut self.told, new);
            if !next.overflows() {
                self.sum = next;
                return Ok(());
            }
        }
        let mut mean = self.mean.take().unwrap_or_else(|| {
            let mut mean = self.sum.clone();
            mean.divide(self.count - 1.0);
            mean
        });
        mean.multiply((self.count - 1.0) / self.count);
        more.divide(self.count);
        let new = mean.add_exactly(&more);
        self.mean = Some(mean);
        bounds(&mut self.told, new?);
        Ok(())
    }

    pub(super) fn finish(self) -> Arc<NativeHistogram> {
        match self.mean {
            Some(mean) => mean.finish(),
            None => {
                let mut sum = self.sum;
                if self.wants_mean {
                    sum.divide(self.count);
                }
                sum.finish()
            }
        }
    }
}
