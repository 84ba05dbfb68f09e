//! The demo of `apm up --demo`: its services as real child processes of this very binary, which speak OTLP to the engine.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use app_serve::EngineEntry;
use base_explain::Report;
use base_world::Random;
use examples_market_data::{Ports, Role, children, parse_args};
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
    /// `token` is what the engine asks of a sender, if anything.
    pub(crate) async fn start(engine: &EngineEntry, token: Option<&str>) -> Result<Demo, Report> {
        let program = std::env::current_exe().map_err(|error| Report::of(&error))?;
        let endpoint = engine.otlp_http.as_deref().unwrap_or(&engine.url);
        let data_dir = engine.data_dir.join("market-data");
        let headers = token.map(|token| ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}")));
        let mut services = Vec::new();
        let (ports, listeners) = listeners()?;
        for (child, listener) in children(endpoint, &data_dir, ports).into_iter().zip(listeners) {
            let service = Command::new(&program)
                .arg("__demo")
                .args(&child.args)
                .envs(child.env)
                .envs(headers.clone())
                // Its port, taken already: between a free port found and one taken, another demo could step in.
                .stdin(Stdio::from(OwnedFd::from(listener)))
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

/// A token for the demo's services alone, as the engine would ask one of them too.
pub(crate) fn new_token(random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut token, byte| {
        // Writing to a string does not fail.
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// A taken port for each service, in the order of the roles.
fn listeners() -> Result<(Ports, Vec<TcpListener>), Report> {
    let (mut listeners, mut ports) = (Vec::new(), Ports { feed: 0, store: 0, api: 0, load: 0 });
    for (role, port) in Role::ALL.into_iter().zip(FIRST_PORT..) {
        let listener = TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
        let taken = listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (port, listener) =
            taken.map_err(|error| Report::new("the demo finds no free port").because(error.to_string()))?;
        match role {
            Role::Feed => ports.feed = port,
            Role::Store => ports.store = port,
            Role::Api => ports.api = port,
            Role::Load => ports.load = port,
        }
        listeners.push(listener);
    }
    Ok((ports, listeners))
}

/// The listener for this address that the engine left as standard input; none when started by hand.
fn handed_over(address: SocketAddr) -> Option<TcpListener> {
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    (listener.local_addr().ok()? == address).then_some(listener)
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
        let ended = match handed_over(settings.listen) {
            Some(listener) => {
                listener.set_nonblocking(true).map_err(broken)?;
                let listener = tokio::net::TcpListener::from_std(listener).map_err(broken)?;
                examples_market_data::run_on(listener, settings, shutdown).await
            }
            None => examples_market_data::run(settings, shutdown).await,
        };
        ended.map_err(|error| Failure::Broken(Report::of(&error)))?;
        Ok(0)
    })
}
