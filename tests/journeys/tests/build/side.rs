//! The agent in an image of its own: a container that is made and never started, whose volume the program's container shares. The program's image is the
//! user's, its first request is a span, and it ends in time. Docker shares no files with a container that runs beside, but by a volume: this is what a side
//! container can be here.

use tests_journeys::{Dockerd, Engine, wait};

use super::{apm, config, copy, json, run};

#[test]
fn a_side_container_brings_the_agent() {
    let docker = Dockerd::shared();
    docker.python_image();
    let engine = Engine::start("build_side");
    let project = engine.home().join("shop");
    copy("python", &project);
    let place = project.to_str().expect("ASCII");
    docker.docker(&["build", "-q", "-t", "side/python:plain", place]);
    let words =
        ["docker", "build", place, "--tag", "side/python:1", "--inject", "side-container", "--service", "side-python"];
    let built = json(apm(docker, &engine).args(words).args(["--output", "json"]));
    let image = built["agent_in"].as_str().expect("an image").to_owned();
    assert_eq!(image, "apm-agent/side-python:1", "{built}");
    let (own, ours) = (config(docker, "side/python:plain"), config(docker, "side/python:1"));
    for key in ["Env", "Cmd", "Entrypoint", "User", "WorkingDir", "Volumes"] {
        assert_eq!(own[key], ours[key], "{key}");
    }

    let plain = run(docker, &engine, "python", "side/python:plain", &[]);
    let side = "side-python-agent";
    docker.docker(&["create", "--name", side, &image]);
    let words = built["run_words"].as_array().expect("words").iter();
    let words: Vec<String> =
        words.map(|word| word.as_str().expect("text").replace("AGENT:", &format!("{side}:"))).collect();
    assert_eq!(&words[..2], ["--volumes-from", &format!("{side}:ro")]);
    let with = run(docker, &engine, "python", "side/python:1", &words);
    assert_eq!(with.answer, plain.answer);
    wait::until("the first span", 60, || {
        let traces = engine.jaeger("traces", &[("service", "side-python"), ("limit", "20")]).to_string();
        if traces.contains("/hello/") { Ok(()) } else { Err(traces) }
    });
    // Nobody starts it, and nobody writes into its files.
    assert_eq!(docker.docker(&["inspect", "-f", "{{.State.Status}}", side]), "created");
    assert!(docker.try_docker(&["exec", &with.name, "touch", "/opt/apm/agent/x"]).is_err(), "the agent can be written");
    let (plain_code, _) = plain.stop(docker);
    let (code, seconds) = with.stop(docker);
    assert!(seconds < 10.0, "it took {seconds} s to end");
    if plain_code != 137 {
        assert_eq!(code, plain_code);
    }
    docker.docker(&["rm", "-f", "-v", side]);
}
