//! What `--dry-run` shows as docker commands does, given to a shell, what the release does.

use serde_json::{Value, json};

use super::shop::{Shop, Stage, inspected};

/// One of each thing that can be set.
const SETTINGS: &str = r#"judged: false
networks: [shop-hand-front, shop-hand-back]
stop_grace: 3s
command: [sh, -c, "trap 'exit 0' INT TERM; echo \"it's $GREETING\"; while :; do sleep 0.1; done"]
entrypoint: [/bin/busybox]
ports: ["127.0.0.1:PUBLISHED:80"]
volumes: ["shop-hand-data:/data", "/etc/hostname:/etc/named:ro"]
memory: 64 MiB
cpus: 0.5
pids: 50
user: "1000:1000"
read_only: true
restart: on-failure
health: { test: "test -e /etc/named", interval: 500ms, timeout: 3s, retries: 7, start_period: 10s }
container:
  labels: { team: "the hand's" }
  endpoints: { shop-hand-front: { aliases: [hand, other] }, shop-hand-back: { aliases: [behind] } }
  udp: [{ container: 53, publish: { address: 127.0.0.1, port: PUBLISHED } }]
  hostname: hand
  working_dir: /data
  stop_signal: SIGINT
  init: true
  cap_add: [CAP_NET_ADMIN]
  cap_drop: [CAP_MKNOD]
  security_opt: [no-new-privileges]
  group_add: ["4"]
  devices: ["/dev/null:/dev/nothing:rw"]
  ipc: private
  ulimits: { nofile: { soft: 1000, hard: 2000 } }
  sysctls: { net.ipv4.ip_unprivileged_port_start: "80" }
  extra_hosts: ["db.local:10.1.2.3"]
  dns: [127.0.0.9]
  dns_search: [shop.local]
  dns_opt: ["ndots:2"]
  tmpfs: { /scratch: size=1m }
  logging: { driver: json-file, options: { max-size: 1m, max-file: "2" } }
  shm_bytes: 1048576
  cpu_shares: 512
  restart_max: 5
"#;

pub(crate) fn the_commands_shown_do_the_same(stage: &Stage) {
    let docker = stage.docker;
    let shop = Shop::new(stage, "hand");
    let settings = SETTINGS.replace("PUBLISHED", &tests_journeys::peer::free_port().to_string());
    let pin = shop.home.path().join("pin");
    std::fs::write(&pin, "1234").expect("the secret can be written");
    let service = format!("env:\n  GREETING: it's $5 and \\\"more\\\"\nsecrets:\n  PIN: {}", pin.display());
    shop.settings_of("journey/busybox", &settings, &service);

    let dry = shop.deploy(&["--version", "1", "--dry-run"]).expect(0, &["by hand"]).text;
    assert!(shop.containers().is_empty(), "a dry run changes something:\n{dry}");
    let commands: Vec<_> = dry.lines().filter_map(|line| line.trim_start().strip_prefix("by hand")).collect();
    assert!(commands.len() >= 6, "{dry}");
    for command in commands {
        let mut shell = docker.command_of("sh");
        // What the reader has to put in himself.
        shell.args(["-e", "-c", command.trim()]).env("PIN", "1234");
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let by_hand = relevant(&inspected(docker, &shop.container()));
    assert_eq!(by_hand["State"]["Running"], true, "{by_hand}");
    docker.docker(&["rm", "-f", &shop.container()]);
    docker.docker(&["volume", "rm", "shop-hand-data"]);
    docker.docker(&["network", "rm", "shop-hand-front", "shop-hand-back"]);

    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let by_apm = relevant(&inspected(docker, &shop.container()));
    for part in by_apm.as_object().expect("an object").keys() {
        assert_eq!(by_hand[part], by_apm[part], "{part}: by hand, and by apm\n{dry}");
    }
    // A container that is made by hand is nothing that apm would be afraid of.
    docker.docker(&["rm", "-f", &shop.container()]);
    docker.docker(&["volume", "rm", "shop-hand-data"]);
    docker.docker(&["network", "rm", "shop-hand-front", "shop-hand-back"]);
}

/// What a user would call the same container.
fn relevant(container: &Value) -> Value {
    let host = &container["HostConfig"];
    let networks = container["NetworkSettings"]["Networks"].as_object().expect("networks");
    // Docker keeps these in the order they came in.
    let sorted = |list: &Value| {
        let mut list = list.as_array().cloned().unwrap_or_default();
        list.sort_by_key(Value::to_string);
        list
    };
    let config = |name: &str| container["Config"][name].clone();
    json!({
        "Image": config("Image"), "Cmd": config("Cmd"), "Entrypoint": config("Entrypoint"), "User": config("User"), "Labels": config("Labels"),
        "StopTimeout": config("StopTimeout"), "Env": sorted(&container["Config"]["Env"]),
        "Binds": sorted(&host["Binds"]), "Memory": host["Memory"], "NanoCpus": host["NanoCpus"], "PidsLimit": host["PidsLimit"],
        "ReadonlyRootfs": host["ReadonlyRootfs"], "RestartPolicy": host["RestartPolicy"], "PortBindings": host["PortBindings"],
        "Networks": networks.iter().map(|(name, network)| (name.clone(), aliases(container, network))).collect::<serde_json::Map<_, _>>(),
        "State": {"Running": container["State"]["Running"], "Health": container["State"]["Health"]["Status"] == "unhealthy"},
        "Healthcheck": config("Healthcheck"), "Hostname": config("Hostname"), "WorkingDir": config("WorkingDir"), "StopSignal": config("StopSignal"),
        "ExposedPorts": config("ExposedPorts"), "Host": OF_HOST.iter().map(|name| ((*name).to_owned(), host[*name].clone())).collect::<serde_json::Map<_, _>>(),
    })
}

/// What stays as it was given.
const OF_HOST: [&str; 18] = [
    "Init",
    "CapAdd",
    "CapDrop",
    "SecurityOpt",
    "GroupAdd",
    "Devices",
    "IpcMode",
    "Ulimits",
    "Sysctls",
    "ExtraHosts",
    "Dns",
    "DnsSearch",
    "DnsOptions",
    "Tmpfs",
    "LogConfig",
    "ShmSize",
    "CpuShares",
    "Privileged",
];

/// Without the one that the engine makes of the id.
fn aliases(container: &Value, network: &Value) -> Value {
    let id = container["Id"].as_str().expect("an id");
    let all = network["Aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut all: Vec<_> = all.filter(|alias| !id.starts_with(alias)).collect();
    all.sort_unstable();
    json!(all)
}
