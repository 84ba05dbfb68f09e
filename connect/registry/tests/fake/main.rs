//! The connector against registries that lie, babble, break off and send elsewhere; and against the logins that registries ask for;
//! and, by the tests of `tests/shared`, against one in memory that does as it should.

mod blobs;
#[path = "../shared/content.rs"]
mod content;
mod lies;
mod logins;
#[path = "../shared/peer.rs"]
mod peer;
mod registry;
mod server;
mod uploads;
