//! What a step will take, learnt from how long the like of it took in earlier runs. It does not know where those are kept.

use std::collections::BTreeMap;

use crate::{Draft, Estimate, Step, Work};

/// Durations of done steps of earlier runs, newest first, by the step's name within its plan. The keeper decides which runs are alike.
pub type Learnt = BTreeMap<String, Vec<u64>>;

/// Runs older than these say little about today's machines.
const RUNS_MAX: usize = 20;

/// Puts what was learnt in the place of the planner's guesses; a step that never ran keeps its guess, and so does
/// one that waits for a person: how long that took the last time says nothing.
pub fn estimate(draft: &mut Draft, learnt: &Learnt) {
    let machine = |step: &&mut Step| !matches!(step.work, Work::Approve { .. } | Work::Window(_) | Work::Halt { .. });
    for step in draft.steps.iter_mut().filter(machine) {
        let Some(durations) = learnt.get(&step.id.0).filter(|durations| !durations.is_empty()) else { continue };
        let mut sorted: Vec<u64> = durations.iter().copied().take(RUNS_MAX).collect();
        sorted.sort_unstable();
        // Nearest rank; both exist as the list is not empty.
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        step.estimate = Estimate {
            usual_ms: rank(50).unwrap_or_default(),
            p90_ms: rank(90).unwrap_or_default(),
            runs: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
            memory_bytes: step.estimate.memory_bytes,
        };
    }
}
