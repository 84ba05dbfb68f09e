//! A Docker engine as a target of plans: containers, images, networks and volumes that can be looked at, changed, and made what they were.
//!
//! Objects are `container/NAME`, `image/REFERENCE`, `network/NAME`, `volume/NAME`. Acts: `pull` (an image), `create` (a network, a volume,
//! a container from `with.body` in Docker's own words, more networks in `with.joins`, sealed variables in `with.secrets`), `stop`, `start`,
//! `rename` (`with.to`), `remove`. Conditions: `present`, `absent`, `same` (`with.id`), `stopped`, `healthy`, `answers` (`with.port`, and
//! `with.path` for HTTP).
//!
//! Beside them `front/CONTROL-SOCKET`, the proxy that owns a service's port, with the acts `start` (`with.listen`, `with.to`), `set`
//! (`with.from`, `with.to`: upstreams in the front's own words), `drain` (`with.upstream`, `with.timeout_ms`), and the conditions `absent`,
//! `sends` (`with.to`), `well` and `idle` (`with.upstream`); and `port/ADDRESS`, which can only be looked at.
//!
//! It plans nothing and judges nothing. Docker compares no tokens, so the lease alone keeps two executors apart.

mod act;
mod auth;
mod check;
mod evidence;
mod failure;
mod front;
mod image;
mod lost;
mod restore;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base_http::{Client, HttpConfig, HttpError};
use base_world::Clock;
use connect_docker::Engine;
use connect_registry::{Login, Nobody};
use operate_execute::{Context, Done, Image, Met, Seal, Target};
use operate_plan::{Act, Condition, Failure, Inventory, ObjectId, Seen};

pub use act::secret_name;
pub use evidence::Evidence;
pub use failure::failure;
pub use front::StartFront;
pub use lost::lost;

/// One engine.
pub struct DockerTarget {
    engine: Engine,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    http: Client,
    /// Who we are to registries that the engine pulls from.
    logins: Arc<dyn Login>,
    evidence: Option<Arc<dyn Evidence>>,
    fronts: Option<Arc<dyn StartFront>>,
}

impl DockerTarget {
    /// Connects to nothing yet, and pulls as nobody. `seal` opens the variables that a plan carries sealed.
    pub fn new(engine: Engine, seal: Arc<Seal>, clock: Arc<dyn Clock>) -> Result<DockerTarget, HttpError> {
        // A redirect is an answer; following it would ask somebody else.
        let config = HttpConfig { follow_redirects: false, ..HttpConfig::default() };
        let (http, logins) = (Client::new(config)?, Arc::new(Nobody));
        Ok(DockerTarget { engine, seal, clock, http, logins, evidence: None, fronts: None })
    }

    /// The same, which hands over what containers said before an undo removes them.
    pub fn keeping(self, evidence: Arc<dyn Evidence>) -> DockerTarget {
        DockerTarget { evidence: Some(evidence), ..self }
    }

    /// The same, but pulling as whoever these say that we are.
    pub fn with_logins(self, logins: Arc<dyn Login>) -> DockerTarget {
        DockerTarget { logins, ..self }
    }

    /// The same, able to start a front that does not run.
    pub fn with_fronts(self, fronts: Arc<dyn StartFront>) -> DockerTarget {
        DockerTarget { fronts: Some(fronts), ..self }
    }
}

#[async_trait]
impl Target for DockerTarget {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        let found = self.engine.found();
        let source = format!("the Docker engine at {} ({})", found.place, found.found_by);
        let mut inventory = Inventory::new(source.clone());
        for object in objects {
            let (seen, source) = match object.kind.as_str() {
                "front" | "port" => (front::survey(self, object).await, "this machine"),
                _ => {
                    let seen = match image::summary(&self.engine, object).await {
                        Ok(Some(value)) => Seen::Present(value),
                        Ok(None) => Seen::Absent,
                        Err(failure) => Seen::Unknown(failure),
                    };
                    (seen, source.as_str())
                }
            };
            inventory.add(object.clone(), seen, source, self.clock.now_ms());
        }
        inventory
    }

    async fn check(&self, _: &Context, condition: &Condition) -> Result<Met, Failure> {
        match condition.object.kind.as_str() {
            "front" => front::check(condition).await,
            _ => check::check(self, condition).await,
        }
    }

    async fn image(&self, _: &Context, object: &ObjectId) -> Result<Image, Failure> {
        match object.kind.as_str() {
            "front" => front::image(object).await,
            _ => image::of(&self.engine, object).await,
        }
    }

    async fn act(&self, _: &Context, act: &Act) -> Result<Done, Failure> {
        match act.object.kind.as_str() {
            "front" => front::act(self, act).await,
            _ => act::act(self, act).await,
        }
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        if object.kind == "front" {
            return front::restore(self, object, before).await;
        }
        if let (Some(evidence), Image::Absent, "container") = (&self.evidence, before, object.kind.as_str())
            && let Some(view) = restore::doomed(&self.engine, object).await?
        {
            evidence::keep(&**evidence, &self.engine, &context.run, &view).await;
        }
        restore::restore(&self.engine, object, before).await
    }

    fn is_same(&self, before: &Image, now: &Image) -> bool {
        image::is_same(before, now)
    }
}

/// How long a container has to end before it is killed, when it does not say.
const STOP_GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
