//! A container that somebody made by hand, with everything that can be set: a release that fails leaves it as it was, one that is good takes
//! its place, and one that could not be put back is not touched.

use serde_json::Value;

use super::shop::{Shop, Stage, inspected};

const FAILS: &str = "judged: false\nrestart: \"no\"\ncommand: [\"sh\", \"-c\", \"echo the new one fails; echo key $TOKEN; exit 3\"]\nready: 10s";

pub(crate) fn a_container_made_by_hand_is_put_back(stage: &Stage) {
    let docker = stage.docker;
    let shop = Shop::new(stage, "adopted");
    let name = shop.container();
    let image = docker.busybox_image();
    docker.docker(&["network", "create", "--subnet", "172.31.77.0/24", "hand-made"]);
    docker.docker(&["network", "create", "hand-made-too"]);
    let odd = "--network hand-made --ip 172.31.77.9 --network-alias odd --hostname odd --cap-add NET_ADMIN --cap-drop MKNOD --device /dev/null:/dev/x \
        --log-driver json-file --log-opt max-size=2m --ulimit nofile=100:200 --sysctl net.ipv4.ip_unprivileged_port_start=79 --add-host db:10.9.8.7 \
        --dns 127.0.0.3 --tmpfs /scratch:size=1m --mount type=volume,source=hand-data,target=/data --mount type=bind,source=/etc/hostname,target=/named,readonly \
        --mount type=tmpfs,destination=/quick,tmpfs-size=65536 --ipc shareable --pid host --init --memory 32m --cpu-shares 77 --oom-score-adj 5 --shm-size 1m \
        --security-opt no-new-privileges --group-add 4 --label made=by-hand --env ODD=yes --workdir /data --stop-timeout 1 --restart on-failure:4 \
        --health-cmd true --health-interval 1s --publish 127.0.0.1::80 --read-only --user 0:0";
    let mut words = vec!["run", "-d", "--name", &name];
    words.extend(odd.split_whitespace());
    words.extend([image, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]);
    docker.docker(&words);
    docker.docker(&["network", "connect", "--alias", "second", "hand-made-too", &name]);
    let before = inspected(docker, &name);

    let token = shop.home.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("the secret can be written");
    shop.settings_of("journey/busybox", FAILS, &format!("secrets: {{ TOKEN: {} }}", token.display()));
    shop.deploy(&["--version", "1"]).expect(4, &["apm did not make it", "--adopt"]);
    let failed = shop.deploy(&["--version", "1", "--adopt"]).expect(1, &["is being undone", "ended with code 3"]);
    assert!(failed.text.contains("the new one fails"), "its last words are missing:\n{}", failed.text);
    // The container is gone, and what it said is not; its secrets are in neither.
    let list = shop.deploy(&["artefacts"]).expect(0, &[".log"]).text;
    let log = list.split_whitespace().find(|word| word.ends_with(".log")).expect("a log");
    let log =
        shop.deploy(&["artefacts", "--get", log]).expect(0, &["the new one fails", "exit code 3", "key $TOKEN"]).text;
    assert!(!log.contains("s3cr3t"), "{log}");
    let after = inspected(docker, &name);
    assert_eq!(after["Id"], before["Id"], "another container");
    // The engine tells mounts in any order.
    let mounts = |container: &Value| {
        let mut all = container["Mounts"].as_array().cloned().expect("mounts");
        all.sort_by_key(Value::to_string);
        all
    };
    assert_eq!(mounts(&after), mounts(&before));
    for part in ["Config", "HostConfig", "Image", "Path", "Args", "RestartCount"] {
        assert_eq!(after[part], before[part], "{part} is not what it was");
    }
    assert_eq!(after["State"]["Running"], true);
    assert_eq!(networks(&after), networks(&before));
    assert_eq!(shop.containers(), std::slice::from_ref(&name));

    let good =
        "judged: false\nstop_grace: 1s\ncommand: [\"sh\", \"-c\", \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]";
    shop.settings_of("journey/busybox", good, "");
    shop.deploy(&["--version", "1", "--adopt"]).expect(0, &["complete"]);
    assert_ne!(shop.id(), before["Id"].as_str().expect("an id"));
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.version\"}}"), "1");
    docker.docker(&["rm", "-f", &name]);

    docker.docker(&["run", "-d", "--rm", "-v", "/unnamed", "--name", &name, image, "sleep", "1000"]);
    let id = shop.id();
    shop.deploy(&["--version", "1", "--adopt"]).expect(4, &["cannot be adopted", "--rm", "/unnamed"]);
    assert_eq!((shop.id(), shop.inspect("{{.State.Running}}")), (id, "true".to_owned()));
    docker.docker(&["rm", "-f", &name]);
    docker.docker(&["network", "rm", "hand-made", "hand-made-too"]);
    docker.docker(&["volume", "rm", "hand-data"]);
}

/// How it is known and where; what the engine gives anew with each start is left out.
fn networks(container: &Value) -> Vec<String> {
    let all = container["NetworkSettings"]["Networks"].as_object().expect("networks");
    let line = |(name, network): (&String, &Value)| format!("{name} {} {}", network["Aliases"], network["IPAMConfig"]);
    all.iter().map(line).collect()
}
