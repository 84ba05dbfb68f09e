//! Kubeconfig files, merged as kubectl merges them: of each name the first file that has it counts, and of `current-context` the first that says one.
//! Source: <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/> and the `v1` types of client-go's clientcmd. It
//! opens no connection and starts no program.

use std::path::{Path, PathBuf};

use base_world::Disk;
use base64::Engine as _;

use crate::exec::ExecPlugin;
use crate::yaml::{Document, Node};
use crate::{KubeError, Result, Secret};

/// A kubeconfig with certificates for hundreds of clusters.
const FILE_BYTES_MAX: u64 = 16 << 20;
const FILES_MAX: usize = 100;
const ENTRIES_MAX: usize = 10_000;

/// The files, read.
pub(crate) struct Kubeconfig {
    documents: Vec<(Document, PathBuf)>,
    /// In words: the files' names.
    pub(crate) files: String,
}

/// A named entry and the file it stands in: relative paths in it begin there.
pub(crate) struct Entry<'k> {
    pub(crate) name: String,
    pub(crate) document: &'k Document,
    pub(crate) folder: &'k Path,
    pub(crate) node: &'k Node,
}

impl Kubeconfig {
    /// Of `paths` those that are there; `None` when none is. `must_be_there`: the person named them.
    pub(crate) fn read(paths: &[PathBuf], must_be_there: bool, disk: &dyn Disk) -> Result<Option<Self>> {
        let mut documents = Vec::new();
        for path in paths.iter().take(FILES_MAX) {
            let file = path.display().to_string();
            if !must_be_there && !disk.exists(path).unwrap_or(false) {
                continue;
            }
            let bytes = disk.read(path, FILE_BYTES_MAX);
            let bytes =
                bytes.map_err(|error| KubeError::Config { place: Some(file.clone()), problem: error.to_string() })?;
            let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
            documents.push((Document::parse(&file, &bytes)?, folder));
        }
        let files: Vec<_> = documents.iter().map(|(document, _)| document.file.clone()).collect();
        Ok((!documents.is_empty()).then(|| Self { documents, files: files.join(", ") }))
    }

    /// Nothing in any of them: kubectl then looks further.
    pub(crate) fn is_empty(&self) -> bool {
        let has = |document: &Document| {
            ["clusters", "contexts", "users", "current-context"].iter().any(|key| {
                document
                    .root
                    .get(key)
                    .is_some_and(|node| !matches!(&node.value, crate::yaml::Value::Text(text) if text.is_empty()))
            })
        };
        !self.documents.iter().any(|(document, _)| has(document))
    }

    pub(crate) fn current_context(&self) -> Result<Option<String>> {
        for (document, _) in &self.documents {
            if let Some(name) = document.text(&document.root, "current-context")? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The entries of `clusters`, `users` or `contexts`, each name once.
    pub(crate) fn entries(&self, list: &str, inner: &str) -> Result<Vec<Entry<'_>>> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for (document, folder) in &self.documents {
            for item in document.list(&document.root, list)?.iter().take(ENTRIES_MAX) {
                let Some(name) = document.text(item, "name")? else {
                    return Err(document.bad(item, format!("an entry of `{list}` without a `name`")));
                };
                if !entries.iter().any(|known| known.name == name) {
                    let node = item.get(inner).unwrap_or(item);
                    entries.push(Entry { name, document, folder, node });
                }
            }
        }
        Ok(entries)
    }

    /// `named`: who wants it, for the error.
    pub(crate) fn entry(
        &self,
        list: &str,
        inner: &str,
        name: &str,
        named: &dyn Fn(String) -> KubeError,
    ) -> Result<Entry<'_>> {
        let mut entries = self.entries(list, inner)?;
        match entries.iter().position(|entry| entry.name == name) {
            Some(at) => Ok(entries.swap_remove(at)),
            None => {
                let known: Vec<_> = entries.iter().take(20).map(|entry| format!("`{}`", entry.name)).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(named(format!("there is no {inner} `{name}`; in {} there are: {known}", self.files)))
            }
        }
    }
}

/// Bytes given in the file itself or by another file.
#[derive(Clone)]
pub(crate) enum Bytes {
    Here(Vec<u8>),
    /// Read when needed: it may be exchanged while we run.
    File(PathBuf),
}

impl Bytes {
    pub(crate) fn read(&self, disk: &dyn Disk) -> std::result::Result<Vec<u8>, String> {
        match self {
            Self::Here(bytes) => Ok(bytes.clone()),
            Self::File(path) => disk.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl Entry<'_> {
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        self.document.text(self.node, key)
    }

    pub(crate) fn bad(&self, key: &str, problem: impl Into<String>) -> KubeError {
        self.document.bad(self.node.get(key).unwrap_or(self.node), problem)
    }

    /// `KEY-data` in base64, else the file `KEY`.
    pub(crate) fn bytes(&self, key: &str) -> Result<Option<Bytes>> {
        let data = format!("{key}-data");
        if let Some(text) = self.text(&data)? {
            let text: String = text.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            return Ok(Some(Bytes::Here(bytes.map_err(|_| self.bad(&data, format!("`{data}` is not base64")))?)));
        }
        Ok(self.text(key)?.map(|path| Bytes::File(self.folder.join(path))))
    }

    /// What presents itself to the server, besides a certificate.
    pub(crate) fn login(&self) -> Result<Login> {
        if self.node.get("auth-provider").is_some() {
            let name = self.node.get("auth-provider").and_then(|node| self.document.text(node, "name").ok().flatten());
            let problem = format!(
                "`auth-provider` ({}) is no longer part of Kubernetes; use the provider's program by `exec`",
                name.unwrap_or_default()
            );
            return Err(self.bad("auth-provider", problem));
        }
        if let Some(exec) = self.node.get("exec") {
            return Ok(Login::Exec(Box::new(self.exec(exec)?)));
        }
        if let Some(path) = self.text("tokenFile")? {
            return Ok(Login::TokenFile(self.folder.join(path)));
        }
        if let Some(token) = self.text("token")? {
            return Ok(Login::Token(Secret::new(token)));
        }
        Ok(match (self.text("username")?, self.text("password")?) {
            (Some(username), password) => Login::Basic(username, Secret::new(password.unwrap_or_default())),
            _ => Login::None,
        })
    }

    fn exec(&self, node: &Node) -> Result<ExecPlugin> {
        let text = |key: &str| self.document.text(node, key);
        let at = |key: &str, problem: String| self.document.bad(node.get(key).unwrap_or(node), problem);
        let api_version = text("apiVersion")?.unwrap_or_default();
        if !matches!(api_version.as_str(), "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1") {
            let problem = "`apiVersion` of `exec` must be client.authentication.k8s.io/v1 or v1beta1; update the program and its entry";
            return Err(at("apiVersion", problem.into()));
        }
        let command = text("command")?.ok_or_else(|| at("command", "`exec` without a `command`".into()))?;
        // With a slash it is a path from the file's folder, without one it is searched for.
        let command = if command.contains('/') { self.folder.join(&command).into_os_string() } else { command.into() };
        let mode = text("interactiveMode")?;
        if mode.as_deref() == Some("Always") {
            let problem = "the program wants a terminal (`interactiveMode: Always`), and there is none here; log in by another way";
            return Err(at("interactiveMode", problem.into()));
        }
        let mut arguments = Vec::new();
        for item in self.document.list(node, "args")? {
            match &item.value {
                crate::yaml::Value::Text(text) => arguments.push(text.clone()),
                _ => return Err(self.document.bad(item, "an argument must be a text")),
            }
        }
        let mut environment = Vec::new();
        for item in self.document.list(node, "env")? {
            let name = self
                .document
                .text(item, "name")?
                .ok_or_else(|| self.document.bad(item, "a variable without a `name`"))?;
            environment.push((name, Secret::new(self.document.text(item, "value")?.unwrap_or_default())));
        }
        let (install_hint, provide_cluster) = (text("installHint")?, self.document.truth(node, "provideClusterInfo")?);
        Ok(ExecPlugin { api_version, command, arguments, environment, install_hint, provide_cluster })
    }
}

/// How to say who we are.
#[derive(Clone)]
pub(crate) enum Login {
    None,
    Token(Secret),
    /// Read again and again: whoever writes it exchanges it before it ends.
    TokenFile(PathBuf),
    Basic(String, Secret),
    Exec(Box<ExecPlugin>),
}
