//! The connector against Debian's docker-registry, open, with passwords and with a token server, and side by side with `docker push` and `docker pull`
//! of a real engine. `cargo xtask journeys` starts the engine and names it in APM_TEST_DOCKER_HOST; this is compiled only with the feature `real-engine`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: a registry with a real folder, a static program read from the real disk"
)]

mod beside_docker;
#[path = "../shared/content.rs"]
mod content;
#[path = "../shared/peer.rs"]
mod peer;
mod registry;
mod tokens;
