//! `apm run` with the Python agent: a script stands in for Python and its pip, as neither is there when `cargo test` runs. What the real agent does inside
//! a real program is a journey.

use crate::home::{Ended, Home, Started, until};

/// What the stand-in tells of itself; `VERSION` and `HOME` are replaced.
const PROBE: &str = r#"APM-PROBE:{"abi": "cpython-311-x86_64", "executable": "HOMEbin/python", "base": "", "implementation": "cpython", "version": [3, VERSION], "installed": {"Flask": "3.0.3", "nothing": null}}"#;

/// Makes a program of the downloads' target, as pip does.
const INSTALL: &str =
    r#"while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done; mkdir "$target/opentelemetry""#;

/// A `python` that answers the probe, installs with `pip.sh`, and runs `app` for anything else.
pub(crate) fn python(home: &Home, app: &str) {
    home.program(
        "python",
        r#"case "$1" in
-c) exec cat "$HOME/bin/probe";;
-m) echo "$*" >> "$HOME/bin/pip.log"; . "$HOME/bin/pip.sh"; exit;;
esac
. "$HOME/bin/app.sh""#,
    );
    probe(home, &PROBE.replace("VERSION", "11"));
    home.program("pip.sh", INSTALL);
    home.program("app.sh", app);
}

fn probe(home: &Home, text: &str) {
    let home_dir = home.path("").display().to_string();
    std::fs::write(home.path("bin/probe"), text.replace("HOME", &home_dir) + "\n").expect("the answer is written");
}

fn start(home: &Home) -> Started {
    home.start(&mut home.apm(&["run", "--url", "http://127.0.0.1:1", "--", "python", "app.py"]))
}

fn said(home: &Home, ended: &Ended) -> String {
    let text = home.masked(&ended.stderr);
    // How many packages the lock names is not this test's.
    let line = |line: &str| match line.split_once("agent (") {
        Some((before, after)) => {
            format!("{before}agent (N {}", after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '))
        }
        None => line.to_owned(),
    };
    text.lines().map(|one| line(one) + "\n").collect()
}

const FETCHING: &str = "apm: Fetching the Python agent (N packages, once for this set)\n";
const STARTS: &str = "apm: shop starts with the agent for flask; telemetry goes to http://127.0.0.1:1\n";

#[test]
fn the_agent_is_fetched_once_and_switched_on_in_the_program_only() {
    let home = Home::new();
    python(
        &home,
        "env > env.txt; [ -d \"$APM_RUN_AGENT/opentelemetry\" ] && [ -f \"$PYTHONPATH/sitecustomize.py\" ] && exit 7",
    );
    for expect in [format!("{FETCHING}{STARTS}"), STARTS.to_owned()] {
        let ended = start(&home).ended();
        assert_eq!((ended.code, said(&home, &ended)), (Some(7), expect));
    }
    let asked = std::fs::read_to_string(home.path("bin/pip.log")).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.starts_with("-m pip install --no-deps --require-hashes --only-binary :all:"), "{asked}");
    let listed = asked.split_whitespace().last().unwrap_or_default();
    let listed = std::fs::read_to_string(listed).unwrap();
    for package in
        ["opentelemetry-instrumentation-flask==", "opentelemetry-exporter-otlp-proto-http==", "--hash=sha256:"]
    {
        assert!(listed.contains(package), "{package} is missing in {listed}");
    }
    let variables = home.read("env.txt");
    for variable in ["APM_RUN_PYTHON=cpython-3.11\n", "OTEL_SERVICE_NAME=shop\n", "OTEL_TRACES_EXPORTER=otlp\n"] {
        assert!(variables.contains(variable), "{variable} is missing in {variables}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path("cache/apm/run")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_agent_that_cannot_be_had_never_stops_the_program() {
    let check = |prepare: &dyn Fn(&Home), why: &str| {
        let home = Home::new();
        python(&home, "echo sold; exit 7");
        prepare(&home);
        let ended = start(&home).ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), "sold\n"), "{}", ended.stderr);
        let text = said(&home, &ended).replace(FETCHING, "");
        // The name of the folder ends in a digest of the lock.
        let text = match text.split_once("x86_64-") {
            Some((before, after)) => {
                format!("{before}x86_64{}", after.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
            }
            None => text,
        };
        assert_eq!(
            text,
            format!("apm: {why}. The program runs without an agent, with OpenTelemetry's environment only.\n")
        );
    };
    let pip = |script: &'static str| move |home: &Home| drop(home.program("pip.sh", script));
    check(
        &pip("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1"),
        "The agent could not be installed: the disk is full",
    );
    check(
        &pip("echo 'ERROR: wrapt has no wheel' >&2; exit 2"),
        "The agent could not be installed: pip failed: ERROR: wrapt has no wheel",
    );
    check(
        &|home| {
            home.program("pip.sh", "echo 'python: No module named pip' >&2; exit 1");
            home.program("uv", "echo 'error: dns error' >&2; exit 2");
        },
        "The agent could not be installed: the package index cannot be reached (no network, or a proxy is needed: pip reads HTTPS_PROXY and pip.conf); \
         connect once and start again, the agent is then kept",
    );
    check(
        &|home| {
            std::fs::create_dir_all(home.path("cache")).unwrap();
            std::fs::write(home.path("cache/apm"), "a file").unwrap();
        },
        "The agent could not be installed: HOME/cache/apm/agents/python/cpython-3.11-cpython-311-x86_64: Not a directory (os error 20)",
    );
    check(
        &|home| probe(home, &PROBE.replace("VERSION", "8")),
        "HOME/bin/python is Python 3.8; the agent needs Python 3.10 or newer",
    );
    check(
        &|home| probe(home, "Python 2.7"),
        "`python` could not be asked for its version and packages (no reason given)",
    );
    check(&|home| probe(home, "APM-PROBE:{}"), "`python` answered strangely: missing field `abi` at line 1 column 2");
}

#[test]
fn without_pip_uv_fetches_the_agent() {
    let home = Home::new();
    python(&home, "[ -d \"$APM_RUN_AGENT/opentelemetry\" ] && exit 7");
    home.program("pip.sh", "echo 'python: No module named pip' >&2; exit 1");
    home.program("uv", &format!("echo \"$1 $2 $3 $4\" > \"$HOME/bin/uv.log\"; {INSTALL}"));
    let ended = start(&home).ended();
    assert_eq!((ended.code, said(&home, &ended)), (Some(7), format!("{FETCHING}{STARTS}")));
    assert_eq!(
        std::fs::read_to_string(home.path("bin/uv.log")).unwrap(),
        "pip install --python HOMEbin/python\n".replace("HOME", &home.path("").display().to_string())
    );
}

#[test]
fn two_runs_fetch_the_agent_once() {
    let home = Home::new();
    python(&home, "exit 7");
    home.program("pip.sh", &format!("while [ ! -e go ]; do sleep 0.05; done; {INSTALL}"));
    let first = start(&home);
    let log = || std::fs::read_to_string(home.path("bin/pip.log")).unwrap_or_default();
    until("the first run to fetch", log, || log().contains("install").then_some(()));
    let second = start(&home);
    second.says("apm: Waiting for another `apm run` that fetches the same agent");
    home.write("go", "");
    assert_eq!([first.ended().code, second.ended().code], [Some(7), Some(7)]);
    assert_eq!(log().lines().count(), 1, "{}", log());
}

#[test]
fn a_signal_while_the_agent_is_fetched_ends_the_run() {
    let home = Home::new();
    python(&home, "exit 7");
    home.program("pip.sh", "while :; do sleep 0.05; done");
    let started = start(&home);
    started.says("apm: Fetching the Python agent");
    started.signal(rustix::process::Signal::INT);
    assert_eq!(started.ended().code, Some(130));
}

#[test]
fn a_crash_that_the_agent_may_have_caused_is_tried_without_it() {
    let check = |app: &str, code: i32, expect: &str| {
        let home = Home::new();
        python(&home, app);
        let ended = start(&home).ended();
        assert_eq!((ended.code, said(&home, &ended)), (Some(code), format!("{FETCHING}{STARTS}{expect}")), "{app}");
    };
    let crash = |agent: bool| format!(r#"echo '{{"event": "crashed", "agent": {agent}}}' >> "$APM_RUN_STATUS""#);
    let again = "apm: The program ended with 3 right after its start; starting it once more without the agent.\n";
    let agent = crash(true);
    check(&format!("[ -z \"$APM_RUN_AGENT\" ] && exit 0; {agent}; exit 3"), 0, again);
    let both = "apm: It ends with 3 without the agent too: the cause is in the program, not in the agent.\n";
    check(&format!("[ -z \"$APM_RUN_AGENT\" ] && exit 3; {agent}; exit 3"), 3, &format!("{again}{both}"));
    // A job's own error must not run it twice.
    check(&format!("echo ran >> ran.txt; [ $(wc -l < ran.txt) -gt 1 ] && exit 9; {}; exit 3", crash(false)), 3, "");
    let fault = "apm: The program ended with 139 right after its start; starting it once more without the agent.\n";
    check("[ -z \"$APM_RUN_AGENT\" ] && exit 0; kill -SEGV $$", 0, fault);
}

#[test]
fn what_the_agent_tells_is_told_at_once() {
    let home = Home::new();
    let app = r#"for line in '{"event": "started", "outside": {"django": "Django 9 is newer than the agent knows"}}' 'no JSON' '{"event": "new"}' \
'{"event": "disabled", "reason": "wrapt 1.0 is too old", "clash": true}' '{"event": "reloader", "name": "Flask"}'; do echo "$line" >> "$APM_RUN_STATUS"; done
while [ ! -e stop ]; do sleep 0.05; done"#;
    python(&home, app);
    let started = start(&home);
    for line in [
        "apm: Not traced: Django 9 is newer than the agent knows\n",
        "apm: The agent stood down: wrapt 1.0 is too old. The program runs without it. Change that package in the program's environment and start again.\n",
        "apm: Flask reloads by itself, so restarting on change is left to it.\n",
    ] {
        started.says(line);
    }
    home.write("stop", "");
    assert_eq!(started.ended().code, Some(0));
}
