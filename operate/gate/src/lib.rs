//! The judge of a release: series in, verdict out.
//!
//! [`questions`] says what has to be asked of a Prometheus and a Loki, [`judge`] reads the answers and says whether the new
//! version is worse than the old one, by how much, and how sure that is. [`before`] is the gate in front: error budget,
//! firing alerts, freezes. [`arrived`] says whether the telemetry of new pods arrives at all. The method and its reasons: `docs/decisions/0012-how-a-release-is-judged.md`.
//!
//! What it does NOT know: clocks, networks, disks, chance. Whoever asks the questions hands in the answers and the time; the
//! same input gives the same verdict. It deploys nothing and undoes nothing. An answer that failed is unknown, never fine.

mod arrival;
mod ask;
mod before;
pub mod corpus;
mod duration;
mod evidence;
mod judge;
mod patterns;
mod replay;
mod settings;
pub mod stats;
mod subject;
mod verdict;

pub use arrival::{Arrival, Arrived, Instance, Signal, Unproven, arrived, questions_arrival};
pub use ask::{Language, Question, question_alertmanager, questions, questions_before};
pub use before::{Admission, Firing, Freeze, LatencySlo, Reason, Slo, before};
pub use evidence::{Answer, Evidence, Line, Series};
pub use judge::judge;
pub use patterns::{ErrorPattern, mask, new_patterns};
pub use replay::{Ended, Tally};
pub use settings::{Change, Direction, Metric, Names, NanStrategy, Rule, Settings, SettingsError};
pub use subject::{Side, Subject, UserCheck};
pub use verdict::{Judged, Layer, LayerScore, Link, Mark, Outcome, Unit, Verdict};

#[cfg(test)]
mod tests;
