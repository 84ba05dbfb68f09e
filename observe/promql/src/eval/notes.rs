//! What there is to say of the samples of a window, and how it is said. Computes nothing.

use base_signal::Labels;

use super::native::{Combined, Mixed};
use super::{Evaluator, names};
use crate::syntax::{Span, quote};

/// What there is to say of the metric of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// Floats and histograms that cannot be combined.
    MixedTypes,
    MixedSchemas,
    NotCounter,
    NotGauge,
    HintsCollide,
    /// Custom bounds that differ, and what was done to the histograms.
    BoundsDiffer(&'static str),
    /// A sample began before the one before it.
    Overlap,
}

/// Remarks on one window.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Remark>);

impl Notes {
    pub(super) fn say(&mut self, remark: Remark) {
        self.0.push(remark);
    }

    pub(super) fn take(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.0)
    }

    /// Of two histograms that were combined: their custom bounds, when they differed.
    pub(super) fn combined(&mut self, result: std::result::Result<Combined, Mixed>, what: &'static str) -> Option<()> {
        match result {
            Ok(told) if told.bounds_differed => self.say(Remark::BoundsDiffer(what)),
            Ok(_) => {}
            Err(Mixed) => {
                self.say(Remark::MixedSchemas);
                return None;
            }
        }
        Some(())
    }
}

impl Evaluator<'_> {
    pub(super) fn remark(&mut self, span: Span, remark: Remark, labels: &Labels) {
        let metric = || quote(names::metric_name(labels));
        match remark {
            Remark::MixedTypes => {
                self.warn(span, format!("encountered a mix of histograms and floats for metric name {}", metric()));
            }
            Remark::MixedSchemas => {
                let text =
                    "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
                self.warn(span, format!("{text} {}", metric()));
            }
            Remark::NotCounter => {
                self.warn(span, format!("this native histogram metric is not a counter: {}", metric()));
            }
            Remark::NotGauge => {
                self.warn(span, format!("this native histogram metric is not a gauge: {}", metric()));
            }
            Remark::HintsCollide => self.warn(span, "conflicting counter resets during histogram aggregation"),
            Remark::BoundsDiffer(what) => {
                self.info(span, format!("mismatched custom buckets were reconciled during {what}"));
            }
            Remark::Overlap => {
                let told = self.overlaps.entry(names::metric_name(labels).to_owned()).or_insert((0, span));
                told.0 += 1;
            }
        }
    }
}
