//! Releases on a real cluster: ones that work, ones that fail for each reason there is, and ones killed at every boundary of their journal and
//! at random instants. `cargo xtask journeys connectors` starts the cluster and names its folder in APM_TEST_KUBERNETES; this is compiled only with the
//! feature `real-cluster`.

mod before;
mod helm;
mod kills;
mod proxy;
mod reasons;
mod releases;
mod rig;
mod routes;
mod rules;
mod unknown;
mod webhook;
mod weights;
