//! What the containers of a service write, old version and new, as the engine keeps it. It knows no run and shows nothing.

use std::sync::Arc;

use base_explain::Report;
use base_world::Disk;
use connect_docker::{Channel, ContainerListed, Engine, LogOptions, Surroundings, find};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use operate_deploy::label;

use crate::DeskError;

/// Whose containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsOf {
    pub project: String,
    pub service: String,
    pub environment: String,
}

/// One container of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    pub id: String,
    pub name: String,
    pub version: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines {
    pub since_ms: i64,
    /// At most so many of those that are there already.
    pub tail: u64,
    /// Goes on until the container ends.
    pub follow: bool,
}

/// An engine that is asked for logs.
#[derive(Clone)]
pub struct ContainerLogs {
    engine: Arc<Engine>,
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
        Ok(ContainerLogs { engine: Arc::new(Engine::new(found).map_err(|error| told(&error))?) })
    }

    /// Containers in any state, the oldest first; those of which nothing was ever started write nothing.
    pub async fn writers(&self, of: &LogsOf) -> Result<Vec<Writer>, DeskError> {
        let labels =
            [(label::PROJECT, &of.project), (label::SERVICE, &of.service), (label::ENVIRONMENT, &of.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone())).into();
        let mut listed = self.engine.containers(&labels).await.map_err(|error| told(&error))?;
        listed.sort_by_key(|one| (one.created_s, one.name.clone()));
        let writer = |one: ContainerListed| Writer {
            version: one.labels.get(label::VERSION).cloned().unwrap_or_default(),
            id: one.id,
            name: one.name,
        };
        Ok(listed.into_iter().map(writer).collect())
    }

    /// What one of them writes; the stream ends where the connection does. A container that is gone by now writes nothing.
    pub async fn lines(&self, by: Writer, lines: Lines) -> Result<BoxStream<'static, Written>, DeskError> {
        let since = lines.since_ms.max(0);
        let options = LogOptions {
            follow: lines.follow,
            tail: Some(lines.tail),
            since: Some(format!("{}.{:03}", since / 1_000, since % 1_000)),
            until: None,
            timestamps: true,
        };
        let stream = match self.engine.logs(&by.id, &options).await {
            Ok(stream) => stream,
            Err(error) if error.is_not_found() => return Ok(futures_util::stream::empty().boxed()),
            Err(error) => return Err(told(&error)),
        };
        // The second piece of a line that was cut has no time of its own.
        let mut last_ms = since;
        let whole = stream.take_while(|line| std::future::ready(line.is_ok()));
        Ok(whole
            .filter_map(|line| std::future::ready(line.ok()))
            .map(move |line| {
                let at = line.at.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
                last_ms = at.unwrap_or(last_ms);
                Written {
                    by: by.clone(),
                    at_ms: last_ms,
                    is_error: line.channel == Channel::Errors,
                    text: String::from_utf8_lossy(&line.text).into_owned(),
                }
            })
            .boxed())
    }
}
