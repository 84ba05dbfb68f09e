//! The demo of `apm up --demo`: its services as real child processes of this very binary, which speak OTLP to the engine.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use app_serve::EngineEntry;
use base_explain::Report;
use examples_market_data::{Ports, children, parse_args};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::process::{Child, Command};

use crate::output::Failure;

/// The running services; killed when dropped.
pub(crate) struct Demo {
    services: Vec<Child>,
}

/// What a service may take to flush its telemetry at the end.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Tried first, so that a restarted demo keeps its addresses and so its series.
const FIRST_PORT: u16 = 4401;

impl Demo {
    pub(crate) async fn start(engine: &EngineEntry) -> Result<Demo, Report> {
        let program = std::env::current_exe().map_err(|error| Report::of(&error))?;
        let endpoint = engine.otlp_http.as_deref().unwrap_or(&engine.url);
        let data_dir = engine.data_dir.join("market-data");
        let mut services = Vec::new();
        for child in children(endpoint, &data_dir, ports()?) {
            let service = Command::new(&program)
                .arg("__demo")
                .args(&child.args)
                .envs(child.env)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .map_err(|error| {
                    Report::new(format!("the demo's `{}` could not be started", child.role)).because(error.to_string())
                })?;
            services.push(service);
        }
        Ok(Demo { services })
    }

    /// Ends the services the polite way: what they still hold of telemetry is sent.
    pub(crate) async fn stop(mut self) {
        for service in &self.services {
            let pid = service.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        let ended = async {
            for service in &mut self.services {
                let _ = service.wait().await;
            }
        };
        let _ = tokio::time::timeout(STOP_LIMIT, ended).await;
    }
}

fn ports() -> Result<Ports, Report> {
    let mut held = Vec::new();
    for i in 0..4 {
        // Held until all are found, so that none is given twice.
        let listener =
            TcpListener::bind(("127.0.0.1", FIRST_PORT + i)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
        held.push(listener.map_err(|error| Report::new("the demo finds no free port").because(error.to_string()))?);
    }
    let port = |i: usize| held[i].local_addr().map(|address| address.port()).unwrap_or_default();
    Ok(Ports { feed: port(0), store: port(1), api: port(2), load: port(3) })
}

/// One service, in the child.
pub(crate) fn service(words: &[String]) -> Result<u8, Failure> {
    let settings = parse_args(words).map_err(|error| Failure::Usage(Report::of(&error)))?;
    // If the engine is killed, its demo must not live on.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(broken)?;
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(broken)?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                // Ctrl-C reaches the whole group; the engine then ends us in its own order.
                _ = interrupt.recv() => {
                    terminate.recv().await;
                }
            }
        };
        examples_market_data::run(settings, shutdown).await.map_err(|error| Failure::Broken(Report::of(&error)))?;
        Ok(0)
    })
}
