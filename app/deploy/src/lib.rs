//! What is behind `apm deploy` and the deployments of the API: the project's settings become a release, the release a plan, the plan a run
//! that is carried out here and watched from anywhere.
//!
//! It joins the planner, the history, the executor, a Docker engine and the judge. It prints nothing and listens nowhere.

mod compose;
mod desk;
mod env_files;
mod evidence;
mod health;
mod keeper;
mod notify;
mod pin;
mod registries;
mod release;
mod settings;

pub use compose::{ComposeAsk, Composed};
pub use desk::{Desk, DeskError, DeskOptions, DeskParts, Planned};
pub use keeper::{Keeper, KeeperOptions, ReadProject};
pub use pin::Registries;
pub use registries::{Inspected, Registry};
pub use release::Asked;
pub use settings::{NotifySettings, Project, ServiceSettings};

/// What the audit log says of a deed.
pub use operate_history::{Action, Artefact};

/// Why a registry did not do what it was asked.
pub use connect_registry::{Kind as RegistryKind, RegistryError};
/// Which old runs may go, and what went.
pub use operate_history::{Pruned, Retention};

/// What the environment says about Docker.
pub use connect_docker::Surroundings as DockerSurroundings;

#[cfg(test)]
mod tests;
