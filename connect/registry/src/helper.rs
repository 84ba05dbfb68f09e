//! `docker-credential-NAME`: a program that keeps logins, spoken to as Docker does: a verb as its argument, a text on its input, JSON on its output.
//! Source: docker/docker-credential-helpers. It is given a time and an answer's size, and is ended when it takes more.

use std::process::Stdio;
use std::time::Duration;

use base_http::Secret;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::{Credentials, RegistryError};

/// A person may have to unlock something first.
const TIME_MAX: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// The user name of a login that is a token.
const TOKEN_USER: &str = "<token>";

/// A helper that is asked about a registry.
pub(crate) struct Helper {
    pub(crate) name: String,
    pub(crate) registry: String,
    /// `PATH`; `None`: this process's own.
    pub(crate) search: Option<String>,
}

impl Helper {
    fn bad(&self, problem: impl std::fmt::Display) -> RegistryError {
        let problem = format!("docker-credential-{} {problem}", self.name);
        RegistryError::Login { registry: self.registry.clone(), problem }
    }

    /// What the helper knows of the registry; `None` when it says that it knows nothing.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Credentials>, RegistryError> {
        let answer = match self.run("get", key.as_bytes().to_vec()).await {
            Ok(answer) => answer,
            Err(RegistryError::Login { problem, .. }) if problem.contains("credentials not found") => return Ok(None),
            Err(error) => return Err(error),
        };
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| self.bad("answered no JSON"))?;
        let text = |key: &str| answer[key].as_str();
        match (text("Username"), text("Secret")) {
            (Some(TOKEN_USER), Some(token)) => Ok(Some(Credentials::Identity { token: Secret::new(token) })),
            // Some helpers answer with nothing instead of refusing.
            (Some("") | None, Some("") | None) => Ok(None),
            (Some(username), Some(password)) => Ok(Some(Credentials::password(username, password))),
            _ => Err(self.bad("answered without name or secret")),
        }
    }

    /// Runs it; its output when it ends well.
    pub(crate) async fn run(&self, verb: &str, input: Vec<u8>) -> Result<Vec<u8>, RegistryError> {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if !self.name.chars().all(is_name) {
            let problem = "Docker's config.json names what is no name of a helper".to_owned();
            return Err(RegistryError::Login { registry: self.registry.clone(), problem });
        }
        let mut command = Command::new(format!("docker-credential-{}", self.name));
        if let Some(search) = &self.search {
            command.env("PATH", search);
        }
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.bad(format!("cannot be started: {error}")))?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let talking = async {
            let writing = async move {
                if let Some(mut to) = to {
                    // One that ends without reading has said all it will say.
                    let _ = to.write_all(&input).await;
                }
            };
            let reading = async move {
                let mut answer = Vec::new();
                if let Some(from) = from {
                    let _ = from.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await;
                }
                answer
            };
            let ((), answer) = tokio::join!(writing, reading);
            if answer.len() as u64 > ANSWER_BYTES_MAX {
                return Err(self.bad(format!("{verb}: more than {ANSWER_BYTES_MAX} bytes")));
            }
            let status = child.wait().await.map_err(|error| self.bad(format!("{verb}: {error}")))?;
            if status.success() {
                return Ok(answer);
            }
            // Of a refusal the output is a sentence, never a login.
            let said: String = String::from_utf8_lossy(&answer).trim().chars().take(300).collect();
            Err(self.bad(format!("{verb}: {}", if said.is_empty() { status.to_string() } else { said })))
        };
        let took_too_long = || Err(self.bad(format!("{verb}: no end within {} s", TIME_MAX.as_secs())));
        tokio::time::timeout(TIME_MAX, talking).await.unwrap_or_else(|_| took_too_long())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What comes of a helper that is this line of shell.
    async fn check(line: &str, expect: Result<Option<Credentials>, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker-credential-test");
        // Written aside: another thread's child may hold the file open for writing while it is being started.
        let disk = base_world::World::real().disk;
        base_world::replace_file(&*disk, &path, format!("#!/bin/sh\n{line}\n").as_bytes()).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("may be run");
        let search = Some(format!("{}:/usr/bin:/bin", folder.path().display()));
        let helper = Helper { name: "test".into(), registry: "r".into(), search };
        match (helper.get("r").await, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{line}"),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words) && !error.to_string().contains("hunter2"), "{error}");
            }
            (found, expect) => panic!("{line}: {found:?}, not {expect:?}"),
        }
    }

    #[tokio::test]
    async fn helpers_are_spoken_to_as_docker_does() {
        let asked = r#"read key; printf '{"ServerURL":"%s","Username":"%s","Secret":"%s"}' "$key" "$key" "$1""#;
        check(asked, Ok(Some(Credentials::password("r", "get")))).await;
        let token = Credentials::Identity { token: Secret::new("t") };
        check(r#"echo '{"Username":"<token>","Secret":"t"}'"#, Ok(Some(token))).await;
        check("echo credentials not found in native keychain; exit 1", Ok(None)).await;
        check(r#"echo '{"Username":"","Secret":""}'"#, Ok(None)).await;
        check("echo the keychain is locked; exit 1", Err("get: the keychain is locked")).await;
        check("exit 3", Err("exit status: 3")).await;
        check("echo hunter2", Err("answered no JSON")).await;
        check("yes hunter2", Err("more than 1048576 bytes")).await;
    }
}
