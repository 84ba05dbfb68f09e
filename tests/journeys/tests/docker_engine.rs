//! The journeys' own Docker engine does what later journeys build on: it builds and runs, `apm` runs in a container of it, both sides reach each other,
//! and nothing is left on the machine, whatever ends the test.

use std::process::Command;

use tests_journeys::{Dockerd, Engine, http, tools, wait};

#[test]
fn apm_runs_in_a_container_and_both_sides_reach_each_other() {
    let docker = Dockerd::shared();
    let image = docker.apm_image("1.2.3", &[("GREETING", "hello \"you\"")]);
    let version = docker.docker(&["run", "--rm", &image, "--version"]);
    assert!(version.starts_with("apm "), "{version}");
    let env = docker.docker(&["run", "--rm", "--entrypoint", "/bin/env", &image]);
    assert!(env.contains("APP_VERSION=1.2.3") && env.contains("GREETING=hello \"you\""), "{env}");

    // From the machine to a container: a published port.
    let published =
        ["run", "-d", "--name", "inside", "-p", "127.0.0.1::4300", "-e", "APM_TOKEN=a-token-of-the-journey"];
    let words = [&published[..], &[&image, "up", "--listen", "0.0.0.0:4300"]].concat();
    docker.docker(&words);
    wait::until("apm in the container", 60, || {
        let log = || docker.command().args(["logs", "inside"]).output();
        let port =
            docker.try_docker(&["port", "inside", "4300/tcp"]).unwrap_or_else(|_| panic!("it ended: {:?}", log()));
        match http::try_get(&format!("http://{port}/-/ready"), &[]) {
            Ok(reply) if reply.status == 200 => Ok(()),
            other => Err((other, log())),
        }
    });
    docker.docker(&["rm", "-f", "inside"]);

    // From containers to an engine on the machine's loopback: from the bridge, from a network of one's own, and without either.
    let engine = Engine::start("docker_engine");
    let address = engine.url.trim_start_matches("http://");
    let port: u16 = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    docker.docker(&["network", "create", "own"]);
    for (network, to) in [("bridge", docker.let_in(port)), ("own", docker.let_in(port)), ("host", address.to_owned())] {
        let (host, port) = to.rsplit_once(':').expect("host:port");
        // The request's end must not be the connection's: a server may take that for a client who has gone.
        let ask = format!(
            "mkfifo p; nc -w 10 {host} {port} <p & exec 3>p; printf 'GET /-/ready HTTP/1.0\\r\\n\\r\\n' >&3; wait $!"
        );
        let answer = docker.docker(&["run", "--rm", "--network", network, docker.busybox_image(), "sh", "-c", &ask]);
        assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{network}: {answer}");
    }
    docker.docker(&["network", "rm", "own"]);
}

#[test]
fn nothing_is_left_behind() {
    let docker = Dockerd::start("tidy");
    let busybox = docker.busybox_image();
    docker.docker(&["network", "create", "own"]);
    docker.docker(&[
        "run",
        "-d",
        "--network",
        "own",
        "-v",
        "data:/data",
        "-p",
        "127.0.0.1::80",
        busybox,
        "sleep",
        "1000",
    ]);
    docker.let_in(1);
    assert_eq!(docker.stop(), Vec::<String>::new());

    // An engine that was killed leaves containers and mounts that only its guard can take away.
    let docker = Dockerd::start("killed");
    docker.docker(&["run", "-d", docker.busybox_image(), "sleep", "1000"]);
    docker.kill();
    assert_eq!(docker.stop(), Vec::<String>::new());
}

#[test]
fn two_engines_do_not_meet() {
    let (one, two) = (Dockerd::start("one"), Dockerd::start("two"));
    assert_ne!(one.gateway, two.gateway);
    one.docker(&["run", "-d", "--name", "web", one.busybox_image(), "sleep", "1000"]);
    assert_eq!(two.docker(&["ps", "-aq"]), "");
    two.docker(&["run", "-d", "--name", "web", two.busybox_image(), "sleep", "1000"]);
    assert_eq!(one.stop(), Vec::<String>::new());
    assert_eq!(two.docker(&["inspect", "-f", "{{.State.Status}}", "web"]), "running");
}

/// What a killed test leaves is taken away by the guard, which the kill does not reach.
#[test]
fn a_killed_holder_leaves_nothing() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dockerd.sh");
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("engine");
    std::fs::create_dir(&folder).expect("made");
    let held = format!("sleep 1000 | sh {} {} >/dev/null", script.display(), folder.display());
    let mut holder = Command::new(tools::system("setsid")).args(["sh", "-c", &held]).spawn().expect("a shell");
    wait::until("the engine", 60, || if folder.join("docker.sock").exists() { Ok(()) } else { Err("no socket yet") });
    // Only the one who holds the input: its end is all the guard learns of.
    let sleeper = wait::until("the holder's process", 10, || child_called(holder.id(), "sleep").ok_or("not there"));
    Command::new(tools::system("kill")).args(["-9", &sleeper]).status().expect("killed");
    wait::until("the folder to be gone", 120, || if folder.exists() { Err("still there") } else { Ok(()) });
    holder.wait().expect("it ends");
}

fn child_called(parent: u32, name: &str) -> Option<String> {
    let output =
        Command::new(tools::system("ps")).args(["-o", "pid=,comm=", "--ppid", &parent.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.trim_end().ends_with(name))?;
    Some(line.split_whitespace().next()?.to_owned())
}
