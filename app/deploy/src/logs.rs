//! What the containers of a service write, old version and new, as the engine or the cluster keeps it. It knows no run and shows nothing.

use std::sync::Arc;

use base_explain::Report;
use base_world::Disk;
use connect_docker::{Channel, ContainerListed, Engine, LogOptions, State, Surroundings, find};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use operate_deploy::label;
use operate_plan::Plan;
use serde::{Deserialize, Serialize};

use crate::cluster::PodLogs;
use crate::{Clusters, DeskError};

mod output;

pub use output::{Heard, Output};

/// Whose containers: of a service in an environment those of one version and of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsOf {
    pub project: String,
    pub service: String,
    pub environment: String,
    pub version: String,
    pub before: Option<String>,
}

/// Which of the two versions a container is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    New,
    Old,
}

impl LogsOf {
    /// Those of a run.
    pub fn run(plan: &Plan) -> LogsOf {
        let label = |name: &str| plan.labels.get(name).cloned();
        let text = |name: &str| label(name).unwrap_or_default();
        LogsOf {
            project: text("project"),
            service: text("service"),
            environment: text("environment"),
            version: text("version"),
            before: label("version_before"),
        }
    }

    /// `None`: of neither.
    pub fn side(&self, by: &Writer) -> Option<Side> {
        // The same version made anew: what is kept for the way back is the old one.
        let is_kept = by.name.ends_with("-previous");
        if by.version == self.version && !is_kept {
            Some(Side::New)
        } else if Some(&by.version) == self.before.as_ref() || is_kept {
            Some(Side::Old)
        } else {
            None
        }
    }
}

/// One container of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Writer {
    pub id: String,
    pub name: String,
    pub version: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub by: Writer,
    /// Milliseconds since 1970, as the engine noted it.
    pub at_ms: i64,
    /// To its standard error.
    pub is_error: bool,
    /// What is no UTF-8 is replaced.
    pub text: String,
}

/// Which lines of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    pub since_ms: i64,
    /// At most so many of those that are there already.
    pub tail: u64,
    /// Goes on until the container ends.
    pub follow: bool,
}

/// An engine, or a cluster, that is asked for logs.
#[derive(Clone)]
pub struct ContainerLogs {
    from: From,
}

#[derive(Clone)]
enum From {
    Engine(Arc<Engine>),
    Pods(Arc<PodLogs>),
}

fn told(error: &connect_docker::DockerError) -> DeskError {
    let report = Report::of(error);
    DeskError::Told(match error.hint() {
        Some(hint) => report.hint(hint),
        None => report,
    })
}

impl ContainerLogs {
    /// Connects to nothing yet.
    pub fn open(surroundings: &Surroundings, disk: &dyn Disk) -> Result<ContainerLogs, DeskError> {
        let found = find(surroundings, disk).map_err(|error| told(&error))?;
        Ok(ContainerLogs { from: From::Engine(Arc::new(Engine::new(found).map_err(|error| told(&error))?)) })
    }

    /// Those of a plan's pods; nothing if it is not one on a cluster.
    pub fn of_pods(clusters: &Clusters, plan: &Plan) -> Option<Result<ContainerLogs, DeskError>> {
        let pods = PodLogs::of(clusters, plan)?.map_err(DeskError::Settings);
        Some(pods.map(|pods| ContainerLogs { from: From::Pods(Arc::new(pods)) }))
    }

    /// Who is asked, in one word.
    fn who(&self) -> &'static str {
        match &self.from {
            From::Engine(_) => "docker",
            From::Pods(_) => "kubernetes",
        }
    }

    /// Containers of both versions in any state, the oldest first, but for those that were never started: whoever asks the engine to follow one is
    /// told at once that there is no more, and would miss what it writes later.
    pub async fn writers(&self, of: &LogsOf) -> Result<Vec<Writer>, DeskError> {
        let engine = match &self.from {
            From::Engine(engine) => engine,
            From::Pods(pods) => return pods.writers(of).await,
        };
        let labels =
            [(label::PROJECT, &of.project), (label::SERVICE, &of.service), (label::ENVIRONMENT, &of.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
        let mut listed = engine.containers(&labels).await.map_err(|error| told(&error))?;
        listed.retain(|one| one.state != State::Created);
        listed.sort_by_key(|one| (one.created_s, one.name.clone()));
        let writer = |one: ContainerListed| Writer {
            version: one.labels.get(label::VERSION).cloned().unwrap_or_default(),
            id: one.id,
            name: one.name,
        };
        Ok(listed.into_iter().map(writer).filter(|by| of.side(by).is_some()).collect())
    }

    /// What one of them writes; an error is the last item. A container that is gone by now writes nothing.
    pub async fn lines(
        &self,
        by: Writer,
        lines: Lines,
    ) -> Result<BoxStream<'static, Result<Written, DeskError>>, DeskError> {
        let engine = match &self.from {
            From::Engine(engine) => engine,
            From::Pods(pods) => return pods.lines(by, lines).await,
        };
        let since = lines.since_ms.max(0);
        let options = LogOptions {
            follow: lines.follow,
            // As many as there are is what the engine gives unasked.
            tail: (lines.tail < u64::MAX).then_some(lines.tail),
            since: Some(format!("{}.{:03}", since / 1_000, since % 1_000)),
            until: None,
            timestamps: true,
        };
        let stream = match engine.logs(&by.id, &options).await {
            Ok(stream) => stream,
            Err(error) if error.is_not_found() => return Ok(futures_util::stream::empty().boxed()),
            Err(error) => return Err(told(&error)),
        };
        // The second piece of a line that was cut has no time of its own.
        let mut last_ms = since;
        Ok(stream
            .map(move |line| {
                let line = line.map_err(|error| told(&error))?;
                let at = line.at.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
                last_ms = at.unwrap_or(last_ms);
                Ok(Written {
                    by: by.clone(),
                    at_ms: last_ms,
                    is_error: line.channel == Channel::Errors,
                    text: String::from_utf8_lossy(&line.text).into_owned(),
                })
            })
            .boxed())
    }
}
