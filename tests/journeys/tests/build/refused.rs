//! What is refused before it begins, and what is told when a build ends in its middle.

use std::process::Command;

use tests_journeys::{Dockerd, Peer, engine, tools, wait};

use super::said;

#[test]
fn a_file_for_buildkit_is_refused_by_its_line() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(
        home.path().join("Dockerfile"),
        "FROM scratch\n\nRUN --mount=type=cache,target=/x true\nRUN <<END\ntrue\nEND\n",
    )
    .expect("written");
    // No engine is asked.
    let mut command = Command::new(engine::apm());
    let output = command
        .args(["docker", "build", "."])
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .current_dir(home.path())
        .output();
    let output = output.expect("apm starts");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    for words in ["line 3 has `RUN --mount`", "line 4 has a heredoc", "docker buildx build"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_step_that_fails_and_an_engine_that_dies_are_told() {
    let docker = Dockerd::start("dying");
    let base = docker.busybox_image();
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("Dockerfile");
    let apm = || {
        let mut command = Command::new(engine::apm());
        command.args(["docker", "build", ".", "--inject", "none", "--tag", "never:1"]);
        command.env("DOCKER_HOST", &docker.host).current_dir(home.path());
        command
    };
    std::fs::write(&file, format!("FROM {base}\nRUN echo working; exit 5\n")).expect("written");
    let output = apm().output().expect("apm starts");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("working") && text.contains("the build ended in Step 2/") && text.contains("non-zero code: 5"),
        "{text}"
    );

    std::fs::write(&file, format!("FROM {base}\nRUN sleep 100\n")).expect("written");
    let log = home.path().join("log");
    let mut building = Peer::start(&mut apm(), log);
    wait::until("the step to begin", 60, || {
        let printed = building.printed();
        if printed.contains("Running in") { Ok(()) } else { Err(printed) }
    });
    docker.kill();
    let status = wait::until("apm to give up", 30, || building.ended().ok_or("it still waits"));
    let text = building.printed();
    assert_eq!(status.code(), Some(3), "{text}");
    assert!(text.contains("the build ended in Step 2/") && text.contains("nothing was tagged"), "{text}");
}

/// What the engine's own BuildKit makes of such a file; the guide says so.
#[test]
fn the_engine_s_own_buildkit_knows_no_heredoc() {
    let docker = Dockerd::shared();
    let base = docker.busybox_image();
    let home = tempfile::tempdir().expect("a folder");
    let client = std::path::Path::new("/usr/bin/docker");
    let client = if client.is_file() { client.to_owned() } else { tools::system("docker") };
    let build = |text: String| {
        std::fs::write(home.path().join("Dockerfile"), text).expect("written");
        let mut command = Command::new(&client);
        command
            .args(["build", "--progress", "plain", "."])
            .env("DOCKER_BUILDKIT", "1")
            .env("DOCKER_HOST", &docker.host);
        command.current_dir(home.path()).env("HOME", home.path()).output().expect("docker starts")
    };
    let output = build(format!("FROM {base}\nRUN --mount=type=cache,target=/cache touch /cache/a\n"));
    assert!(output.status.success(), "{}", said(&output));
    let output = build(format!("FROM {base}\nRUN <<END\ntrue\nEND\n"));
    assert!(!output.status.success(), "{}", said(&output));
}
