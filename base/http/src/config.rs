//! `http_config` as Prometheus writes it; the part that is heeded today. Source: its configuration reference.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A text that is never shown.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself; only for putting it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub follow_redirects: bool,
    pub tls_config: TlsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig { basic_auth: None, authorization: None, follow_redirects: true, tls_config: TlsConfig::default() }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    pub username: String,
    #[serde(default)]
    pub password: Secret,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    #[serde(rename = "type", default = "bearer")]
    pub kind: String,
    #[serde(default)]
    pub credentials: Secret,
    /// Read at every request: tokens of a cluster's pods are exchanged every hour.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
}

impl Authorization {
    /// `Authorization: Bearer TOKEN`.
    pub fn bearer(token: &str) -> Self {
        Authorization { kind: bearer(), credentials: Secret::new(token), credentials_file: None }
    }
}

fn bearer() -> String {
    "Bearer".to_owned()
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    pub insecure_skip_verify: bool,
    /// Certificates of authorities, PEM; they count beside the system's. Read when the client is made.
    pub ca_file: Option<PathBuf>,
}

impl HttpConfig {
    /// Paths of files as if they stood in this folder; absolute ones stay.
    pub fn within(mut self, folder: &Path) -> Self {
        let files =
            [self.authorization.as_mut().map(|auth| &mut auth.credentials_file), Some(&mut self.tls_config.ca_file)];
        for file in files.into_iter().flatten().flatten() {
            *file = folder.join(&*file);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = HttpConfig {
            basic_auth: Some(BasicAuth { username: "me".into(), password: Secret::new("hunter2") }),
            authorization: Some(Authorization::bearer("hunter2")),
            ..HttpConfig::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
