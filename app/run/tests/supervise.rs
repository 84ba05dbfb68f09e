//! The course of a run as a person sees it, with `/bin/sh` as the program: exit codes, restarts, what is said.
#![expect(clippy::disallowed_methods, reason = "the tests play the person who edits files")]

use std::path::Path;
use std::time::Duration;

use app_run::{RunError, RunOptions, Tone, run};

fn options(folder: &Path, script: &str) -> RunOptions {
    let mut options = RunOptions::new(["/bin/sh", "-c", script].map(Into::into).into(), folder.to_owned());
    // Nothing listens there: telemetry's troubles must not reach the program.
    options.api_url = "http://127.0.0.1:9".to_owned();
    options.otlp_endpoint = "http://127.0.0.1:9".to_owned();
    options.cache_dir = Some(folder.join(".cache"));
    options
}

/// Runs a script in a folder of its own; its code and what was said.
async fn outcome(folder: &Path, script: &str) -> (Result<i32, RunError>, Vec<(Tone, String)>) {
    let mut said = Vec::new();
    let mut report = |tone: Tone, text: &str| said.push((tone, text.to_owned()));
    let run = run(options(folder, script), &mut report);
    let code = tokio::time::timeout(Duration::from_secs(60), run).await.expect("the run does not end");
    (code, said)
}

#[tokio::test]
async fn the_exit_code_is_the_program_s() {
    for (script, expect) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let (code, _) = outcome(folder.path(), script).await;
        assert_eq!(code.unwrap(), expect, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path(), "");
    let mut silent = |_: Tone, _: &str| {};
    options.command = vec!["no-such-program-here".into()];
    let error = run(options.clone(), &mut silent).await.unwrap_err();
    assert_eq!(error.exit_code(), 127);
    assert!(error.to_string().contains("`no-such-program-here` was not found"), "{error}");
    options.command = vec![];
    assert_eq!(run(options, &mut silent).await.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn the_program_gets_opentelemetry_s_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (_, said) = outcome(folder.path(), "env > seen.txt").await;
    let seen = std::fs::read_to_string(folder.path().join("seen.txt")).unwrap();
    for expect in ["OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9\n", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"] {
        assert!(seen.contains(expect), "{seen}");
    }
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    assert!(seen.contains(&format!("OTEL_SERVICE_NAME={name}\n")), "{seen}");
    assert!(said.iter().any(|(tone, text)| *tone == Tone::Warning && text.contains("was not recognised")), "{said:?}");
}

/// Appends a line to `starts.txt` at each start, and waits for the file `stop`.
const SERVER: &str = "echo up >> starts.txt; while [ ! -e stop ]; do sleep 0.02; done";

/// Runs the script and, beside it, what a person does meanwhile.
async fn with_person<F: Future<Output = ()>>(folder: &Path, script: &str, person: F) -> (i32, Vec<(Tone, String)>) {
    let ((code, said), ()) = tokio::join!(outcome(folder, script), person);
    (code.expect("the program can be started"), said)
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn starts(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("starts.txt")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_changed_source_restarts_the_program_and_a_log_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    std::fs::create_dir(folder.join("node_modules")).unwrap();
    let person = async {
        until(|| starts(folder) == 1).await;
        for not_a_source in ["app.log", "data.sqlite3", "node_modules/x.js", ".#app.py"] {
            std::fs::write(folder.join(not_a_source), "x").unwrap();
        }
        std::fs::write(folder.join("app.py"), "x").unwrap();
        until(|| starts(folder) == 2).await;
        // A folder made later is watched as well.
        std::fs::create_dir(folder.join("cart")).unwrap();
        let mut version = 0;
        while starts(folder) == 2 {
            version += 1;
            std::fs::write(folder.join("cart/views.py"), version.to_string()).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::write(folder.join("stop"), "").unwrap();
    };
    let (code, said) = with_person(folder, SERVER, person).await;
    let restarts: Vec<&str> =
        said.iter().map(|(_, text)| text.as_str()).filter(|text| text.starts_with("Restarting")).collect();
    assert_eq!(restarts.first(), Some(&"Restarting: app.py changed"), "{said:?}");
    assert!(restarts.iter().skip(1).all(|text| text.contains("cart/views.py")), "{restarts:?}");
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_mistake_while_editing_waits_for_the_next_edit() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    // Fails at its second start only.
    let script = "echo up >> starts.txt; case $(wc -l < starts.txt) in *2) exit 1;; *3) exit 0;; esac; \
                  while true; do sleep 0.02; done";
    let person = async {
        let mut version = 0;
        for seen in 1..3 {
            until(|| starts(folder) == seen).await;
            while starts(folder) == seen {
                version += 1;
                std::fs::write(folder.join("app.py"), version.to_string()).unwrap();
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        }
    };
    let (code, said) = with_person(folder, script, person).await;
    assert_eq!(code, 0);
    let waits =
        |(tone, text): &(Tone, String)| *tone == Tone::Problem && text.contains("ended with 1; it starts again");
    assert!(said.iter().any(waits), "{said:?}");
}
