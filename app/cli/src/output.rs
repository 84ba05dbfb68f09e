//! What a person sees in the terminal: lines on stdout, reports and logs on stderr, and the exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use base_explain::Report;
use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// How a command ends other than well.
pub(crate) enum Failure {
    /// Exit code 2: the command line or a file is wrong.
    Usage(Report),
    /// Exit code 3: it could not be done.
    Broken(Report),
    /// Exit code 4: it was refused, and nothing was changed.
    Refused(Report),
    /// A program of the user's could not be started: a shell's exit code for that.
    Program(Report, u8),
}

/// The log goes to stderr; `APM_LOG` takes tracing's filter syntax.
pub(crate) fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("APM_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let writer = std::io::stderr;
    let ansi = colors(global) && std::io::stderr().is_terminal();
    // A second start in one process is a test's; the first one stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi).try_init();
}

pub(crate) fn colors(global: &Global) -> bool {
    !global.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line for the person; nothing when quiet. A closed pipe is no error: whoever listened has seen enough.
pub(crate) fn say(global: &Global, line: &str) {
    if !global.quiet {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// An answer as a whole, quiet or not. A closed pipe is no error.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Text in a colour when stdout is a terminal.
pub(crate) fn paint(global: &Global, code: &str, text: &str) -> String {
    if colors(global) && std::io::stdout().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A sentence beside the work, on stderr.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(crate) fn exit_code(global: &Global, ended: Result<u8, Failure>) -> ExitCode {
    let (report, code) = match ended {
        Ok(code) => return ExitCode::from(code),
        Err(Failure::Usage(report)) => (report, 2),
        Err(Failure::Broken(report)) => (report, 3),
        Err(Failure::Refused(report)) => (report, 4),
        Err(Failure::Program(report, code)) => (report, code),
    };
    let text = report.terminal(colors(global) && std::io::stderr().is_terminal());
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}
