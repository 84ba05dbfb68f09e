//! A container that somebody made by hand becomes a service: shown as a section of `apm.yaml`, written there beside what a person keeps, and replaced by
//! a release that can put the very container back.

use serde_json::Value;

use super::shop::{Shop, Stage, inspected};

const FILE: &str = "# what this team runs\nproject: shop # never renamed\nservices:\n  other: { image: journey/other } # theirs\n# the end\njudge: { settings: { bake: 60s } }\n";
const SERVES: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

pub(crate) fn a_container_made_by_hand_becomes_a_service(stage: &Stage) {
    let docker = stage.docker;
    let shop = Shop::new(stage, "handed");
    let (name, image) = (shop.container(), docker.busybox_image());
    let file = shop.home.path().join("apm.yaml");
    let write = |text: &str| std::fs::write(&file, text).expect("the settings can be written");
    let settings = || std::fs::read_to_string(&file).expect("the settings can be read");
    docker.docker(&["network", "create", "by-hand"]);
    let words = "--network by-hand --network-alias basket --memory 32m --cpus 0.5 --pids-limit 99 --restart on-failure:4 --read-only --user 0:0 \
        --publish 127.0.0.1::80 --volume by-hand-data:/data --volume /etc/hostname:/named:ro --tmpfs /scratch:size=1m --cap-add NET_ADMIN --cap-drop MKNOD \
        --ulimit nofile=100:200 --sysctl net.ipv4.ip_unprivileged_port_start=79 --add-host db:10.9.8.7 --dns 127.0.0.3 --init --stop-timeout 3 \
        --log-driver json-file --log-opt max-size=2m --label team=carts --env LEVEL=info --env TOKEN=s3cr3t-by-hand --env PRICE=$9 \
        --env DATABASE=postgres://ann:s3cr3t-by-hand@db/shop --health-cmd true --health-interval 1s --hostname odd --device /dev/null:/dev/x \
        --security-opt no-new-privileges --group-add 4 --shm-size 1m --oom-score-adj 5 --cpu-shares 77 --label com.docker.compose.project=carts";
    let mut all = vec!["run", "-d", "--name", "by-hand"];
    all.extend(words.split_whitespace());
    docker.docker(&[&all[..], &[image, "sh", "-c", SERVES]].concat());
    let before = inspected(docker, "by-hand");

    // Shown: nothing is written, and no secret is told.
    write(FILE);
    let shown = shop.deploy(&["adopt", "by-hand", "--as", "handed", "--dry-run"]).expect(
        0,
        &[
            "+   handed:",
            "LEVEL: info",
            "secrets/handed/TOKEN",
            "the labels of docker compose",
            "nothing was written",
            "PRICE: $$9",
        ],
    );
    assert!(!shown.text.contains("s3cr3t"), "{}", shown.text);
    assert_eq!(settings(), FILE);

    // Written beside what is there.
    let words = ["adopt", "by-hand", "--as", "handed", "--write", "--yes"];
    let written = shop
        .deploy(&words)
        .expect(0, &["written into", &format!("docker rename by-hand {name}"), "--adopt --dry-run"])
        .text;
    for line in FILE.lines() {
        assert!(settings().lines().any(|kept| kept == line), "`{line}` is gone:\n{}", settings());
    }
    assert!(!settings().contains("s3cr3t") && !written.contains("s3cr3t"), "{}\n{written}", settings());
    // The commands that it gives fill the files and give it its name.
    let commands =
        written.lines().map(str::trim).filter(|line| line.starts_with("(umask") || line.starts_with("docker rename"));
    for line in commands {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]).current_dir(shop.home.path()).env("DOCKER_HOST", &docker.host);
        assert!(shell.status().expect("a shell").success(), "{line}");
    }

    // What it is now is what the settings say, but for the one thing that they cannot.
    let again = shop.deploy(&["adopt", &name]).expect(
        1,
        &[
            "in the settings already",
            "known in by-hand  basket, odd → basket, odd, by-hand",
            "the labels of docker compose",
        ],
    );
    assert!(!again.text.contains("s3cr3t"), "{}", again.text);
    let changed = settings().replace("LEVEL: info", "LEVEL: debug");
    write(&changed);
    shop.deploy(&["adopt", &name]).expect(1, &["info → debug"]);

    // A release that fails puts the very container back.
    let unjudged = changed.replacen("deploy:\n", "deploy:\n      judged: false\n      ready: 10s\n", 1);
    let fails = unjudged.replace(SERVES, "exit 3").replace("restart: on-failure", "restart: \"no\"");
    write(&fails.replace("restart_max: 4", "restart_max: 0"));
    let plan = shop
        .deploy(&["start", "--service", "handed", "--adopt", "--dry-run"])
        .expect(0, &[&format!("docker rename {name} {name}-previous")]);
    assert!(!plan.text.contains("s3cr3t"), "{}", plan.text);
    shop.deploy(&["--service", "handed", "--adopt"]).expect(1, &["is being undone"]);
    let after = inspected(docker, &name);
    assert_eq!(after["Id"], before["Id"], "another container");
    for part in ["Config", "HostConfig", "Image", "Path", "Args"] {
        assert_eq!(after[part], before[part], "{part} is not what it was");
    }
    assert_eq!(after["State"]["Running"], true);

    // And one that is good takes its place, with everything that the settings say.
    write(&unjudged);
    shop.deploy(&["--service", "handed", "--adopt"]).expect(0, &["complete"]);
    let new = inspected(docker, &name);
    assert_ne!(new["Id"], before["Id"]);
    let (was, is) = (&before["HostConfig"], &new["HostConfig"]);
    for part in
        was.as_object().expect("a host").keys().filter(|part| !["PortBindings", "Binds"].contains(&part.as_str()))
    {
        assert_eq!(said(&is[part]), said(&was[part]), "{part}");
    }
    let binds = |host: &Value| {
        let mut all: Vec<String> = serde_json::from_value(host["Binds"].clone()).expect("binds");
        all.sort();
        all
    };
    assert_eq!(binds(is), binds(was));
    for part in ["Cmd", "Entrypoint", "User", "WorkingDir", "Hostname", "Healthcheck", "StopTimeout", "Volumes", "Tty"]
    {
        assert_eq!(said(&new["Config"][part]), said(&before["Config"][part]), "{part}");
    }
    let env: Vec<String> = serde_json::from_value(new["Config"]["Env"].clone()).expect("variables");
    for line in ["PRICE=$9", "LEVEL=debug", "TOKEN=s3cr3t-by-hand", "DATABASE=postgres://ann:s3cr3t-by-hand@db/shop"] {
        assert!(env.iter().any(|own| own == line), "{line}");
    }
    let aliases = new["NetworkSettings"]["Networks"]["by-hand"]["Aliases"].to_string();
    assert!(aliases.contains("basket") && aliases.contains("\"by-hand\""), "{aliases}");
    shop.deploy(&["adopt", &name]).expect(4, &["is apm's already: handed in default"]);
    shop.deploy(&["adopt", "nobody"]).expect(3, &["there is no container `nobody`"]);

    docker.docker(&["run", "-d", "--rm", "--name", "passing", image, "sleep", "1000"]);
    let text = settings();
    shop.deploy(&["adopt", "passing", "--write", "--yes"]).expect(4, &["cannot be adopted", "--rm"]);
    assert_eq!(settings(), text);
    docker.docker(&["rm", "-f", &name, "passing"]);
    docker.docker(&["network", "rm", "by-hand"]);
    docker.docker(&["volume", "rm", "by-hand-data"]);
}

/// A list of nothing is none: which of them the engine records depends on who asked.
fn said(value: &Value) -> Option<&Value> {
    let nothing = value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty);
    (!nothing).then_some(value)
}
