//! A front as a process of this very program: in a session of its own, so that neither the end of whoever started it nor of his terminal
//! ends it. It does not know what the front sends where.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base_world::Disk;
use connect_front::Front;
use operate_plan::{Class, Failure};
use operate_target_docker::StartFront;
use rustix::fs::{Mode, OFlags};
use tokio::process::Command;

/// A front answers within milliseconds; one that does not by then will not.
const START_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(25);
/// Of what it said, enough to see why it ended.
const LOG_BYTES_MAX: u64 = 8 << 20;
const LAST_LETTERS_MAX: usize = 500;

/// Starts `PROGRAM front run`. What it says goes into a file beside its control socket, `.log` for `.sock`.
pub struct FrontProcess {
    pub program: PathBuf,
    pub disk: Arc<dyn Disk>,
}

#[async_trait]
impl StartFront for FrontProcess {
    async fn start(&self, listen: &str, control: &Path) -> Result<(), Failure> {
        let front = Front::new(control).map_err(|error| failed(control, error.to_string()))?;
        if let Some(folder) = control.parent() {
            self.disk.create_folder(folder).map_err(|error| failed(control, error.to_string()))?;
        }
        let log = control.with_extension("log");
        let output = || log_file(&log).map_err(|error| failed(control, format!("{}: {error}", log.display())));
        // Nothing of the surroundings goes along: they hold tokens and keys, and the front needs none.
        let mut command = Command::new(&self.program);
        command.args(["front", "run", "--own-session", "--listen", listen, "--control"]).arg(control);
        command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        let mut child = command
            .spawn()
            .map_err(|error| failed(control, format!("{} cannot be started: {error}", self.program.display())))?;
        let looked = async {
            loop {
                // Asked first: another may have been started at the same moment, and then this one ends and that one serves.
                if front.state().await.is_ok_and(|state| state.listen == listen) {
                    return Ok(());
                }
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(failed(control, format!("it ended with {status}: {}", self.last_words(&log))));
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(START_MAX, looked)
            .await
            .unwrap_or_else(|_| Err(failed(control, format!("it did not answer within {} s", START_MAX.as_secs()))))
    }
}

impl FrontProcess {
    fn last_words(&self, log: &Path) -> String {
        let bytes = self.disk.read(log, LOG_BYTES_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let last =
            text.lines().rev().find(|line| line.starts_with("error")).or(text.lines().last()).unwrap_or_default();
        last.chars().take(LAST_LETTERS_MAX).collect()
    }
}

/// Appended to, for this user only.
fn log_file(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
}

/// Its port may be free a moment later: whoever was stopped for it is still letting go.
fn failed(control: &Path, why: String) -> Failure {
    let message = format!("the front of {} could not be started: {why}", control.display());
    Failure::new(
        Class::Transient,
        "front.start",
        message,
        "`ss -ltnp` names who holds its port; the file beside its socket has all it said",
    )
}

#[cfg(test)]
mod tests {
    use base_world::World;

    use super::*;

    /// What is said when this program cannot be a front.
    async fn check(program: &str, expect: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let fronts = FrontProcess { program: program.into(), disk: World::real().disk };
        let control = folder.path().join("deeper/front.sock");
        let failure = fronts.start("127.0.0.1:1", &control).await.expect_err("it is no front");
        assert!(failure.message.contains(expect), "{}", failure.message);
        assert_eq!((failure.class, failure.code.as_str()), (Class::Transient, "front.start"));
    }

    #[tokio::test]
    async fn a_front_that_does_not_come_up_says_why() {
        check("/nobody/here", "/nobody/here cannot be started: No such file").await;
        // A shell finds no script called `front`, and says so.
        check("/bin/sh", "front: No such file").await;
    }
}
