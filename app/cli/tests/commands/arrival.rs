//! What `apm run` says when no trace comes: the nearest cause, whichever part of the way is broken. All cases wait side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::home::{Home, Started};
use crate::http::Server;
use crate::run_agent::python;

/// One broken way: its home, the run, and what must be said in the end.
struct Case {
    home: Home,
    started: Started,
    expect: String,
}

/// Port 1 is nobody's.
const NOBODY: &str = "http://127.0.0.1:1";

/// A program that says `status` as its agent would and goes on until it is told to end.
fn case(url: &str, with_python: bool, words: &[&str], status: &str, expect: &str) -> Case {
    let home = Home::new();
    let app = format!("{status}echo up >> starts.txt; while [ ! -e stop ]; do sleep 0.2; done");
    let mut command = home.apm(&["run", "--service", "cart", "--url", url]);
    command.args(words).arg("--");
    if with_python {
        python(&home, &app);
        command.args(["python", "app.py"]);
    } else {
        command.args(["sh", "-c", &app]);
    }
    Case { started: home.start(&mut command), home, expect: format!("apm: {}\n", expect.replace("ENGINE", url)) }
}

/// What an agent inside the program writes down.
fn says(json: &str) -> String {
    format!("echo '{json}' >> \"$APM_RUN_STATUS\"; ")
}

fn engine(status: u16, body: &'static str) -> Server {
    Server::start(move |_| (status, body.to_owned()))
}

#[test]
fn the_nearest_cause_is_named() {
    let empty = engine(200, r#"{"data": []}"#);
    let unknown = engine(404, "{}");
    // A trace of an earlier launch proves nothing about this one.
    let earlier = engine(200, r#"{"data": [{"traceID": "a1", "spans": [{"operationName": "old", "startTime": 1}]}]}"#);
    let (starting, broken, strange) = (engine(503, ""), engine(500, ""), engine(200, "<html>"));
    let (on, span) = (says(r#"{"event": "started"}"#), says(r#"{"event": "span"}"#));
    let failed = says(r#"{"event": "export_failed", "reason": "timed out"}"#);
    let clash = says(r#"{"event": "disabled", "reason": "wrapt 1.0 is too old", "clash": true}"#);
    let elsewhere = ["--otlp-endpoint", NOBODY];
    let shell = |server: &Server, words: &[&str], expect| case(&server.url(), false, words, "", expect);
    let agent = |server: &Server, status: &str, expect| case(&server.url(), true, &[], status, expect);
    let cases = [
        shell(&starting, &[], "The engine at ENGINE is still starting (503)."),
        shell(&broken, &[], "The engine at ENGINE answers 500 when asked for traces."),
        shell(&strange, &[], "ENGINE is no engine that serves traces: its answer was not understood."),
        case(
            NOBODY,
            false,
            &[],
            "",
            "The engine does not answer at ENGINE (nothing listens there). Start it with `apm up`, or name it with --url; telemetry sent before that is lost.",
        ),
        shell(
            &empty,
            &elsewhere,
            "No trace yet: nothing listens on http://127.0.0.1:1, where the program sends its telemetry. Is the engine's OTLP port another one, or off?",
        ),
        shell(
            &unknown,
            &[],
            "No trace yet: the language of this command was not recognised. The program was given OpenTelemetry's environment, so an OpenTelemetry SDK in its code will send here.",
        ),
        shell(
            &earlier,
            &[],
            "No trace yet: the language of this command was not recognised. The program was given OpenTelemetry's environment, so an OpenTelemetry SDK in its code will send here.",
        ),
        agent(
            &empty,
            "",
            "No trace yet: the agent was never started inside the program. That happens when Python is started with -E or -I, when the program clears PYTHONPATH, or when the command starts no Python at all.",
        ),
        agent(
            &empty,
            &on,
            "No trace yet: no request has reached the program. Open one of its pages: flask is watched.",
        ),
        agent(
            &empty,
            &format!("{on}{failed}"),
            "No trace yet: the program made telemetry but could not send it to ENGINE: timed out",
        ),
        agent(
            &empty,
            &format!("{on}{span}"),
            "No trace yet: the program has made spans, but ENGINE does not know them under the service \"cart\". Does the OTLP endpoint ENGINE belong to another engine?",
        ),
        agent(
            &empty,
            &clash,
            "No trace yet: the agent stood down: wrapt 1.0 is too old. Change that package in the program's environment and start again.",
        ),
    ];
    for Case { home, started, expect } in cases {
        started.says(&expect);
        home.write("stop", "");
        assert_eq!(started.ended().code, Some(0));
    }
}

#[test]
fn a_job_that_is_over_at_once_still_shows_its_trace() {
    // Nothing is known yet when the job is started; its trace comes as it ends.
    let asked = AtomicUsize::new(0);
    let late = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => (200, r#"{"data": []}"#.to_owned()),
        _ => (
            200,
            r#"{"data": [{"traceID": "a1", "spans": [{"operationName": "sell", "startTime": 4102444800000000}]}]}"#
                .to_owned(),
        ),
    });
    let home = Home::new();
    python(&home, &format!("{}exit 0", says(r#"{"event": "span"}"#)));
    let ended = home.start(&mut home.apm(&["run", "--url", &late.url(), "--", "python", "job.py"])).ended();
    let expect = format!("apm: First trace: sell {}/ui/traces/a1\n", late.url());
    assert_eq!((ended.code, ended.stderr.ends_with(&expect)), (Some(0), true), "{}", ended.stderr);
}
