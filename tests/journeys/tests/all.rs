//! The journeys: each module is one thing a user does from end to end, with the real `apm` and real counterparts. `cargo xtask journeys` runs them.
#![expect(clippy::disallowed_methods, reason = "tests of the real thing: real disk, real clock")]

mod bad_input;
mod browser;
mod build;
mod cluster;
mod collect;
mod containers;
mod deploy;
mod differential;
mod discovery;
mod docker_engine;
mod exact_numbers;
mod flask;
mod inject;
mod installed;
mod kill_under_load;
mod manifests;
mod memory;
mod promql;
mod python_grpc;
mod python_sdk;
mod read_api;
mod remote_write;
mod retention;
mod rules;
mod scraping;
mod syscalls;
mod tsdb;
