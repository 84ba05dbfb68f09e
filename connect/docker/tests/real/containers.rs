//! Containers, networks, volumes and events of a real engine.

use std::time::Duration;

use bytes::Bytes;
use connect_docker::{
    Channel, ContainerSpec, DockerError, EventFilter, ExecSpec, Health, HealthCheck, Limits, LogOptions, Mount,
    NetworkJoin, NetworkSpec, Port, Publish, Restart, State, create_body_again,
};
use futures_util::{StreamExt, TryStreamExt};

use crate::support::{GRACE, MINUTE, engine, label, run, spec, until, words};

#[tokio::test]
async fn the_engine_tells_what_it_is() {
    let engine = engine();
    let version = engine.version().await.expect("it answers");
    assert!(version.version.starts_with(|letter: char| letter.is_ascii_digit()), "{version:?}");
    let info = engine.info().await.expect("it answers");
    assert!(info.cpus > 0 && info.memory_bytes > 1 << 20 && !info.storage_driver.is_empty(), "{info:?}");
}

#[tokio::test]
async fn a_container_s_whole_life() {
    let engine = engine();
    let all = ContainerSpec {
        env: [("A".to_owned(), "x=y z".to_owned())].into(),
        labels: label("life", "1"),
        ports: vec![Port {
            container: 80,
            publish: Some(Publish { address: "127.0.0.1".into(), port: 0 }),
            ..Default::default()
        }],
        mounts: vec![
            Mount::Volume { name: "life-data".into(), path: "/data".into(), read_only: false },
            Mount::Tmpfs { path: "/tmp".into(), size_bytes: Some(1 << 20) },
            Mount::Bind { host: "/etc/hostname".into(), path: "/etc/theirs".into(), read_only: true },
        ],
        networks: vec![
            NetworkJoin { network: "life-one".into(), aliases: vec!["first".into()] },
            NetworkJoin { network: "life-two".into(), aliases: vec!["second".into()] },
        ],
        limits: Limits { memory_bytes: 64 << 20, cpu_millis: 500, pids: 50 },
        restart: Restart::OnFailure { retries_max: 2 },
        health: Some(HealthCheck {
            test: words("test -f /tmp/well"),
            interval_ms: 100,
            retries: 3,
            ..Default::default()
        }),
        user: Some("12:34".into()),
        working_folder: Some("/data".into()),
        read_only_root: true,
        extra_hosts: [("machine".to_owned(), "host-gateway".to_owned())].into(),
        stop_grace_s: Some(3),
        ..spec(&engine, "life", "id -u; id -g; pwd; echo \"$A\" >&2; sleep 1000").await
    };
    let all = ContainerSpec {
        health: all.health.map(|health| HealthCheck { test: [vec!["CMD".into()], health.test].concat(), ..health }),
        ..all
    };
    for network in ["life-one", "life-two"] {
        engine
            .ensure_network(&NetworkSpec { name: network.into(), labels: label("life", "1"), ..Default::default() })
            .await
            .expect("made");
    }
    assert!(
        !engine.ensure_network(&NetworkSpec { name: "life-one".into(), ..Default::default() }).await.expect("there")
    );
    engine.remove_container_if_there("life").await.expect("away");
    let id = engine.create_container(&all).await.expect("made");
    assert_eq!(engine.container("life").await.expect("seen").state, State::Created);
    assert!(engine.start_container("life").await.expect("started"));
    assert!(!engine.start_container("life").await.expect("no error"), "it was started already");

    let view = engine.container("life").await.expect("seen");
    assert_eq!((view.id.as_str(), view.name.as_str(), view.state), (id.as_str(), "life", State::Running));
    assert_eq!(view.networks.keys().collect::<Vec<_>>(), ["life-one", "life-two"]);
    assert!(view.ports.len() == 1 && view.ports[0].container == 80 && view.ports[0].port > 0, "{:?}", view.ports);
    assert!(view.env.contains(&"A=x=y z".to_owned()) && view.env.contains(&"BASE=1".to_owned()), "{:?}", view.env);
    let raw = engine.inspect_container("life").await.expect("seen");
    assert_eq!(raw["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(raw["HostConfig"]["NanoCpus"], 500_000_000);

    // What it says, on both channels.
    let lines = until("its first lines", async || {
        let lines =
            engine.logs("life", &LogOptions { timestamps: true, ..Default::default() }).await.expect("it has logs");
        let lines: Vec<_> = lines.try_collect().await.expect("whole");
        (lines.len() == 4).then_some(lines)
    });
    let lines = lines.await;
    let of =
        |channel| lines.iter().filter(|line| line.channel == channel).map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        (of(Channel::Output), of(Channel::Errors)),
        (vec!["12".into(), "34".into(), "/data".into()], vec![Bytes::from("x=y z")])
    );
    assert!(lines.iter().all(|line| line.at.contains('T')), "{lines:?}");
    let last = engine.logs("life", &LogOptions { tail: Some(1), ..Default::default() }).await.expect("it has logs");
    assert_eq!(last.try_collect::<Vec<_>>().await.expect("whole").len(), 1);

    // Unhealthy until a command inside makes it well.
    until("unhealthy", async || (engine.container("life").await.ok()?.health == Health::Unhealthy).then_some(())).await;
    let spec =
        |line: &str| ExecSpec { command: words(line), env: label("B", "2"), output_bytes_max: 4, ..Default::default() };
    let outcome = engine
        .exec("life", &spec("touch /tmp/well; echo $B; echo no room for this >&2; exit 3"), MINUTE)
        .await
        .expect("it runs");
    assert_eq!(
        (outcome.exit_code, outcome.output, outcome.errors, outcome.cut),
        (3, b"2\n".to_vec(), b"no r".to_vec(), true)
    );
    until("healthy", async || (engine.container("life").await.ok()?.health == Health::Healthy).then_some(())).await;
    let missing = engine
        .exec("life", &ExecSpec { command: vec!["/none".into()], ..Default::default() }, MINUTE)
        .await
        .expect("an outcome");
    assert!(missing.exit_code == 126 || missing.exit_code == 127, "{missing:?}");

    let stats = engine.container_stats("life").await.expect("counted");
    assert!(stats.cpu.total_ns > 0 && stats.memory.usage_bytes > 0 && stats.pids >= 1, "{stats:?}");
    assert_eq!((stats.memory.limit_bytes, stats.pids_limit, stats.networks.len()), (64 << 20, 50, 2));

    // Its volume is in use, its networks too.
    assert!(matches!(engine.remove_volume_if_there("life-data").await, Err(DockerError::Conflict { .. })));
    assert!(matches!(engine.remove_network_if_there("life-one").await, Err(DockerError::Conflict { .. })));
    assert!(engine.disconnect_container("life", "life-two").await.expect("out"));
    assert!(!engine.disconnect_container("life", "life-two").await.expect("no error"));
    engine
        .connect_container("life", &NetworkJoin { network: "life-two".into(), aliases: vec!["again".into()] })
        .await
        .expect("in");

    let listed = engine.containers(&label("life", "1")).await.expect("listed");
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["life"]);
    assert!(engine.containers(&label("life", "2")).await.expect("listed").is_empty());

    assert!(engine.stop_container("life", GRACE).await.expect("stopped"));
    assert!(!engine.stop_container("life", GRACE).await.expect("no error"), "it was stopped already");
    assert_eq!(engine.container("life").await.expect("seen").state, State::Exited);
    engine.rename_container("life", "life-before").await.expect("renamed");

    // Made again from what was seen, it is the same.
    let (body, joins) = create_body_again(&raw);
    engine.create_container_from("life", body, &joins).await.expect("made again");
    let again = engine.inspect_container("life").await.expect("seen");
    assert_eq!(create_body_again(&again).0["HostConfig"], create_body_again(&raw).0["HostConfig"]);
    for key in [
        "Env",
        "Cmd",
        "Entrypoint",
        "Labels",
        "Healthcheck",
        "User",
        "WorkingDir",
        "ExposedPorts",
        "Image",
        "StopTimeout",
    ] {
        assert_eq!(again["Config"][key], raw["Config"][key], "{key}");
    }
    engine.start_container("life").await.expect("it starts as well");

    for name in ["life", "life-before"] {
        assert!(engine.remove_container_if_there(name).await.expect("away"));
        assert!(!engine.remove_container_if_there(name).await.expect("no error"));
    }
    for network in ["life-one", "life-two"] {
        assert!(engine.remove_network_if_there(network).await.expect("away"));
    }
    assert!(engine.remove_volume_if_there("life-data").await.expect("away"));
    assert_eq!(engine.container_if_there("life").await.expect("no error"), None);
}

#[tokio::test]
async fn refusals_of_a_real_engine_have_their_class() {
    let engine = engine();
    assert!(matches!(engine.container("none").await, Err(DockerError::NotFound { .. })));
    let spec = ContainerSpec { name: "refused".into(), image: "real/none:1".into(), ..Default::default() };
    let error = engine.create_container(&spec).await.expect_err("no image");
    assert!(matches!(&error, DockerError::ImageMissing { image, .. } if image == "real/none:1"), "{error:?}");

    // A name that is taken, with its holder.
    let spec = self::spec(&engine, "taken", "sleep 1000").await;
    run(&engine, &spec).await;
    let holder_id = engine.container("taken").await.expect("seen").id;
    match engine.create_container(&spec).await.expect_err("taken") {
        DockerError::Conflict { holder, said, .. } => assert_eq!((holder, said.status), (Some(holder_id), Some(409))),
        other => panic!("{other:?}"),
    }

    // A port taken by a program of the machine.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let publish = Some(Publish { address: "127.0.0.1".into(), port });
    let ports = vec![Port { container: 80, publish, ..Default::default() }];
    let spec = ContainerSpec { ports, ..self::spec(&engine, "port", "sleep 1000").await };
    engine.remove_container_if_there("port").await.expect("away");
    engine.create_container(&spec).await.expect("made: ports are taken at the start");
    let error = engine.start_container("port").await.expect_err("taken");
    assert!(
        matches!(&error, DockerError::PortTaken { address: Some(address), .. } if *address == format!("127.0.0.1:{port}")),
        "{error:?}"
    );

    let error = engine.kill_container("port", "SIGTERM").await.expect_err("it does not run");
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    let join = |network: &str| NetworkJoin { network: network.into(), ..Default::default() };
    for networks in [vec![join("none-such")], vec![join("bridge"), join("none-such")]] {
        let spec = ContainerSpec { networks, ..self::spec(&engine, "lost", "true").await };
        let error = engine.create_container(&spec).await.expect_err("no network");
        assert!(matches!(&error, DockerError::NotFound { object, .. } if object.name == "none-such"), "{error:?}");
        assert_eq!(engine.container_if_there("lost").await.expect("no error"), None, "nothing half made is left");
    }
    for name in ["taken", "port"] {
        engine.remove_container(name).await.expect("away");
    }
}

#[tokio::test]
async fn the_end_of_a_container_is_waited_for_and_its_code_kept() {
    let engine = engine();
    run(&engine, &spec(&engine, "ends", "exit 7").await).await;
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it ends"), 7);
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it has ended"), 7);
    run(&engine, &spec(&engine, "ends", "trap 'exit 9' HUP; echo ready; while :; do sleep 0.05; done").await).await;
    let mut lines = engine.logs("ends", &LogOptions { follow: true, ..Default::default() }).await.expect("it has logs");
    assert_eq!(lines.next().await.expect("a line").expect("whole").text, "ready");
    engine.kill_container("ends", "SIGHUP").await.expect("sent");
    assert!(lines.next().await.is_none(), "the stream ends with the container");
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it ends"), 9);
    let error = {
        run(&engine, &spec(&engine, "ends", "sleep 1000").await).await;
        engine.wait_container("ends", Duration::from_millis(100)).await.expect_err("it goes on")
    };
    assert!(matches!(error, DockerError::Timeout { .. }), "{error:?}");
    engine.remove_container("ends").await.expect("away");
}

#[tokio::test]
async fn events_tell_what_happens() {
    let engine = engine();
    let filter = EventFilter { kinds: vec!["container".into()], labels: label("watched", "1"), ..Default::default() };
    let events = engine.events(filter).await.expect("it begins");
    let spec = ContainerSpec { labels: label("watched", "1"), ..spec(&engine, "watched", "exit 4").await };
    run(&engine, &spec).await;
    engine.wait_container("watched", MINUTE).await.expect("it ends");
    engine.remove_container("watched").await.expect("away");
    let seen: Vec<_> =
        tokio::time::timeout(MINUTE, events.take(4).try_collect()).await.expect("four events").expect("no error");
    assert_eq!(
        seen.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(),
        ["create", "start", "die", "destroy"]
    );
    assert_eq!(seen[2].attributes["exitCode"], "4");
    assert!(seen.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns));
}
