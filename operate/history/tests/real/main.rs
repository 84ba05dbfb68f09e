//! The history in a real PostgreSQL: the same checks. `cargo xtask journeys` starts the server and names it in APM_TEST_POSTGRES_URL; this
//! file is compiled only with the feature `real-postgres`.

#[path = "../shared/conformance.rs"]
mod conformance;
#[path = "../shared/support.rs"]
mod support;
