//! One run of the program: started, signalled, ended with everything it started. Does not know why.
//!
//! With a terminal on standard input the program shares our process group, so that Ctrl-C, Ctrl-Z and reading from the
//! keyboard (a debugger!) work as they do without us; without one it gets a group of its own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process, test_kill_process_group};

use crate::RunError;
use crate::project::start_error;

/// How long a program may take to end before it is killed, when a restart asked it to.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Child {
    process: tokio::process::Child,
    program: String,
    pid: Option<Pid>,
    own_group: bool,
}

impl Child {
    pub(crate) fn start(command: &[OsString], cwd: &Path, env: &[(String, String)]) -> Result<Child, RunError> {
        let Some((program, arguments)) = command.split_first() else { return Err(RunError::NoCommand) };
        let own_group = !std::io::stdin().is_terminal();
        let mut starting = tokio::process::Command::new(program);
        starting
            .args(arguments)
            .current_dir(cwd)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .kill_on_drop(true);
        if own_group {
            starting.process_group(0);
        }
        let program = program.to_string_lossy().into_owned();
        let process = starting.spawn().map_err(|source| start_error(program.clone(), source))?;
        let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Child { process, program, pid, own_group })
    }

    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, RunError> {
        self.process.wait().await.map_err(|source| RunError::Wait { program: self.program.clone(), source })
    }

    /// Passes a signal on to the program and what it started.
    pub(crate) fn pass(&self, signal: Signal) {
        let Some(pid) = self.pid else { return };
        if self.own_group {
            // The group may already be gone; then there is nobody to tell.
            let _ = kill_process_group(pid, signal);
        } else if signal != Signal::INT {
            // A terminal has sent its Ctrl-C to the whole group itself.
            for one in descendants(pid) {
                let _ = kill_process(one, signal);
            }
        }
    }

    /// Ends the program and everything it started, politely first.
    pub(crate) async fn stop(&mut self) -> Result<(), RunError> {
        let Some(pid) = self.pid else { return Ok(()) };
        let family = descendants(pid);
        self.send(pid, &family, Signal::TERM);
        if tokio::time::timeout(PATIENCE, self.process.wait()).await.is_err() {
            self.send(pid, &family, Signal::KILL);
        }
        self.ended().await?;
        // A reloader's child may outlive it and hold the port.
        let gone = async {
            while self.is_alive(pid, &family) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(2), gone).await.is_err() {
            self.send(pid, &family, Signal::KILL);
        }
        Ok(())
    }

    fn send(&self, pid: Pid, family: &HashSet<Pid>, signal: Signal) {
        if self.own_group {
            let _ = kill_process_group(pid, signal);
        } else {
            for one in family {
                let _ = kill_process(*one, signal);
            }
        }
    }

    fn is_alive(&self, pid: Pid, family: &HashSet<Pid>) -> bool {
        if self.own_group {
            test_kill_process_group(pid).is_ok()
        } else {
            family.iter().any(|one| test_kill_process(*one).is_ok())
        }
    }
}

/// What a shell's `$?` would be: the code, or 128 and the signal's number.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// The process and all below it, from `/proc`; only the process where there is none.
fn descendants(root: Pid) -> HashSet<Pid> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else { continue };
        let Some(stat) = proc_stat(&entry.path()) else { continue };
        // proc(5): `pid (name) state ppid …`; the name may hold anything, a closing parenthesis too.
        let ppid =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).and_then(|word| word.parse().ok());
        if let Some(parent) = ppid.and_then(Pid::from_raw) {
            parents.push((pid, parent));
        }
    }
    let mut family = HashSet::from([root]);
    loop {
        let before = family.len();
        for (pid, parent) in &parents {
            if family.contains(parent) {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            return family;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kernel's process table is no disk: nothing of it can be simulated or torn"
)]
fn proc_stat(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("stat")).ok()
}
