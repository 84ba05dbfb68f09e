//! The logins that `docker login` keeps: `config.json` with `auths`, `credHelpers` and `credsStore`, read and written as Docker does, so that one login
//! serves both. Source: <https://docs.docker.com/reference/cli/docker/login/>. A configuration that cannot be read is an error, never "nobody".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base_http::Secret;
use base_world::Disk;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::helper::Helper;
use crate::reference::DOCKER_HUB;
use crate::{Credentials, Login, RegistryError, private};

/// What Docker Hub is called in the file and to helpers, since its first API.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Of a person with many registries it has some kilobytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Docker's `config.json` and the programs that it names.
#[derive(Clone)]
pub struct DockerLogins {
    disk: Arc<dyn Disk>,
    /// Where `config.json` is, if there is a home.
    folder: Option<PathBuf>,
    /// `PATH`, where the helpers are looked for.
    search: Option<String>,
}

/// Where a login went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the file, readable by its owner only; anybody who can read the file can use the login.
    File(PathBuf),
    /// Given to the program `docker-credential-NAME`.
    Helper(String),
}

impl std::fmt::Display for Kept {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kept::File(path) => write!(to, "{}", path.display()),
            Kept::Helper(name) => write!(to, "docker-credential-{name}"),
        }
    }
}

impl DockerLogins {
    /// Asks for each variable by its name: `DOCKER_CONFIG`, else `.docker` below `HOME`.
    pub fn from_variables(disk: Arc<dyn Disk>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".docker"));
        let search = variable("PATH");
        DockerLogins { disk, folder: set("DOCKER_CONFIG").or_else(home), search }
    }

    /// With the `config.json` of this folder, and helpers of this process's own `PATH`.
    pub fn new(disk: Arc<dyn Disk>, folder: Option<PathBuf>) -> Self {
        DockerLogins { disk, folder, search: None }
    }

    fn program(&self, name: &str, registry: &str) -> Helper {
        Helper { name: name.to_owned(), registry: registry.to_owned(), search: self.search.clone() }
    }

    fn path(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("config.json"))
    }

    fn read(&self, registry: &str) -> Result<Map<String, Value>, RegistryError> {
        let Some(path) = self.path() else { return Ok(Map::new()) };
        let bad = |problem: String| RegistryError::Login { registry: registry.to_owned(), problem };
        if !self.disk.exists(&path).map_err(|error| bad(error.to_string()))? {
            return Ok(Map::new());
        }
        let bytes = self.disk.read(&path, FILE_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        // The reason says a place, never the text: it may be a password.
        let read = serde_json::from_slice(&bytes);
        read.map_err(|error| bad(format!("{} line {}: it is no JSON object", path.display(), error.line())))
    }

    /// The helper that has this registry's login: its own, else the one for all.
    fn helper(config: &Map<String, Value>, registry: &str) -> Option<String> {
        let own = config.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
            let (_, name) = helpers.iter().find(|(key, _)| host(key) == registry)?;
            name.as_str()
        });
        let all = || config.get("credsStore").and_then(Value::as_str);
        own.or_else(all).filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// Keeps a login as `docker login` would. Everything else in the file stays.
    pub async fn keep(&self, registry: &str, username: &str, password: &Secret) -> Result<Kept, RegistryError> {
        let mut config = self.read(registry)?;
        if let Some(name) = Self::helper(&config, registry) {
            let login = json!({"ServerURL": key(registry), "Username": username, "Secret": password.expose()});
            self.program(&name, registry).run("store", login.to_string().into_bytes()).await?;
            return Ok(Kept::Helper(name));
        }
        let auth = STANDARD.encode(format!("{username}:{}", password.expose()));
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        if let Value::Object(auths) = auths {
            auths.retain(|key, _| host(key) != registry);
            auths.insert(key(registry), json!({"auth": auth}));
        }
        self.write(registry, config).map(Kept::File)
    }

    /// Forgets a login; false when there was none.
    pub async fn forget(&self, registry: &str) -> Result<bool, RegistryError> {
        let mut config = self.read(registry)?;
        let mut known = false;
        if let Some(name) = Self::helper(&config, registry) {
            known = self.program(&name, registry).get(&key(registry)).await?.is_some();
            if known {
                self.program(&name, registry).run("erase", key(registry).into_bytes()).await?;
            }
        }
        let before = config.get("auths").and_then(Value::as_object).map_or(0, Map::len);
        if let Some(Value::Object(auths)) = config.get_mut("auths") {
            auths.retain(|key, _| host(key) != registry);
        }
        if config.get("auths").and_then(Value::as_object).map_or(0, Map::len) != before {
            self.write(registry, config)?;
            known = true;
        }
        Ok(known)
    }

    fn write(&self, registry: &str, config: Map<String, Value>) -> Result<PathBuf, RegistryError> {
        let bad = |problem: String| RegistryError::Login { registry: registry.to_owned(), problem };
        let path = self.path().ok_or_else(|| bad("neither HOME nor DOCKER_CONFIG says where to keep it".into()))?;
        let text = serde_json::to_string_pretty(&Value::Object(config)).map_err(|error| bad(error.to_string()))?;
        private::replace(&*self.disk, &path, text.as_bytes()).map_err(|error| bad(error.to_string()))?;
        Ok(path)
    }
}

#[async_trait]
impl Login for DockerLogins {
    async fn credentials(&self, registry: &str) -> Result<Option<Credentials>, RegistryError> {
        let config = self.read(registry)?;
        if let Some(name) = Self::helper(&config, registry)
            && let Some(found) = self.program(&name, registry).get(&key(registry)).await?
        {
            return Ok(Some(found));
        }
        let Some(entry) = config
            .get("auths")
            .and_then(Value::as_object)
            .and_then(|auths| auths.iter().find(|(key, _)| host(key) == registry))
        else {
            return Ok(None);
        };
        from_entry(entry.1).map_err(|problem| RegistryError::Login {
            registry: registry.to_owned(),
            problem: format!("{}, `auths`: {problem}", self.path().as_deref().unwrap_or(Path::new("")).display()),
        })
    }
}

/// `{"auth": base64 of name:password}`, or the two apart, or `identitytoken`, or `registrytoken`; an empty entry says that a helper has it.
fn from_entry(entry: &Value) -> Result<Option<Credentials>, &'static str> {
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::Identity { token: Secret::new(token) }));
    }
    if let Some(token) = text("registrytoken") {
        return Ok(Some(Credentials::Bearer { token: Secret::new(token) }));
    }
    if let Some(auth) = text("auth") {
        let bytes = STANDARD.decode(auth).map_err(|_| "`auth` is no base64")?;
        let plain = String::from_utf8(bytes).map_err(|_| "`auth` is no text")?;
        let (username, password) = plain.split_once(':').ok_or("`auth` has no colon between name and password")?;
        // Docker once padded passwords with zeros.
        return Ok(Some(Credentials::password(username, password.trim_end_matches('\0'))));
    }
    Ok(text("username").zip(text("password")).map(|(username, password)| Credentials::password(username, password)))
}

/// What the file calls a registry.
fn key(registry: &str) -> String {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY.to_owned() } else { registry.to_owned() }
}

/// Keys were written in many ways: `https://r.example.org/v2/` is `r.example.org`.
fn host(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use base_world::World;

    use super::*;

    fn logins(config: &str) -> (tempfile::TempDir, DockerLogins) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("docker").display().to_string();
        let variable = |name: &str| (name == "DOCKER_CONFIG").then(|| place.clone());
        let logins = DockerLogins::from_variables(World::real().disk, variable);
        if !config.is_empty() {
            let path = logins.path().expect("a path");
            private::replace(&*logins.disk, &path, config.as_bytes()).expect("written");
        }
        (folder, logins)
    }

    /// What is known of a registry, or a word of the error.
    async fn check(config: &str, registry: &str, expect: Result<Option<Credentials>, &str>) {
        let (_folder, logins) = logins(config);
        match (logins.credentials(registry).await, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{config}"),
            (Err(error), Err(word)) => {
                assert!(error.to_string().contains(word), "{error}");
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
            (found, expect) => panic!("{config}: {found:?}, not {expect:?}"),
        }
    }

    #[tokio::test]
    async fn logins_are_read_as_docker_wrote_them() {
        let ann = || Ok(Some(Credentials::password("ann", "hunter2:x")));
        // ann:hunter2:x
        let auth = r#"{"auth": "YW5uOmh1bnRlcjI6eA=="}"#;
        check(&format!(r#"{{"auths": {{"r.example.org:5000": {auth}}}}}"#), "r.example.org:5000", ann()).await;
        check(&format!(r#"{{"auths": {{"https://index.docker.io/v1/": {auth}}}}}"#), "docker.io", ann()).await;
        check(&format!(r#"{{"auths": {{"https://r.example.org/v2/": {auth}}}}}"#), "r.example.org", ann()).await;
        check(&format!(r#"{{"auths": {{"r.example.org": {auth}}}}}"#), "other.example.org", Ok(None)).await;
        let apart = r#"{"auths": {"r": {"username": "ann", "password": "hunter2:x"}}}"#;
        check(apart, "r", ann()).await;
        let identity = Credentials::Identity { token: Secret::new("t") };
        check(r#"{"auths": {"r": {"auth": "YTo=", "identitytoken": "t"}}}"#, "r", Ok(Some(identity))).await;
        check(r#"{"auths": {"r": {}}}"#, "r", Ok(None)).await;
        check("", "r", Ok(None)).await;
        check("  ", "r", Ok(None)).await;
        check("{\"auths\":\n \"hunter2", "r", Err("config.json line 2: it is no JSON object")).await;
        check(r#"{"auths": {"r": {"auth": "hunter2!"}}}"#, "r", Err("no base64")).await;
        check(r#"{"auths": {"r": {"auth": "aHVudGVyMg=="}}}"#, "r", Err("no colon")).await;
        check(r#"{"credsStore": "../../bin/sh"}"#, "r", Err("no name of a helper")).await;
        check(r#"{"credsStore": "apm-none"}"#, "r", Err("docker-credential-apm-none")).await;
    }

    #[tokio::test]
    async fn a_login_is_kept_for_its_owner_alone_and_forgotten() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, logins) = logins(r#"{"HttpHeaders": {"x": "y"}, "auths": {"https://r/v1/": {"auth": "YTpi"}}}"#);
        let kept = logins.keep("r", "ann", &Secret::new("hunter2")).await.expect("kept");
        let path = logins.path().expect("a path");
        assert_eq!(kept, Kept::File(path.clone()));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let folder = path.parent().expect("a folder");
        assert_eq!(std::fs::metadata(folder).expect("there").permissions().mode() & 0o777, 0o700);
        let expect = Credentials::password("ann", "hunter2");
        assert_eq!(logins.credentials("r").await, Ok(Some(expect)));
        let config = logins.read("r").expect("JSON");
        assert_eq!(config["HttpHeaders"]["x"], "y");
        assert_eq!(config["auths"].as_object().map(Map::len), Some(1), "the older spelling is replaced");
        assert_eq!(logins.forget("r").await, Ok(true));
        assert_eq!(logins.credentials("r").await, Ok(None));
        assert_eq!(logins.forget("r").await, Ok(false));
        // Docker Hub under the name that Docker looks for.
        logins.keep("docker.io", "ann", &Secret::new("x")).await.expect("kept");
        assert!(logins.read("r").expect("JSON")["auths"].get(DOCKER_HUB_KEY).is_some());
    }
}
