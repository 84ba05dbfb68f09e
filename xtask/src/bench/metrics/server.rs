//! A server under measure, ours or a peer's, behind one face: started on an empty folder, written to, asked, left to settle.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::engine::Engine;
use super::super::peer::{Kind, Peer, Program};
use super::super::process::Process;
use super::super::spine::{folder, good};
use crate::http::Client;
use crate::sh;

const REMOTE_WRITE: &str =
    "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\nx-prometheus-remote-write-version: 0.1.0\r\n";
/// A server that does not settle by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is measured.
pub(super) enum Under {
    Ours(PathBuf),
    Peer(Program),
}

impl Under {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Ours(_) => "apm",
            Self::Peer(program) => &program.name,
        }
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Ours(_) => None,
            Self::Peer(program) => Some(program.kind),
        }
    }

    pub(super) fn start(&self) -> sh::Outcome<Running> {
        let home = folder()?;
        let server = match self {
            Self::Ours(program) => Server::Ours(Engine::start(program, &home)?),
            Self::Peer(program) => Server::Peer(program.start(&home)?),
        };
        Ok(Running { server, home })
    }
}

enum Server {
    Ours(Engine),
    Peer(Peer),
}

/// A running server; ended, its data with it, when dropped.
pub(super) struct Running {
    server: Server,
    pub(super) home: TempDir,
}

impl Running {
    fn process(&self) -> &Process {
        match &self.server {
            Server::Ours(engine) => &engine.process,
            Server::Peer(peer) => &peer.process,
        }
    }

    pub(super) fn client(&self) -> sh::Outcome<Client> {
        Client::connect(match &self.server {
            Server::Ours(engine) => &engine.url,
            Server::Peer(peer) => &peer.url,
        })
    }

    /// Sends a packed request of remote write.
    pub(super) fn write(&self, client: &mut Client, body: &[u8]) -> sh::Outcome {
        good(&client.post("/api/v1/write", REMOTE_WRITE, body)?, "/api/v1/write")
    }

    pub(super) fn cpu_s(&self) -> sh::Outcome<f64> {
        self.process().cpu_s().ok_or_else(|| "the server is gone".into())
    }

    pub(super) fn memory_bytes(&self) -> sh::Outcome<f64> {
        self.process().memory_mb().map(|megabytes| megabytes * 1e6).ok_or_else(|| "the server is gone".into())
    }

    /// Waits until it has rested for so long: less than a fiftieth of a core.
    pub(super) fn settle(&self, rest: Duration) -> sh::Outcome {
        let begun = Instant::now();
        loop {
            let before = self.cpu_s()?;
            std::thread::sleep(rest);
            if self.cpu_s()? - before <= rest.as_secs_f64() / 50.0 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the server works on after {} s", PATIENCE.as_secs()));
            }
        }
    }
}
