//! The connector on a real API server, which `cargo xtask journeys connectors` starts.

mod admission;
mod changes;
mod discovery;
mod logins;
mod support;
mod watch;
mod writes;
