//! Running programs and finding the repository. It knows no command of ours.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What a command of ours ends with; the text says what is wrong and what to do.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The top folder of the repository this tool was started in. Asked while running, because two clones may share one target folder and so one binary.
pub(crate) fn root() -> PathBuf {
    let own =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The cargo that started us, or the one on the PATH.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A program run in the repository's top folder.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Runs it with our own terminal; a status other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let line = words(command);
    let status = command.status().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

/// Runs it and hands back what it printed, without the last line break; its error output goes into the error.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let line = words(command);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start `{line}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end()))
    }
}

/// Reads a text file; the error names it.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a text file, making its folder first; the error names it.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Where a program on the PATH lies.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Runs `work`, prints `name` and its minutes, and hands the outcome on.
pub(crate) fn timed<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("== {name}");
    let start = Instant::now();
    let outcome = work();
    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
    println!("== {name}: {word}, {:.1} min", start.elapsed().as_secs_f64() / 60.0);
    outcome
}

/// A program that runs beside other work, with its output kept in a file; it and all it started are ended when this is dropped before its end.
pub(crate) struct Beside {
    child: Child,
    line: String,
    log: PathBuf,
}

impl Beside {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        let line = words(command);
        write(log, "")?;
        let opened = std::fs::OpenOptions::new().append(true).open(log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = opened.map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).spawn();
        let child = child.map_err(|error| format!("cannot start `{line}`: {error}"))?;
        Ok(Self { child, line, log: log.to_path_buf() })
    }

    /// Waits for its end and prints what it said.
    pub(crate) fn end(mut self) -> Outcome {
        let status = self.child.wait().map_err(|error| format!("`{}`: {error}", self.line))?;
        println!("{}", read(&self.log)?.trim_end());
        if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", self.line)) }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait()
            && let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed())
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn words(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for word in command.get_args() {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    line
}
/// Processor seconds of all programs that were started and have ended (proc(5): cutime and cstime, in hundredths).
pub(crate) fn children_cpu_s() -> Outcome<f64> {
    let text = read(Path::new("/proc/self/stat"))?;
    // The program's name stands in brackets and may hold spaces; fields are counted after it.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let field = |number: usize| rest.split_whitespace().nth(number).and_then(|word| word.parse::<f64>().ok());
    match (field(13), field(14)) {
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => Err(format!("/proc/self/stat is not as proc(5) says: {text}")),
    }
}
