//! A real registry of a test's own, for the tests of whoever talks to one. It does not know who is let in: whoever starts it says.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Debian's docker-registry on a free port of loopback; it deletes when it is asked to.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

/// Lets everybody in.
pub(crate) fn open(_: &Path) -> String {
    String::new()
}

/// Lets `user` in with `secret`.
pub(crate) fn password(folder: &Path) -> String {
    let users = folder.join("users");
    std::fs::write(&users, "user:$2b$04$Pb7hHV4ZLL1Dg4f56VJ.RuMjKAoTlWvV.dHpoFMCxnk.B.DW8.HVS\n").expect("written");
    format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", users.display())
}

impl Registry {
    /// `auth` is told its folder, and says the part of its configuration about who is let in.
    pub(crate) fn start(auth: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        let auth = auth(folder.path());
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {place}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}"
        );
        let config_file = folder.path().join("config.yml");
        std::fs::write(&config_file, config).expect("written");
        let mut command = Command::new("docker-registry");
        let process = command.arg("serve").arg(config_file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = process.expect("docker-registry is there: run `cargo xtask tools`");
        // It says where it listens, then goes on to log each request: read on, or it would be stuck one day.
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(|line| line.ok());
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            let is_address = |letter: &char| letter.is_ascii_digit() || ".:".contains(*letter);
            Some(rest.chars().take_while(is_address).collect::<String>())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.expect("it says where it listens"), _folder: folder }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
