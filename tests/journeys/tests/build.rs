//! `apm docker build`: a plain app becomes an image whose first request is a span, its project's files as they were; it answers and ends as it did without
//! the agent. What is sent is what Docker's own client sends; what cannot be built is refused by its line; an engine that dies is told.

mod context;
mod fixes;
mod refused;
mod scan;
mod side;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;
use tests_journeys::{Dockerd, Engine, engine, http, peer, tools, wait};

#[test]
fn a_python_app_is_built_with_its_agent() {
    let docker = Dockerd::shared();
    docker.python_image();
    check(docker, "python", |_| {}, &["/opt/apm/entry"]);
}

#[test]
fn a_node_app_is_built_with_its_agent() {
    let docker = Dockerd::shared();
    docker.node_image();
    check(docker, "node", |_| {}, &[]);
}

#[test]
fn a_java_app_is_built_with_its_agent() {
    let docker = Dockerd::shared();
    docker.java_image();
    let compile = |project: &Path| {
        let mut javac = Command::new(tools::system("javac"));
        let status = javac.args(["--release", "11", "Shop.java"]).current_dir(project).status().expect("javac starts");
        assert!(status.success());
    };
    check(docker, "java", compile, &[]);
}

/// The same app without and with the agent, in the image and in a volume. `entry` is what stands before the image's own entry point.
fn check(docker: &Dockerd, language: &str, prepare: impl Fn(&Path), entry: &[&str]) {
    let engine = Engine::start(&format!("build_{language}"));
    let project = engine.home().join("shop");
    copy(language, &project);
    prepare(&project);
    let before = files(&project);
    let place = project.to_str().expect("ASCII");
    let (plain, traced, beside) =
        (format!("shop/{language}:plain"), format!("shop/{language}:1"), format!("shop/{language}:2"));
    docker.docker(&["build", "-q", "-t", &plain, place]);
    let built = json(apm(docker, &engine).args(["docker", "build", place, "--tag", &traced, "--output", "json"]));
    assert_eq!(built["service"], "shop", "{built}");
    let service = format!("beside-{language}");
    let volume = json(apm(docker, &engine).args([
        "docker",
        "build",
        place,
        "--tag",
        &beside,
        "--inject",
        "volume",
        "--output",
        "json",
        "--service",
        &service,
    ]));
    assert_eq!(files(&project), before, "the project was changed");

    // Its own settings are the image's, but for what stands before them.
    let (own, ours) = (config(docker, &plain), config(docker, &traced));
    for key in ["User", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck", "Cmd"] {
        assert_eq!(own[key], ours[key], "{key}");
    }
    let mut expect: Vec<Value> = entry.iter().map(|word| Value::from(*word)).collect();
    expect.extend(own["Entrypoint"].as_array().cloned().unwrap_or_default());
    assert_eq!(ours["Entrypoint"].as_array().cloned().unwrap_or_default(), expect);
    assert_eq!(ours["Labels"]["org.opencontainers.image.version"], "1");
    assert_eq!(config(docker, &beside)["Cmd"], own["Cmd"]);
    assert_eq!(config(docker, &beside)["Env"], own["Env"]);

    let without = run(docker, &engine, language, &plain, &[]);
    let with = run(docker, &engine, language, &traced, &[]);
    let words: Vec<String> = volume["run_words"]
        .as_array()
        .expect("words")
        .iter()
        .map(|word| word.as_str().expect("text").to_owned())
        .collect();
    let with_volume = run(docker, &engine, language, &beside, &words);
    assert_eq!(without.answer, with.answer);
    assert_eq!(without.answer, with_volume.answer);
    assert_eq!(without.answer.1, "hello ada\n");
    for (service, instance) in [("shop", !entry.is_empty()), (&service, false)] {
        wait::until("the first span", 60, || {
            let traces = engine.jaeger("traces", &[("service", service), ("limit", "20")]).to_string();
            let found = traces.contains("/hello/") && (!instance || traces.contains("service.instance.id"));
            if found { Ok(()) } else { Err((service.to_owned(), traces)) }
        });
    }
    // Whoever ended on SIGTERM does so still, and sends what it has.
    let plain_end = without.stop(docker);
    for running in [with, with_volume] {
        let (code, seconds) = running.stop(docker);
        assert!(seconds < 10.0, "{language} took {seconds} s to end");
        // Without a listener of its own the first process of a container outlives SIGTERM; with the agent it ends.
        if plain_end.0 != 137 {
            assert_eq!(code, plain_end.0);
        }
    }
}

struct Running {
    name: String,
    answer: (u16, String),
}

impl Running {
    /// Its exit code, and how long SIGTERM took.
    fn stop(self, docker: &Dockerd) -> (i64, f64) {
        let begun = Instant::now();
        docker.docker(&["stop", "-t", "15", &self.name]);
        let took = begun.elapsed().as_secs_f64();
        let code = docker.docker(&["inspect", "-f", "{{.State.ExitCode}}", &self.name]);
        docker.docker(&["rm", "-f", &self.name]);
        (code.parse().expect("a number"), took)
    }
}

/// Started on the machine's network, and asked once.
fn run(docker: &Dockerd, engine: &Engine, language: &str, image: &str, words: &[String]) -> Running {
    let port = peer::free_port();
    let name = format!("{language}-{port}");
    let (port_word, endpoint) = (format!("PORT={port}"), format!("OTEL_EXPORTER_OTLP_ENDPOINT={}", engine.otlp_http));
    let mut all = vec!["run", "-d", "--name", &name, "--network", "host", "-e", &port_word, "-e", &endpoint];
    // Spans are to come before the test grows impatient.
    all.extend(["-e", "OTEL_BSP_SCHEDULE_DELAY=200"]);
    all.extend(words.iter().map(String::as_str));
    all.push(image);
    docker.docker(&all);
    let page = format!("http://127.0.0.1:{port}/hello/ada");
    let answer = wait::until("the app to answer", 90, || match http::try_get(&page, &[]) {
        Ok(reply) if reply.status == 200 => Ok((reply.status, reply.text())),
        other => Err((
            other,
            docker
                .command()
                .args(["logs", &name])
                .output()
                .map(|output| String::from_utf8_lossy(&output.stderr).into_owned()),
        )),
    });
    Running { name, answer }
}

/// `apm` for this engine, with a cache that other runs share.
fn apm(docker: &Dockerd, engine: &Engine) -> Command {
    let mut command = Command::new(engine::apm());
    // The user's own environment stays: a mirror or a proxy for pip and npm is set there.
    command.env("DOCKER_HOST", &docker.host).env("XDG_STATE_HOME", engine.home().join("state"));
    command.env("XDG_CACHE_HOME", tools::cache().join("run")).current_dir(engine.home());
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("apm starts");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn config(docker: &Dockerd, image: &str) -> Value {
    let mut all: Value = serde_json::from_str(&docker.docker(&["image", "inspect", image])).expect("JSON");
    all[0]["Config"].take()
}

fn copy(language: &str, to: &Path) {
    let from = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/built")).join(language);
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(&from).expect("the app is there") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Every file and its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                let bytes = if path.is_symlink() { Vec::new() } else { std::fs::read(&path).expect("read") };
                all.insert(path.display().to_string(), bytes);
            }
        }
    }
    all
}
