//! Finds the cluster as `kubectl` does: a kubeconfig named by hand, those of `KUBECONFIG`, `~/.kube/config`, and inside of a pod its service account.
//! It reads files only, asks no server, starts no program, and is handed the environment.

use std::fmt;
use std::path::PathBuf;

use base_world::Disk;

use crate::kubeconfig::{Bytes, Entry, Kubeconfig, Login};
use crate::{KubeError, Result};

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const NAMESPACE_BYTES_MAX: u64 = 1 << 10;

/// What the environment of the calling program says; empty values count as not set.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `KUBECONFIG`: paths, between them `:` (`;` on Windows).
    pub kubeconfig: Option<String>,
    pub home: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: set in a pod.
    pub service_host: Option<String>,
    pub service_port: Option<String>,
    /// Another folder than a pod's own; for tests.
    pub service_account: Option<PathBuf>,
    pub https_proxy: Option<String>,
    pub http_proxy: Option<String>,
    pub no_proxy: Option<String>,
}

impl Surroundings {
    /// Asks for each variable by its name.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            kubeconfig: set("KUBECONFIG"),
            home: set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from),
            service_host: set("KUBERNETES_SERVICE_HOST"),
            service_port: set("KUBERNETES_SERVICE_PORT"),
            service_account: None,
            https_proxy: set("HTTPS_PROXY").or_else(|| set("https_proxy")),
            http_proxy: set("HTTP_PROXY").or_else(|| set("http_proxy")),
            no_proxy: set("NO_PROXY").or_else(|| set("no_proxy")),
        }
    }

    fn read(&self, choice: &Choice, disk: &dyn Disk) -> Result<Option<Kubeconfig>> {
        if let Some(path) = &choice.kubeconfig {
            return Kubeconfig::read(std::slice::from_ref(path), true, disk);
        }
        let separator = if cfg!(windows) { ';' } else { ':' };
        let paths: Vec<PathBuf> = match (&self.kubeconfig, &self.home) {
            (Some(list), _) => list.split(separator).filter(|path| !path.is_empty()).map(PathBuf::from).collect(),
            (None, Some(home)) => vec![home.join(".kube").join("config")],
            (None, None) => Vec::new(),
        };
        Kubeconfig::read(&paths, false, disk)
    }
}

/// What a person chose instead of what the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `--kubeconfig`: this file alone, and it must be there.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`
    pub context: Option<String>,
    /// `--namespace`
    pub namespace: Option<String>,
}

/// A context as `kubectl config get-contexts` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextListed {
    pub name: String,
    pub cluster: String,
    /// Empty when no entry has the cluster's name.
    pub server: String,
    pub user: String,
    pub namespace: String,
    pub current: bool,
}

/// An API server's address, how to log in there, and what named it. Its `Debug` shows no login.
#[derive(Clone)]
pub struct Found {
    /// `https://10.0.0.1:6443`
    pub server: String,
    /// In words for a person: "the context `prod` of /home/me/.kube/config", "this pod's service account".
    pub found_by: String,
    /// `None` in a pod and for [`Found::at`].
    pub context: Option<String>,
    /// Where namespaced objects are looked for when nobody says where.
    pub namespace: String,
    pub(crate) tls: Tls,
    pub(crate) login: Login,
    /// `Impersonate-User` and its like.
    pub(crate) acting_as: Vec<(String, String)>,
    pub(crate) proxy: Option<String>,
    pub(crate) surrounding_proxies: [Option<String>; 3],
}

#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// `None`: the authorities that this machine trusts.
    pub(crate) authority: Option<Bytes>,
    pub(crate) identity: Option<(Bytes, Bytes)>,
    pub(crate) server_name: Option<String>,
    pub(crate) insecure: bool,
}

impl fmt::Debug for Found {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Found")
            .field("server", &self.server)
            .field("found_by", &self.found_by)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Found {
    /// A server that wants no login: `kubectl proxy`, a fake one of a test.
    pub fn at(server: &str, found_by: &str) -> Self {
        Self {
            server: server.to_owned(),
            found_by: found_by.to_owned(),
            context: None,
            namespace: "default".to_owned(),
            tls: Tls::default(),
            login: Login::None,
            acting_as: Vec::new(),
            proxy: None,
            surrounding_proxies: [None, None, None],
        }
    }

    /// The same server with another login: a bearer token, and no certificate.
    pub fn with_token(mut self, token: crate::Secret) -> Self {
        self.tls.identity = None;
        self.login = Login::Token(token);
        self
    }
}

/// The contexts of all files, in their order.
pub fn contexts(surroundings: &Surroundings, choice: &Choice, disk: &dyn Disk) -> Result<Vec<ContextListed>> {
    let Some(config) = surroundings.read(choice, disk)? else { return Ok(Vec::new()) };
    let current = choice.context.clone().or(config.current_context()?);
    let clusters = config.entries("clusters", "cluster")?;
    let list = |entry: &Entry<'_>| {
        let cluster = entry.text("cluster")?.unwrap_or_default();
        let server = match clusters.iter().find(|known| known.name == cluster) {
            Some(known) => known.text("server")?.unwrap_or_default(),
            None => String::new(),
        };
        let (user, namespace) = (entry.text("user")?.unwrap_or_default(), entry.text("namespace")?);
        let (name, current) = (entry.name.clone(), current.as_deref() == Some(entry.name.as_str()));
        let server = without_login(&server);
        Ok(ContextListed {
            name,
            cluster,
            server,
            user,
            namespace: namespace.unwrap_or_else(|| "default".into()),
            current,
        })
    };
    config.entries("contexts", "context")?.iter().map(list).collect()
}

/// Finds the cluster; a file that cannot be used is an error that names its place, never a fall to the next.
pub fn find(surroundings: &Surroundings, choice: &Choice, disk: &dyn Disk) -> Result<Found> {
    match surroundings.read(choice, disk)?.filter(|config| !config.is_empty()) {
        Some(config) => in_file(&config, surroundings, choice),
        None => in_pod(surroundings, choice, disk),
    }
}

fn in_file(config: &Kubeconfig, surroundings: &Surroundings, choice: &Choice) -> Result<Found> {
    let plain = |problem: String| KubeError::Config { place: None, problem };
    let name = match (&choice.context, config.current_context()?) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name,
        (None, None) => return Err(plain(format!("{} names no `current-context`; choose one", config.files))),
    };
    let context = config.entry("contexts", "context", &name, &plain)?;
    let cluster_name =
        context.text("cluster")?.ok_or_else(|| context.bad("cluster", "a context without a `cluster`"))?;
    let cluster = config.entry("clusters", "cluster", &cluster_name, &|problem| context.bad("cluster", problem))?;
    let user = match context.text("user")? {
        Some(user) => Some(config.entry("users", "user", &user, &|problem| context.bad("user", problem))?),
        None => None,
    };

    let server = cluster.text("server")?.ok_or_else(|| cluster.bad("server", "a cluster without a `server`"))?;
    let server = checked(&server).map_err(|problem| cluster.bad("server", problem))?;
    let insecure = cluster.document.truth(cluster.node, "insecure-skip-tls-verify")?;
    let authority = cluster.bytes("certificate-authority")?;
    if insecure && authority.is_some() {
        let problem = "`insecure-skip-tls-verify` beside a `certificate-authority`: keep one of them";
        return Err(cluster.bad("insecure-skip-tls-verify", problem));
    }
    let proxy = cluster.text("proxy-url")?;
    if let Some(proxy) = &proxy {
        crate::transport::check_proxy(proxy).map_err(|problem| cluster.bad("proxy-url", problem))?;
    }
    let mut tls = Tls { authority, identity: None, server_name: cluster.text("tls-server-name")?, insecure };
    let (mut login, mut acting_as) = (Login::None, Vec::new());
    if let Some(user) = &user {
        tls.identity = match (user.bytes("client-certificate")?, user.bytes("client-key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(
                    user.bad("client-certificate", "a client certificate wants its key, and a key its certificate")
                );
            }
        };
        login = user.login()?;
        acting_as = impersonation(user)?;
    }
    let namespace = choice.namespace.clone().or(context.text("namespace")?).unwrap_or_else(|| "default".into());
    let found_by = format!("the context `{name}` of {}", context.document.file);
    let surrounding_proxies = proxies(surroundings);
    Ok(Found { server, found_by, context: Some(name), namespace, tls, login, acting_as, proxy, surrounding_proxies })
}

fn impersonation(user: &Entry<'_>) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    let texts = |key: &str| -> Result<Vec<String>> {
        let items = user.document.list(user.node, key)?.iter();
        Ok(items
            .filter_map(|item| if let crate::yaml::Value::Text(text) = &item.value { Some(text.clone()) } else { None })
            .collect())
    };
    if let Some(name) = user.text("as")? {
        headers.push(("impersonate-user".to_owned(), name));
    }
    if let Some(uid) = user.text("as-uid")? {
        headers.push(("impersonate-uid".to_owned(), uid));
    }
    headers.extend(texts("as-groups")?.into_iter().map(|group| ("impersonate-group".to_owned(), group)));
    if let Some(extra) = user.node.get("as-user-extra") {
        let problem = "`as-user-extra` is not sent from here; impersonate without it";
        return Err(user.document.bad(extra, problem));
    }
    if headers.first().is_some_and(|(name, _)| name != "impersonate-user") {
        return Err(user.bad("as-groups", "`as-uid` and `as-groups` want a user to act `as`"));
    }
    Ok(headers)
}

fn in_pod(surroundings: &Surroundings, choice: &Choice, disk: &dyn Disk) -> Result<Found> {
    let (Some(host), Some(port)) = (&surroundings.service_host, &surroundings.service_port) else {
        let problem = "there is no kubeconfig (KUBECONFIG, ~/.kube/config), and this is no pod of a cluster";
        return Err(KubeError::Config { place: None, problem: problem.into() });
    };
    let folder = surroundings.service_account.clone().unwrap_or_else(|| SERVICE_ACCOUNT.into());
    let token = folder.join("token");
    if !disk.exists(&token).unwrap_or(false) {
        let problem = format!("this pod has no token of a service account at {}", token.display());
        return Err(KubeError::Config { place: None, problem });
    }
    let namespace = disk.read(&folder.join("namespace"), NAMESPACE_BYTES_MAX).unwrap_or_default();
    let namespace = String::from_utf8_lossy(&namespace).trim().to_owned();
    let namespace = if namespace.is_empty() { "default".to_owned() } else { namespace };
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let server = checked(&format!("https://{host}:{port}"))
        .map_err(|problem| KubeError::Config { place: Some("KUBERNETES_SERVICE_HOST".into()), problem })?;
    Ok(Found {
        server,
        found_by: "this pod's service account".into(),
        context: None,
        namespace: choice.namespace.clone().unwrap_or(namespace),
        tls: Tls { authority: Some(Bytes::File(folder.join("ca.crt"))), ..Tls::default() },
        login: Login::TokenFile(token),
        acting_as: Vec::new(),
        proxy: None,
        surrounding_proxies: proxies(surroundings),
    })
}

pub(crate) fn proxies(surroundings: &Surroundings) -> [Option<String>; 3] {
    [surroundings.https_proxy.clone(), surroundings.http_proxy.clone(), surroundings.no_proxy.clone()]
}

/// The address without a slash at its end. A login inside of it would be shown with every error.
pub(crate) fn checked(server: &str) -> std::result::Result<String, String> {
    // kubectl takes a bare host for http, where no login is sent: said here instead of a puzzle later.
    let url = url::Url::parse(server)
        .map_err(|error| format!("`server` is no address ({error}); it looks like https://HOST:6443"))?;
    match url.scheme() {
        "https" | "http" => {}
        other => return Err(format!("`server` begins with {other}:, not with https: or http:")),
    }
    if url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() || url.password().is_some() {
        return Err("`server` must be a host and its port, without a login".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn without_login(server: &str) -> String {
    checked(server).unwrap_or_default()
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
