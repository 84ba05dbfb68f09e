//! The planner of releases: what is wanted and what was seen become a plan. Pure: the same release and the same inventory give the same
//! plan, step by step, with the command that would do each by hand.
//!
//! It knows Docker's words for a container and Kubernetes' for its objects ([`cluster`]), for the plan must say exactly what will be asked for. It reaches no engine, reads no file and
//! opens no secret: values that are secret come sealed and stay so.

mod adopt;
mod by_hand;
mod cluster;
mod color;
mod container;
mod diff;
mod extra;
mod extra_by_hand;
mod front_steps;
mod join;
mod line;
mod promotion;
mod recreate;
mod refusal;
mod release;
mod sides;
mod standing;
mod steps;
mod switch;

pub use adopt::{Adopted, Found, Masked, adopt, changes, looks_secret};
pub use cluster::{
    Arrives, ClusterRelease, HelmChart, Item, RouteChoice, RouteKind, cluster_applies, cluster_findings,
    cluster_objects, cluster_objects_left, cluster_prunable, cluster_revision, cluster_surroundings, helm_object,
    helm_revision, mark as cluster_mark, object as cluster_object, plan_cluster,
};
pub use container::{body, container_name, names, resource_attributes};
pub use diff::{Difference, differences};
pub use extra::{Endpoint, Extra, Limit, Logging};
pub use join::{Part, plan_all};
pub use promotion::{Next, Promotion, Stage, next};
pub use refusal::Refusal;
pub use release::{
    Beside, Canary, Check, Container, Front, Health, Port, Publish, Release, Scan, Secret, Strategy, Volume,
};
pub use sides::Sides;

use operate_plan::{Inventory, ObjectId, Plan};

/// Labels that every container of ours carries.
pub mod label {
    pub const SERVICE: &str = "apm.service";
    pub const ENVIRONMENT: &str = "apm.environment";
    pub const PROJECT: &str = "apm.project";
    pub const VERSION: &str = "apm.version";
    /// The image as it was asked for; the container itself names it by digest or id.
    pub const IMAGE: &str = "apm.image";
    /// The digest of what was asked for; equal means nothing is left to do.
    pub const CONFIG: &str = "apm.config";
}

/// What must be looked at before a release can be planned.
pub fn objects(release: &Release) -> Vec<ObjectId> {
    let mut objects = vec![ObjectId::new("image", release.exact())];
    for name in names(release) {
        objects.extend([name.clone(), format!("{name}-next"), format!("{name}-previous")].map(container_id));
    }
    objects.extend(release.container.networks.iter().map(|name| ObjectId::new("network", name)));
    objects
        .extend(release.container.volumes.iter().filter_map(Volume::named).map(|name| ObjectId::new("volume", name)));
    objects.extend(release.front.iter().flat_map(|front| color::objects(release, front)));
    objects
}

/// The plan that makes the release out of what was seen.
pub fn plan(release: &Release, seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    refusal::check(release, seen)?;
    match &release.front {
        Some(front) if release.strategy.needs_front() => {
            let standing = standing::Standing::of(release, front, seen)?;
            Ok(switch::plan(release, front, &standing, seen, now_ms))
        }
        _ => Ok(recreate::plan(release, seen, now_ms)),
    }
}

fn container_id(name: impl Into<String>) -> ObjectId {
    ObjectId::new("container", name)
}

#[cfg(test)]
mod tests;
