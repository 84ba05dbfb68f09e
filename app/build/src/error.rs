//! Why a build did not come to an end, and what to do about it.

use std::path::PathBuf;

use base_explain::Report;
use connect_docker::DockerError;
use operate_build::{Needs, Refused};

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// The Dockerfile needs what the classic builder does not have.
    #[error("{} is for BuildKit: {}", path.display(), first(needs))]
    NeedsBuildkit { path: PathBuf, needs: Vec<Needs> },
    #[error("{} cannot be read as a Dockerfile: line {line}: {what}", path.display())]
    Malformed { path: PathBuf, line: usize, what: String },
    #[error("{0}")]
    Engine(#[from] DockerError),
    /// `at` is the step that was under way, in the engine's words.
    #[error("the build ended{}: {source}", at.as_ref().map(|at| format!(" in {at}")).unwrap_or_default())]
    Ended { at: Option<String>, source: DockerError },
    #[error("the engine ended the build{} and named no image", at.as_ref().map(|at| format!(" after {at}")).unwrap_or_default())]
    NoImage { at: Option<String> },
    /// There is no agent for this program, or it cannot be had.
    #[error("no agent for this image: {why}")]
    NoAgent { why: String },
    #[error(transparent)]
    Stage(#[from] Refused),
    /// A volume of that name holds another agent, and containers may run with it.
    #[error("the volume `{name}` holds the agent of {other}, not of {wanted}")]
    VolumeTaken { name: String, other: String, wanted: String },
    #[error("the agent could not be fetched: {why}")]
    Fetch { why: String },
}

fn first(needs: &[Needs]) -> String {
    let Some(one) = needs.first() else { return String::new() };
    let more = if needs.len() > 1 { format!(", and {} more", needs.len() - 1) } else { String::new() };
    format!("line {} has {}{more}", one.at.line, one.what)
}

impl BuildError {
    /// It was refused before anything began.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            BuildError::NeedsBuildkit { .. }
                | BuildError::Stage(_)
                | BuildError::NoAgent { .. }
                | BuildError::Malformed { .. }
        )
    }

    pub fn report(&self) -> Report {
        let report = Report::of(self);
        match self {
            BuildError::NeedsBuildkit { needs, .. } => needs
                .iter()
                .skip(1)
                .take(5)
                .fold(report, |report, one| report.because(format!("line {} has {}", one.at.line, one.what)))
                .hint("build it with `docker buildx build`, and bring the agent by `inject: volume`; or write it without"),
            BuildError::Engine(error) | BuildError::Ended { source: error, .. } => {
                match (error, error.hint()) {
                    (DockerError::Broken { .. }, _) if matches!(self, BuildError::Ended { .. }) => {
                        report.hint("the engine went away in the middle; nothing was tagged. What was built is in its cache: build again when it is back")
                    }
                    (_, Some(hint)) => report.hint(hint.to_string()),
                    _ => report,
                }
            }
            BuildError::NoImage { .. } => report.hint("nothing was tagged; the engine's own log says more"),
            BuildError::NoAgent { .. } => report.hint("`--inject none` builds it without; `--agent` names a folder that has one"),
            BuildError::Stage(_) => report.hint("`--inject volume` leaves the image as it is"),
            BuildError::Fetch { .. } => report.hint("`--agent` names a folder that has it; `--inject none` builds without"),
            BuildError::VolumeTaken { name, .. } => report.hint(format!("give the image a new tag, or remove the volume: `docker volume rm {name}`")),
            BuildError::Unreadable { .. } | BuildError::Malformed { .. } => report,
        }
    }
}
