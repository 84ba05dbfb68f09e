//! What is behind `apm docker build`: a folder becomes a context, the context an image, the image one with an agent. It joins the planner of builds, the
//! agents and a Docker engine; agents are fetched once and kept. It prints nothing: lines go to whoever asked.
//!
//! Two builds: the user's own, of the files as they are; then the generated stage, whose base is the first one's image by its id. So nothing of the
//! project is rewritten, what the base image brings (entry point, command, variables) is known and not guessed, and the layers of the first are those that
//! `docker build` would make and cache.

mod agent;
mod build;
mod context;
mod error;
mod preview;
mod probe;
mod project;
mod side;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use build::{Built, build};
/// A build needs an engine.
pub use connect_docker::{DockerError, Engine, find};
pub use context::{Context, Tar};
pub use error::BuildError;
use operate_build::Inject;
pub use preview::{Preview, preview};

/// What to build, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that is sent.
    pub context: PathBuf,
    /// Of the Dockerfile; the context's own when left out.
    pub file: Option<PathBuf>,
    pub tags: Vec<String>,
    pub target: String,
    /// Values may be secret, though they should not; they are shown nowhere.
    pub args: BTreeMap<String, String>,
    pub platform: String,
    pub cache_from: Vec<String>,
    pub no_cache: bool,
    pub inject: Inject,
    /// A folder with the agent, or Java's agent as a file; fetched when left out.
    pub agent: Option<PathBuf>,
    /// `service.name`; found from the project when left out.
    pub service: Option<String>,
    pub environment: Option<String>,
    pub version: Option<String>,
    /// The commit.
    pub revision: Option<String>,
    pub source: Option<String>,
    /// `$XDG_CACHE_HOME/apm`
    pub cache: PathBuf,
}

/// What is told while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line of the engine's builder.
    Output(String),
    /// A sentence of ours.
    Note(String),
    Warning(String),
}

/// Whoever listens.
pub type Say<'a> = dyn FnMut(Line) + Send + 'a;
