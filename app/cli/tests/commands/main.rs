//! The `apm` program itself, started as a person starts it: what it prints, what it answers, and how it ends. It needs nothing but the binary, `/bin/sh`
//! and loopback; what needs other programs is a journey. It links none of our rooms.
#![expect(clippy::disallowed_methods, reason = "the tests play the person, who edits files and waits on a clock")]

mod arrival;
mod collected;
mod delivered;
mod demo;
mod deploy;
mod discovered;
mod engine;
mod faces;
mod front;
mod home;
mod http;
mod images;
mod judged;
mod listening;
mod manifests;
mod paper;
mod registry;
mod releases;
mod run;
mod run_agent;
mod scraping;
mod terminal;
mod transcript;
