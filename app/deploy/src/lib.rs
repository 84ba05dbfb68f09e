//! What is behind `apm deploy` and the deployments of the API: the project's settings become a release, the release a plan, the plan a run
//! that is carried out here and watched from anywhere.
//!
//! It joins the planner, the history, the executor, a Docker engine and the judge. It prints nothing and listens nowhere.

mod adopt;
mod agent;
mod cluster;
mod compose;
mod desk;
mod diff;
mod env_files;
mod evidence;
mod exposed;
mod front;
mod health;
mod judging;
mod keeper;
mod known;
mod lacking;
mod learn;
mod ledger;
mod logs;
mod looks;
mod manifests;
mod notify;
mod pin;
mod places;
mod probe;
mod promotion;
mod registries;
mod release;
mod remote;
mod scanned;
mod settings;
mod tags;
mod views;

pub use adopt::{Handmade, Named};
pub use cluster::{
    ArrivalSettings, ClusterJudge, ClusterSettings, Clusters, Compared, Hanging, HelmSettings, InstallHow, Installed,
    InstalledObject, KubernetesSettings, ObjectChange, OnFailure, Plain, PostError, Rendered, RenderedFile, Unknown,
    Wanted, Workload, WorkloadState, kustomize, post_render,
};
pub use compose::{ComposeAsk, Composed, Sent, parts};
pub use desk::{Desk, DeskError, DeskOptions, DeskParts, Planned, telemetry};
pub use env_files::ServiceVariables;
pub use judging::{Again, Chart, JudgeAsk, Judging, Looked, Replay};
pub use keeper::{Keeper, KeeperOptions, ReadProject};
pub use learn::{Learnt, learnt, lines as learnt_lines};
pub use ledger::{Ledger, Told, keys};
pub use logs::{ContainerLogs, Heard, Lines, LogsOf, Output, Side, Writer, Written};
pub use looks::{Past, Said, Seen};
pub use manifests::{ManifestSource, ManifestText, Rendering, manifest_sources, manifest_texts, render_manifests};
pub use pin::Registries;
pub use probe::{ImageAt, Probe};
pub use promotion::{Decided, LABEL as PROMOTION, Promote, PromoteAsk, StageNow, Standing, decide};
pub use registries::{Inspected, Registry};
pub use release::Asked;
pub use remote::{Following, Remote, RemoteError};
pub use settings::{CanarySettings, DeploySettings, FrontSettings, NotifySettings, Project, ServiceSettings};

/// Where telemetry is asked.
pub use app_adapt::Places as AskedAt;

/// What the audit log says of a deed.
pub use operate_history::{Action, Artefact};

/// Why a registry did not do what it was asked.
pub use connect_registry::{Kind as RegistryKind, RegistryError};
/// Which old runs may go, and what went.
pub use operate_history::{Pruned, Retention};

/// What the environment says about Docker.
pub use connect_docker::Surroundings as DockerSurroundings;

/// What is found out about this machine's clusters.
pub use connect_kube::{ContextListed, Surroundings as KubeSurroundings};

#[cfg(test)]
mod paper;
#[cfg(test)]
mod tests;
