//! The engine under measure, started in a temporary folder. It knows no protocol but the question whether it is ready.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use crate::http::Client;

/// A running `apm up`; killed when dropped.
pub(super) struct Engine {
    pub(super) process: Process,
    /// Where everything is asked.
    pub(super) url: String,
    /// Where OTLP goes.
    pub(super) otlp_http: String,
    /// From the start of the process to the first 200 of `/-/ready`.
    pub(super) ready_ms: f64,
}

impl Engine {
    /// Starts on the data in `home`, on free loopback ports.
    pub(super) fn start(program: &Path, home: &TempDir) -> Result<Self, String> {
        let engines = home.path().join("state/apm/engines");
        let _ = std::fs::remove_dir_all(&engines);
        let mut command = Command::new(program);
        command.env("XDG_STATE_HOME", home.path().join("state")).env("HOME", home.path()).current_dir(home.path());
        command.args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--otlp-grpc",
            "127.0.0.1:0",
            "--otlp-http",
            "127.0.0.1:0",
            "--data",
        ]);
        command.arg(home.path().join("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut engine = Self {
            process: Process::start(&mut command)?,
            url: String::new(),
            otlp_http: String::new(),
            ready_ms: 0.0,
        };
        while start.elapsed() < Duration::from_secs(60) {
            if let Some(status) = engine.process.ended()? {
                return Err(format!("{} ended with {status}", program.display()));
            }
            if engine.is_ready(&engines) {
                engine.ready_ms = start.elapsed().as_secs_f64() * 1000.0;
                return Ok(engine);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err("the engine was not ready after 60 s".into())
    }

    fn is_ready(&mut self, engines: &Path) -> bool {
        if self.url.is_empty() {
            let Some(file) = json_file(engines) else { return false };
            let address = |key: &str| {
                file[key].as_str().map(|value| value.trim_start_matches("http://").trim_end_matches('/').to_owned())
            };
            let (Some(url), Some(otlp_http)) = (address("url"), address("otlp_http")) else { return false };
            (self.url, self.otlp_http) = (url, otlp_http);
        }
        let reply = Client::connect(&self.url).and_then(|mut client| client.get("/-/ready"));
        reply.is_ok_and(|reply| reply.status == 200)
    }

    /// SIGKILL.
    pub(super) fn kill(self) {
        drop(self);
    }
}

fn json_file(folder: &Path) -> Option<Value> {
    let paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let path: PathBuf = paths.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
