//! `apm up --demo`: services that are processes of their own, their telemetry, and their end with the engine.

use crate::engine::{Engine, FREE_PORTS};
use crate::home::{Home, until};

/// Direct children of a process, with what they were started as.
fn children(pid: u32) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a table of processes").flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(pid) {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((child, String::from_utf8_lossy(&words).replace('\0', " ")));
        }
    }
    found
}

#[test]
fn the_demo_sends_all_three_signals_and_ends_with_the_engine() {
    let home = Home::new();
    let engine = Engine::start_as(&home, home.apm(&FREE_PORTS).arg("--demo"), None);
    let services = ["feed", "store", "api", "load"];
    let started = children(engine.pid());
    for service in services {
        assert!(started.iter().any(|(_, words)| words.contains(&format!("__demo {service} "))), "{started:?}");
    }
    assert!(engine.process().stdout().contains("The demo runs: three services"), "{}", engine.process().stdout());

    let count = |path: &str, parameters: &[(&str, &str)], field: &str| {
        let answer = engine.get(path, parameters).json();
        answer.pointer(field).and_then(|found| found.as_array()).map_or(0, Vec::len)
    };
    let arrives = |what: &str, look: &dyn Fn() -> bool| {
        until(what, || engine.process().stderr(), || look().then_some(()));
    };
    arrives("traces of the services", &|| count("/api/services", &[], "/data") >= 3);
    arrives("a trace across services", &|| {
        let found = engine.get("/api/traces", &[("service", "market-load"), ("limit", "5")]).json();
        let traces = found["data"].as_array().cloned().unwrap_or_default();
        traces.iter().any(|trace| trace["processes"].as_object().is_some_and(|services| services.len() >= 2))
    });
    let lines = [("query", "{service_name=~\"market-.+\"}")];
    arrives("lines of log", &|| count("/loki/api/v1/query_range", &lines, "/data/result") >= 1);
    let metrics = [("query", "count by (job) ({job=~\"market-data/market-.+\"})")];
    arrives("metrics", &|| count("/api/v1/query", &metrics, "/data/result") >= 3);
    assert_eq!(engine.status()["demo"], true);
    assert_eq!(engine.status()["data_dir"], home.path("data/apm/demo").display().to_string());

    let ended = engine.terminate();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for (pid, words) in started {
        // Another process may have got the number since.
        let now = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&now).contains("__demo"), "still there: {words}");
    }
}

/// The names under which lines of log came.
fn senders(engine: &Engine) -> Vec<String> {
    let names = engine.get("/loki/api/v1/label/service_name/values", &[]).json();
    let names = names["data"].as_array().cloned().unwrap_or_default();
    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

#[test]
fn two_demos_started_at_once_are_whole_and_one_may_ask_for_tokens() {
    let token = "0123456789abcdef";
    let start = |home: &Home, token: Option<&str>| {
        let mut command = home.apm(&FREE_PORTS);
        command.arg("--demo");
        if let Some(token) = token {
            command.env("APM_TOKEN", token);
        }
        Engine::start_as(home, &mut command, token)
    };
    let (one, other) = (Home::new(), Home::new());
    let engines = std::thread::scope(|scope| {
        let open = scope.spawn(|| start(&one, None));
        let closed = scope.spawn(|| start(&other, Some(token)));
        [open.join().expect("an engine"), closed.join().expect("an engine")]
    });
    for engine in &engines {
        for service in ["market-feed", "market-store", "market-api", "market-load"] {
            let shown = || format!("{:?}\n{}", senders(engine), engine.process().stderr());
            until(service, shown, || senders(engine).iter().any(|sender| sender == service).then_some(()));
        }
    }
    for engine in engines {
        let ended = engine.terminate();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}
