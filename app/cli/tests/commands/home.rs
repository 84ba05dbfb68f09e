//! A home of its own for each test, and programs started in it: nothing of this machine's user is seen but the PATH.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Long enough for eight tests at once on two busy cores; only a failing test takes it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks until `look` says `Some`; panics with `otherwise` when that takes too long.
pub(crate) fn until<T>(what: &str, otherwise: impl Fn() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}:\n{}", otherwise());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A temporary folder with the user's folders and a project in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Home(tempfile::Builder::new().prefix("apm-commands-").tempdir().expect("a temporary folder"));
        std::fs::create_dir_all(home.path("shop")).expect("the project's folder is made");
        home
    }

    /// Of a file below the home folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Of a file in the project, where programs are started.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("shop").join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder is made");
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// What a file of the project holds; nothing when it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("shop").join(name)).unwrap_or_default()
    }

    /// Waits until a file of the project holds so many whole lines.
    pub(crate) fn lines(&self, name: &str, count: usize) -> Vec<String> {
        until(
            &format!("{count} lines in {name}"),
            || self.read(name),
            || {
                let text = self.read(name);
                let whole: Vec<String> =
                    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect();
                (whole.len() >= count).then_some(whole)
            },
        )
    }

    /// A script in a folder that comes first on the PATH.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("bin").join(name);
        std::fs::create_dir_all(self.path("bin")).expect("a folder is made");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a script can be run");
        path
    }

    /// `apm` with these words, in the project.
    pub(crate) fn apm(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apm"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.args(words).current_dir(self.path("shop")).env_clear().env("TZ", "UTC");
        command.env("PATH", format!("{}:{path}", self.path("bin").display())).env("HOME", self.path(""));
        for (name, folder) in [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, self.path(folder));
        }
        // Where a coverage run collects what its children ran.
        if let Some(file) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", file);
        }
        command
    }

    /// Starts a command with its two outputs in files.
    pub(crate) fn start(&self, command: &mut Command) -> Started {
        self.started(command, Stdio::null())
    }

    /// The same with this text to read.
    pub(crate) fn start_told(&self, command: &mut Command, text: &str) -> Started {
        let path = self.write("told", text);
        self.started(command, Stdio::from(File::open(path).expect("it was written")))
    }

    fn started(&self, command: &mut Command, stdin: Stdio) -> Started {
        let folder = tempfile::Builder::new().prefix("output-").tempdir_in(self.0.path()).expect("a temporary folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file is made");
        let child = command.stdin(stdin).stdout(file("stdout")).stderr(file("stderr")).spawn();
        Started { child: child.expect("apm can be started"), folder }
    }

    /// What this home's paths look like in expected texts.
    pub(crate) fn masked(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "HOME").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

/// A program that runs; killed when dropped.
pub(crate) struct Started {
    child: Child,
    folder: TempDir,
}

/// How it ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Started {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the process is there");
    }

    pub(crate) fn stdout(&self) -> String {
        printed(self.folder.path(), "stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        printed(self.folder.path(), "stderr")
    }

    /// Waits for a text on stderr.
    pub(crate) fn says(&self, text: &str) {
        until(&format!("`{text}`"), || self.stderr(), || self.stderr().contains(text).then_some(()));
    }

    /// Waits for a text on stdout.
    pub(crate) fn shows(&self, text: &str) {
        let shown = || format!("{}{}", self.stdout(), self.stderr());
        until(&format!("`{text}`"), shown, || self.stdout().contains(text).then_some(()));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    pub(crate) fn ended(mut self) -> Ended {
        let folder = self.folder.path().to_path_buf();
        let shown = || format!("{}{}", printed(&folder, "stdout"), printed(&folder, "stderr"));
        let child = &mut self.child;
        let status = until("the program to end", shown, || child.try_wait().expect("a child can be waited for"));
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn printed(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}
