//! `http_config` as Prometheus writes it; the part that is heeded today. Source: its configuration reference.

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
    /// Where the credentials are instead, exchanged by whoever writes the file. Whoever sends the request reads it and adds the header.
    #[serde(default)]
    pub credentials_file: String,
}

impl Authorization {
    /// `Authorization: Bearer TOKEN`.
    pub fn bearer(token: &str) -> Self {
        Authorization { kind: bearer(), credentials: Secret::new(token), credentials_file: String::new() }
    }
}

fn bearer() -> String {
    "Bearer".to_owned()
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    pub insecure_skip_verify: bool,
    /// The authority that signed the server's certificate, instead of those that this machine trusts.
    pub ca_file: String,
    /// What we show to the server.
    pub cert_file: String,
    pub key_file: String,
}

/// What stands in the files that a configuration names, in PEM. This room reads none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    pub authority: Option<Vec<u8>>,
    /// A certificate and its key, one after the other.
    pub identity: Option<Vec<u8>>,
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
