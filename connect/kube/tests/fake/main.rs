//! The connector against API servers of this process that refuse, hang, lie and die.

mod discovery;
mod logins;
mod refusals;
mod requests;
mod server;
mod watch;
