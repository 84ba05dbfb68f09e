//! How long steps took, from the journals of earlier runs that were alike. It does not estimate; [`operate_plan::estimate`] does.

use std::collections::BTreeMap;

use operate_execute::{Filter, History as _, HistoryError, Status};
use operate_plan::Learnt;

use crate::SqlHistory;
use crate::db::{Row, values};
use crate::trouble::store;

/// Runs are alike that have these labels in common.
const LIKE: [&str; 3] = ["service", "environment", "strategy"];
/// Older ones say little about today's machines.
const RUNS_MAX: usize = 20;

impl SqlHistory {
    /// Durations of done steps, newest first, of the newest 20 complete runs with the same service, environment and strategy as `labels`
    /// has; nothing when it has none of them. A step during which the run changed hands is left out: its time is not its own.
    pub async fn learnt(&self, labels: &BTreeMap<String, String>) -> Result<Learnt, HistoryError> {
        let alike = labels.iter().filter(|(name, _)| LIKE.contains(&name.as_str()));
        let labels: Vec<_> = alike.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut learnt = Learnt::new();
        if labels.is_empty() {
            return Ok(learnt);
        }
        let filter = Filter { status: Some(Status::Complete), labels, limit: RUNS_MAX, ..Filter::default() };
        for run in self.runs(&filter).await? {
            let sql = "SELECT kind, at_ms, event FROM entries WHERE run = $1 \
                       AND kind IN ('taken', 'step-begun', 'step-done') ORDER BY seq";
            let rows = self.inner.db.rows(sql, values![run.run.0.as_str()]).await?;
            for (step, duration_ms) in durations(&rows)? {
                learnt.entry(step).or_default().push(duration_ms);
            }
        }
        Ok(learnt)
    }
}

/// Of one run's steps that were begun and done by the same executor.
fn durations(rows: &[Row]) -> Result<BTreeMap<String, u64>, HistoryError> {
    let mut begun: BTreeMap<String, i64> = BTreeMap::new();
    let mut durations = BTreeMap::new();
    for row in rows {
        let (kind, at_ms) = (row.text(0)?, row.int(1)?);
        if kind == "taken" {
            begun.clear();
            continue;
        }
        let event: serde_json::Value = serde_json::from_str(row.text(2)?)
            .map_err(|error| store("read", format!("a line of a journal is no JSON: {error}")))?;
        let Some(step) = event.get(kind).and_then(|event| event.get("step")?.as_str()) else { continue };
        if kind == "step-begun" {
            begun.insert(step.to_owned(), at_ms);
        } else if let Some(begun_ms) = begun.remove(step) {
            // A clock that was set back in between tells nothing.
            if let Ok(duration_ms) = u64::try_from(at_ms.saturating_sub(begun_ms)) {
                durations.insert(step.to_owned(), duration_ms);
            }
        }
    }
    Ok(durations)
}
