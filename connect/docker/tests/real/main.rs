//! The connector against a real engine and a real registry: every call once, with what they answer to it. `cargo xtask journeys` starts the engine and
//! names it in APM_TEST_DOCKER_HOST; this is compiled only with the feature `real-engine`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: a registry with a real folder, a static program read from the real disk"
)]

mod containers;
mod images;
#[path = "../../../registry/tests/real/registry.rs"]
mod registry;
mod support;
