//! `apm run` around a program that knows nothing of us: exit codes, signals, variables, restarts, and which engine it is told of.

use std::process::Command;

use rustix::process::Signal;

use crate::engine::{Engine, now_ns, span, up};
use crate::home::Home;

/// Port 1 is nobody's; without it a run would find an engine of this machine.
const NOBODY: [&str; 3] = ["run", "--url", "http://127.0.0.1:1"];

/// `apm run … -- sh -c SCRIPT`
fn shell(home: &Home, words: &[&str], script: &str) -> Command {
    let mut command = home.apm(words);
    command.args(["--", "sh", "-c", script]);
    command
}

const NO_AGENT: &str = "apm: The language of this command was not recognised. The program runs without an agent, with OpenTelemetry's environment only.\n";

#[test]
fn the_program_s_output_and_exit_code_are_its_own() {
    let check = |script: &str, code: i32, stdout: &str, stderr: &str| {
        let ended = {
            let home = Home::new();
            home.start(&mut shell(&home, &NOBODY, script)).ended()
        };
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), stdout), "{script}");
        assert_eq!(ended.stderr, format!("{NO_AGENT}{stderr}"), "{script}");
    };
    check("echo sold", 0, "sold\n", "");
    check("echo lost >&2; exit 7", 7, "", "lost\n");
    check("kill -KILL $$", 137, "", "");
}

#[test]
fn signals_reach_the_program_and_it_decides() {
    let home = Home::new();
    let script = "for s in HUP INT TERM; do trap \"echo $s; exit 33\" $s; done; echo up >> ready.txt; while :; do sleep 0.05; done";
    for (runs, (signal, name)) in
        [(Signal::HUP, "HUP"), (Signal::INT, "INT"), (Signal::TERM, "TERM")].into_iter().enumerate()
    {
        let started = home.start(&mut shell(&home, &NOBODY, script));
        home.lines("ready.txt", runs + 1);
        started.signal(signal);
        let ended = started.ended();
        assert_eq!((ended.code, ended.stdout), (Some(33), format!("{name}\n")), "{}", ended.stderr);
    }
}

/// The program's variables of OpenTelemetry and ours, without the id of the launch.
fn variables(text: &str) -> String {
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| ["OTEL_", "PYTHONPATH", "APM_", "NO_PROXY"].iter().any(|name| line.starts_with(name)))
        .map(|line| match line.split_once("service.instance.id=") {
            Some((before, _)) => format!("{before}service.instance.id=ID"),
            None => line.to_owned(),
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn the_program_is_given_opentelemetry_s_variables() {
    let home = Home::new();
    home.write(".git/HEAD", "ref: refs/heads/main\n");
    home.write(".git/packed-refs", &format!("# pack-refs with: peeled\n{HASH} refs/heads/main\n"));
    let words =
        ["run", "--url", "http://127.0.0.1:1", "--env", "prod", "--service", "cart", "--no-watch", "--no-agent"];
    let mut command = shell(&home, &words, "env");
    let ended = home.start(command.env("HTTPS_PROXY", "http://proxy:3128")).ended();
    let expect = "NO_PROXY=127.0.0.1,localhost
OTEL_BLRP_SCHEDULE_DELAY=500
OTEL_BSP_SCHEDULE_DELAY=500
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1
OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
OTEL_LOGS_EXPORTER=otlp
OTEL_METRICS_EXPORTER=otlp
OTEL_METRIC_EXPORT_INTERVAL=5000
OTEL_PROPAGATORS=tracecontext,baggage
OTEL_RESOURCE_ATTRIBUTES=service.version=0123456789ab,deployment.environment.name=prod,service.instance.id=ID
OTEL_SERVICE_NAME=cart
OTEL_TRACES_EXPORTER=otlp";
    assert_eq!((ended.code, variables(&ended.stdout).as_str()), (Some(0), expect));
    assert_eq!(
        ended.stderr,
        "apm: The agent was switched off. The program runs without an agent, with OpenTelemetry's environment only.\n"
    );

    // What the person has set stays, and is named where it matters. The work tree's branch is elsewhere.
    std::fs::remove_dir_all(home.path("shop/.git")).expect("git's folder is removed");
    home.write(".git", "gitdir: ../store/worktrees/shop\n");
    home.write("../store/worktrees/shop/HEAD", "ref: refs/heads/side\n");
    home.write("../store/worktrees/shop/commondir", "../..\n");
    home.write("../store/refs/heads/side", &format!("{}\n", HASH.replace('0', "f")));
    let mut command = shell(&home, &NOBODY, "env");
    command.env("OTEL_SERVICE_NAME", "till").env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:2");
    let ended = home.start(&mut command).ended();
    for line in ["OTEL_SERVICE_NAME=till", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:2"] {
        assert!(ended.stdout.lines().any(|found| found == line), "{line} is missing in {}", ended.stdout);
    }
    assert!(ended.stdout.contains("service.version=f123456789ab,"), "{}", ended.stdout);
    let expect = "Telemetry goes to http://127.0.0.1:2, because OTEL_EXPORTER_OTLP_ENDPOINT is set in your shell";
    assert!(ended.stderr.contains(expect), "{}", ended.stderr);
}

#[test]
fn a_changed_file_restarts_the_program_and_a_slip_waits_for_the_next() {
    let home = Home::new();
    // Ends at once at its third start only.
    let script =
        "echo up >> starts.txt; [ $(wc -l < starts.txt) -eq 3 ] && exit 5; while [ ! -e stop ]; do sleep 0.05; done";
    let started = home.start(&mut shell(&home, &NOBODY, script));
    home.lines("starts.txt", 1);
    home.write("app.py", "1");
    started.says("apm: Restarting: app.py changed");
    home.lines("starts.txt", 2);
    for file in ["a.py", "b.py", "c.py", "d.py"] {
        home.write(file, "2");
    }
    started.says("apm: Restarting: a.py, b.py, c.py, 1 more changed");
    started.says("apm: The program ended with 5; it starts again when a file changes.");
    home.write("app.py", "3");
    started.says("apm: Starting again: app.py changed");
    home.lines("starts.txt", 4);
    home.write("stop", "");
    assert_eq!(started.ended().code, Some(0));
}

#[test]
fn a_program_that_reloads_by_itself_is_left_alone() {
    let home = Home::new();
    let mut command = shell(&home, &NOBODY, "exit 5");
    let ended = home.start(command.args(["shop", "--reload"])).ended();
    let expect = format!("{NO_AGENT}apm: `sh --reload` reloads by itself, so restarting on change is left to it.\n");
    assert_eq!((ended.code, ended.stderr), (Some(5), expect));
}

#[test]
fn the_project_s_own_engine_is_found_and_the_first_trace_shown() {
    let home = Home::new();
    home.write("apm.yaml", "project: shop\n");
    home.write("other.yaml", "project: other\n");
    let own = Engine::start(&home, &["--token-file", "/dev/null"]);
    let newest = Engine::start(&home, &["--config", "other.yaml"]);
    let told = || {
        let ended = home.start(&mut shell(&home, &["run"], "echo $OTEL_EXPORTER_OTLP_ENDPOINT")).ended();
        (ended.stdout.trim().to_owned(), ended.stderr)
    };
    assert_eq!(told(), (own.otlp_http.clone(), NO_AGENT.to_owned()));

    let script = "echo up >> starts.txt; while [ ! -e stop ]; do sleep 0.05; done";
    let started = home.start(&mut shell(&home, &["run", "--service", "cart"], script));
    home.lines("starts.txt", 1);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    // An older trace proves nothing about this launch.
    let old = "1af7651916cd43dd8448eb211c80319c";
    assert_eq!(own.send("traces", &span("cart", old, "GET /old", now_ns() - 60_000_000_000)).status, 200);
    assert_eq!(own.send("traces", &span("cart", trace, "GET /cart", now_ns())).status, 200);
    started.says(&format!("apm: First trace: GET /cart {}/ui/traces/{trace}\n", own.url));
    home.write("stop", "");
    let ended = started.ended();
    assert_eq!((ended.code, ended.stderr.contains("/old")), (Some(0), false), "{}", ended.stderr);

    // Without its own the newest is taken; a slip in the file costs a remark and not the program.
    assert_eq!(own.terminate().code, Some(0));
    assert_eq!(told().0, newest.otlp_http);
    home.write("apm.yaml", "project: ${NOPE}\n");
    let (endpoint, said) = told();
    assert_eq!(endpoint, newest.otlp_http);
    assert!(said.starts_with("apm: the environment variable `NOPE` is not set (at apm.yaml:1:10)"), "{said}");
    // One that was killed is not there, whatever it left.
    let entry = home.path(&format!("state/apm/engines/{}.json", newest.pid()));
    newest.process().signal(Signal::KILL);
    drop(newest);
    assert!(entry.exists());
    assert_eq!(told().0, "http://127.0.0.1:4318");
    assert!(!entry.exists(), "the entry of a dead engine stays");
}

#[test]
fn an_engine_with_tokens_shows_the_first_trace_to_who_has_one() {
    let home = Home::new();
    let token = "0123456789abcdef";
    home.write("tokens.txt", token);
    let engine = Engine::start_as(&home, &mut up(&home, &["--token-file", "tokens.txt"]), Some(token));
    let script = "echo up >> starts.txt; while [ ! -e stop ]; do sleep 0.05; done";
    let locked_out = home.start(&mut shell(&home, &["run", "--service", "cart"], script));
    let mut command = shell(&home, &["run", "--service", "cart", "--quiet"], script);
    let let_in = home.start(command.env("APM_TOKEN", token));
    home.lines("starts.txt", 2);
    let json = [("content-type", "application/json"), ("authorization", "Bearer 0123456789abcdef")];
    let trace = span("cart", "0af7651916cd43dd8448eb211c80319c", "GET /cart", now_ns()).to_string();
    let reply = crate::http::ask("POST", &format!("{}/v1/traces", engine.otlp_http), &json, &trace).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    locked_out.says(&format!("apm: The engine at {} asks for a token (401). Give one with APM_TOKEN.", engine.url));
    home.write("stop", "");
    // Quiet: what went well is not said.
    let ended = [locked_out.ended(), let_in.ended()];
    assert_eq!(ended.each_ref().map(|ended| ended.code), [Some(0); 2]);
    assert_eq!(ended[1].stderr, NO_AGENT);
    assert_eq!(engine.terminate().code, Some(0));
}
