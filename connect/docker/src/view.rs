//! A small typed view of what `inspect` and `list` say about containers, and the body that would create an inspected container again: pure. Whoever
//! needs more has the whole answer beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::spec::Protocol;

/// One container of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerListed {
    pub id: String,
    /// Without Docker's leading slash.
    pub name: String,
    /// As it was named when the container was made.
    pub image: String,
    pub image_id: String,
    pub state: State,
    /// "Up 3 minutes (healthy)"
    pub status: String,
    pub labels: BTreeMap<String, String>,
    pub created_s: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
    /// A word this page does not know.
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// No check is configured.
    #[default]
    None,
    Starting,
    Healthy,
    Unhealthy,
}

/// A port of the container as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    pub container: u16,
    pub protocol: Protocol,
    pub address: String,
    pub port: u16,
}

/// What most callers want of `inspect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerView {
    pub id: String,
    /// Without Docker's leading slash.
    pub name: String,
    /// As it was named when the container was made.
    pub image: String,
    /// `sha256:…`
    pub image_id: String,
    pub state: State,
    pub health: Health,
    /// Output of the newest health check.
    pub health_output: String,
    pub pid: u64,
    /// Of the last run; meaningless while running.
    pub exit_code: i64,
    pub killed_for_memory: bool,
    /// The engine's reason when it could not be started.
    pub error: String,
    /// RFC 3339; Docker writes year 1 for never.
    pub created_at: String,
    pub started_at: String,
    pub finished_at: String,
    /// By the restart policy.
    pub restarts: u64,
    pub bounds: Bounds,
    pub env: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<PublishedPort>,
    /// Network name to the container's address in it.
    pub networks: BTreeMap<String, String>,
    /// Terminals do not tell output from errors.
    pub tty: bool,
}

/// What a container may use, in the kernel's words; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub memory_bytes: u64,
    /// Of memory and swap together.
    pub memory_swap_bytes: u64,
    pub memory_reservation_bytes: u64,
    /// Processor time in each period.
    pub cpu_quota_us: u64,
    pub cpu_period_us: u64,
    pub cpu_shares: u64,
}

impl Bounds {
    /// From `HostConfig`. A number of processors is what the engine makes of it: that many tenths of a second in each.
    fn from_host_config(host: &Value) -> Self {
        const PERIOD_US: u64 = 100_000;
        // -1 is no limit to some fields.
        let number = |key: &str| host[key].as_i64().and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let period = Some(number("CpuPeriod")).filter(|period| *period > 0).unwrap_or(PERIOD_US);
        let nano_cpus = number("NanoCpus");
        let cpu_quota_us =
            if nano_cpus > 0 { nano_cpus.saturating_mul(PERIOD_US) / 1_000_000_000 } else { number("CpuQuota") };
        Self {
            memory_bytes: number("Memory"),
            memory_swap_bytes: number("MemorySwap"),
            memory_reservation_bytes: number("MemoryReservation"),
            cpu_quota_us,
            cpu_period_us: match (nano_cpus > 0, cpu_quota_us > 0) {
                (true, _) => PERIOD_US,
                (false, true) => period,
                (false, false) => 0,
            },
            cpu_shares: number("CpuShares"),
        }
    }
}

impl ContainerView {
    /// From the answer of `GET /containers/ID/json`; what is missing stays at its default.
    pub fn from_inspect(all: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (state, config) = (&all["State"], &all["Config"]);
        let log = state["Health"]["Log"].as_array();
        let env = config["Env"].as_array().into_iter().flatten().map(text).collect();
        let networks = all["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        Self {
            id: text(&all["Id"]),
            name: text(&all["Name"]).trim_start_matches('/').to_owned(),
            image: text(&config["Image"]),
            image_id: text(&all["Image"]),
            state: State::parse(state["Status"].as_str().unwrap_or_default()),
            health: health(state["Health"]["Status"].as_str().unwrap_or_default()),
            health_output: log.and_then(|log| log.last()).map(|last| text(&last["Output"])).unwrap_or_default(),
            pid: state["Pid"].as_u64().unwrap_or(0),
            exit_code: state["ExitCode"].as_i64().unwrap_or(0),
            killed_for_memory: state["OOMKilled"].as_bool().unwrap_or(false),
            error: text(&state["Error"]),
            created_at: text(&all["Created"]),
            started_at: text(&state["StartedAt"]),
            finished_at: text(&state["FinishedAt"]),
            restarts: all["RestartCount"].as_u64().unwrap_or(0),
            bounds: Bounds::from_host_config(&all["HostConfig"]),
            env,
            labels: labels(&config["Labels"]),
            ports: ports(&all["NetworkSettings"]["Ports"]),
            networks: networks.map(|(name, network)| (name.clone(), text(&network["IPAddress"]))).collect(),
            tty: config["Tty"].as_bool().unwrap_or(false),
        }
    }
}

impl ContainerListed {
    /// From one item of `GET /containers/json`.
    pub(crate) fn from_item(item: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Links add names with two slashes; the container's own has one.
        let mut names =
            item["Names"].as_array().into_iter().flatten().filter_map(|name| name.as_str()?.strip_prefix('/'));
        Self {
            id: text(&item["Id"]),
            name: names.find(|name| !name.contains('/')).unwrap_or_default().to_owned(),
            image: text(&item["Image"]),
            image_id: text(&item["ImageID"]),
            state: State::parse(item["State"].as_str().unwrap_or_default()),
            status: text(&item["Status"]),
            labels: labels(&item["Labels"]),
            created_s: item["Created"].as_i64().unwrap_or(0),
        }
    }
}

impl State {
    fn parse(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }
}

fn health(word: &str) -> Health {
    match word {
        "starting" => Health::Starting,
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        _ => Health::None,
    }
}

pub(crate) fn labels(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// `{"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "53/udp": null}`
fn ports(value: &Value) -> Vec<PublishedPort> {
    let mut found = Vec::new();
    for (key, bindings) in value.as_object().into_iter().flatten() {
        let Some((port, protocol)) = key.split_once('/') else { continue };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => continue,
        };
        let Ok(container) = port.parse() else { continue };
        for binding in bindings.as_array().into_iter().flatten() {
            let Some(port) = binding["HostPort"].as_str().and_then(|port| port.parse().ok()) else { continue };
            let address = binding["HostIp"].as_str().unwrap_or_default().to_owned();
            found.push(PublishedPort { container, protocol, address, port });
        }
    }
    found
}

/// The body of a create call that makes an inspected container again, and the networks to join after it with the endpoint's settings of each. Addresses
/// the engine chose are left to be chosen again; those a person fixed are kept.
///
/// The image stands there by the name it had; where that name may have moved since, put the id in its place (`inspect`'s `Image`).
/// What is not in it lies outside of the container's record: the contents of its writable layer and of anonymous volumes, whose names `Mounts` has.
pub fn create_body_again(inspect: &Value) -> (Value, Vec<(String, Value)>) {
    let mut body = inspect["Config"].as_object().cloned().unwrap_or_default();
    let id = inspect["Id"].as_str().unwrap_or_default();
    let short: String = id.chars().take(12).collect();
    // The engine invents a host name from the id; kept, the new container would carry the old one's.
    if body.get("Hostname").and_then(Value::as_str) == Some(short.as_str()) {
        body.remove("Hostname");
    }
    let mut host = inspect["HostConfig"].as_object().cloned().unwrap_or_default();
    // Null is no list to some versions.
    host.retain(|_, value| !value.is_null());
    let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or("default").to_owned();
    body.insert("HostConfig".into(), Value::Object(host));

    let mut joins = Vec::new();
    for (name, network) in inspect["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
        let endpoint = endpoint_again(network, &short);
        let first = *name == mode || network["NetworkID"].as_str() == Some(mode.as_str());
        if first && !crate::spec::special(name) {
            body.insert("NetworkingConfig".into(), json!({"EndpointsConfig": {name.clone(): endpoint}}));
        } else if !crate::spec::special(name) {
            joins.push((name.clone(), endpoint));
        }
    }
    (Value::Object(body), joins)
}

fn endpoint_again(network: &Value, short_id: &str) -> Value {
    let mut endpoint = Map::new();
    // Not MacAddress: the engine's own choice is no wish, and a person's stands in Config too.
    for key in ["IPAMConfig", "Links", "DriverOpts"] {
        if network[key].as_object().is_some_and(|set| !set.is_empty()) || network[key].is_array() {
            endpoint.insert(key.into(), network[key].clone());
        }
    }
    let aliases: Vec<&Value> =
        network["Aliases"].as_array().into_iter().flatten().filter(|alias| alias.as_str() != Some(short_id)).collect();
    if !aliases.is_empty() {
        endpoint.insert("Aliases".into(), json!(aliases));
    }
    Value::Object(endpoint)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Cut down from what Docker 20.10 answered for a running container.
    fn recorded() -> Value {
        serde_json::from_str(include_str!("../tests/recorded/inspect.json")).expect("the recording is JSON")
    }

    #[test]
    fn the_view_of_a_recorded_answer() {
        let view = ContainerView::from_inspect(&recorded());
        assert_eq!((view.name.as_str(), view.image.as_str()), ("web", "bb"));
        assert_eq!((view.state, view.health, view.restarts), (State::Running, Health::Healthy, 0));
        assert_eq!(
            view.ports,
            [PublishedPort { container: 80, protocol: Protocol::Tcp, address: "127.0.0.1".into(), port: 18124 }]
        );
        assert_eq!(view.labels.get("team").map(String::as_str), Some("shop"));
        assert!(view.networks.get("shop").is_some_and(|address| address.starts_with("172.")), "{:?}", view.networks);
        assert!(view.env.contains(&"A=1".to_owned()));
    }

    #[test]
    fn an_empty_answer_is_no_panic() {
        assert_eq!(ContainerView::from_inspect(&json!({})), ContainerView::default());
        assert_eq!(ContainerView::from_inspect(&json!([])).state, State::Unknown);
        assert_eq!(create_body_again(&json!(null)).0, json!({"HostConfig": {}}));
    }

    #[test]
    fn bounds_in_the_kernels_words() {
        let check = |host: Value, expect: (u64, u64, u64)| {
            let bounds = Bounds::from_host_config(&host);
            assert_eq!((bounds.memory_bytes, bounds.cpu_quota_us, bounds.cpu_period_us), expect, "{host}");
        };
        check(json!({"Memory": 67_108_864, "NanoCpus": 500_000_000_u64}), (67_108_864, 50_000, 100_000));
        check(json!({"CpuQuota": 20_000, "CpuPeriod": 50_000}), (0, 20_000, 50_000));
        check(json!({"Memory": 0, "MemorySwap": -1, "CpuQuota": -1, "NanoCpus": 0}), (0, 0, 0));
    }

    #[test]
    fn made_again_it_is_the_same_container() {
        let inspect = recorded();
        let (body, joins) = create_body_again(&inspect);
        assert_eq!(body["Image"], json!("bb"));
        assert_eq!(body["Hostname"], Value::Null, "the old id's name is not kept");
        assert_eq!(body["HostConfig"]["PortBindings"], inspect["HostConfig"]["PortBindings"]);
        assert_eq!(body["Healthcheck"], inspect["Config"]["Healthcheck"]);
        assert_eq!(body["NetworkingConfig"]["EndpointsConfig"]["shop"], json!({"Aliases": ["web-alias"]}));
        assert_eq!(joins, [("second".to_owned(), json!({"Aliases": ["other"]}))]);
    }

    #[test]
    fn a_list_gives_the_own_name() {
        let item =
            json!({"Id": "1", "Names": ["/other/link", "/web"], "State": "exited", "Labels": null, "Created": 7});
        let listed = ContainerListed::from_item(&item);
        assert_eq!((listed.name.as_str(), listed.state, listed.created_s), ("web", State::Exited, 7));
    }
}
