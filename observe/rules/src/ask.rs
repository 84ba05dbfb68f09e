//! How a rule asks: one expression at one moment. Knows no rule.

use base_signal::{Labels, TenantId};
use base_world::Clock;
use observe_promql::{Engine, PointValue, Query, QueryError, Value};
use observe_source::{Budget, Cancel, MetricSource};

/// What rules are evaluated over.
#[derive(Clone, Copy)]
pub struct Over<'a> {
    pub source: &'a dyn MetricSource,
    pub tenant: &'a TenantId,
    /// Of each expression.
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
    /// For how long things take.
    pub clock: &'a dyn Clock,
}

/// One sample of an answer.
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) value: PointValue,
}

impl Over<'_> {
    /// A number is a sample without labels.
    pub(crate) fn ask(&self, engine: &Engine, text: &str, at_ms: i64) -> Result<Vec<Found>, String> {
        let query = Query { text, tenant: self.tenant, budget: self.budget, cancel: self.cancel };
        let answer = engine.instant(self.source, &query, at_ms).map_err(|error| match error {
            QueryError::Parse(error) => error.to_string(),
            QueryError::Unasked(text) => text,
            other => other.to_string(),
        })?;
        match answer.value {
            Value::Vector(points) => {
                Ok(points.into_iter().map(|point| Found { labels: point.labels, value: point.value }).collect())
            }
            Value::Scalar(_, value) => Ok(vec![Found { labels: Labels::empty(), value: PointValue::Float(value) }]),
            Value::String(..) | Value::Matrix(_) => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}
