//! The real Prometheus as a receiver of remote write: the peer for the samples row, under the same load in the same run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Process;
use crate::http::Client;
use crate::{sh, tools};

/// A running Prometheus.
pub(super) struct Prometheus {
    pub(super) process: Process,
    pub(super) url: String,
}

impl Prometheus {
    /// Starts it with its own defaults on the data in `home`.
    pub(super) fn start(home: &TempDir) -> sh::Outcome<Self> {
        let program = tools::folder()?.join("bin/prometheus");
        if !program.is_file() {
            return Err("no Prometheus to measure beside: run `cargo xtask tools --only prometheus`".into());
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let url = listener.map_err(|error| format!("no free port: {error}"))?.to_string();
        let config = home.path().join("prometheus.yml");
        sh::write(&config, "{}\n")?;
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={url}"));
        command.arg(format!("--storage.tsdb.path={}", home.path().join("data").display()));
        command
            .arg("--web.enable-remote-write-receiver")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let reply = Client::connect(&url).and_then(|mut client| client.get("/-/ready"));
            if reply.is_ok_and(|reply| reply.status == 200) {
                return Ok(Self { process, url });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("Prometheus was not ready after 60 s".into())
    }
}
