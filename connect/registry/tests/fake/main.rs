//! The connector against registries that lie, babble, break off and send elsewhere; and against the logins that registries ask for.

mod blobs;
mod lies;
mod logins;
mod server;
mod uploads;
