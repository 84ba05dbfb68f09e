//! Settings become a create call, that what an engine would record of it, and that the settings again: by a seed, each different. Then what no
//! setting says, and what looks like a secret.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base_world::Rng;
use serde_json::{Value, json};

use super::*;
use crate::{Extra, Limit, Logging, Publish, Volume};

/// Draws of one seed.
struct Draw(RefCell<Rng>);

impl Draw {
    fn below(&self, most: u64) -> u64 {
        self.0.borrow_mut().below(most)
    }

    fn often(&self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&self, value: T) -> Option<T> {
        self.often().then_some(value)
    }

    fn word<'a>(&self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn some(&self, words: &[&str]) -> Vec<String> {
        words.iter().filter(|_| self.often()).map(|word| (*word).to_owned()).collect()
    }

    fn map(&self, names: &[&str], values: &[&str]) -> BTreeMap<String, String> {
        self.some(names).into_iter().map(|name| (name, self.word(values).to_owned())).collect()
    }

    fn port(&self) -> u16 {
        1 + self.below(60_000) as u16
    }
}

/// A container with settings of every kind, each in the form in which it is read back.
pub(crate) fn drawn(seed: u64) -> Container {
    let draw = Draw(RefCell::new(Rng::new(seed)));
    let odd = ["plain", "with blank", "a=b", "$HOME", "it's: \"odd\" #", "1.5", "true", "ü", ""];
    let publish = |draw: &Draw| Publish { address: draw.word(&["", "127.0.0.1", "::1"]).into(), port: draw.port() };
    let ports = |draw: &Draw| -> Vec<Port> {
        let all =
            (0..draw.below(4)).map(|at| Port { container: 1000 * (at as u16 + 1), publish: draw.maybe(publish(draw)) });
        all.collect()
    };
    let networks = draw.some(&["front", "back", "third"]);
    let endpoints = networks.iter().filter(|_| draw.often()).map(|name| {
        let endpoint = Endpoint {
            aliases: vec!["web".into()],
            ipv4_address: draw.word(&["", "172.30.0.9"]).into(),
            ipv6_address: String::new(),
        };
        (name.clone(), endpoint)
    });
    let extra = Extra {
        labels: draw.map(&["team", "tier"], &odd),
        endpoints: endpoints.collect(),
        udp: ports(&draw),
        hostname: draw.maybe("odd".into()),
        domainname: draw.maybe("example.org".into()),
        working_dir: draw.maybe("/work".into()),
        stop_signal: draw.maybe("SIGINT".into()),
        tty: draw.often(),
        stdin_open: draw.often(),
        privileged: draw.often(),
        init: draw.maybe(draw.often()),
        cap_add: draw.some(&["NET_ADMIN", "SYS_TIME"]),
        cap_drop: draw.some(&["MKNOD"]),
        security_opt: draw.some(&["no-new-privileges"]),
        group_add: draw.some(&["4"]),
        devices: draw.some(&["/dev/null:/dev/x", "/dev/zero:/dev/zero:r"]),
        ipc: draw.maybe(draw.word(&["shareable", "host"]).into()),
        pid: draw.maybe("host".into()),
        userns_mode: draw.maybe("host".into()),
        uts: draw.maybe("host".into()),
        cgroup_parent: draw.maybe("/shop".into()),
        runtime: draw.maybe("crun".into()),
        ulimits: draw.maybe(("nofile".to_owned(), Limit { soft: 100, hard: -1 })).into_iter().collect(),
        sysctls: draw.map(&["net.core.somaxconn"], &["128"]),
        extra_hosts: draw.some(&["db:10.9.8.7"]),
        dns: draw.some(&["127.0.0.3"]),
        dns_search: draw.some(&["example.org"]),
        dns_opt: draw.some(&["ndots:1"]),
        tmpfs: draw.map(&["/scratch"], &["size=1m", ""]),
        anonymous: draw.some(&["/unnamed"]),
        logging: draw
            .maybe(Logging { driver: "json-file".into(), options: [("max-size".to_owned(), "2m".to_owned())].into() })
            .unwrap_or_default(),
        shm_bytes: draw.below(2) << 20,
        memory_reservation_bytes: draw.below(2) << 22,
        memory_swap_bytes: -(draw.below(2) as i64),
        cpu_shares: draw.below(2) * 77,
        cpuset: draw.word(&["", "0-1"]).into(),
        oom_score_adj: draw.below(3) as i64 * 5,
        restart_max: draw.below(2) as u32 * 4,
    };
    let restart = if extra.restart_max > 0 { "on-failure" } else { draw.word(&["", "no", "always"]) };
    let mut container = Container {
        command: draw.maybe(vec!["serve".into(), draw.word(&odd).into()]),
        entrypoint: draw.maybe(vec!["/entry".into()]),
        env: draw.map(&["LEVEL", "MODE", "PATH"], &odd),
        secrets: BTreeMap::new(),
        ports: ports(&draw),
        volumes: draw
            .some(&["data:/data", "/etc/hosts:/named"])
            .iter()
            .filter_map(|text| text.split_once(':'))
            .map(|(source, path)| Volume { source: source.into(), path: path.into(), read_only: draw.often() })
            .collect(),
        networks,
        memory_bytes: draw.below(3) * (6 << 20),
        cpu_millis: draw.below(3) * 333,
        pids: draw.below(2) * 100,
        user: draw.maybe("1000:1000".into()),
        read_only_root: draw.often(),
        restart: restart.into(),
        health: draw.maybe(Health {
            test: vec!["CMD-SHELL".into(), "curl -f localhost || exit 1".into()],
            interval_ms: 1_500,
            timeout_ms: draw.below(2) * 1_000,
            retries: draw.below(3) as u32,
            start_period_ms: draw.below(2) * 60_000,
        }),
        stop_grace_s: 1 + draw.below(20) as u32,
        extra,
    };
    // With an entry point of its own and no words, the image's words do not come back; and the network comes first that has a say.
    if container.entrypoint.is_some() && container.command.is_none() {
        container.command = Some(vec!["x".into()]);
    }
    container
}

fn release(container: Container) -> Release {
    let mut release: Release = serde_json::from_value(json!({
        "project": "shop", "service": "web", "environment": "default", "version": "2", "image": "shop/web:2", "target": "docker:shop",
        "strategy": "recreate", "replicas": 1, "ready_ms": 1, "judge_ms": 1, "actor": "ann", "container": {},
    }))
    .expect("a release");
    release.container = container;
    release
}

/// What the image says, and would say in the container's record too.
fn image() -> Value {
    json!({
        "Env": ["PATH=/bin", "LANG=C"], "Cmd": ["serve"], "Entrypoint": null, "WorkingDir": "/srv", "User": "app", "Labels": {"built": "x"},
        "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/var/lib/web": {}}
    })
}

/// As Docker 20.10 records a create call: the image's own beside it, and every default spelled out.
fn recorded(container: &Container) -> (Value, Value) {
    let release = release(container.clone());
    let (mut body, image) = (container::body(&release), image());
    let mut env: Vec<String> = words(&body["Env"]).into_iter().filter(|line| !line.starts_with("OTEL_")).collect();
    for line in words(&image["Env"]) {
        let name = line.split('=').next().unwrap_or_default();
        if !env.iter().any(|own| own.split('=').next() == Some(name)) {
            env.push(line);
        }
    }
    body["Env"] = json!(env);
    for name in ["Cmd", "Entrypoint", "WorkingDir", "User"] {
        // With an entry point of one's own, the image's words go.
        let replaced = name == "Cmd" && !body["Entrypoint"].is_null();
        if body[name].is_null() && !replaced {
            body[name] = image[name].clone();
        }
    }
    for name in ["ExposedPorts", "Volumes", "Labels"] {
        for (key, value) in image[name].as_object().expect("a map") {
            body[name][key] = value.clone();
        }
    }
    body["Labels"].as_object_mut().expect("labels").retain(|name, _| !name.starts_with("apm."));
    for (name, value) in [("AttachStdout", json!(true)), ("Domainname", json!("")), ("OnBuild", json!(null))] {
        body.as_object_mut().expect("a body").entry(name).or_insert(value);
    }
    let memory = container.memory_bytes;
    let defaults = json!({
        "NetworkMode": "default", "IpcMode": "private", "CgroupnsMode": "host", "ShmSize": 67_108_864, "Runtime": "runc", "Isolation": "",
        "LogConfig": {"Type": "json-file", "Config": {}}, "MemorySwap": memory * 2, "PidsLimit": null, "CpuQuota": 0, "BlkioWeight": 0,
        "MaskedPaths": ["/proc/asound"], "ReadonlyPaths": ["/proc/bus"], "OomKillDisable": false, "ConsoleSize": [0, 0], "Links": null,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Devices": [], "AutoRemove": false, "PublishAllPorts": false, "Dns": [],
    });
    for (key, value) in defaults.as_object().expect("a map") {
        body["HostConfig"].as_object_mut().expect("a host").entry(key).or_insert(value.clone());
    }
    if container.extra.privileged {
        let options = body["HostConfig"].as_object_mut().expect("a host").entry("SecurityOpt").or_insert(json!([]));
        options.as_array_mut().expect("a list").push(json!("label=disable"));
    }
    let joins: Vec<Value> = container::joins(&release)
        .into_iter()
        .map(|join| if join.is_array() { join } else { json!([join, {}]) })
        .collect();
    (body, json!(joins))
}

#[test]
fn settings_come_back_from_what_an_engine_records_of_them() {
    for seed in 0..500 {
        let container = drawn(seed);
        let (body, joins) = recorded(&container);
        let found = adopt(&Found { body: &body, joins: &joins, image: &image() });
        assert_eq!(found.unsaid, Vec::<String>::new(), "seed {seed}");
        assert_eq!(found.container, container, "seed {seed}");
        assert_eq!((found.image.as_str(), found.ours), ("shop/web:2", None));
        let nothing = changes("web", "shop/web:2", &found.container, &release(container));
        assert_eq!(nothing, [], "seed {seed}");
    }
}

/// The phrases of what a record with these members besides leaves unsaid.
fn check_unsaid(with: Value, expect: &[&str]) {
    let (mut body, joins) = recorded(&Container { stop_grace_s: 10, ..Container::default() });
    for (name, value) in with.as_object().expect("members") {
        match name.strip_prefix("HostConfig.") {
            Some(name) => body["HostConfig"][name] = value.clone(),
            None => body[name] = value.clone(),
        }
    }
    let found = adopt(&Found { body: &body, joins: &joins, image: &image() });
    assert_eq!(found.unsaid.len(), expect.len(), "{:?}, not {expect:?}", found.unsaid);
    assert!(
        found.unsaid.iter().zip(expect).all(|(found, expect)| found.contains(expect)),
        "{:?}, not {expect:?}",
        found.unsaid
    );
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

#[test]
fn what_no_setting_says_is_named() {
    check_unsaid(json!({}), &[]);
    check_unsaid(json!({"HostConfig.BlkioWeight": 300}), &["BlkioWeight (300)"]);
    check_unsaid(json!({"HostConfig.DeviceRequests": [{"Count": -1}]}), &["DeviceRequests"]);
    check_unsaid(json!({"HostConfig.NetworkMode": "container:abc"}), &["network of another container"]);
    check_unsaid(json!({"HostConfig.Binds": ["data:/data:rw,z"]}), &["the option `z` of its volume /data"]);
    check_unsaid(json!({"HostConfig.PortBindings": {"80/sctp": [{"HostIp": "", "HostPort": "80"}]}}), &["80/sctp"]);
    check_unsaid(json!({"HostConfig.PublishAllPorts": true}), &["--publish-all"]);
    check_unsaid(json!({"HostConfig.CpuQuota": 33_333, "HostConfig.CpuPeriod": 100_000}), &["333 thousandths"]);
    check_unsaid(json!({"HostConfig.OomKillDisable": true}), &["--oom-kill-disable"]);
    check_unsaid(json!({"HostConfig.MaskedPaths": [], "HostConfig.ReadonlyPaths": []}), &["systempaths=unconfined"]);
    let mount = json!({"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rslave"}});
    check_unsaid(json!({"HostConfig.Mounts": [mount]}), &["the mount at /b: BindOptions"]);
    check_unsaid(json!({"MacAddress": "02:42:ac:11:00:02"}), &["MacAddress"]);
    check_unsaid(json!({"Env": ["PATH=/bin"]}), &["the variable LANG"]);
    check_unsaid(json!({"Labels": {"com.docker.compose.project": "shop"}}), &["docker compose"]);
    let health = json!({"Test": ["CMD", "/check"], "Interval": 1_000_000_000, "StartInterval": 5});
    check_unsaid(json!({"Healthcheck": health}), &["StartInterval (5)"]);
}

#[test]
fn what_looks_like_a_secret_is_kept_apart() {
    let env =
        ["PATH=/bin", "LANG=C", "DB_PASSWORD=hunter2", "LEVEL=info", "DATABASE_URL=postgres://ann:hunter2@db/shop"];
    let (mut body, joins) = recorded(&Container { stop_grace_s: 10, ..Container::default() });
    body["Env"] = json!(env);
    let found = adopt(&Found { body: &body, joins: &joins, image: &image() });
    assert_eq!(found.secret_names().collect::<Vec<_>>(), ["DATABASE_URL", "DB_PASSWORD"]);
    assert_eq!(found.container.env, [("LEVEL".to_owned(), "info".to_owned())].into());
    assert!(!format!("{found:?}").contains("hunter2"));
    let mark = |_: &str, value: &str| Ok::<_, ()>(Secret { sealed: "?".into(), mark: format!("{}", value.len()) });
    let now = found.sealed(mark).expect("sealed");
    let mut wanted = now.clone();
    wanted.secrets.get_mut("DB_PASSWORD").expect("one").mark = "another".into();
    let told = changes("web", &found.image, &now, &release(wanted));
    assert_eq!(told.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), ["secret DB_PASSWORD"]);
    check_unsaid(json!({"Cmd": ["serve", "--password=hunter2"]}), &["its command: word 2"]);
    check_unsaid(json!({"Labels": {"api.token": "hunter2"}}), &["the label api.token"]);
    let log = json!({"Type": "splunk", "Config": {"splunk-token": "hunter2"}});
    check_unsaid(json!({"HostConfig.LogConfig": log}), &["splunk-token"]);
    check_unsaid(json!({"Healthcheck": {"Test": ["CMD-SHELL", "TOKEN=hunter2 check"]}}), &["its health check"]);
}

#[test]
fn a_container_of_apm_says_so() {
    let (body, joins) = (json!({"Labels": {"apm.service": "web", "apm.environment": "prod"}}), json!([]));
    let found = adopt(&Found { body: &body, joins: &joins, image: &Value::Null });
    assert_eq!(found.ours, Some(("web".to_owned(), "prod".to_owned())));
    // What nobody can read is no panic.
    assert_eq!(adopt(&Found { body: &Value::Null, joins: &json!([1]), image: &json!([]) }).container.stop_grace_s, 10);
}
