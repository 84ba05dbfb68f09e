//! The first release of a service: there is no past and nothing beside it. Errors are held against a share that is too many for
//! anybody; of the rest nothing can be said. Knows no comparison.

use super::bench::Bench;
use crate::settings::Metric;
use crate::stats::wilson;
use crate::verdict::{Judged, Mark};

/// What counts as bad elsewhere as a difference: two points.
const ERRORS_MAX: f64 = 0.02;
/// 99.9 % on one side: dozens of looks.
const Z: f64 = 3.1;

/// Without a past.
pub(super) fn judged(bench: &Bench<'_>, metric: Metric, mut judged: Judged) -> Judged {
    judged.note = "the first release: there is nothing to compare with".into();
    if metric != Metric::ErrorRate {
        return judged;
    }
    let windows = bench.windows_from(0);
    let requests: f64 = windows.iter().map(|window| window.requests).sum();
    let errors: f64 = windows.iter().map(|window| window.errors).sum();
    if requests <= 0.0 {
        return judged;
    }
    let share = errors / requests;
    judged.new = Some(share);
    let (low, _) = wilson(share, requests, Z);
    judged.note = format!("the first release: held against {:.0} % of errors", ERRORS_MAX * 100.0);
    judged.outcome = if low > ERRORS_MAX {
        Mark::High
    } else if bench.traffic() < bench.settings.min_traffic {
        judged.note = format!("{:.2} requests/s, {} are needed", bench.traffic(), bench.settings.min_traffic);
        Mark::Unsure
    } else if share <= ERRORS_MAX {
        Mark::Pass
    } else {
        Mark::Unsure
    };
    judged
}
