//! The real engine: where it is, what it must have, and how a test leaves it.

use std::process::Command;
use std::sync::OnceLock;

/// A server of one line of shell: `/healthz` answers what the image was built for.
const DOCKERFILE: &str =
    "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

fn host() -> String {
    std::env::var("APM_TEST_DOCKER_HOST")
        .expect("APM_TEST_DOCKER_HOST is not set: these tests are run by `cargo xtask journeys`")
}

/// Images `target/service:1` and `:2` that serve, `:ends` that ends at once, `:mute` that runs and never answers.
fn images() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let copied = Command::new("cp").arg("/bin/busybox").arg(folder.path()).status().expect("cp");
        assert!(copied.success(), "Debian's busybox-static is needed");
        let serves = "mkdir -p /www && echo ok > /www/healthz && exec httpd -f -p 80 -h /www";
        for (tag, line) in [
            ("1", serves),
            ("2", serves),
            ("ends", "echo cannot reach $DB_PASSWORD; exit 3"),
            ("mute", "exec sleep 600"),
        ] {
            let mut build = Command::new("docker");
            build
                .args(["-H", &host(), "build", "-q", "-t", &format!("target/service:{tag}"), "-f", "-"])
                .arg(folder.path());
            // The default of Docker's newer clients needs a plugin.
            build.env("DOCKER_BUILDKIT", "0").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
            let mut running = build.spawn().expect("docker");
            let text =
                format!("{DOCKERFILE}ENV VERSION={tag}\nSTOPSIGNAL SIGKILL\nCMD [\"/bin/sh\", \"-c\", \"{line}\"]\n");
            std::io::Write::write_all(&mut running.stdin.take().expect("piped"), text.as_bytes()).expect("written");
            assert!(running.wait().expect("built").success());
        }
    });
}

/// Cases of a sweep that are played side by side.
pub(crate) const LANES: u64 = 6;

/// The engine that all tests share.
pub(crate) struct Here;

impl Here {
    pub(crate) fn new() -> Here {
        images();
        Here
    }

    pub(crate) fn host(&self) -> String {
        host()
    }

    pub(crate) fn remove(&self, names: &[String]) {
        let removed = Command::new("docker").args(["-H", &host(), "rm", "-f"]).args(names).output();
        assert!(removed.is_ok() || std::thread::panicking(), "docker is gone");
    }
}
