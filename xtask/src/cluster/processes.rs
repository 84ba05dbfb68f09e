//! The parts as processes that outlive this one: started with their output in a file, found again by id, ended. All carry a variable that names the
//! cluster's folder, so that one that was forgotten is found too. It does not know what a part is for.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::instance::Instance;
use crate::sh;

/// Names the cluster's folder in the environment of everything it runs.
const MARK: &str = "APM_CLUSTER";
const STEP: Duration = Duration::from_millis(50);

/// Starts a part, its output in `logs/PART.log`; it goes on when this process ends.
pub(super) fn start(instance: &Instance, part: &str, command: &mut Command) -> sh::Outcome<u32> {
    let log = log_path(instance, part);
    let open = || File::options().create(true).append(true).open(&log);
    let (out, err) = (open(), open());
    let (Ok(out), Ok(err)) = (out, err) else { return Err(format!("cannot write {}", log.display())) };
    command.env(MARK, &instance.folder).env("PATH", path()).current_dir("/");
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|error| format!("cannot start {program} for {part}: {error}"))?;
    let pid = child.id();
    let begun = begun(pid).unwrap_or_default();
    sh::write(&instance.folder.join("pids").join(part), &format!("{pid} {begun}\n"))?;
    // Its end is seen in /proc; whoever takes our children in waits for it.
    drop(child);
    Ok(pid)
}

/// The id of a part that runs.
pub(super) fn alive(instance: &Instance, part: &str) -> Option<u32> {
    let text = std::fs::read_to_string(instance.folder.join("pids").join(part)).ok()?;
    let (pid, then) = text.trim().split_once(' ')?;
    let pid = pid.parse().ok()?;
    // The number may be another's by now; when it began tells.
    (begun(pid)? == then).then_some(pid)
}

/// Ends a part: SIGTERM, and SIGKILL when that took too long.
pub(super) fn stop(instance: &Instance, part: &str, seconds: u64) -> sh::Outcome {
    if let Some(pid) = alive(instance, part) {
        signal(pid, Signal::TERM);
        if !wait(seconds, || alive(instance, part).is_none()) {
            kill(instance, part)?;
        }
    }
    let _ = std::fs::remove_file(instance.folder.join("pids").join(part));
    Ok(())
}

/// Ends a part at once.
pub(super) fn kill(instance: &Instance, part: &str) -> sh::Outcome {
    if let Some(pid) = alive(instance, part) {
        signal(pid, Signal::KILL);
        if !wait(10, || alive(instance, part).is_none()) {
            return Err(format!("{part}, process {pid}, does not end"));
        }
    }
    Ok(())
}

/// Every process that carries this cluster's mark, whoever started it; a shim of containerd among them.
pub(super) fn marked(folder: &Path) -> Vec<u32> {
    let mark = format!("{MARK}={}", folder.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let carries = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) && begun(*pid).is_some()
    };
    pids.filter(|pid| *pid != std::process::id()).filter(carries).collect()
}

/// Kills and waits until none is left of those that `find` finds.
pub(super) fn kill_all(what: &str, find: impl Fn() -> Vec<u32>) -> sh::Outcome {
    let gone = wait(20, || {
        let left = find();
        left.iter().for_each(|pid| signal(*pid, Signal::KILL));
        left.is_empty()
    });
    if gone { Ok(()) } else { Err(format!("{what} do not end: {:?}", find())) }
}

/// Looks until it is so, at most so many seconds; says whether it is.
pub(super) fn wait(seconds: u64, mut so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(STEP);
    }
}

/// The end of a part's log, for an error.
pub(super) fn last_lines(instance: &Instance, part: &str) -> String {
    let text = std::fs::read_to_string(log_path(instance, part)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The PATH of all parts: what Debian puts into `sbin` too (runc, iptables, nft).
pub(super) fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/usr/bin:/sbin:/bin")
}

fn log_path(instance: &Instance, part: &str) -> std::path::PathBuf {
    instance.folder.join("logs").join(format!("{part}.log"))
}

/// When a process began, in ticks since the machine's start (proc(5): field 22); none if there is no such process, or only its remains.
fn begun(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in brackets and may hold spaces; fields are counted after it.
    let mut fields = text.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?;
    let begun = fields.nth(18)?;
    // The first thread may have ended before the others, which still hold the ports.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let remains = state == "X" || (state == "Z" && threads <= 1);
    (!remains).then(|| begun.to_owned())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended meanwhile is what we want.
        let _ = kill_process(pid, signal);
    }
}
