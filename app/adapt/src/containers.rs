//! A Docker engine as the containers that `observe/ingest` turns into metrics: lists, inspects and asks for counters, a few at a time. Which
//! metrics become of it is not known here.

use base_world::Disk;
use connect_docker::{ContainerListed, ContainerStats, ContainerView, DockerError, Engine, State, Surroundings, find};
use futures_util::StreamExt as _;
use observe_ingest::containers::{self, Container, Health, Limits, Network, ReadContainers, Traffic, Unread, Usage};

/// Containers asked at once: an engine mostly waits for its helpers, a process for each container; more would only be in their way.
const AT_ONCE: usize = 8;
/// More than one machine carries; the rest is left out, and the reader is told.
const CONTAINERS_MAX: usize = 2000;

/// The containers of one engine.
pub struct DockerContainers {
    engine: Engine,
    place: String,
}

impl DockerContainers {
    /// Finds the engine as Docker's own client does, but does not call it.
    pub fn find(surroundings: &Surroundings, disk: &dyn Disk) -> Result<DockerContainers, Unread> {
        let found = find(surroundings, disk).map_err(|error| unread(&error))?;
        let place = found.place.to_string();
        Ok(DockerContainers { engine: Engine::new(found).map_err(|error| unread(&error))?, place })
    }

    /// Where it listens: `unix:///var/run/docker.sock`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// `None` when it went away between the list and here.
    async fn one(&self, listed: ContainerListed) -> Option<Container> {
        let view = self.engine.container(&listed.id).await;
        let view = view.inspect_err(|error| skipped(&listed, error)).ok()?;
        let stats = match view.state {
            State::Running | State::Paused => self.engine.container_stats_with(&listed.id, view.restarts).await,
            _ => return Some(container(listed, &view, None)),
        };
        let stats = stats.inspect_err(|error| skipped(&listed, error)).ok()?;
        // One that ended meanwhile has no counters, which is not the same as zeros.
        let stats = Some(stats).filter(|stats| stats.cpu.total_ns > 0);
        Some(container(listed, &view, stats))
    }
}

impl ReadContainers for DockerContainers {
    async fn machine(&self) -> Result<String, Unread> {
        self.engine.info().await.map(|info| info.name).map_err(|error| unread(&error))
    }

    async fn read(&self) -> Result<Vec<Container>, Unread> {
        let all = self.engine.containers(&Default::default()).await.map_err(|error| unread(&error))?;
        let lives = |one: &ContainerListed| matches!(one.state, State::Running | State::Paused | State::Restarting);
        let mut living: Vec<_> = all.into_iter().filter(lives).collect();
        if living.len() > CONTAINERS_MAX {
            tracing::warn!("{} containers run, the first {CONTAINERS_MAX} are measured", living.len());
            living.truncate(CONTAINERS_MAX);
        }
        let asked = futures_util::stream::iter(living).map(|listed| self.one(listed));
        let mut read: Vec<_> = asked.buffer_unordered(AT_ONCE).filter_map(|found| async move { found }).collect().await;
        read.sort_by(|a: &Container, b| a.id.cmp(&b.id));
        Ok(read)
    }
}

fn skipped(listed: &ContainerListed, error: &DockerError) {
    tracing::debug!(container = listed.name, %error, "a container was not measured this time");
}

fn unread(error: &DockerError) -> Unread {
    let why = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    Unread { why, absent: matches!(error, DockerError::NotReachable { .. }) }
}

fn container(listed: ContainerListed, view: &ContainerView, stats: Option<ContainerStats>) -> Container {
    let bounds = view.bounds;
    Container {
        started_s: unix_seconds(&view.started_at),
        health: match view.health {
            connect_docker::Health::None => Health::Unchecked,
            connect_docker::Health::Healthy => Health::Healthy,
            _ => Health::NotHealthy,
        },
        restarts: view.restarts,
        limits: Limits {
            memory_bytes: bounds.memory_bytes,
            memory_swap_bytes: bounds.memory_swap_bytes,
            memory_reservation_bytes: bounds.memory_reservation_bytes,
            cpu_quota_us: bounds.cpu_quota_us,
            cpu_period_us: bounds.cpu_period_us,
            cpu_shares: bounds.cpu_shares,
            threads: stats.as_ref().map_or(0, |stats| stats.pids_limit),
        },
        usage: stats.map(usage),
        id: listed.id,
        name: listed.name,
        image: listed.image,
        labels: listed.labels,
    }
}

fn usage(stats: ContainerStats) -> Usage {
    let (cpu, memory) = (stats.cpu, stats.memory);
    let network = |counters: connect_docker::NetworkCounters| Network {
        received: Traffic {
            bytes: counters.received_bytes,
            packets: counters.received_packets,
            errors: counters.received_errors,
            dropped: counters.received_dropped,
        },
        sent: Traffic {
            bytes: counters.sent_bytes,
            packets: counters.sent_packets,
            errors: counters.sent_errors,
            dropped: counters.sent_dropped,
        },
    };
    let disk = |io: connect_docker::BlockIo| containers::Disk {
        read_bytes: io.read_bytes,
        written_bytes: io.written_bytes,
        reads: io.reads,
        writes: io.writes,
    };
    Usage {
        cpu_ns: cpu.total_ns,
        cpu_user_ns: cpu.user_ns,
        cpu_system_ns: cpu.system_ns,
        cpu_periods: cpu.periods,
        cpu_throttled_periods: cpu.throttled_periods,
        cpu_throttled_ns: cpu.throttled_ns,
        memory_bytes: memory.usage_bytes,
        memory_bytes_max: memory.usage_bytes_max,
        memory_rss_bytes: memory.rss_bytes,
        memory_cache_bytes: memory.cache_bytes,
        memory_working_set_bytes: memory.working_set_bytes,
        memory_failures: memory.failures,
        page_faults_major: memory.page_faults_major,
        threads: stats.pids,
        networks: stats.networks.into_iter().map(|(name, counters)| (name, network(counters))).collect(),
        disks: stats.block_io.into_iter().map(|(device, io)| (device, disk(io))).collect(),
    }
}

/// Docker writes year 1 for never.
fn unix_seconds(rfc3339: &str) -> Option<f64> {
    let moment: jiff::Timestamp = rfc3339.parse().ok()?;
    let ms = moment.as_millisecond();
    (ms > 0).then_some(ms as f64 / 1000.0)
}
