//! Who we are to a registry: the seam. Docker's own logins fill it here; a cloud fills it with tokens of its own. It keeps nothing and asks no registry.

use std::sync::Arc;

use async_trait::async_trait;
use base_http::Secret;

use crate::RegistryError;

/// What proves who we are. Never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Password {
        username: String,
        password: Secret,
    },
    /// What a login gave instead of a password; the token server changes it for tokens.
    Identity {
        token: Secret,
    },
    /// A token that the registry itself takes as it is.
    Bearer {
        token: Secret,
    },
}

impl Credentials {
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Credentials {
        Credentials::Password { username: username.into(), password: Secret::new(password) }
    }
}

/// Whoever knows logins. Asked once for a registry, and again after the registry has refused what was given.
#[async_trait]
pub trait Login: Send + Sync {
    /// What to say to this registry (`docker.io`, `registry.example.org:5000`); `None`: nothing is known of it, ask as nobody.
    async fn credentials(&self, registry: &str) -> Result<Option<Credentials>, RegistryError>;
}

/// Asks as nobody, everywhere.
pub struct Nobody;

#[async_trait]
impl Login for Nobody {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, RegistryError> {
        Ok(None)
    }
}

/// The same at every registry that is asked.
pub struct Always(pub Credentials);

#[async_trait]
impl Login for Always {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, RegistryError> {
        Ok(Some(self.0.clone()))
    }
}

/// The first that knows the registry: a cloud for its own names, then Docker's configuration.
pub struct FirstOf(pub Vec<Arc<dyn Login>>);

#[async_trait]
impl Login for FirstOf {
    async fn credentials(&self, registry: &str) -> Result<Option<Credentials>, RegistryError> {
        for login in &self.0 {
            if let Some(found) = login.credentials(registry).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
