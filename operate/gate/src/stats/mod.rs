//! The statistics of the judge: distributions, Mann-Whitney U, quantiles of a histogram. Knows numbers, not services.

mod distribution;
mod histogram;
mod mann_whitney;
mod share;

pub use distribution::{normal_above, student_above};
pub(crate) use histogram::{quantile, share_above};
pub use mann_whitney::{MannWhitney, mann_whitney};
pub(crate) use share::wilson;
