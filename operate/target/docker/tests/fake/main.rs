//! Releases on an engine in memory: those of `tests/shared`, as on a real one, and what a real one cannot be made to do: answers that are lost, refused or
//! never given, at every request of a release.

#[path = "../../../../../connect/front/tests/fake/control.rs"]
mod control;
mod control_socket;
mod engine;
mod faults;
#[path = "../shared/fronts.rs"]
mod fronts;
#[path = "../shared/kills.rs"]
mod kills;
mod objects;
#[path = "../shared/releases.rs"]
mod releases;
#[path = "../shared/rig.rs"]
mod rig;
