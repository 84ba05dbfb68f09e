//! The supervisor of `apm run`: starts a program with telemetry and without touching its code, restarts it when its files
//! change, passes signals and its exit code through, and proves that its first trace has arrived.
//!
//! It does NOT know what an agent is made of (`operate/agents` does), how the command line was written, or how lines look
//! on a terminal: it hands sentences to a [`Report`]. Trouble with telemetry never stops the program.

mod child;
mod commit;
mod install;
mod interpreter;
mod project;
mod proof;
mod signals;
mod status;
mod supervise;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use commit::{of as commit_of, source_of};
pub use supervise::run;

/// What to run and where its telemetry goes.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// `service.name`; found from the project when absent.
    pub service: Option<String>,
    /// `deployment.environment.name`.
    pub env_name: Option<String>,
    /// OTLP over HTTP, without a path: `http://127.0.0.1:4318`.
    pub otlp_endpoint: String,
    /// The engine's API and page: `http://127.0.0.1:4300`.
    pub api_url: String,
    /// A bearer token for the engine's API, where it asks for one.
    pub token: Option<String>,
    /// Restart when a source file changes, unless the program has its own reloader.
    pub watch: bool,
    /// Start the program with the agent; `false` sets OpenTelemetry's environment only.
    pub agent: bool,
    /// The project folder: the program's working folder, and what is watched.
    pub cwd: PathBuf,
    /// More folders not to watch, such as the engine's data.
    pub ignore: Vec<PathBuf>,
    /// Only warnings and problems are reported.
    pub quiet: bool,
    /// After this long without a first trace, say why.
    pub first_signal_timeout: Duration,
    /// Where agents are kept; `$XDG_CACHE_HOME/apm` or `~/.cache/apm` when absent.
    pub cache_dir: Option<PathBuf>,
}

impl RunOptions {
    /// A command with the usual engine on this machine.
    pub fn new(command: Vec<OsString>, cwd: PathBuf) -> RunOptions {
        RunOptions {
            command,
            service: None,
            env_name: None,
            otlp_endpoint: "http://127.0.0.1:4318".to_owned(),
            api_url: "http://127.0.0.1:4300".to_owned(),
            token: None,
            watch: true,
            agent: true,
            cwd,
            ignore: Vec::new(),
            quiet: false,
            first_signal_timeout: Duration::from_secs(20),
            cache_dir: None,
        }
    }
}

/// How a line is meant, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Info,
    Good,
    Warning,
    Problem,
}

/// Takes the supervisor's own lines. The program's output does not pass here: it goes straight to the terminal.
pub trait Report: Send {
    fn line(&mut self, tone: Tone, text: &str);
}

impl<F: FnMut(Tone, &str) + Send> Report for F {
    fn line(&mut self, tone: Tone, text: &str) {
        self(tone, text);
    }
}

/// Why the program could not be started at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("there is no command to run; write it after `--`: `apm run -- python app.py`")]
    NoCommand,
    #[error("`{program}` was not found on the PATH; is its virtual environment active?")]
    NotFound { program: String },
    #[error("`{program}` cannot be run")]
    NotRunnable { program: String, source: std::io::Error },
    #[error("the project folder {folder} cannot be read", folder = folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("signals cannot be listened to")]
    Signals { source: std::io::Error },
    #[error("waiting for `{program}` failed")]
    Wait { program: String, source: std::io::Error },
}

impl RunError {
    /// What a shell would answer: 127 not found, 126 not runnable, 2 wrong usage, else 3.
    pub fn exit_code(&self) -> i32 {
        match self {
            RunError::NoCommand => 2,
            RunError::NotFound { .. } => 127,
            RunError::NotRunnable { .. } => 126,
            RunError::Folder { .. } | RunError::Signals { .. } | RunError::Wait { .. } => 3,
        }
    }
}
