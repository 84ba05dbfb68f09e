//! `apm run -- python app.py`: an app without a line of telemetry in it is traced, its logs arrive, a change restarts it traced, and the project's folder
//! stays as it was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests_journeys::{Engine, Peer, engine, http, peer, tools, wait};

#[test]
fn a_flask_app_is_traced_and_restarted_on_change() {
    check("flask", false);
}

#[test]
fn a_flask_app_with_its_own_reloader_is_traced_after_each_reload() {
    check("flask_reloader", true);
}

fn check(journey: &str, reloader: bool) {
    let engine = Engine::start(journey);
    let project = engine.home().join("shop");
    std::fs::create_dir(&project).expect("the home can be written");
    let app = project.join("app.py");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/shop.py"), &app).expect("the app can be copied");

    let port = peer::free_port();
    let log = engine.artefacts().join("run.log");
    let mut running = Peer::start(
        run(&engine, &project).env("PORT", port.to_string()).env("DEBUG", if reloader { "1" } else { "0" }),
        log,
    );
    let page = format!("http://127.0.0.1:{port}/hello/ada");
    // The first start installs the agent.
    serves(&mut running, &page, "hello ada\n", 240);

    let trace = wait::until("the first trace", 60, || greeting(&engine, "ada"));
    assert_eq!(trace["operationName"], "GET /hello/<name>", "{trace}");
    wait::until("`apm run` to say that it arrived", 30, || {
        let printed = running.printed();
        if printed.contains("First trace") { Ok(()) } else { Err(printed) }
    });
    wait::until("the log line, with its trace", 60, || {
        let query = [("query", "{service_name=\"shop\"} |= \"greeting ada\"")];
        let found = engine.loki("query_range", &query);
        if found.to_string().contains(trace["traceID"].as_str().expect("a span has a trace id")) {
            Ok(())
        } else {
            Err(found)
        }
    });

    let changed = std::fs::read_to_string(&app).expect("the app is there").replace("\"hello\"", "\"welcome\"");
    std::fs::write(&app, changed).expect("the app can be changed");
    let again = format!("http://127.0.0.1:{port}/hello/grace");
    serves(&mut running, &again, "welcome grace\n", 60);
    wait::until("a trace of the changed app", 60, || greeting(&engine, "grace"));

    running.terminate(30);
    wait::until("the app to be gone with `apm run`", 20, || match http::try_get(&page, &[]) {
        Ok(reply) => Err(reply.text()),
        Err(_) => Ok(()),
    });
    let left: BTreeSet<String> = names(&project).into_iter().filter(|name| name != "__pycache__").collect();
    assert_eq!(left, ["app.py".to_owned()].into(), "`apm run` left something in the project");
}

/// `apm run -- python app.py`, with the app's own environment first on the PATH and a cache that other runs share.
fn run(engine: &Engine, project: &Path) -> Command {
    let python = tools::tool("python-flask");
    let prefix = Command::new(&python).args(["-c", "import sys; print(sys.prefix)"]).output().expect("Python starts");
    let bin = PathBuf::from(String::from_utf8_lossy(&prefix.stdout).trim()).join("bin");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths =
        std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&paths))).expect("a PATH can be joined");
    // The user's own environment stays: a mirror or a proxy for pip is set there.
    let mut command = Command::new(engine::apm());
    command.env("PATH", paths).env("XDG_STATE_HOME", engine.home().join("state")).current_dir(project);
    command.env("XDG_CACHE_HOME", tools::cache().join("run"));
    command.args(["run", "--url", &engine.url, "--", "python", "app.py"]);
    command
}

fn serves(running: &mut Peer, page: &str, text: &str, seconds: u64) {
    wait::until("the app to answer", seconds, || {
        if let Some(status) = running.ended() {
            panic!("`apm run` ended with {status}:\n{}", running.printed());
        }
        match http::try_get(page, &[]) {
            Ok(reply) if reply.text() == text => Ok(()),
            Ok(reply) => Err(reply.text()),
            Err(error) => Err(format!("{error}\n{}", running.printed())),
        }
    });
}

/// The server span of a greeting.
fn greeting(engine: &Engine, name: &str) -> Result<Value, Value> {
    let traces = engine.jaeger("traces", &[("service", "shop"), ("limit", "100")]);
    let mut spans =
        traces.as_array().into_iter().flatten().flat_map(|trace| trace["spans"].as_array().into_iter().flatten());
    let found = spans.find(|span| span["tags"].to_string().contains(&format!("/hello/{name}")));
    found.cloned().ok_or(traces)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the project is there");
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}
