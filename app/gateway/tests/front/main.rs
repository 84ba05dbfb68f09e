//! A front as its users meet it: real sockets on both sides, on loopback, at free ports.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests: clients with a clock of their own; a panic tells"
)]

mod control;
mod framing;
mod health;
mod http1;
mod http2;
mod restart;
mod stage;
mod switch;
mod trouble;
mod tunnels;
