//! The handle of a cluster, and what the server says of itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base_world::World;
use serde::Deserialize;

use crate::access::Access;
use crate::call::Call;
use crate::find::Found;
use crate::{Result, Target};

/// A Kubernetes API server; cheap to clone, its clones share connections and login.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
    /// No call may take longer; `None`: as long as its kind usually may.
    pub(crate) time_max: Option<Duration>,
}

pub(crate) struct Inner {
    pub(crate) found: Arc<Found>,
    pub(crate) access: Access,
    pub(crate) world: World,
}

/// What `kubectl version` shows of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServerVersion {
    /// `1`
    pub major: String,
    /// `36`; clouds write `36+`.
    pub minor: String,
    /// `v1.36.3`, `v1.34.2-eks-ef01`
    pub git_version: String,
    /// `linux/amd64`
    pub platform: String,
}

impl ServerVersion {
    /// `(1, 36)`; `None` when the server says something else.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let digits = |text: &str| text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
        Some((digits(&self.major)?, digits(&self.minor)?))
    }
}

impl Cluster {
    /// Opens nothing and reads no login yet: the first call does.
    pub fn new(found: Found, world: World) -> Self {
        let found = Arc::new(found);
        let access = Access::new(found.clone(), world.clone());
        Self { inner: Arc::new(Inner { found, access, world }), time_max: None }
    }

    /// The same with a limit on the time of every call that is shorter than the usual ones (30 s to read, 70 s to write).
    pub fn within(mut self, time_max: Duration) -> Self {
        self.time_max = Some(time_max);
        self
    }

    pub(crate) fn time(&self, usual: Duration) -> Duration {
        self.time_max.map_or(usual, |most| usual.min(most))
    }

    /// Address, context and namespace.
    pub fn found(&self) -> &Found {
        &self.inner.found
    }

    pub async fn version(&self) -> Result<ServerVersion> {
        Ok(self.typed(Call::get("/version".into(), "get", Target::words("the server's version"))).await?.value)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("Cluster").field(&self.inner.found).finish()
    }
}
