//! `apm front`: a proxy process, and a few words to it over its control socket. What it does is `app-gateway`'s.

use std::path::PathBuf;
use std::time::Duration;

use app_config::{ByteSize, Span};
use app_gateway::control::{Client, ControlError, Drain};
use app_gateway::{Check, Front, FrontError, Limits, Options, State, Upstream};
use base_explain::Report;
use base_world::World;
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Global;
use crate::output::{Failure, paint, say};

#[derive(Debug, Args)]
pub(crate) struct FrontArgs {
    #[command(subcommand)]
    command: FrontCommand,
}

#[derive(Debug, Subcommand)]
enum FrontCommand {
    /// Own a port until a signal ends it; come up with the upstreams that were set last
    Run(RunFrontArgs),
    /// The upstreams in force, and how each of them does
    Status(ControlArgs),
    /// Put other upstreams in force, all at once
    Set(SetArgs),
    /// Send nothing new to an upstream, and wait until it has ended what it has
    Drain(DrainArgs),
    /// Tell a front to end, once what is open has ended
    Stop(ControlArgs),
}

#[derive(Debug, Args)]
struct ControlArgs {
    /// The front's control socket, as `unix:/path.sock` or the path alone
    #[arg(long, value_name = "SOCKET")]
    control: String,
}

#[derive(Debug, Args)]
struct RunFrontArgs {
    /// The address that clients reach
    #[arg(long, value_name = "ADDR")]
    listen: String,
    #[command(flatten)]
    control: ControlArgs,
    /// Where the upstreams in force are kept [default: beside the control socket, `.state` for `.sock`]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Pass raw TCP connections instead of HTTP/1.1 and h2c
    #[arg(long)]
    tcp: bool,
    /// Also serve Prometheus metrics at this address, under /metrics
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
    /// Clients' connections at a time; more wait [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    connections_max: Option<usize>,
    /// The largest request body [default: no limit; bodies are streamed]
    #[arg(long, value_name = "SIZE")]
    body_max: Option<ByteSize>,
    /// How long an upstream may take to begin its answer [default: 60s]
    #[arg(long, value_name = "TIME")]
    response_timeout: Option<Span>,
    /// How long open requests may take when the front is told to end [default: 30s]
    #[arg(long, value_name = "TIME")]
    drain_timeout: Option<Span>,
    /// Leave the session of whoever starts it, so that closing a terminal does not end it
    #[arg(long)]
    own_session: bool,
    /// Threads that carry requests
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    threads: usize,
}

#[derive(Debug, Args)]
struct SetArgs {
    #[command(flatten)]
    control: ControlArgs,
    /// Refuse unless this generation is in force [default: whichever is]
    #[arg(long, value_name = "NUMBER")]
    generation: Option<u64>,
    /// Ask each of them whether it is well: a GET on this path, or `tcp` for a connection alone
    #[arg(long, value_name = "PATH|tcp")]
    check: Option<String>,
    /// One or more of NAME=HOST:PORT, with `*WEIGHT` when it is not 1, such as `green=127.0.0.1:8081*9`
    #[arg(required = true, value_name = "UPSTREAM")]
    upstreams: Vec<String>,
}

#[derive(Debug, Args)]
struct DrainArgs {
    #[command(flatten)]
    control: ControlArgs,
    /// The upstream's name
    upstream: String,
    /// How long to wait [default: 10s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<Span>,
    /// Cut off what is left after that time
    #[arg(long)]
    cut: bool,
}

pub(crate) fn front(global: &Global, args: &FrontArgs) -> Result<u8, Failure> {
    let threads = match &args.command {
        FrontCommand::Run(run) => run.threads.clamp(1, 64),
        _ => 1,
    };
    // On one thread a request never waits for another core to wake: cheapest, and enough for most services.
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(threads).max_blocking_threads(8).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    runtime.block_on(async {
        match &args.command {
            FrontCommand::Run(run) => serve(global, run).await,
            FrontCommand::Status(control) => {
                show(global, &client(control).get().await.map_err(told)?);
                Ok(0)
            }
            FrontCommand::Set(set) => {
                let upstreams: Result<Vec<_>, _> = set.upstreams.iter().map(|text| upstream(text)).collect();
                let mut upstreams = upstreams.map_err(Failure::Usage)?;
                if let Some(check) = &set.check {
                    let http = (check != "tcp").then(|| check.clone());
                    let check = Check { http, ..Check::default() };
                    upstreams.iter_mut().for_each(|upstream| upstream.check = Some(check.clone()));
                }
                let client = client(&set.control);
                let generation = match set.generation {
                    Some(generation) => generation,
                    None => client.get().await.map_err(told)?.generation,
                };
                show(global, &client.set(generation, upstreams).await.map_err(told)?);
                Ok(0)
            }
            FrontCommand::Stop(control) => {
                let state = client(control).stop().await.map_err(told)?;
                say(global, &format!("the front on {} (pid {}) ends", state.listen, state.pid));
                Ok(0)
            }
            FrontCommand::Drain(drain) => {
                let timeout = drain.timeout.map_or(Duration::from_secs(10), |span| span.0);
                let wish = Drain {
                    upstream: drain.upstream.clone(),
                    generation: None,
                    timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                    cut: drain.cut,
                };
                let drained = client(&drain.control).drain(&wish).await.map_err(told)?;
                if !drained.known {
                    // It may have left a moment ago, or it is a slip.
                    say(global, &format!("no upstream is called {}, so it holds nothing", drain.upstream));
                    return Ok(0);
                }
                if drained.drained {
                    say(global, &format!("{} holds nothing any more", drain.upstream));
                    return Ok(0);
                }
                say(global, &format!("{} still holds {} requests", drain.upstream, drained.in_flight));
                Ok(1)
            }
        }
    })
}

fn client(args: &ControlArgs) -> Client {
    Client::new(socket(args))
}

fn socket(args: &ControlArgs) -> PathBuf {
    PathBuf::from(args.control.strip_prefix("unix:").unwrap_or(&args.control))
}

fn told(error: ControlError) -> Failure {
    let report = Report::of(&error);
    Failure::Broken(match error {
        ControlError::Unreachable { .. } => {
            report.hint("start one with `apm front run`, or name its socket with --control")
        }
        _ => report,
    })
}

async fn serve(global: &Global, args: &RunFrontArgs) -> Result<u8, Failure> {
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    if args.own_session {
        // One that leads a group already, as a shell's job does, stays what it is.
        let _ = rustix::process::setsid();
    }
    // Before anything is started, so that no signal is lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    // Whole paths: what is kept beside a bare name has no folder to be kept in.
    let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let control = whole(socket(&args.control));
    let mut limits = Limits::default();
    limits.connections_max = args.connections_max.unwrap_or(limits.connections_max).max(1);
    limits.body_bytes_max = args.body_max.map_or(limits.body_bytes_max, |size| size.0);
    limits.response_timeout = args.response_timeout.map_or(limits.response_timeout, |span| span.0);
    limits.drain_timeout = args.drain_timeout.map_or(limits.drain_timeout, |span| span.0);
    let options = Options {
        listen: args.listen.clone(),
        state: args.state.clone().map_or_else(|| control.with_extension("state"), whole),
        control,
        tcp: args.tcp,
        metrics: args.metrics.clone(),
        limits,
    };
    let front = Front::start(World::real(), options).await.map_err(|error| {
        let report = Report::of(&error);
        match error {
            FrontError::Address { .. } => Failure::Usage(report.hint("write `--listen 127.0.0.1:PORT`")),
            FrontError::PortTaken { .. } => {
                Failure::Broken(report.hint("stop that one, or choose another with --listen"))
            }
            _ => Failure::Broken(report),
        }
    })?;
    say(global, &format!("front on {}", paint(global, "1", &front.address().to_string())));
    if let Some(address) = front.metrics_address() {
        say(global, &format!("metrics on http://{address}/metrics"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = front.is_told_to_end() => {}
    }
    front.stop().await;
    Ok(0)
}

/// `NAME=HOST:PORT`, and a weight behind `*`.
fn upstream(text: &str) -> Result<Upstream, Report> {
    let bad = || Report::new(format!("`{text}` is no upstream")).hint("write NAME=HOST:PORT or NAME=HOST:PORT*WEIGHT");
    let (name, rest) = text.split_once('=').ok_or_else(bad)?;
    let (address, weight) = match rest.rsplit_once('*') {
        Some((address, weight)) => (address, weight.parse().map_err(|_| bad())?),
        None => (rest, 1),
    };
    Ok(Upstream::new(name, address, weight))
}

fn show(global: &Global, state: &State) {
    say(global, &format!("{}  generation {}  pid {}", state.listen, state.generation, state.pid));
    for one in &state.upstreams {
        let upstream = &one.upstream;
        let (health, color) = if one.healthy { ("well", "32") } else { ("ill", "31") };
        let place = match (one.leaving, upstream.draining) {
            (true, _) => "leaving".to_owned(),
            (false, true) => "draining".to_owned(),
            (false, false) => format!("weight {}", upstream.weight),
        };
        let reason = one.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
        let line = format!("{:<20} {:<24} {place:<12}", upstream.name, upstream.address);
        say(global, &format!("  {line} {}  {} in flight{reason}", paint(global, color, health), one.in_flight));
    }
}
