//! A real registry of the test's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Debian's docker-registry on a free port of loopback.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Open to all, or only to `user` with `secret`.
    pub(crate) fn start(private: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        std::fs::write(
            folder.path().join("users"),
            "user:$2b$12$3/KMxkDtjH0GU1reJvuleOtxyl2u5xgNicox87BJKFBOty3pe3A0S\n",
        )
        .expect("written");
        let auth =
            if private { format!("auth: {{htpasswd: {{realm: test, path: {place}/users}}}}\n") } else { String::new() };
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {place}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}"
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
            Some(
                rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect::<String>(),
            )
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
