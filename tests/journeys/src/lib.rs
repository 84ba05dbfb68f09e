//! What every journey needs: the real `apm` in a temporary home, an HTTP client that hands back what came, the tools that `cargo xtask tools` got, and
//! a folder for what a failed run leaves behind. It sees the product as a user does, from outside; it links none of our crates.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: real disk, real clock, and polls that wait for another process"
)]

pub mod artefacts;
pub mod bases;
pub mod bodies;
pub mod cluster;
pub mod docker;
pub mod engine;
pub mod http;
pub mod otlp;
pub mod peer;
pub mod prometheus;
pub mod protobuf;
pub mod remote_write;
pub mod strace;
pub mod tools;
pub mod wait;

pub use cluster::Cluster;
pub use docker::Dockerd;
pub use engine::Engine;
pub use peer::Peer;
