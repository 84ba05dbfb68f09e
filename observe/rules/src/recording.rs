//! One evaluation of a recording rule. Keeps nothing.

use std::collections::HashSet;

use observe_promql::Engine;

use crate::ask::{Found, Over};
use crate::file::RuleSpec;

/// The samples that the rule records.
pub(crate) fn evaluate(
    rule: &RuleSpec,
    engine: &Engine,
    over: &Over<'_>,
    at_ms: i64,
    limit: usize,
) -> Result<Vec<Found>, String> {
    let mut samples = over.ask(engine, &rule.expr, at_ms)?;
    let mut seen = HashSet::with_capacity(samples.len());
    for sample in &mut samples {
        let mut labels = sample.labels.to_builder();
        labels.set("__name__", &*rule.name);
        for (name, value) in &rule.labels {
            labels.set(&**name, &**value);
        }
        sample.labels = labels.build();
        if !seen.insert(sample.labels.clone()) {
            return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
        }
    }
    if limit > 0 && samples.len() > limit {
        return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
    }
    Ok(samples)
}
