//! A real Kubernetes of a journey's own (`cargo xtask cluster`), and nothing of it left afterwards, not even when the test is killed: whoever started it
//! takes it away as soon as its standard input closes.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::peer::signal;
use crate::{Dockerd, tools, wait};

/// All of it must be gone within this time.
const CLEAN_S: u64 = 120;

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    guard: Child,
    /// Closed, it lets the guard clean up.
    input: Option<ChildStdin>,
    /// What `cargo xtask cluster` calls it.
    pub name: String,
    folder: PathBuf,
}

impl Cluster {
    /// Starts one; the words are those of `cargo xtask cluster up`, such as `--control-plane-only`.
    pub fn start(name: &str, words: &[&str]) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let mut command = xtask();
        // A terminal's Ctrl-C ends the test; the guard is to see the end of its input.
        command.args(["hold", "--name", &name]).args(words).process_group(0);
        let mut guard = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cargo can be started");
        let (input, output) = (guard.stdin.take(), guard.stdout.take().expect("piped"));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line of the guard");
        let folder = Path::new(line.trim()).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default();
        assert!(folder.is_absolute(), "no cluster, see above for the reason: it needs root and `cargo xtask tools`");
        Self { guard, input, name, folder }
    }

    /// The kubeconfig of `admin`, `token`, `exec` or `viewer`.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join("kubeconfig").join(user)
    }

    /// What `kubectl WORDS` prints for this user, without the line end; `Err` with what it complains of.
    pub fn try_kubectl(&self, user: &str, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(tools::tool("kubectl"));
        command.env("KUBECACHEDIR", self.folder.join("kubectl")).arg("--kubeconfig").arg(self.kubeconfig(user));
        let output = command.args(words).output();
        let output = output.expect("kubectl can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same as administrator; a failure fails the test.
    pub fn kubectl(&self, words: &[&str]) -> String {
        let printed = self.try_kubectl("admin", words);
        printed.unwrap_or_else(|problem| panic!("kubectl {}: {problem}", words.join(" ")))
    }

    /// Makes what a manifest says.
    pub fn apply(&self, manifest: &str) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), manifest).expect("written");
        self.kubectl(&["apply", "-f", file.path().to_str().expect("ASCII")]);
    }

    /// Brings an image of a Docker engine into the cluster.
    pub fn load(&self, docker: &Dockerd, image: &str) {
        let output = xtask().args(["load", "--name", &self.name, image]).env("DOCKER_HOST", &docker.host).output();
        let output = output.expect("cargo can be started");
        assert!(output.status.success(), "cluster load {image}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Where pods find this machine.
    pub fn machine(&self) -> String {
        let description = fs::read_to_string(self.folder.join("cluster.json")).expect("a running cluster has one");
        let description: serde_json::Value = serde_json::from_str(&description).expect("JSON");
        format!("10.{}.0.1", description["network"].as_u64().expect("a cluster with a node has a network"))
    }

    /// Lets pods in to a port of the machine's loopback, under the same number, until the test ends.
    pub fn let_in(&self, port: u16) -> u16 {
        let listener = match TcpListener::bind((self.machine(), port)) {
            Ok(listener) => listener,
            // They were let in before.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return port,
            Err(error) => panic!("nobody can listen where the pods ask: {error}"),
        };
        thread::spawn(move || {
            for from in listener.incoming().filter_map(Result::ok) {
                let Ok(to) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let copies = [(from.try_clone(), to.try_clone()), (Ok(to), Ok(from))];
                for (from, to) in copies {
                    let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        port
    }

    /// What `cargo xtask cluster WHAT --name …` prints.
    pub fn xtask(&self, what: &str, words: &[&str]) -> String {
        let output = xtask().args([what, "--name", &self.name]).args(words).output().expect("cargo can be started");
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cluster {what} {}: {problem}", words.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends a part, such as `kubelet`, as kill -9 does.
    pub fn kill(&self, part: &str) {
        let text = fs::read_to_string(self.folder.join("pids").join(part)).expect("a running part has a pid file");
        let pid = text.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a process id");
        signal(pid, Signal::KILL);
    }

    /// The names of its parts.
    pub fn parts(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join("pids")).expect("a running cluster has pid files");
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// Takes everything away and says what is left, which should be nothing.
    pub fn stop(mut self) -> Vec<String> {
        let description = fs::read_to_string(self.folder.join("cluster.json")).expect("a running cluster has one");
        let description: serde_json::Value = serde_json::from_str(&description).expect("JSON");
        drop(self.input.take());
        let ended = || match self.guard.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => Err("its guard still cleans up"),
        };
        let status = wait::until("the cluster to be taken away", CLEAN_S, ended);
        assert!(status.success(), "the cluster was not taken away: {status}");
        self.left(description["network"].as_u64())
    }

    /// Processes, mounts, links, routes, rules, cgroups and files of this cluster.
    fn left(&self, network: Option<u64>) -> Vec<String> {
        let folder = self.folder.display().to_string();
        let printed = |program: &str, words: &[&str]| {
            let output = Command::new(tools::system(program)).args(words).output().expect("it can be started");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let mut all = printed("ps", &["-eo", "args"]) + &printed("nft", &["list", "ruleset"]);
        let links = printed("ip", &["-o", "link"]) + &printed("ip", &["route"]);
        // Its mounts are in a namespace of its own: as long as anyone is in there, so are they.
        for entry in fs::read_dir("/proc").expect("readable").filter_map(Result::ok) {
            all += &fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
            all += &fs::read_to_string(entry.path().join("environ")).unwrap_or_default().replace('\0', "\n");
        }
        let mut left: Vec<String> = all
            .lines()
            .filter(|line| line.contains(&folder) || line.contains("table ip kube-proxy"))
            .map(str::to_owned)
            .collect();
        if let Some(network) = network {
            let (link, range) = (format!("apmk{}", network - 216), format!("10.{network}."));
            left.extend(links.lines().filter(|line| line.contains(&link) || line.contains(&range)).map(str::to_owned));
            for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(Result::ok) {
                let cgroup = hierarchy.path().join(&link);
                left.extend(cgroup.exists().then(|| cgroup.display().to_string()));
            }
        }
        left.extend(self.folder.exists().then_some(folder));
        left
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.input.take());
        // A panic of a test must not become an abort.
        let deadline = Instant::now() + Duration::from_secs(CLEAN_S);
        while matches!(self.guard.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

/// `cargo xtask cluster`, in this repository.
pub fn xtask() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["xtask", "cluster"]);
    command
}
