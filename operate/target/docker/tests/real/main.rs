//! Releases on a real engine: one that works, ones that do not, and one killed at every boundary of its journal and at random instants.
//! `cargo xtask journeys` starts the engine and names it in APM_TEST_DOCKER_HOST; this is compiled only with the feature `real-engine`. The same tests run on
//! an engine in memory too (`tests/fake`).

mod engine;
#[path = "../shared/fronts.rs"]
mod fronts;
#[path = "../shared/kills.rs"]
mod kills;
#[path = "../shared/releases.rs"]
mod releases;
#[path = "../shared/rig.rs"]
mod rig;
