//! `apm up`: the engine until a signal ends it; with `--demo` also the demo's services beside it.

use std::path::PathBuf;
use std::time::Duration;

use app_api::Role;
use app_serve::{NotStarted, Options, Running};
use base_explain::Report;
use base_world::World;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Global, UpArgs};
use crate::config::{scrape_plan, settings, tokens, tree, xdg};
use crate::demo::{Demo, new_token};
use crate::output::{Failure, paint, say};

pub(crate) fn up(global: &Global, args: &UpArgs) -> Result<u8, Failure> {
    let world = World::real();
    let started_ns = world.clock.monotonic_ns();
    let settings = tree(&world, global, args).and_then(|tree| settings(&tree)).map_err(Failure::Usage)?;
    let data_dir = settings.observe.data.clone().unwrap_or_else(|| data_dir(args.demo, settings.project.as_deref()));
    // Others read it in the engine's entry, and they are in folders of their own.
    let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
    let reload = {
        let (global_config, settings, world) = (clone(global), settings.clone(), world.clone());
        Box::new(move || scrape_plan(&world, &global_config, &settings))
    };
    let mut tokens = tokens(&world, &settings).map_err(Failure::Usage)?;
    // Where a token is asked for, the demo's services need one as well; where none is, one more would close the engine.
    let demo_token = (args.demo && !tokens.is_empty()).then(|| new_token(world.random.as_ref()));
    if let Some(token) = &demo_token {
        tokens = tokens.and(Role::Ingest, token);
    }
    // The demo's own are its services; it does not touch what a project has.
    let history = args.demo.then(|| data_dir.join("history.db").display().to_string());
    let deploy = crate::deploy::serving(clone(global), history)?;
    let options = Options {
        tokens,
        scrape: scrape_plan(&world, global, &settings).map_err(Failure::Usage)?,
        settings,
        data_dir,
        state_home: xdg("XDG_STATE_HOME", ".local/state"),
        reload,
        deploy,
        demo: args.demo,
    };
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    let runtime = runtime(32).map_err(broken)?;
    runtime.block_on(async {
        // Before anything is started, so that no signal is lost.
        let mut signals = Signals::new().map_err(broken)?;
        let retention = options.settings.observe.retention.0;
        let running = tokio::select! {
            running = app_serve::start(options) => running.map_err(not_started)?,
            // Nothing was taken yet that could be lost: the process may simply end.
            _ = signals.terminate.recv() => std::process::exit(0),
            _ = signals.interrupt.recv() => std::process::exit(130),
        };
        let ready_ms = (world.clock.monotonic_ns() - started_ns) / 1_000_000;
        let demo = match args.demo {
            true => Some(Demo::start(&running.entry, demo_token.as_deref()).await.map_err(Failure::Broken)?),
            false => None,
        };
        greet(global, &running, ready_ms, retention, demo.is_some());
        wait(signals, global, async || running.reload().await).await;
        if let Some(demo) = demo {
            demo.stop().await;
        }
        running.stop().await;
        Ok(0)
    })
}

pub(crate) fn not_started(why: NotStarted) -> Failure {
    match why {
        NotStarted::Refused(report) => Failure::Refused(report),
        NotStarted::Broken(report) => Failure::Broken(report),
    }
}

/// Each project has its own folder, and the demo too; never inside the project.
pub(crate) fn data_dir(demo: bool, project: Option<&str>) -> PathBuf {
    let name = if demo { "demo" } else { project.unwrap_or("default") };
    // A project's name becomes a folder's: whatever could leave this folder is replaced.
    let safe: String = name.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    xdg("XDG_DATA_HOME", ".local/share").join("apm").join(safe)
}

pub(crate) fn clone(global: &Global) -> Global {
    Global { config: global.config.clone(), env: global.env.clone(), url: global.url.clone(), ..*global }
}

fn greet(global: &Global, running: &Running, ready_ms: u64, retention: Duration, demo: bool) {
    let entry = &running.entry;
    let bold = |text: &str| paint(global, "1", text);
    let dim = |text: &str| paint(global, "2", text);
    let otlp: Vec<String> = [
        entry.otlp_http.as_ref().map(|url| format!("{url} {}", dim("http"))),
        entry.otlp_grpc.as_ref().map(|url| format!("{} {}", url.trim_start_matches("http://"), dim("grpc"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    say(
        global,
        &format!("{} {} is ready {}", bold("apm"), env!("CARGO_PKG_VERSION"), dim(&format!("in {ready_ms} ms"))),
    );
    say(global, "");
    say(global, &format!("  {}   {}", dim("page"), paint(global, "1;36", &entry.url)));
    if !otlp.is_empty() {
        say(global, &format!("  {}   {}", dim("otlp"), otlp.join("   ")));
    }
    say(
        global,
        &format!("  {}   {} {}", dim("data"), entry.data_dir.display(), dim(&format!("kept {}", span(retention)))),
    );
    say(global, "");
    if demo {
        say(global, "  The demo runs: three services, a little load, a fault now and then.");
    } else {
        say(global, &format!("  Send something:  {}", bold("apm run -- python app.py")));
    }
    say(global, &format!("  {}", dim("Ctrl-C ends it.")));
}

/// In the largest unit that needs no fraction: `15 days`, `36 hours`.
fn span(time: Duration) -> String {
    let units = [("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let (unit, unit_ms) =
        units.into_iter().find(|(_, ms)| time.as_millis().is_multiple_of(*ms)).unwrap_or(("millisecond", 1));
    let count = time.as_millis() / unit_ms;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Two workers; what waits for a disk has threads of its own.
pub(crate) fn runtime(blocking_max: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).max_blocking_threads(blocking_max).thread_keep_alive(Duration::from_secs(5));
    runtime.enable_all().build()
}

pub(crate) struct Signals {
    pub(crate) terminate: Signal,
    pub(crate) interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Returns when the process shall end; a hangup reads the configuration again.
pub(crate) async fn wait(mut signals: Signals, global: &Global, reload: impl AsyncFn() -> Result<(), String>) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => match reload().await {
                Ok(()) => say(global, "configuration read again"),
                Err(why) => crate::output::note(&why),
            },
        }
    }
}
