//! How many series there may be: of all, and of one tenant, one metric, one job. Whoever makes more than that loses what is new, and nobody else notices.
//! Knows what is in memory, which is what costs it: series that are only in segments do not count.

use base_signal::LabelsRef;

use crate::index::SeriesIndex;
use crate::settings::Settings;

/// The budgets as one write meets them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// Of all tenants together.
    left: usize,
    tenant: Option<usize>,
    metric: Option<usize>,
    job: Option<usize>,
}

impl Budgets {
    pub(crate) fn new(settings: &Settings, series: usize) -> Self {
        Self {
            left: settings.series_max.saturating_sub(series),
            tenant: settings.tenant_series_max,
            metric: settings.metric_series_max,
            job: settings.job_series_max,
        }
    }

    /// One more was made.
    pub(crate) fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Why a new series of these labels is not taken.
    pub(crate) fn refusal(&self, index: &SeriesIndex, labels: LabelsRef<'_>) -> Option<String> {
        if self.left == 0 {
            return Some("too many series".to_owned());
        }
        if let Some(most) = self.tenant.filter(|most| index.len() >= *most) {
            return Some(format!("the tenant has its {most} series"));
        }
        let full = |name: &str, most: Option<usize>| {
            let (value, most) = (labels.get(name)?, most?);
            (index.count(name, value) >= most).then_some((value.to_owned(), most))
        };
        if let Some((metric, most)) = full("__name__", self.metric) {
            return Some(format!("the metric {metric} has its {most} series"));
        }
        full("job", self.job).map(|(job, most)| format!("the job {job} has its {most} series"))
    }
}
