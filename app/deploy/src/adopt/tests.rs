//! A container becomes a section, the section settings, and the settings the same container: by a seed, each different. Then one as an engine records
//! it, in a file that a person keeps.

use std::collections::BTreeMap;

use app_config::Tree;
use base_world::{Rng, World};
use operate_deploy::{Container, Endpoint, Extra, Health, Limit, Logging, Port, Publish, Volume};

use super::*;
use crate::Asked;

/// Texts that a careless writer of YAML gets wrong.
const ODD: [&str; 14] = [
    "plain",
    "with blank",
    "a=b",
    "$HOME",
    "${HOME:-x}",
    "it's: \"odd\" #",
    "1.5",
    "true",
    "no",
    "ü",
    "",
    " x ",
    "two\nlines",
    "- a: {",
];

fn drawn(rng: &mut Rng) -> Adopted {
    let word = |rng: &mut Rng| ODD[rng.index(ODD.len())].to_owned();
    let words = |rng: &mut Rng| (0..rng.below(4)).map(|_| ODD[rng.index(ODD.len())].to_owned()).collect::<Vec<_>>();
    let publish = |rng: &mut Rng| {
        let address = ["", "127.0.0.1", "::1"][rng.index(3)].to_owned();
        rng.chance(70).then(|| Publish { address, port: rng.below(60_000) as u16 })
    };
    let mut container = Container { stop_grace_s: 1 + rng.below(20) as u32, ..Container::default() };
    container.command = rng.chance(50).then(|| words(rng));
    container.entrypoint = rng.chance(50).then(|| words(rng));
    container.env = ["LEVEL", "MODE", "a.b"].iter().map(|name| ((*name).to_owned(), word(rng))).collect();
    container.ports =
        (1..=rng.below(4)).map(|at| Port { container: at as u16 * 1000, publish: publish(rng) }).collect();
    if rng.chance(50) {
        container.volumes.push(Volume { source: "data".into(), path: "/data".into(), read_only: rng.chance(50) });
        container.volumes.push(Volume { source: "/etc/x y".into(), path: "/x".into(), read_only: rng.chance(50) });
    }
    container.networks = ["host", "back"].iter().filter(|_| rng.chance(40)).map(|name| (*name).to_owned()).collect();
    container.memory_bytes = [0, 6 << 20, 3 << 30, 1 << 10, 6_000_001][rng.index(5)];
    container.cpu_millis = [0, 500, 333, 1_000, 12_000][rng.index(5)];
    container.pids = rng.below(2) * 77;
    container.user = rng.chance(50).then(|| "1000".into());
    container.read_only_root = rng.chance(50);
    container.restart = ["", "no", "always"][rng.index(3)].into();
    container.health = rng.chance(60).then(|| Health {
        test: [vec!["CMD-SHELL".to_owned(), word(rng)], vec!["NONE".into()], Vec::new()][rng.index(3)].clone(),
        interval_ms: [1, 1_500, 30_000][rng.index(3)],
        timeout_ms: rng.below(2) * 90_000,
        retries: rng.below(3) as u32,
        start_period_ms: rng.below(2),
    });
    container.extra = Extra {
        labels: BTreeMap::from([("traefik.http/x".to_owned(), word(rng))]),
        endpoints: BTreeMap::from([(
            "back".to_owned(),
            Endpoint { aliases: vec!["web".into()], ..Endpoint::default() },
        )]),
        udp: vec![Port { container: 53, publish: publish(rng) }],
        hostname: rng.chance(50).then(|| word(rng)),
        init: rng.chance(50).then(|| rng.chance(50)),
        privileged: rng.chance(50),
        cap_add: words(rng),
        ulimits: BTreeMap::from([("nofile".to_owned(), Limit { soft: 100, hard: -1 })]),
        sysctls: BTreeMap::from([("net.core.somaxconn".to_owned(), "128".to_owned())]),
        tmpfs: BTreeMap::from([("/scratch".to_owned(), word(rng))]),
        logging: Logging {
            driver: "json-file".into(),
            options: BTreeMap::from([("max-size".to_owned(), "2m".to_owned())]),
        },
        memory_swap_bytes: -(rng.below(2) as i64),
        oom_score_adj: rng.below(5) as i64 - 2,
        cpuset: "0-1".into(),
        ..Extra::default()
    };
    Adopted { image: "host:5000/shop/web:2".into(), container, ..Adopted::default() }
}

fn handmade(adopted: Adopted) -> Handmade {
    Handmade { name: "web".into(), running: true, adopted, lost: Vec::new(), notes: Vec::new(), composed: None }
}

fn release(text: &str, service: &str) -> Release {
    let mut tree = Tree::default();
    tree.add_file("apm.yaml", text, &|_| None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let project = Project::read(tree, None, "folder").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let world = World::real();
    let seal = Seal::new(&[7; 32], world.random.clone()).expect("a seal");
    let asked = Asked { service: Some(service.into()), actor: "ann".into(), ..Asked::default() };
    let release = project.release(&asked, &seal, &*world.disk, std::path::Path::new("/run"));
    release.unwrap_or_else(|report| panic!("{}\n{text}", report.one_line()))
}

#[test]
fn a_section_says_what_the_container_is() {
    let files = [
        "",
        "project: shop # ours\n",
        "services:\n    api: { image: a:1 } # kept\n# the end\njudge: {}\n",
        "services: {}\n",
        "services:\n  api:\n    image: a:1\n",
    ];
    for seed in 0..300 {
        let adopted = drawn(&mut Rng::new(seed));
        let file = files[seed as usize % files.len()];
        let text = handmade(adopted.clone()).written(file, "shop", "web").expect("a section");
        for kept in file.lines().filter(|line| line.contains('#') || line.contains("image: a:1")) {
            assert!(text.lines().any(|line| line == kept), "seed {seed}: `{kept}` is gone:\n{text}");
        }
        let found = release(&text, "web");
        assert_eq!(found.container, adopted.container, "seed {seed}:\n{text}");
        assert_eq!((found.image.as_str(), found.version.as_str()), ("host:5000/shop/web:2", "2"));
    }
}

const RECORD: &str = r#"{
    "Id": "7d786b1e426d0000", "Name": "/old_web", "Image": "sha256:aaaaaaaaaaaaaaaa", "State": {"Running": true},
    "Config": {
        "Image": "shop/web", "Hostname": "7d786b1e426d", "Env": ["PATH=/bin", "LEVEL=info", "DB_PASSWORD=hunter2", "KEY=-----BEGIN\nhunter2"],
        "Cmd": ["serve"], "Labels": {"com.docker.compose.service": "web", "team": "shop"}, "WorkingDir": ""
    },
    "HostConfig": {"NetworkMode": "back", "RestartPolicy": {"Name": "always"}, "BlkioWeight": 7},
    "NetworkSettings": {"Networks": {"back": {"Aliases": ["web", "7d786b1e426d"], "NetworkID": "1"}}}
}"#;
const IMAGE: &str = r#"{"Id": "sha256:aaaaaaaaaaaaaaaa", "RepoTags": ["shop/web:7"], "Config": {"Env": ["PATH=/bin"], "Cmd": ["serve"]}}"#;

fn recorded() -> Handmade {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    Handmade::of(&json(RECORD), &json(IMAGE), Some("sha256:bbbbbbbbbbbbbbbb"))
}

#[test]
fn a_container_is_written_below_what_is_there() {
    let found = recorded();
    let project = Project { name: "shop".into(), environment: "default".into(), ..Project::default() };
    let named = found.named(&project, None).expect("a name");
    assert_eq!(named, Named { service: "web".into(), container: "shop-web".into() });
    let found = found.renamed(&named);
    let text = found.written("# ours\nproject: shop\n", "shop", "web").expect("a section");
    assert!(text.starts_with("# ours\nproject: shop\nservices:\n  web:\n    image: shop/web:7\n"), "{text}");
    assert!(text.contains("DB_PASSWORD: secrets/web/DB_PASSWORD\n"), "{text}");
    assert!(text.contains("old_web"), "who found it by its name does no more:\n{text}");
    assert!(!text.contains("hunter2") && !format!("{found:?}").contains("hunter2"), "{text}");
    let [note] = &found.notes[..] else { panic!("{:?}", found.notes) };
    assert!(note.contains("sha256:bbbbbbbbbbbb by now") && note.contains("shop/web:7"), "{note}");
    assert_eq!(found.adopted.unsaid.len(), 2, "{:?}", found.adopted.unsaid);
    let files = found.secret_files("web");
    assert!(files[0].1.contains("sed -n 's/^DB_PASSWORD=//p' > secrets/web/DB_PASSWORD)"), "{files:?}");
    assert!(files[1].1.contains("docker exec old_web printenv KEY > secrets/web/KEY)"), "{files:?}");
    // A flow map that nobody can add to, a file that is none: left alone.
    assert!(found.written("services: [x]\n", "shop", "web").is_err());
    assert!(found.named(&project, Some("a b")).is_err());
}

#[test]
fn what_could_not_be_put_back_is_refused_as_a_plan_refuses_it() {
    let mut found = recorded();
    assert_eq!(found.refusal(), None);
    found.lost = vec!["it was made with --rm".into()];
    let report = found.refusal().expect("a refusal");
    assert!(report.one_line().contains("cannot be adopted, for it could not be put back: it was made with --rm"));
}

#[test]
fn a_service_that_is_there_is_compared() {
    let found = recorded();
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::real();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        base_world::replace_file(&*world.disk, &path, text.as_bytes()).expect("written");
        path.display().to_string()
    };
    let (same, other) = (file("same", "hunter2\n"), file("other", "another"));
    let settings = |password: &str, level: &str| {
        format!(
            "project: shop\nservices:\n  web:\n    image: shop/web:7\n    env: {{ LEVEL: {level} }}\n    secrets: {{ DB_PASSWORD: {password}, KEY: {} }}\n    deploy: {{ restart: always, networks: [back], container: {{ labels: {{ team: shop }}, endpoints: {{ back: {{ aliases: [web] }} }} }} }}\n",
            file("key", "-----BEGIN\nhunter2")
        )
    };
    let seal = Seal::new(&[7; 32], world.random.clone()).expect("a seal");
    let check = |password: &str, level: &str, expect: &[&str]| {
        let release = release(&settings(password, level), "web");
        let changes = found.changes(&release, &seal).expect("changes");
        let shown: Vec<String> = changes
            .iter()
            .map(|one| {
                format!(
                    "{}: {} > {}",
                    one.what,
                    one.was.clone().unwrap_or_default(),
                    one.becomes.clone().unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(shown, expect);
        assert!(!format!("{changes:?}").contains("hunter2"));
    };
    check(&same, "info", &[]);
    check(&other, "debug", &["env LEVEL: info > debug", "secret DB_PASSWORD: (secret) > (secret)"]);
}
