//! A Kubernetes cluster as a target of plans: objects of any kind that can be looked at, applied, and made what they were.
//!
//! Objects are `KIND.GROUP/NAMESPACE/NAME` (`Deployment.apps/shop/cart`, `ConfigMap/shop/cart`, `Namespace/shop`). Acts: `apply` (server-side,
//! `with.body`, `with.force`, sealed values by JSON pointer in `with.secrets`), `scale` (`with.replicas`), `select` (a Service, `with.selector`),
//! `delete` (`with.uid`). Conditions: `present`, `absent`, `same` (`with.uid`, `with.generation` or `with.version`), `ready`, `stopped`,
//! `selects` (`with.selector`).
//!
//! Beside them releases of Helm (`helm/NAMESPACE/NAME`, see [`helm`]), who gets how much of what a route sends (`weights/KIND.GROUP/NAMESPACE/NAME`, act `weigh`
//! with `lists` of `at`, `is` and `to`, condition `weighs`; see [`weights`]), and what can only be looked at: `access/VERB/KIND/NAMESPACE/NAMES`, whether we
//! may, and `all/KIND/NAMESPACE`, all objects of a kind.
//!
//! It plans nothing and judges nothing. The API server compares no tokens of ours, so the lease alone keeps two executors apart.

mod act;
mod at;
mod check;
mod failure;
mod helm;
mod kept;
mod look;
mod pods;
mod rehearse;
mod restore;
mod scene;
pub mod status;
mod weights;

use std::sync::Arc;

use async_trait::async_trait;
use base_world::Clock;
use connect_kube::{Cluster, Kinds, WriteOptions};
use operate_execute::{Context, Done, Image, Met, Seal, Target};
use operate_plan::{Act, Condition, Failure, Inventory, ObjectId, Seen};
use serde_json::Value;
use tokio::sync::RwLock;

pub use act::secret_name;
pub use helm::{Helm, Pack, Packed, Record, RecordError, Render, Stuck, stuck};
pub use pods::NewPod;
pub use scene::{Read, held_budgets, read};

/// Who we are among those who own fields.
pub const MANAGER: &str = "apm";

/// One cluster.
pub struct KubeTarget {
    cluster: Cluster,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    kinds: RwLock<Option<Arc<Kinds>>>,
    helm: Option<Helm>,
}

impl KubeTarget {
    /// Connects to nothing yet. `seal` opens the values that a plan carries sealed.
    pub fn new(cluster: Cluster, seal: Arc<Seal>, clock: Arc<dyn Clock>) -> KubeTarget {
        KubeTarget { cluster, seal, clock, kinds: RwLock::new(None), helm: None }
    }

    /// The same with a program for releases of Helm.
    pub fn with_helm(mut self, helm: Helm) -> KubeTarget {
        self.helm = Some(helm);
        self
    }

    /// The server's version of the API: `1.34.2`.
    pub async fn version(&self) -> Result<String, Failure> {
        let version = self.cluster.version().await.map_err(|error| failure::failure(&error))?.git_version;
        // Clouds add words of their own.
        let plain = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        Ok(plain.to_owned())
    }

    /// What the API server would say to this act, without doing it: admission, quota of objects, schema, conflicts.
    pub async fn rehearse(&self, act: &Act) -> Result<Vec<String>, Failure> {
        rehearse::rehearse(self, act).await
    }

    /// What it would say to a pod of the workload that this act applies, for it does not look at pods before a controller makes them. Nothing for an act
    /// that makes no pods.
    pub async fn rehearse_pod(&self, act: &Act) -> Result<Vec<String>, Failure> {
        rehearse::pod(self, act).await
    }

    /// The object of an `apply` as it is, and as it would be, both without what only the server writes and without who owns which field. Values of
    /// Secrets are in clear. Where the server cannot say it because something that comes before is not there yet, it is as it was asked for.
    pub async fn preview(&self, act: &Act) -> Result<(Option<Value>, Value), Failure> {
        act::preview(self, act).await
    }

    /// An object as it is, in the same form.
    pub async fn preview_gone(&self, object: &ObjectId) -> Result<Option<Value>, Failure> {
        Ok(at::get(self, object).await?.map(|found| kept::compared(&kept::kept(&found))))
    }
}

fn writing() -> WriteOptions {
    WriteOptions::by(MANAGER)
}

#[async_trait]
impl Target for KubeTarget {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        let mut inventory = Inventory::new(&self.cluster.found().server);
        // One after the other: a few dozen small reads, and a server that others use too.
        for object in objects {
            let seen = match look::look(self, object).await {
                Ok(Some(value)) => Seen::Present(value),
                Ok(None) => Seen::Absent,
                Err(failure) => Seen::Unknown(failure),
            };
            let source = format!("kubectl get on {}", self.cluster.found().server);
            inventory.add(object.clone(), seen, &source, self.clock.now_ms());
        }
        inventory
    }

    async fn check(&self, _context: &Context, condition: &Condition) -> Result<Met, Failure> {
        if condition.object.kind == helm::KIND {
            return helm::check(self, condition).await;
        }
        if condition.object.kind == weights::KIND {
            return weights::check(self, condition).await;
        }
        check::check(self, condition).await
    }

    async fn image(&self, _context: &Context, object: &ObjectId) -> Result<Image, Failure> {
        if object.kind == helm::KIND {
            return helm::image(self, object).await;
        }
        if object.kind == weights::KIND {
            return weights::image(self, object).await;
        }
        Ok(at::get(self, object).await?.map_or(Image::Absent, |found| Image::Present(kept::kept(&found))))
    }

    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure> {
        if act.object.kind == helm::KIND {
            return Ok(Done { touched: act.touches.clone(), note: helm::act(self, context, act).await? });
        }
        if act.object.kind == weights::KIND {
            return Ok(Done { touched: act.touches.clone(), note: weights::act(self, act).await? });
        }
        act::act(self, act).await
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        if object.kind == helm::KIND {
            return helm::restore(self, context, object, before).await;
        }
        if object.kind == weights::KIND {
            return weights::restore(self, object, before).await;
        }
        restore::restore(self, object, before).await
    }

    fn is_same(&self, before: &Image, now: &Image) -> bool {
        match (before, now) {
            (Image::Present(before), Image::Present(now)) if !before["helm"].is_null() => helm::is_same(before, now),
            (Image::Present(before), Image::Present(now)) if before["weights"].is_array() => {
                weights::is_same(before, now)
            }
            (Image::Present(before), Image::Present(now)) => kept::compared(before) == kept::compared(now),
            _ => before == now,
        }
    }
}
