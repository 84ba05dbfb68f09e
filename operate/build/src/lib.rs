//! How an image gets a telemetry agent without a change to the project's files: the last stage that is generated behind the user's own image, its entry
//! script where one is needed, which files of a folder are the build context, and what of a Dockerfile needs another builder.
//!
//! ```text
//! Dockerfile -> refusals        (nothing is begun that the classic builder would end)
//! image's settings + language -> Stage { Dockerfile text, files, environment }   (or an environment and a volume for what runs already)
//! ```
//!
//! What it does NOT know: disks, engines, registries, clocks. The same input gives the same answer.

mod buildkit;
mod carrier;
mod command;
mod context;
mod entry;
mod facts;
mod settings;
mod stage;

pub use buildkit::{Needs, needs_buildkit, platform_arguments};
pub use carrier::{Carrier, JAVA_AGENT, JavaAgent, Join, NODE_LOCK, NODE_PACKAGE, NODE_SHIM, Variable, carrier};
pub use command::{Asked, docker_build};
pub use context::{Ignored, tar_dockerignore};
pub use facts::Facts;
pub use settings::{BuildSettings, Inject, volume_name};
pub use stage::{Labels, Refused, Stage, Telemetry, agent_image, environment, stage};

/// Where everything of ours lies in a container.
pub const HOME: &str = "/opt/apm";

/// The agent's own files, below [`HOME`].
pub const AGENT: &str = "/opt/apm/agent";

/// Start-up files, below [`HOME`].
pub const SHIM: &str = "/opt/apm/shim";

#[cfg(test)]
mod tests;
