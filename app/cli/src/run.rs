//! `apm run -- COMMAND`: finds the engine and hands over to the supervisor.

use app_run::{Report as RunReport, RunOptions, Tone};
use app_serve::{EngineEntry, engines};
use base_explain::Report;
use base_world::World;

use crate::args::{Global, RunArgs};
use crate::config::{project, xdg};
use crate::output::{Failure, note, paint};

pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<u8, Failure> {
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    let cwd = std::env::current_dir().map_err(broken)?;
    let engine = find(global);
    let mut options = RunOptions::new(args.command.clone(), cwd);
    options.service = args.service.clone();
    options.env_name = global.env.clone();
    options.watch = !args.no_watch;
    options.agent = !args.no_agent;
    options.quiet = global.quiet;
    options.token = std::env::var("APM_TOKEN").ok().filter(|token| !token.is_empty());
    if let Some(entry) = &engine {
        options.api_url = entry.url.clone();
        // The main port takes OTLP over HTTP as well.
        options.otlp_endpoint = entry.otlp_http.clone().unwrap_or_else(|| entry.url.clone());
        options.ignore.push(entry.data_dir.clone());
    }
    if let Some(url) = &global.url {
        options.api_url = url.clone();
        options.otlp_endpoint = url.clone();
    }
    if let Some(endpoint) = &args.otlp_endpoint {
        options.otlp_endpoint = endpoint.clone();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let mut lines = Lines { global };
    let ended = runtime.block_on(app_run::run(options, &mut lines));
    // A thread that still waits for an answer must not keep the program's exit code back.
    runtime.shutdown_background();
    match ended {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(1)),
        Err(error) => Err(Failure::Program(Report::of(&error), u8::try_from(error.exit_code()).unwrap_or(3))),
    }
}

/// The engine that the user means: `--url`'s, else the project's own, else the newest that runs.
pub(crate) fn find(global: &Global) -> Option<EngineEntry> {
    let world = World::real();
    let mut running = engines(&world, &xdg("XDG_STATE_HOME", ".local/state"));
    if let Some(url) = &global.url {
        return running.into_iter().find(|entry| entry.url == url.trim_end_matches('/'));
    }
    let project = project(&world, global).unwrap_or_else(|report| {
        // The program is started all the same: a slip in a file of ours must not stop it.
        note(&format!("apm: {}", report.one_line()));
        None
    });
    let own = running.iter().position(|entry| entry.project == project).unwrap_or(0);
    (!running.is_empty()).then(|| running.swap_remove(own))
}

struct Lines<'a> {
    global: &'a Global,
}

impl RunReport for Lines<'_> {
    fn line(&mut self, tone: Tone, text: &str) {
        let code = match tone {
            Tone::Info => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Problem => "31",
        };
        note(&paint(self.global, code, &format!("apm: {text}")));
    }
}
