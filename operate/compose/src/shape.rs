//! What each key of a compose file is: the one table of what is understood (compose specification, "services", "networks", "volumes",
//! "secrets", "configs"). It transforms nothing itself.

/// What each key of a map is.
pub(crate) type Table = &'static [(&'static str, Shape)];

/// How a value is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// A whole number.
    Int,
    /// A number with a point.
    Float,
    Bool,
    /// Bytes, as `64m`; kept as their number in a text, as compose does.
    Size,
    /// `1m30s`
    Time,
    /// A list, or one text that is split as a shell would.
    Words,
    List,
    /// A list, or one text that is a list of one.
    OneOrMore,
    /// A map or a list of `NAME=value`; a name alone has no value.
    Pairs,
    /// The same, where no value is an empty one.
    Labels,
    Hosts,
    Ports,
    Volumes,
    Networks,
    DependsOn,
    EnvFile,
    Mounts {
        secrets: bool,
    },
    Ulimits,
    Devices,
    Test,
    /// `true`, or a map with a name.
    External,
    Map(&'static [(&'static str, Shape)]),
    /// As it is.
    Any,
}

use Shape::{
    Any, Bool, DependsOn, Devices, EnvFile, External, Float, Hosts, Int, Labels, List, Map, Mounts, Networks,
    OneOrMore, Pairs, Ports, Size, Test, Text, Time, Ulimits, Volumes, Words,
};

const HEALTH: &[(&str, Shape)] = &[
    ("test", Test),
    ("interval", Time),
    ("timeout", Time),
    ("retries", Int),
    ("start_period", Time),
    ("disable", Bool),
];

const RESOURCES: &[(&str, Shape)] = &[
    ("limits", Map(&[("cpus", Float), ("memory", Size), ("pids", Int)])),
    ("reservations", Map(&[("cpus", Float), ("memory", Size)])),
];

const DEPLOY: &[(&str, Shape)] =
    &[("replicas", Int), ("resources", Map(RESOURCES)), ("labels", Labels), ("mode", Text)];

/// Keys of a service that are carried out.
pub(crate) const SERVICE: &[(&str, Shape)] = &[
    ("cap_add", List),
    ("cap_drop", List),
    ("cgroup_parent", Text),
    ("command", Words),
    ("configs", Mounts { secrets: false }),
    ("container_name", Text),
    ("cpu_shares", Int),
    ("cpus", Float),
    ("cpuset", Text),
    ("depends_on", DependsOn),
    ("deploy", Map(DEPLOY)),
    ("devices", Devices),
    ("dns", OneOrMore),
    ("dns_opt", List),
    ("dns_search", OneOrMore),
    ("domainname", Text),
    ("entrypoint", Words),
    ("env_file", EnvFile),
    ("environment", Pairs),
    ("expose", List),
    ("extends", Any),
    ("extra_hosts", Hosts),
    ("group_add", List),
    ("healthcheck", Map(HEALTH)),
    ("hostname", Text),
    ("image", Text),
    ("init", Bool),
    ("ipc", Text),
    ("labels", Labels),
    ("logging", Map(&[("driver", Text), ("options", Labels)])),
    ("mem_limit", Size),
    ("mem_reservation", Size),
    ("memswap_limit", Size),
    ("network_mode", Text),
    ("networks", Networks),
    ("oom_score_adj", Int),
    ("pid", Text),
    ("pids_limit", Int),
    ("ports", Ports),
    ("privileged", Bool),
    ("profiles", List),
    ("read_only", Bool),
    ("restart", Text),
    ("runtime", Text),
    ("scale", Int),
    ("secrets", Mounts { secrets: true }),
    ("security_opt", List),
    ("shm_size", Size),
    ("stdin_open", Bool),
    ("stop_grace_period", Time),
    ("stop_signal", Text),
    ("sysctls", Pairs),
    ("tmpfs", OneOrMore),
    ("tty", Bool),
    ("ulimits", Ulimits),
    ("user", Text),
    ("userns_mode", Text),
    ("uts", Text),
    ("volumes", Volumes),
    ("working_dir", Text),
];

pub(crate) const ENDPOINT: &[(&str, Shape)] =
    &[("aliases", List), ("ipv4_address", Text), ("ipv6_address", Text), ("priority", Int)];

pub(crate) const NETWORK: &[(&str, Shape)] =
    &[("name", Text), ("external", External), ("driver", Text), ("labels", Labels), ("attachable", Bool)];

pub(crate) const VOLUME: &[(&str, Shape)] =
    &[("name", Text), ("external", External), ("driver", Text), ("labels", Labels)];

pub(crate) const SOURCE: &[(&str, Shape)] =
    &[("name", Text), ("external", External), ("file", Text), ("environment", Text), ("content", Text)];

/// Keys that change nothing of what runs, and what is said about them.
pub(crate) const HARMLESS: &[(&str, &str)] = &[
    ("attach", "the output is in the engine's logs whether or not somebody is attached"),
    ("develop", "it is for watching sources, which a release does not"),
    ("pull_policy", "a release pulls what the machine does not have"),
    ("pull_refresh_after", "a release pulls what the machine does not have"),
    ("annotations", "the engine keeps them for its runtime only"),
];

/// Keys that exist, change what runs, and are not carried out.
pub(crate) const MISSING: &[(&str, &str)] = &[
    ("build", "build the image, push it, and name it by `image`"),
    ("links", "services of one network find each other by name: use `networks`"),
    ("external_links", "put both into one external network"),
    ("volumes_from", "name the volumes in both services"),
    ("network_mode", "`host`, `none` and `bridge` are carried out"),
    ("label_file", "write the labels under `labels`"),
    ("restart_policy", "write `restart`, which one engine understands"),
    ("mac_address", "leave it to the engine"),
];

/// Keys of a service that the specification has beside those above.
pub(crate) const OTHERS: &[&str] = &[
    "blkio_config",
    "cgroup",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "credential_spec",
    "device_cgroup_rules",
    "gpus",
    "isolation",
    "mem_swappiness",
    "models",
    "oom_kill_disable",
    "platform",
    "post_start",
    "pre_stop",
    "provider",
    "storage_opt",
    "use_api_socket",
    "update_config",
    "rollback_config",
    "placement",
    "endpoint_mode",
    "start_interval",
    "driver_opts",
    "ipam",
    "internal",
    "enable_ipv4",
    "enable_ipv6",
    "gw_priority",
    "link_local_ips",
    "interface_name",
    "template_driver",
    "devices",
    "generic_resources",
];
