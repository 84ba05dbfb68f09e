//! Compose files as a way to say what is wanted: text in, a project in compose's canonical form out, every node with its place. By the compose
//! specification, and compared with `docker compose config`.
//!
//! It opens no file, asks no engine and knows no release. What it does not carry out it names, with line and column; nothing is left out in
//! silence.

mod canonical;
mod dotenv;
mod interpolate;
mod load;
mod merge;
mod mounts;
mod node;
mod ports;
mod project;
mod shape;
mod units;
mod words;
mod yaml;

pub use dotenv::variables_strictly;
pub use load::{Ask, Project, ReadFile, load};
pub use node::{Finding, Node, Pair, Place, Value};
pub use project::order;
pub use units::nanos;

#[cfg(test)]
mod tests;
