//! Finds the engine as Docker's own client does: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context of `config.json`, then the default
//! socket. It reads files only, asks nothing over a socket, and is handed the environment.
//!
//! The files are those of <https://docs.docker.com/engine/manage-resources/contexts/>: `contexts/meta/HASH/meta.json` with the name inside, and
//! `contexts/tls/HASH/docker/{ca,cert,key}.pem` beside it.

use std::path::{Path, PathBuf};

use base_world::Disk;
use serde_json::Value;

use crate::place::{Place, TlsFiles};
use crate::{DockerError, Result};

/// Where Docker listens when nobody says anything.
const DEFAULT: &str = if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };
/// A context or a certificate is a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// More contexts than anyone keeps.
const CONTEXTS_MAX: usize = 1000;

/// What the environment of the calling program says; empty values count as not set.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, else `.docker` below the home folder.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`: set to anything, TLS is spoken and checked.
    pub docker_tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`, else the folder of the configuration.
    pub docker_cert_path: Option<PathBuf>,
    pub home: Option<PathBuf>,
}

impl Surroundings {
    /// Asks for each variable by its name.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            docker_host: set("DOCKER_HOST"),
            docker_context: set("DOCKER_CONTEXT"),
            docker_config: set("DOCKER_CONFIG").map(PathBuf::from),
            docker_tls_verify: set("DOCKER_TLS_VERIFY"),
            docker_cert_path: set("DOCKER_CERT_PATH").map(PathBuf::from),
            home: set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from),
        }
    }

    /// Where Docker's `config.json` is.
    pub fn config_folder(&self) -> Option<PathBuf> {
        self.docker_config.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")))
    }
}

/// An engine's address, and what named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub place: Place,
    /// In words for a person: "DOCKER_HOST", "the Docker context `prod`", "Docker's default".
    pub found_by: String,
}

/// Finds the engine; an address that cannot be used is an error that names who gave it, never a fall to the next.
pub fn find(surroundings: &Surroundings, disk: &dyn Disk) -> Result<Found> {
    if let Some(host) = &surroundings.docker_host {
        let tls = surroundings.docker_tls_verify.is_some().then(|| environment_tls(surroundings, disk)).transpose()?;
        return found(host, tls, "DOCKER_HOST".into());
    }
    let (name, named_by) = match &surroundings.docker_context {
        Some(name) => (name.clone(), "DOCKER_CONTEXT"),
        None => (current_context(surroundings, disk)?, "config.json"),
    };
    if name.is_empty() || name == "default" {
        return found(DEFAULT, None, "Docker's default".into());
    }
    let found_by = format!("the Docker context `{name}`, named by {named_by}");
    let Some(contexts) = surroundings.config_folder().map(|config| config.join("contexts")) else {
        return Err(DockerError::BadAddress {
            found_by,
            problem: "neither HOME nor DOCKER_CONFIG says where contexts are".into(),
        });
    };
    context(&contexts, &name, found_by, disk)
}

fn found(address: &str, tls: Option<TlsFiles>, found_by: String) -> Result<Found> {
    match Place::parse(address, tls) {
        Ok(place) => Ok(Found { place, found_by }),
        Err(problem) => Err(DockerError::BadAddress { found_by, problem }),
    }
}

/// The name in `config.json`; empty when there is no such file.
fn current_context(surroundings: &Surroundings, disk: &dyn Disk) -> Result<String> {
    let Some(path) = surroundings.config_folder().map(|config| config.join("config.json")) else {
        return Ok(String::new());
    };
    if !disk.exists(&path).unwrap_or(false) {
        return Ok(String::new());
    }
    let config = json(&path, disk)
        .map_err(|problem| DockerError::BadAddress { found_by: "Docker's configuration".into(), problem })?;
    Ok(config["currentContext"].as_str().unwrap_or_default().to_owned())
}

/// The folders are called by a hash of the name; the name itself is in the file, so all are looked through.
fn context(contexts: &Path, name: &str, found_by: String, disk: &dyn Disk) -> Result<Found> {
    let bad = |problem: String| DockerError::BadAddress { found_by: found_by.clone(), problem };
    let meta = contexts.join("meta");
    let folders = disk.list(&meta).unwrap_or_default();
    for folder in folders.iter().filter(|entry| entry.is_folder).take(CONTEXTS_MAX) {
        let path = meta.join(&folder.name).join("meta.json");
        // Another context's broken file is not this one's problem.
        let Ok(context) = json(&path, disk) else { continue };
        if context["Name"].as_str() != Some(name) {
            continue;
        }
        let endpoint = &context["Endpoints"]["docker"];
        let host = endpoint["Host"].as_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| bad(format!("{} names no host of an engine", path.display())))?;
        let pems = contexts.join("tls").join(&folder.name).join("docker");
        let tls = disk.exists(&pems.join("ca.pem")).unwrap_or(false);
        if endpoint["SkipTLSVerify"].as_bool() == Some(true) {
            return Err(bad(format!(
                "{} asks for TLS that is not checked (SkipTLSVerify); give the context the CA of its engine instead",
                path.display()
            )));
        }
        let tls = tls.then(|| tls_files(&pems, disk)).transpose().map_err(&bad)?;
        return self::found(host, tls, found_by);
    }
    Err(bad(format!("no file below {} has this name; `docker context ls` lists those there are", meta.display())))
}

fn environment_tls(surroundings: &Surroundings, disk: &dyn Disk) -> Result<TlsFiles> {
    let bad = |problem: String| DockerError::BadAddress { found_by: "DOCKER_TLS_VERIFY".into(), problem };
    let folder = surroundings.docker_cert_path.clone().or_else(|| surroundings.config_folder());
    let folder =
        folder.ok_or_else(|| bad("DOCKER_CERT_PATH does not say where ca.pem, cert.pem and key.pem are".into()))?;
    tls_files(&folder, disk).map_err(bad)
}

fn tls_files(folder: &Path, disk: &dyn Disk) -> std::result::Result<TlsFiles, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        disk.read(&path, FILE_BYTES_MAX).map_err(|error| format!("{}: {error}", path.display()))
    };
    let there = |name: &str| disk.exists(&folder.join(name)).unwrap_or(false);
    let identity =
        if there("cert.pem") || there("key.pem") { Some((read("cert.pem")?, read("key.pem")?)) } else { None };
    Ok(TlsFiles { ca: read("ca.pem")?, identity })
}

fn json(path: &Path, disk: &dyn Disk) -> std::result::Result<Value, String> {
    let bytes = disk.read(path, FILE_BYTES_MAX).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{} is no JSON: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base_world::{World, replace_file};

    use super::{Surroundings, find};

    /// A home with two contexts, one of them with certificates and one broken beside them.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a temporary folder");
        let put = |path: &str, text: &str| {
            let disk = World::real().disk;
            let path = home.path().join(".docker").join(path);
            disk.create_folder(path.parent().expect("a file is in a folder")).expect("made");
            replace_file(&*disk, &path, text.as_bytes()).expect("written");
        };
        put("config.json", r#"{"currentContext":"rootless","auths":{}}"#);
        put(
            "contexts/meta/a1/meta.json",
            r#"{"Name":"rootless","Endpoints":{"docker":{"Host":"unix:///run/user/7/docker.sock"}}}"#,
        );
        put("contexts/meta/a2/meta.json", "not JSON");
        put(
            "contexts/meta/a3/meta.json",
            r#"{"Name":"prod","Endpoints":{"docker":{"Host":"tcp://prod:2376","SkipTLSVerify":false}}}"#,
        );
        put("contexts/tls/a3/docker/ca.pem", "CA");
        put("contexts/meta/a4/meta.json", r#"{"Name":"empty","Endpoints":{}}"#);
        put(
            "contexts/meta/a5/meta.json",
            r#"{"Name":"lax","Endpoints":{"docker":{"Host":"tcp://lax:2376","SkipTLSVerify":true}}}"#,
        );
        home
    }

    /// The address and who named it, or words of the refusal, for `NAME=value` words and a home.
    fn check(variables: &[(&str, &str)], home: Option<&Path>, expect: Result<(&str, &str), &str>) {
        let home = home.map(|home| home.display().to_string());
        let value = |name: &str| match (name, &home) {
            ("HOME", Some(home)) => Some(home.clone()),
            _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        let got = find(&Surroundings::from_variables(value), &*World::real().disk);
        match (got, expect) {
            (Ok(found), Ok((place, by))) => {
                assert_eq!(found.place.to_string(), place, "{variables:?}");
                assert!(found.found_by.contains(by), "{} should speak of {by}", found.found_by);
            }
            (Err(error), Err(expect)) => {
                let text = error.to_string();
                assert!(text.contains(expect), "{text} should speak of {expect}");
            }
            (got, _) => panic!("{variables:?}: {got:?}"),
        }
    }

    #[test]
    fn as_docker_looks() {
        let home = home();
        let some = Some(home.path());
        check(&[], None, Ok(("unix:///var/run/docker.sock", "default")));
        check(&[("DOCKER_HOST", "")], None, Ok(("unix:///var/run/docker.sock", "default")));
        check(&[("DOCKER_HOST", "tcp://h:1")], some, Ok(("tcp://h:1", "DOCKER_HOST")));
        check(&[], some, Ok(("unix:///run/user/7/docker.sock", "`rootless`, named by config.json")));
        check(&[("DOCKER_CONTEXT", "prod")], some, Ok(("tcp://prod:2376", "`prod`, named by DOCKER_CONTEXT")));
        check(&[("DOCKER_CONTEXT", "default")], some, Ok(("unix:///var/run/docker.sock", "default")));
        check(&[("DOCKER_HOST", "unix://relative")], some, Err("DOCKER_HOST"));
        check(&[("DOCKER_CONTEXT", "gone")], some, Err("docker context ls"));
        check(&[("DOCKER_CONTEXT", "empty")], some, Err("names no host"));
        check(&[("DOCKER_CONTEXT", "lax")], some, Err("SkipTLSVerify"));
        check(&[("DOCKER_CONTEXT", "prod")], None, Err("HOME"));
        check(
            &[("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/none")],
            some,
            Err("ca.pem"),
        );
    }

    #[test]
    fn certificates_of_a_context_are_taken() {
        let home = home();
        let surroundings =
            Surroundings { docker_context: Some("prod".into()), home: Some(home.path().into()), ..Default::default() };
        let found = find(&surroundings, &*World::real().disk).expect("found");
        let super::Place::Tcp { tls: Some(tls), .. } = found.place else { panic!("no TLS: {:?}", found.place) };
        assert_eq!((tls.ca.as_slice(), tls.identity), (&b"CA"[..], None));
    }
}
