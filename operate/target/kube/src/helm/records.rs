//! The revisions of a release as the cluster has them. It reads Helm's Secrets and changes none.

use connect_kube::{Cluster, ListOptions, ObjectAt, Resource};
use operate_execute::Image;
use operate_plan::{Class, Failure, ObjectId, digest};
use serde_json::{Value, json};

use super::program::hidden;
use super::record::{Record, decode};
use super::{At, mark};
use crate::KubeTarget;
use crate::failure::failure;

/// `helm upgrade --history-max` is 10 by itself; who keeps more than this keeps everything.
const REVISIONS_MAX: usize = 2_000;

pub(crate) fn secrets() -> Resource {
    Resource::namespaced("v1", "Secret", "secrets")
}

pub(crate) fn secret_at(at: &At, revision: u64) -> ObjectAt {
    secrets().at(&at.namespace, &format!("sh.helm.release.v1.{}.v{revision}", at.name))
}

/// What is known of a release's revisions: the newest, and the one that stands.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    pub(crate) newest: Option<Record>,
    /// The newest that was deployed and is not superseded; of a release that never was, the newest that is over.
    pub(crate) standing: Option<Record>,
    /// It was deployed, not only tried.
    pub(crate) stood: bool,
}

impl Revisions {
    /// Values that must not be told.
    pub(crate) fn hidden(&self) -> Vec<(String, String)> {
        let records = self.newest.iter().chain(&self.standing);
        // JSON is YAML.
        hidden(&records.map(|record| record.values.to_string().into_bytes()).collect::<Vec<_>>())
    }
}

pub(crate) async fn revisions(cluster: &Cluster, at: &At) -> Result<Revisions, Failure> {
    let labels = ListOptions::labelled(&format!("owner=helm,name={}", at.name));
    let found = cluster.list(&secrets(), Some(&at.namespace), &labels, REVISIONS_MAX).await;
    let mut found = found.map_err(|error| failure(&error))?;
    let revision = |secret: &Value| {
        secret["metadata"]["labels"]["version"].as_str().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    };
    let status = |secret: &Value| secret["metadata"]["labels"]["status"].as_str().unwrap_or_default().to_owned();
    found.retain(|secret| revision(secret) > 0);
    found.sort_by_key(|secret| std::cmp::Reverse(revision(secret)));
    let read = |secret: &Value| decode(secret).map_err(|error| unreadable(&error));
    let newest = found.first().map(read).transpose()?;
    let deployed = found.iter().find(|secret| status(secret) == "deployed");
    // A rollback that was cut off has superseded what it began from: the newest of those was deployed last.
    let deployed = deployed.or_else(|| found.iter().find(|secret| status(secret) == "superseded"));
    let tried = || found.iter().find(|secret| !status(secret).starts_with("pending-"));
    let standing = deployed.or_else(tried).map(read).transpose()?;
    Ok(Revisions { newest, standing, stood: deployed.is_some() })
}

pub(crate) fn unreadable(error: &super::RecordError) -> Failure {
    let next = "look at it: helm history; a Helm that is newer than version 3 may write it otherwise";
    Failure::new(Class::Invalid, "helm.record", error.to_string(), next)
}

/// What a planner has to know. Values and manifests are not among it.
pub(crate) async fn look(target: &KubeTarget, object: &ObjectId) -> Result<Option<Value>, Failure> {
    let revisions = revisions(&target.cluster, &At::of(object)?).await?;
    let Some(newest) = &revisions.newest else { return Ok(None) };
    let mut objects = newest.objects();
    let mut fact = json!({
        "revision": newest.revision, "status": newest.status, "updated_ms": newest.updated_ms, "chart": newest.chart,
        "labels": marks(newest),
    });
    if let Some(standing) = &revisions.standing {
        let says = if revisions.stood { "standing" } else { "tried" };
        fact[says] = json!({"revision": standing.revision, "labels": marks(standing)});
        objects.extend(standing.objects());
    }
    objects.sort();
    objects.dedup();
    fact["objects"] = json!(objects);
    // Known, not guessed by its age: the program was started on this machine, and does not live any more.
    if newest.is_pending()
        && let Some(helm) = &target.helm
        && let Some(lock) = helm.lock(&At::of(object)?)?
        && lock.before.as_ref().is_some_and(|started| started.made(newest))
    {
        fact["dead"] = json!(true);
    }
    Ok(Some(fact))
}

/// Labels of ours, where they speak of this revision.
fn marks(record: &Record) -> Value {
    let mut labels = json!({});
    for (name, value) in record.labels.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("apm.")) {
        if record.says_itself() || (name != mark::CONFIG && name != "apm.version") {
            labels[name] = value.clone();
        }
    }
    labels
}

/// What a release was, as far as a rollback makes it so again.
pub(crate) fn kept(record: &Record) -> Value {
    json!({"helm": {
        "revision": record.revision, "chart": record.chart, "manifest": digest(&record.manifest), "values": digest(&record.values),
    }})
}

pub(crate) async fn image(target: &KubeTarget, object: &ObjectId) -> Result<Image, Failure> {
    let revisions = revisions(&target.cluster, &At::of(object)?).await?;
    Ok(match (revisions.newest, revisions.standing) {
        (None, _) => Image::Absent,
        (_, Some(standing)) => Image::Present(kept(&standing)),
        // Somebody's first install has hung and was not repaired: no step begins like this.
        (Some(newest), None) => Image::Present(kept(&newest)),
    })
}

/// Whether no release claims an object any more that Helm had made.
pub(crate) async fn orphan(target: &KubeTarget, object: &ObjectId, now: &Value) -> Result<bool, Failure> {
    let of = |name: &str| now["metadata"]["annotations"][format!("meta.helm.sh/release-{name}")].as_str();
    let (Some(name), Some(namespace)) = (of("name"), of("namespace")) else { return Ok(false) };
    let at = At::of(&ObjectId::new(super::KIND, format!("{namespace}/{name}")))?;
    let newest = revisions(&target.cluster, &at).await?.newest;
    Ok(newest.is_none_or(|newest| !newest.is_pending() && !newest.objects().contains(object)))
}
