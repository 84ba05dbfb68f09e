//! The real `apm up` in a home of its own: started, asked, killed, started again on the same data.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Reply};
use crate::peer::{Peer, signal};
use crate::{artefacts, wait};

/// An engine on free loopback ports, with a temporary data folder and home.
#[derive(Debug)]
pub struct Engine {
    peer: Peer,
    home: TempDir,
    artefacts: PathBuf,
    words: Vec<String>,
    wrapper: Vec<String>,
    pid: u32,
    /// `http://127.0.0.1:…`, the one port for everything.
    pub url: String,
    /// Where OTLP/HTTP is taken, without a path.
    pub otlp_http: String,
    /// Where OTLP/gRPC is taken, as `host:port` or a URL.
    pub otlp_grpc: String,
}

impl Engine {
    /// Starts it; the journey's name names its folder of artefacts.
    pub fn start(journey: &str) -> Self {
        Self::start_with(journey, &[], &[])
    }

    /// Starts it with more words for `apm up`, and under another program (`["strace", "-f", …]`) if one is given.
    pub fn start_with(journey: &str, words: &[&str], wrapper: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let home = tempfile::Builder::new().prefix("apm-journey-").tempdir().expect("a temporary folder");
        let artefacts = artefacts::folder(journey);
        let (words, wrapper) = (owned(words), owned(wrapper));
        let peer = spawn(home.path(), &artefacts, &words, &wrapper);
        let mut engine = Self {
            peer,
            home,
            artefacts,
            words,
            wrapper,
            pid: 0,
            url: String::new(),
            otlp_http: String::new(),
            otlp_grpc: String::new(),
        };
        engine.wait_ready();
        engine
    }

    /// Starts it again on the same data, after `kill` or `terminate`.
    pub fn restart(&mut self) {
        // A killed engine cannot take its own file away.
        let _ = std::fs::remove_dir_all(engines(self.home.path()));
        self.peer = spawn(self.home.path(), &self.artefacts, &self.words, &self.wrapper);
        self.wait_ready();
    }

    /// SIGKILL: no clean end.
    pub fn kill(&mut self) {
        signal(self.pid, Signal::KILL);
        if self.wrapper.is_empty() {
            self.peer.kill();
        } else {
            wait::until("the wrapper to end with the engine", 20, || self.peer.ended().ok_or("it still runs"));
        }
    }

    /// SIGTERM: the clean end, with its exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        signal(self.pid, Signal::TERM);
        wait::until("the engine to end after SIGTERM", 60, || self.peer.ended().ok_or("it still runs"))
    }

    /// The process id of the engine itself, not of a wrapper.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The home folder: `XDG_STATE_HOME`, `XDG_DATA_HOME` and `HOME` of the engine lie in it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where this journey leaves what it wants kept.
    pub fn artefacts(&self) -> &Path {
        &self.artefacts
    }

    /// What the engine printed.
    pub fn printed(&self) -> String {
        self.peer.printed()
    }

    /// Resident memory now, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib * 1024)
    }

    /// GET below the engine's URL.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Reply {
        http::get(&format!("{}{path}", self.url), parameters)
    }

    /// POST below the engine's URL.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Reply {
        http::post(&format!("{}{path}", self.url), headers, body)
    }

    /// POST of JSON to the OTLP/HTTP port: `traces`, `logs` or `metrics`.
    pub fn send_otlp(&self, signal: &str, body: &Value) -> Reply {
        http::post_json(&format!("{}/v1/{signal}", self.otlp_http), body)
    }

    /// The `data` of a Prometheus API call.
    pub fn prometheus(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        self.get(&format!("/api/v1/{path}"), parameters).ok().json()["data"].take()
    }

    /// The single number an instant query gives now; `None` for an empty answer.
    pub fn number(&self, query: &str) -> Option<f64> {
        let data = self.prometheus("query", &[("query", query)]);
        let result = data["result"].as_array()?;
        assert!(result.len() <= 1, "`{query}` gives several series: {data}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// The sum of the engine's own samples in `/metrics` that have this name and these labels: what it stores of itself is seconds old.
    pub fn own_number(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.get("/metrics", &[]).ok().text();
        let pairs: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let rest = series.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('{'))?;
            pairs.iter().all(|pair| rest.contains(pair)).then(|| value.parse::<f64>().ok()).flatten()
        };
        text.lines().filter_map(value).sum()
    }

    /// The `data` of a Loki API call.
    pub fn loki(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        self.get(&format!("/loki/api/v1/{path}"), parameters).ok().json()["data"].take()
    }

    /// The `data` of a Jaeger API call: `services`, `traces`, `traces/ID`.
    pub fn jaeger(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        self.get(&format!("/api/{path}"), parameters).ok().json()["data"].take()
    }

    fn wait_ready(&mut self) {
        let file = wait::until("the engine's file with its URLs", 60, || {
            if let Some(status) = self.peer.ended() {
                panic!("the engine ended with {status}:\n{}", self.peer.printed());
            }
            engine_file(self.home.path()).ok_or_else(|| self.peer.printed())
        });
        let text = |key: &str| {
            let value = file[key].as_str().unwrap_or_else(|| panic!("no `{key}` in the engine's file: {file}"));
            value.trim_end_matches('/').to_owned()
        };
        let with_scheme = |value: String| if value.contains("://") { value } else { format!("http://{value}") };
        self.pid = file["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("the engine's file has its pid");
        self.url = with_scheme(text("url"));
        self.otlp_http = with_scheme(text("otlp_http"));
        self.otlp_grpc = text("otlp_grpc");
        wait::until("/-/ready", 60, || match http::try_get(&format!("{}/-/ready", self.url), &[]) {
            Ok(reply) if reply.status == 200 => Ok(()),
            Ok(reply) => Err(format!("{}: {}", reply.status, reply.text())),
            Err(error) => Err(error),
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        signal(self.pid, Signal::KILL);
    }
}

/// The program under test: `$APM_BIN`, else the release build in cargo's target folder.
pub fn apm() -> PathBuf {
    let path = std::env::var_os("APM_BIN").map_or_else(|| artefacts::target().join("release/apm"), PathBuf::from);
    assert!(path.is_file(), "no apm at {}: run `cargo xtask journeys`, or set APM_BIN", path.display());
    path
}

/// A command for `apm` that sees nothing of this machine's user but the PATH.
pub fn command(home: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home).current_dir(home);
    command.env("XDG_STATE_HOME", home.join("state")).env("XDG_DATA_HOME", home.join("share"));
    command
}

fn spawn(home: &Path, artefacts: &Path, words: &[String], wrapper: &[String]) -> Peer {
    let apm = apm();
    let mut command = match wrapper.split_first() {
        Some((program, rest)) => {
            let mut outer = self::command(home, Path::new(program));
            outer.args(rest).arg(&apm);
            outer
        }
        None => self::command(home, &apm),
    };
    command.arg("up").arg("--data").arg(home.join("data"));
    // Who must find it again after a restart says where it is.
    if !words.iter().any(|word| word == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]).args(words);
    Peer::start(&mut command, artefacts.join("engine.log"))
}

fn engines(home: &Path) -> PathBuf {
    home.join("state/apm/engines")
}

fn engine_file(home: &Path) -> Option<Value> {
    let mut files = std::fs::read_dir(engines(home)).ok()?.filter_map(Result::ok);
    let file = files.find(|file| file.path().extension().is_some_and(|ending| ending == "json"))?;
    serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()
}
