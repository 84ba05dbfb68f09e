//! A real Docker engine of the journeys' own: its data, socket, bridge and subnet are nobody else's, and nothing of it is left afterwards, not even when
//! the test is killed: a guard (`dockerd.sh`) cleans up as soon as its standard input closes.
//!
//! How a container reaches what the test started on the machine, which listens on loopback only: with `--network host` it is `127.0.0.1` as for
//! everyone (published ports then mean nothing); in any network of this engine it is what [`Dockerd::let_in`] gives, an address of the bridge whose
//! packets are handed to loopback, one port at a time. The other way round a container's port is published on `127.0.0.1`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{engine, tools, wait};

/// The engine, its containers and its folder must be gone within this time.
const CLEAN_S: u64 = 120;
const GUARD: &str = include_str!("dockerd.sh");

/// A running engine.
#[derive(Debug)]
pub struct Dockerd {
    guard: Child,
    /// Closed, it lets the guard clean up.
    input: Option<ChildStdin>,
    folder: TempDir,
    bridge: String,
    /// The machine, seen from a container: the address of the bridge.
    pub gateway: String,
    /// For `DOCKER_HOST`: `unix:///…/docker.sock`.
    pub host: String,
}

impl Dockerd {
    /// Starts one and waits until it answers. The name is in the folder's, for whoever looks at a machine's processes.
    pub fn start(name: &str) -> Self {
        let prefix = format!("apm-docker-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder");
        let place = folder.path().join("engine");
        let script = folder.path().join("dockerd.sh");
        fs::create_dir(&place).expect("a folder for the engine");
        fs::write(&script, GUARD).expect("the guard's script");
        let mut command = Command::new("sh");
        // The shared one is never dropped: the guard takes the whole folder.
        command.arg(&script).arg(&place).arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = command.spawn().expect("a shell");
        let (input, output) = (guard.stdin.take(), guard.stdout.take().expect("piped"));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line of the guard");
        let Some((bridge, gateway)) = line.trim().split_once(' ') else {
            panic!(
                "no Docker engine, see above for the reason: journeys with Docker need root and `cargo xtask tools`"
            );
        };
        let host = format!("unix://{}", place.join("docker.sock").display());
        Self { guard, input, folder, bridge: bridge.into(), gateway: gateway.into(), host }
    }

    /// One for all tests of this process that are content to share; gone when the process is.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Dockerd> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared"))
    }

    /// A `docker` command for this engine.
    pub fn command(&self) -> Command {
        self.command_of("docker")
    }

    /// A command of the distribution in which `docker` speaks to this engine.
    pub fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(tools::system(program));
        command.env("DOCKER_HOST", &self.host).env("DOCKER_BUILDKIT", "0").env("DOCKER_CLI_HINTS", "false");
        command.env("HOME", self.folder.path()).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY");
        command
    }

    /// What `docker WORDS` prints, without the line end; `Err` with what it complains of.
    pub fn try_docker(&self, words: &[&str]) -> Result<String, String> {
        let output = self.command().args(words).output().expect("docker can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same; a failure fails the test.
    pub fn docker(&self, words: &[&str]) -> String {
        self.try_docker(words).unwrap_or_else(|problem| panic!("docker {}: {problem}", words.join(" ")))
    }

    /// An image with a shell and the usual small programs, of `FROM scratch` and the machine's static busybox.
    pub fn busybox_image(&self) -> &'static str {
        static IMAGE: &str = "journey/busybox:1";
        if self.try_docker(&["image", "inspect", IMAGE]).is_err() {
            let busybox = tools::system("busybox");
            let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n";
            self.build(IMAGE, dockerfile, &[("busybox", &busybox)]);
        }
        IMAGE
    }

    /// An image that holds the `apm` under test and what it needs to run, with `APP_VERSION` and the given variables: `journey/apm:VERSION`.
    /// `apm` is its entry point; there is a shell beside it.
    pub fn apm_image(&self, version: &str, env: &[(&str, &str)]) -> String {
        const BASE: &str = "journey/apm-base:1";
        if self.try_docker(&["image", "inspect", BASE]).is_err() {
            let (apm, busybox) = (engine::apm(), self.busybox_image());
            let mut dockerfile = format!("FROM {busybox}\n");
            let libraries = libraries(&apm);
            let mut files: Vec<(&str, &Path)> = vec![("bin/apm", &apm)];
            for library in &libraries {
                // Below the context as below the root, links followed.
                let to = library.to_str().expect("paths of libraries are ASCII").trim_start_matches('/');
                files.push((to, library));
            }
            for (to, _) in &files {
                dockerfile.push_str(&format!("COPY {to} /{to}\n"));
            }
            dockerfile.push_str("RUN [\"/bin/sh\", \"-c\", \"mkdir -m 1777 /tmp && mkdir /root\"]\nENV HOME=/root\nENTRYPOINT [\"/bin/apm\"]\n");
            self.build(BASE, &dockerfile, &files);
        }
        let image = format!("journey/apm:{version}");
        let mut dockerfile = format!("FROM {BASE}\nENV APP_VERSION=\"{version}\"\n");
        for (name, value) in env {
            dockerfile.push_str(&format!("ENV {name}=\"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\"")));
        }
        self.build(&image, &dockerfile, &[]);
        image
    }

    /// Builds an image from a Dockerfile and files, each given by its path in the context and where it lies.
    pub fn build(&self, image: &str, dockerfile: &str, files: &[(&str, &Path)]) {
        let context = tempfile::tempdir_in(self.folder.path()).expect("a folder for the context");
        for (to, from) in files {
            let to = context.path().join(to);
            fs::create_dir_all(to.parent().expect("it is below the context")).expect("made");
            // A link costs nothing where both lie on one disk.
            if from.is_symlink() || fs::hard_link(from, &to).is_err() {
                fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
            }
        }
        fs::write(context.path().join("Dockerfile"), dockerfile).expect("written");
        self.docker(&["build", "-q", "-t", image, context.path().to_str().expect("ASCII")]);
    }

    /// Lets containers of this engine in to a port of the machine's loopback; gives the `host:port` they must use.
    pub fn let_in(&self, port: u16) -> String {
        let subnet = self.subnet();
        let (gateway, port_word, to) = (format!("{}/32", self.gateway), port.to_string(), format!("127.0.0.1:{port}"));
        let rule =
            ["-s", &subnet, "-d", &gateway, "-p", "tcp", "--dport", &port_word, "-j", "DNAT", "--to-destination", &to];
        let iptables = |what: &str| {
            let mut command = Command::new(tools::system("iptables"));
            let output = command.args(["-w", "-t", "nat", what, "PREROUTING"]).args(rule).output();
            output.expect("iptables can be started")
        };
        if !iptables("-C").status.success() {
            let output = iptables("-I");
            assert!(output.status.success(), "iptables: {}", String::from_utf8_lossy(&output.stderr));
        }
        format!("{}:{port}", self.gateway)
    }

    /// Ends the engine as kill -9 does. Its containers go on; nothing answers any more.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.place().join("dockerd.pid")).expect("a running engine has a pid file");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::KILL).expect("it was running");
    }

    /// Starts it again after [`Dockerd::kill`], on the same data, and waits until it answers.
    pub fn restart(&self) {
        let mut input = self.input.as_ref().expect("it was not stopped");
        input.write_all(b"start\n").expect("the guard listens");
        wait::until("the engine to answer again", 60, || self.try_docker(&["version"]));
    }

    /// Takes everything away and says what is left, which should be nothing.
    pub fn stop(mut self) -> Vec<String> {
        self.clean();
        self.left()
    }

    fn clean(&mut self) {
        drop(self.input.take());
        let ended = || match self.guard.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ => Err("the guard still cleans up"),
        };
        wait::until("the engine to be taken away", CLEAN_S, ended);
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("engine")
    }

    /// `10.N.0.0/16`
    fn subnet(&self) -> String {
        format!("{}0.0/16", self.gateway.trim_end_matches("0.1"))
    }

    /// Mounts, links, rules, cgroups, processes and files of this engine.
    fn left(&self) -> Vec<String> {
        let place = self.place().display().to_string();
        let network = self.gateway.trim_end_matches("0.1").to_owned();
        let printed = |program: &str, words: &[&str]| {
            let output = Command::new(tools::system(program)).args(words).output().expect("it can be started");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let all = mounts
            + &printed("ip", &["-o", "addr"])
            + &printed("iptables-save", &[])
            + &printed("ps", &["-eo", "args"]);
        let named = |line: &&str| {
            line.contains(&place) || line.contains(&network) || line.contains(&format!("{}:", self.bridge))
        };
        let mut left: Vec<String> = all.lines().filter(named).map(str::to_owned).collect();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(Result::ok) {
            let cgroup = hierarchy.path().join(&self.bridge);
            left.extend(cgroup.exists().then(|| cgroup.display().to_string()));
        }
        left.extend(self.place().exists().then_some(place));
        left
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.input.take());
        // The folder goes with this value, so its guard must be done; a panic of a test must not become an abort.
        let deadline = std::time::Instant::now() + Duration::from_secs(CLEAN_S);
        while matches!(self.guard.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

/// What the dynamic linker loads for a program, and the linker itself.
pub(crate) fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new(tools::system("ldd")).arg(program).output().expect("ldd can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)", "/lib64/ld-linux-x86-64.so.2 (0x…)"; the vDSO has no path.
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    let found: Vec<PathBuf> = text.lines().filter_map(path).collect();
    assert!(!found.is_empty() || text.contains("statically linked"), "ldd {}: {text}", program.display());
    found
}
