//! Compose files as people write them, and what becomes of them: the container that an engine would be asked for, or an error at its line. The files
//! are in a folder of their own; no engine is asked.

use std::collections::BTreeMap;

use base_world::{World, replace_file};
use operate_execute::Seal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::Asked;

/// A folder with these files, of which `compose.yaml` is taken in.
fn taken(files: &[(&str, &str)], profiles: &[&str]) -> (TempDir, Result<(Project, Composed), String>) {
    let folder = TempDir::new().expect("a folder");
    let disk = World::real().disk;
    for (name, text) in files {
        replace_file(&*disk, &folder.path().join(name), text.as_bytes()).expect("written");
    }
    let environment = BTreeMap::from([("TAG".to_owned(), "7".to_owned())]);
    let ask = ComposeAsk {
        files: vec![folder.path().join("compose.yaml")],
        profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
        environment: &environment,
        disk: &*disk,
    };
    let mut project = Project { environment: "dev".into(), ..Project::default() };
    let composed = project.take_in(&ask).map_err(|report| report.terminal(false));
    (folder, composed.map(|composed| (project, composed)))
}

/// A project `shop` with the service `cart`, whose lines these are; `rest` is what stands beside `services`.
fn shop(service: &str, rest: &str) -> String {
    let lines: String = service.lines().map(|line| format!("    {line}\n")).collect();
    format!("name: shop\nservices:\n  cart:\n    image: shop/cart:2\n{lines}{rest}")
}

/// The container that a release of `cart` would have, at these places (RFC 6901); FOLDER stands for the folder of the file.
fn check(service: &str, rest: &str, expect: &[(&str, Value)]) {
    let files = [("compose.yaml", shop(service, rest)), ("key.txt", "hush".into())];
    let (folder, found) = taken(&files.each_ref().map(|(name, text)| (*name, text.as_str())), &[]);
    let (project, _) = found.unwrap_or_else(|error| panic!("{service}\n{error}"));
    let seal = Seal::new(&[7; 32], World::real().random).expect("a seal");
    let asked = Asked { service: Some("cart".into()), ..Asked::default() };
    let release = project.release(&asked, &seal, &*World::real().disk, Path::new("/fronts"));
    let release = release.unwrap_or_else(|report| panic!("{service}\n{}", report.terminal(false)));
    let text = serde_json::to_string(&release.container).expect("JSON");
    let container: Value =
        serde_json::from_str(&text.replace(&folder.path().display().to_string(), "FOLDER")).expect("JSON");
    for (place, value) in expect {
        let found = container.pointer(place).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{place} of\n{service}\nin {container:#}");
    }
}

/// Refused at this line of the file, with these words.
fn refused(service: &str, rest: &str, line: usize, words: &[&str]) {
    let (_folder, found) = taken(&[("compose.yaml", &shop(service, rest))], &[]);
    let Err(told) = found else { panic!("taken:\n{service}") };
    assert!(told.contains(&format!("compose.yaml:{line}:")), "not at line {line}: {told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is missing in {told}");
    }
}

/// Taken, and this is said beside it.
fn noted(service: &str, rest: &str, words: &str) {
    let (_folder, found) = taken(&[("compose.yaml", &shop(service, rest))], &[]);
    let (_, composed) = found.unwrap_or_else(|error| panic!("{service}\n{error}"));
    assert!(composed.notes.iter().any(|note| note.contains(words)), "`{words}` is missing in {:#?}", composed.notes);
}

#[test]
fn what_a_container_is_started_with() {
    check(
        "command: [serve, --port, '80']\nentrypoint: /bin/run fast\nuser: '1000:1000'\nread_only: true\nworking_dir: /app\nhostname: till\ndomainname: example.org\nstop_signal: SIGINT\nstop_grace_period: 1m30s\ninit: true\ntty: true\nstdin_open: true\nenvironment: { LEVEL: debug, SIZE: 3, TAG: '${TAG}' }\nlabels: { team: shop }",
        "",
        &[
            ("/command", json!(["serve", "--port", "80"])),
            ("/entrypoint", json!(["/bin/run", "fast"])),
            ("/user", json!("1000:1000")),
            ("/read_only_root", json!(true)),
            ("/stop_grace_s", json!(90)),
            ("/env", json!({"LEVEL": "debug", "SIZE": "3", "TAG": "7"})),
            ("/extra/working_dir", json!("/app")),
            ("/extra/hostname", json!("till")),
            ("/extra/domainname", json!("example.org")),
            ("/extra/stop_signal", json!("SIGINT")),
            ("/extra/init", json!(true)),
            ("/extra/tty", json!(true)),
            ("/extra/stdin_open", json!(true)),
            ("/extra/labels", json!({"team": "shop"})),
        ],
    );
    // Nothing said is Docker's own way: ten seconds, no restart.
    check("", "", &[("/command", Value::Null), ("/stop_grace_s", json!(10)), ("/restart", json!("no"))]);
    check("restart: on-failure:3", "", &[("/restart", json!("on-failure")), ("/extra/restart_max", json!(3))]);
    check("restart: unless-stopped", "", &[("/restart", json!("unless-stopped"))]);
}

#[test]
fn what_a_container_may_use() {
    check(
        "mem_limit: 64m\nmem_reservation: 32m\nmemswap_limit: -1\ncpus: 0.5\ncpu_shares: 512\ncpuset: 0,1\npids_limit: 100\nshm_size: 1m\noom_score_adj: -5\nulimits: { nofile: { soft: 10, hard: 20 }, nproc: 30 }",
        "",
        &[
            ("/memory_bytes", json!(64 << 20)),
            ("/extra/memory_reservation_bytes", json!(32 << 20)),
            ("/extra/memory_swap_bytes", json!(-1)),
            ("/cpu_millis", json!(500)),
            ("/pids", json!(100)),
            ("/extra/cpu_shares", json!(512)),
            ("/extra/cpuset", json!("0,1")),
            ("/extra/shm_bytes", json!(1 << 20)),
            ("/extra/oom_score_adj", json!(-5)),
            ("/extra/ulimits/nofile", json!({"soft": 10, "hard": 20})),
            ("/extra/ulimits/nproc", json!({"soft": 30, "hard": 30})),
        ],
    );
    check(
        "deploy: { resources: { limits: { cpus: '1.5', memory: 1g, pids: 7 }, reservations: { memory: 512m } } }",
        "",
        &[
            ("/cpu_millis", json!(1500)),
            ("/memory_bytes", json!(1 << 30)),
            ("/pids", json!(7)),
            ("/extra/memory_reservation_bytes", json!(512 << 20)),
        ],
    );
}

#[test]
fn what_a_container_may_do() {
    check(
        "privileged: true\ncap_add: [NET_ADMIN]\ncap_drop: [ALL]\nsecurity_opt: ['no-new-privileges:true']\ngroup_add: [dialout]\nipc: host\npid: host\nuserns_mode: host\nuts: host\ncgroup_parent: shop.slice\nruntime: runc\nsysctls: { net.core.somaxconn: 1024 }\ndevices: ['/dev/null:/dev/zilch:r', /dev/zero]\nextra_hosts: ['db=10.0.0.1']\ndns: [1.1.1.1]\ndns_search: example.org\ndns_opt: [ndots:2]\nlogging: { driver: local, options: { max-size: 10m } }",
        "",
        &[
            ("/extra/privileged", json!(true)),
            ("/extra/cap_add", json!(["NET_ADMIN"])),
            ("/extra/cap_drop", json!(["ALL"])),
            ("/extra/security_opt", json!(["no-new-privileges:true"])),
            ("/extra/group_add", json!(["dialout"])),
            ("/extra/ipc", json!("host")),
            ("/extra/pid", json!("host")),
            ("/extra/userns_mode", json!("host")),
            ("/extra/uts", json!("host")),
            ("/extra/cgroup_parent", json!("shop.slice")),
            ("/extra/runtime", json!("runc")),
            ("/extra/sysctls", json!({"net.core.somaxconn": "1024"})),
            ("/extra/devices", json!(["/dev/null:/dev/zilch:r", "/dev/zero:/dev/zero:rwm"])),
            ("/extra/extra_hosts", json!(["db:10.0.0.1"])),
            ("/extra/dns", json!(["1.1.1.1"])),
            ("/extra/dns_search", json!(["example.org"])),
            ("/extra/dns_opt", json!(["ndots:2"])),
            ("/extra/logging", json!({"driver": "local", "options": {"max-size": "10m"}})),
        ],
    );
    refused("pid: container:till", "", 5, &["`pid` of another container is not carried out", "`host` is"]);
    refused("ipc: container:till", "", 5, &["`ipc` of another container is not carried out"]);
}

#[test]
fn a_health_check_is_compose_s_own() {
    check(
        "healthcheck: { test: [CMD, /ok], interval: 5s, timeout: 1s, retries: 2, start_period: 30s }",
        "",
        &[
            ("/health/test", json!(["CMD", "/ok"])),
            ("/health/interval_ms", json!(5_000)),
            ("/health/timeout_ms", json!(1_000)),
            ("/health/retries", json!(2)),
            ("/health/start_period_ms", json!(30_000)),
        ],
    );
    check(
        "healthcheck: { test: curl -f localhost }",
        "",
        &[("/health/test", json!(["CMD-SHELL", "curl -f localhost"]))],
    );
    check("healthcheck: { disable: true }", "", &[("/health/test", json!(["NONE"]))]);
}

#[test]
fn ports_are_published_as_they_are_written() {
    let publish = |address: &str, port: u16| json!({"address": address, "port": port});
    check("ports: ['8080:80']", "", &[("/ports/0", json!({"container": 80, "publish": publish("", 8080)}))]);
    check("ports: ['127.0.0.1:8080:80']", "", &[("/ports/0/publish", publish("127.0.0.1", 8080))]);
    check("ports: ['80']", "", &[("/ports/0/publish", publish("", 0))]);
    let published = &[("/extra/udp/0/publish", publish("::1", 53))];
    check("ports: ['[::1]:53:53/udp']", "", published);
    check("ports: ['53:53/udp']", "", &[("/extra/udp/0", json!({"container": 53, "publish": publish("", 53)}))]);
    check(
        "expose: ['9000', 53/udp]",
        "",
        &[("/ports/0", json!({"container": 9000})), ("/extra/udp/0", json!({"container": 53}))],
    );
    refused(
        "ports:\n  - target: 80\n    published: 8000-8010",
        "",
        6,
        &["a range to choose a port from", "name one port"],
    );
    refused(
        "ports:\n  - target: 80\n    published: '80'\n    protocol: sctp",
        "",
        6,
        &["a port of `sctp`", "tcp and udp"],
    );
    refused("expose: [80-90]", "", 5, &["`80-90` cannot be exposed", "write one port"]);
}

#[test]
fn networks_get_their_full_names_and_a_container_its_aliases() {
    check(
        "",
        "",
        &[("/networks", json!(["shop_default"])), ("/extra/endpoints/shop_default/aliases", json!(["cart"]))],
    );
    check(
        "networks: { back: { aliases: [till] }, front: {} }",
        "networks: { back: {}, front: { name: edge } }\n",
        &[
            ("/networks", json!(["shop_back", "edge"])),
            ("/extra/endpoints/shop_back/aliases", json!(["cart", "till"])),
            ("/extra/endpoints/edge/aliases", json!(["cart"])),
        ],
    );
    check("network_mode: host", "", &[("/networks", json!(["host"]))]);
    refused("network_mode: container:till", "", 5, &["the network of another container", "`none` and `bridge` are"]);
    let fixed = "networks: { back: { ipv4_address: 10.0.0.5 } }";
    refused(fixed, "networks: { back: {} }\n", 5, &["in a network with a subnet only", "external: true"]);
    check(
        fixed,
        "networks: { back: { external: true } }\n",
        &[("/networks", json!(["back"])), ("/extra/endpoints/back/ipv4_address", json!("10.0.0.5"))],
    );
    noted("networks: { back: { priority: 5 } }", "networks: { back: {} }\n", "joined in the order of the file");
    refused("networks: [back]", "networks:\n  back:\n    driver: overlay\n", 8, &["`back` has a driver of its own"]);
    noted("networks: [back]", "networks: { back: { labels: { a: b } } }\n", "`labels` of network `back` is not set");
}

#[test]
fn volumes_are_named_bound_or_forgotten() {
    check(
        "volumes: ['data:/data', './:/src:ro', /cache]\ntmpfs: ['/tmp:size=1m', /run]",
        "volumes: { data: {} }\n",
        &[
            ("/volumes/0", json!({"source": "shop_data", "path": "/data", "read_only": false})),
            ("/volumes/1", json!({"source": "FOLDER", "path": "/src", "read_only": true})),
            ("/extra/anonymous", json!(["/cache"])),
            ("/extra/tmpfs", json!({"/tmp": "size=1m", "/run": ""})),
        ],
    );
    check(
        "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 1m, mode: 0700 } }]",
        "",
        &[("/extra/tmpfs", json!({"/t": "size=1048576,mode=700"}))],
    );
    // The short form has the engine make the folder; the long one wants it there.
    check("volumes: ['./nowhere:/x']", "", &[("/volumes/0/source", json!("FOLDER/nowhere"))]);
    refused(
        "volumes:\n  - { type: bind, source: ./nowhere, target: /x }",
        "",
        6,
        &["there is no ", "nowhere", "make it"],
    );
    refused(
        "volumes:\n  - { type: bind, source: ., target: /x, bind: { propagation: shared } }",
        "",
        6,
        &["`propagation` of a mount is not carried out"],
    );
    refused(
        "volumes:\n  - { type: volume, source: data, target: /x, volume: { nocopy: true } }",
        "volumes: { data: {} }\n",
        6,
        &["`nocopy` of a volume is not carried out"],
    );
    refused("volumes: ['data:/data']", "volumes:\n  data:\n    driver: nfs\n", 8, &["the volume `data` has a driver"]);
}

#[test]
fn secrets_and_configs_are_files_that_the_container_cannot_write() {
    check(
        "secrets: [key]\nconfigs: [{ source: rules, target: /etc/rules }]",
        "secrets: { key: { file: ./key.txt } }\nconfigs: { rules: { file: ./key.txt } }\n",
        &[
            ("/volumes/0", json!({"source": "FOLDER/key.txt", "path": "/run/secrets/key", "read_only": true})),
            ("/volumes/1", json!({"source": "FOLDER/key.txt", "path": "/etc/rules", "read_only": true})),
        ],
    );
    refused("secrets: [key]", "secrets:\n  key: { file: ./none.txt }\n", 7, &["there is no ", "none.txt", "write it"]);
    refused("secrets: [key]", "secrets:\n  key: { environment: TAG }\n", 7, &["`key` of `secrets` is no file"]);
    let mode = "secrets: [{ source: key, mode: 0o400 }]";
    noted(mode, "secrets: { key: { file: ./compose.yaml } }\n", "`mode` of `key` is not set");
}

#[test]
fn what_one_engine_cannot_do_is_said_or_refused() {
    noted("container_name: till", "", "`cart` is not called `till`");
    noted("deploy: { labels: { a: b } }", "", "labels of a whole service have nowhere to stand");
    noted("deploy: { resources: { reservations: { cpus: '1' } } }", "", "processors cannot be reserved on one engine");
    refused("deploy: { mode: global }", "", 5, &["this mode is of a cluster", "`replicated` is carried out"]);
    refused(
        "depends_on:\n  seed:\n    condition: service_completed_successfully",
        "  seed: { image: shop/seed }\n",
        6,
        &["`seed` would have to end before `cart` starts"],
    );
    // All that is wrong is said at once.
    refused("pid: container:a\nipc: container:b", "", 5, &["`pid` of another", "`ipc` of another"]);
}

#[test]
fn services_come_in_the_order_of_their_needs_and_profiles_choose() {
    let text = "name: shop\nservices:\n  web: { image: shop/web, depends_on: [cart, db] }\n  cart: { image: shop/cart, depends_on: [db], scale: 2 }\n  db: { image: shop/db, volumes: ['data:/data'], networks: [own] }\n  debug: { image: shop/debug, profiles: [tools] }\nvolumes: { data: { external: true } }\nnetworks: { own: { external: true, name: backbone } }\n";
    let (_folder, found) = taken(&[("compose.yaml", text)], &[]);
    let (project, composed) = found.unwrap_or_else(|error| panic!("{error}"));
    let order: Vec<_> = composed.order.iter().map(|(name, needs)| (name.as_str(), needs.join(" "))).collect();
    assert_eq!(order, [("db", String::new()), ("cart", "db".into()), ("web", "cart db".into())]);
    assert_eq!((project.name.as_str(), project.services["cart"].deploy.replicas), ("shop", 2));
    let external: Vec<_> = composed.external.iter().map(ToString::to_string).collect();
    assert_eq!(
        external,
        [ObjectId::new("network", "backbone"), ObjectId::new("volume", "data")].map(|id| id.to_string())
    );
    let (_folder, found) = taken(&[("compose.yaml", text)], &["tools"]);
    let (project, _) = found.unwrap_or_else(|error| panic!("{error}"));
    assert!(project.services.contains_key("debug"));
}

#[test]
fn what_apm_yaml_says_of_a_service_stays() {
    let (folder, _) = taken(&[("compose.yaml", &shop("ports: ['8080:80']", ""))], &[]);
    let known = ServiceSettings {
        image: Some("other/cart".into()),
        deploy: DeploySettings { approval: true, judged: false, ..DeploySettings::default() },
        ..ServiceSettings::default()
    };
    let (disk, environment) = (World::real().disk, BTreeMap::new());
    let file = folder.path().join("compose.yaml");
    let ask = ComposeAsk { files: vec![file], profiles: Vec::new(), environment: &environment, disk: &*disk };
    let services = BTreeMap::from([("cart".to_owned(), known)]);
    // A name that the settings say wins over the file's.
    let mut project = Project { name: "stall".into(), named: true, services, ..Project::default() };
    project.take_in(&ask).map_err(|report| report.terminal(false)).expect("taken");
    let cart = &project.services["cart"];
    assert_eq!((project.name.as_str(), cart.image.as_deref()), ("stall", Some("shop/cart:2")));
    assert_eq!((cart.deploy.approval, cart.deploy.judged), (true, false));
    assert_eq!(cart.deploy.ports, ["8080:80"]);
    assert_eq!(cart.deploy.networks, ["stall_default"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let (folder, found) = taken(&[], &[]);
    let told = found.map(|_| ()).expect_err("no file");
    assert!(told.contains(&folder.path().join("compose.yaml").display().to_string()), "{told}");
    let (_folder, found) = taken(&[("compose.yaml", "services:\n  cart:\n    imag: x\n")], &[]);
    let told = found.map(|_| ()).expect_err("a slip");
    assert!(told.contains("compose.yaml:3:5") && told.contains("imag: x"), "the line is shown: {told}");
    let circle = "services:\n  a: { image: a, depends_on: [b] }\n  b: { image: b, depends_on: [a] }\n";
    let (_folder, found) = taken(&[("compose.yaml", circle)], &[]);
    let told = found.map(|_| ()).expect_err("a circle");
    assert!(told.contains("compose.yaml:") && told.contains('a') && told.contains('b'), "{told}");
}
