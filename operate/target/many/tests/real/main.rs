//! Releases on two real clusters at once: good ones, one that never gets ready, kill -9 at boundaries, an API server that dies in the middle. `cargo xtask
//! journeys connectors` starts the clusters and names their folder in APM_TEST_KUBERNETES_TWO; this is compiled only with the feature `real-clusters`.

mod releases;
mod rig;
