//! `kubernetes_sd_configs` as written, and what of it cannot be meant. It does not know how the server is reached.

use std::fmt;

use serde::Deserialize;

use super::selector;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Node,
    Pod,
    Service,
    Endpoints,
    EndpointSlice,
    Ingress,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Node => "node",
            Role::Pod => "pod",
            Role::Service => "service",
            Role::Endpoints => "endpoints",
            Role::EndpointSlice => "endpointslice",
            Role::Ingress => "ingress",
        }
    }

    /// Objects of which roles may be chosen by selectors.
    fn selectable(self) -> &'static [Role] {
        match self {
            Role::Pod => &[Role::Pod, Role::Node],
            Role::Endpoints => &[Role::Pod, Role::Service, Role::Endpoints],
            Role::EndpointSlice => &[Role::Pod, Role::Service, Role::EndpointSlice],
            Role::Node => &[Role::Node],
            Role::Service => &[Role::Service],
            Role::Ingress => &[Role::Ingress],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of `kubernetes_sd_configs`. Its `Debug` shows no login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct KubernetesSdConfig {
    pub role: Option<Role>,
    /// `https://HOST:PORT`; without it and without `kubeconfig_file` the service account of the pod we run in.
    pub api_server: String,
    pub kubeconfig_file: String,
    pub namespaces: Namespaces,
    pub selectors: Vec<Selector>,
    pub attach_metadata: AttachMetadata,
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub bearer_token: Option<Hidden>,
    pub bearer_token_file: String,
    pub tls_config: TlsFiles,
    pub follow_redirects: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    pub own_namespace: bool,
    /// None: all of them.
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Selector {
    pub role: Role,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub field: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct AttachMetadata {
    pub node: bool,
    pub namespace: bool,
    pub deployment: bool,
    pub job: bool,
    pub cronjob: bool,
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text itself; only for whoever sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct BasicAuth {
    pub username: String,
    pub password: Hidden,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Authorization {
    /// `Bearer` where it is empty.
    #[serde(rename = "type")]
    pub kind: String,
    pub credentials: Option<Hidden>,
    pub credentials_file: String,
}

/// Paths are relative to the scrape configuration's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct TlsFiles {
    pub ca_file: String,
    pub cert_file: String,
    pub key_file: String,
    pub server_name: String,
    pub insecure_skip_verify: bool,
}

/// What Prometheus refuses too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesSdError {
    #[error("a kubernetes_sd_config without a role (one of node, pod, service, endpoints, endpointslice, ingress)")]
    NoRole,
    #[error("`kubeconfig_file` and `api_server` cannot be used together")]
    TwoServers,
    #[error("`{key}` needs an `api_server`: without one the login is that of the pod we run in or of the kubeconfig")]
    LoginWithoutServer { key: &'static str },
    #[error("`namespaces.own_namespace` means the pod we run in and cannot be used with `{key}`")]
    OwnNamespace { key: &'static str },
    #[error("role {role} takes selectors of {allowed} only, not of {selector}")]
    SelectorRole { role: Role, selector: Role, allowed: String },
    #[error("two selectors for role {0}")]
    SelectorTwice(Role),
    #[error("a selector for role {role}: {problem}")]
    Selector { role: Role, problem: String },
    #[error("{key} is given twice: as a text and as a file")]
    GivenTwice { key: &'static str },
    #[error("authorization type {0:?} is not supported for an API server: only Bearer is")]
    AuthorizationType(String),
    #[error("`cert_file` and `key_file` belong together")]
    HalfIdentity,
}

impl KubernetesSdConfig {
    pub const KNOWN_KEYS: &'static [&'static str] = &[
        "role",
        "api_server",
        "kubeconfig_file",
        "namespaces",
        "selectors",
        "attach_metadata",
        "basic_auth",
        "authorization",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "follow_redirects",
    ];

    /// The keys of what stands below a key.
    pub const NESTED_KEYS: &'static [(&'static str, &'static [&'static str])] = &[
        ("namespaces", &["own_namespace", "names"]),
        ("selectors", &["role", "label", "field"]),
        ("attach_metadata", &["node", "namespace", "deployment", "job", "cronjob"]),
        ("basic_auth", &["username", "password"]),
        ("authorization", &["type", "credentials", "credentials_file"]),
        ("tls_config", &["ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify"]),
    ];

    /// Whether it can be meant.
    pub fn check(&self) -> Result<Role, KubernetesSdError> {
        let role = self.role.ok_or(KubernetesSdError::NoRole)?;
        let server = match (self.api_server.is_empty(), self.kubeconfig_file.is_empty()) {
            (false, false) => return Err(KubernetesSdError::TwoServers),
            (false, true) => Some("api_server"),
            (true, false) => Some("kubeconfig_file"),
            (true, true) => None,
        };
        if let (Some(key), true) = (server, self.namespaces.own_namespace) {
            return Err(KubernetesSdError::OwnNamespace { key });
        }
        if let (true, Some(key)) = (self.api_server.is_empty(), self.login_key()) {
            return Err(KubernetesSdError::LoginWithoutServer { key });
        }
        self.check_login()?;
        for (at, selector) in self.selectors.iter().enumerate() {
            if self.selectors.iter().take(at).any(|before| before.role == selector.role) {
                return Err(KubernetesSdError::SelectorTwice(selector.role));
            }
            if !role.selectable().contains(&selector.role) {
                let allowed: Vec<_> = role.selectable().iter().map(|role| role.as_str()).collect();
                let allowed = allowed.join(", ");
                return Err(KubernetesSdError::SelectorRole { role, selector: selector.role, allowed });
            }
            selector::labels(&selector.label)
                .and_then(|()| selector::fields(&selector.field))
                .map_err(|problem| KubernetesSdError::Selector { role: selector.role, problem })?;
        }
        Ok(role)
    }

    fn login_key(&self) -> Option<&'static str> {
        [
            ("basic_auth", self.basic_auth.is_some()),
            ("authorization", self.authorization.is_some()),
            ("bearer_token", self.bearer_token.is_some()),
            ("bearer_token_file", !self.bearer_token_file.is_empty()),
            ("tls_config", self.tls_config != TlsFiles::default()),
            ("follow_redirects", self.follow_redirects.is_some_and(|follow| !follow)),
        ]
        .into_iter()
        .find_map(|(key, set)| set.then_some(key))
    }

    fn check_login(&self) -> Result<(), KubernetesSdError> {
        let token_file = !self.bearer_token_file.is_empty();
        let ways = [self.basic_auth.is_some(), self.authorization.is_some(), self.bearer_token.is_some() || token_file];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(KubernetesSdError::GivenTwice { key: "the login" });
        }
        if self.bearer_token.is_some() && token_file {
            return Err(KubernetesSdError::GivenTwice { key: "bearer_token" });
        }
        if let Some(authorization) = &self.authorization {
            if !authorization.kind.is_empty() && !authorization.kind.eq_ignore_ascii_case("bearer") {
                return Err(KubernetesSdError::AuthorizationType(authorization.kind.clone()));
            }
            if authorization.credentials.is_some() && !authorization.credentials_file.is_empty() {
                return Err(KubernetesSdError::GivenTwice { key: "credentials" });
            }
        }
        if self.tls_config.cert_file.is_empty() != self.tls_config.key_file.is_empty() {
            return Err(KubernetesSdError::HalfIdentity);
        }
        Ok(())
    }

    /// The selector for objects of a role: of labels and of fields.
    pub(super) fn selector(&self, role: Role) -> (Option<String>, Option<String>) {
        let found = self.selectors.iter().find(|selector| selector.role == role);
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        found.map_or((None, None), |selector| (text(&selector.label), text(&selector.field)))
    }
}
