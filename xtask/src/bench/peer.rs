//! The real servers that others would use instead, started as they come, with the settings that the measure needs and no other. They acknowledge from
//! memory, before anything is synced; their figures are read with that in mind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Process;
use crate::http::Client;
use crate::{sh, tools};

/// Whose flags a program takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prometheus,
    Victoria,
}

/// A program to measure beside ours.
pub(super) struct Program {
    pub(super) name: String,
    pub(super) kind: Kind,
    path: PathBuf,
}

/// A running one.
pub(super) struct Peer {
    pub(super) process: Process,
    pub(super) url: String,
}

impl Program {
    /// Prometheus of the tools' cache.
    pub(super) fn prometheus() -> sh::Outcome<Self> {
        let path = tools::folder()?.join("bin/prometheus");
        if !path.is_file() {
            return Err("no Prometheus to measure beside: run `cargo xtask tools --only prometheus`".into());
        }
        Ok(Self { name: "Prometheus".into(), kind: Kind::Prometheus, path })
    }

    /// VictoriaMetrics of the distribution.
    pub(super) fn victoria() -> sh::Outcome<Self> {
        let path = sh::which("victoria-metrics")
            .ok_or("no VictoriaMetrics to measure beside: run `cargo xtask tools --only victoria-metrics`")?;
        Ok(Self { name: "VictoriaMetrics".into(), kind: Kind::Victoria, path })
    }

    /// `NAME=PATH`: a binary built by hand; its name says whose flags it takes.
    pub(super) fn named(word: &str) -> sh::Outcome<Self> {
        let (name, path) = word.split_once('=').ok_or_else(|| format!("`--peer {word}`: say NAME=PATH"))?;
        let kind = match name.to_ascii_lowercase() {
            name if name.starts_with("prometheus") => Kind::Prometheus,
            name if name.starts_with("victoria") => Kind::Victoria,
            _ => {
                return Err(format!(
                    "`--peer {word}`: a NAME begins with prometheus or victoria, by whose flags it is started"
                ));
            }
        };
        Ok(Self { name: name.into(), kind, path: path.into() })
    }

    /// Starts it on the data in `home`, on a free loopback port.
    pub(super) fn start(&self, home: &TempDir) -> sh::Outcome<Peer> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let url = listener.map_err(|error| format!("no free port: {error}"))?.to_string();
        let mut command = Command::new(&self.path);
        match self.kind {
            Kind::Prometheus => prometheus(&mut command, home.path(), &url)?,
            Kind::Victoria => victoria(&mut command, home.path(), &url),
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let ready = if self.kind == Kind::Victoria { "/health" } else { "/-/ready" };
            let reply = Client::connect(&url).and_then(|mut client| client.get(ready));
            if reply.is_ok_and(|reply| reply.status == 200) {
                return Ok(Peer { process, url });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{} was not ready after 60 s", self.name))
    }
}

fn prometheus(command: &mut Command, home: &Path, url: &str) -> sh::Outcome {
    let config = home.join("prometheus.yml");
    sh::write(&config, "{}\n")?;
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.listen-address={url}"));
    command.arg(format!("--storage.tsdb.path={}", home.join("data").display()));
    command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
    Ok(())
}

fn victoria(command: &mut Command, home: &Path, url: &str) {
    command.arg(format!("-storageDataPath={}", home.join("data").display())).arg(format!("-httpListenAddr={url}"));
    command.arg("-retentionPeriod=1y");
}
