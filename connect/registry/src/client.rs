//! A client of registries: what all calls share. It does not know which calls there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base_http::TlsConfig;
use base_world::Clock;
use parking_lot::Mutex;

use crate::auth::Known;
use crate::call::Call;
use crate::{DOCKER_HUB, Login, RateLimit, RegistryError, Result};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Registries that are asked without TLS (`registry.example.org:5000`); those on loopback always are.
    pub insecure: Vec<String>,
    /// Longest wait for the head of an answer.
    pub head_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { insecure: Vec::new(), head_max: Duration::from_secs(30) }
    }
}

/// Talks to any registry; cheap to clone, keeps connections and tokens.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: base_http::Client,
    pub(crate) logins: Arc<dyn Login>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    /// What was learnt of each registry.
    pub(crate) known: Mutex<HashMap<String, Known>>,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(logins: Arc<dyn Login>, clock: Arc<dyn Clock>, options: Options) -> Result<Client> {
        let http = base_http::Client::verbatim(TlsConfig::default());
        let http = http.map_err(|error| RegistryError::Setup { reason: error.to_string() })?;
        Ok(Client { inner: Arc::new(Inner { http, logins, clock, options, known: Mutex::default() }) })
    }

    /// Whether the registry answers and knows us: the check behind a login.
    pub async fn ping(&self, registry: &str) -> Result<()> {
        let call = Call::new("GET", self.url(registry, "")?, registry, format!("ask {registry}"));
        self.send(call).await.map(drop)
    }

    /// The limit that the registry told with its newest answer.
    pub fn rate_limit(&self, registry: &str) -> Option<RateLimit> {
        self.inner.known.lock().get(registry)?.rate.clone()
    }

    pub(crate) fn url(&self, registry: &str, path: &str) -> Result<url::Url> {
        let registry = if registry.is_empty() { DOCKER_HUB } else { registry };
        crate::place::url(registry, path, &self.inner.options.insecure)
    }
}
