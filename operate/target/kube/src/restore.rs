//! Makes an object what it was, from whatever it has become: put back whole, made anew, or taken away. It never removes what it cannot tell
//! to be this release's.

use std::time::Duration;

use connect_kube::{DeleteOptions, KubeError, ObjectAt, Patch, Propagation, Resource};
use operate_execute::Image;
use operate_plan::{Class, Failure, ObjectId};
use serde_json::{Value, json};

use crate::failure::{failure, not_ours};
use crate::kept::{anew, compared, in_place_of, kept, ownership};
use crate::status::{Progress, progress};
use crate::{KubeTarget, at, scene, writing};

/// Between two looks at something that is on its way.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// For what was there before to serve again. It may never have; then it is not waited for any longer, for what was there is there again.
const SERVE_MAX: Duration = Duration::from_secs(60);
/// A controller that was refused tries again after a while; meanwhile no more pods are taken away.
const MAKE_ROOM_AGAIN_NS: u64 = 20_000_000_000;
/// A controller writes its part of an object whenever it likes.
const TRIES_MAX: usize = 8;

pub(crate) async fn restore(target: &KubeTarget, object: &ObjectId, before: &Image) -> Result<(), Failure> {
    match before {
        Image::Present(was) => {
            let at = at::at_of(target, object, was).await?;
            put_back(target, object, &at, was).await?;
            serve(target, &at).await
        }
        Image::Absent => take_away(target, object).await,
    }
}

async fn put_back(target: &KubeTarget, object: &ObjectId, at: &ObjectAt, was: &Value) -> Result<(), Failure> {
    let cluster = &target.cluster;
    for _ in 0..TRIES_MAX {
        let written = match cluster.get_if_there(at).await.map_err(|error| failure(&error))? {
            Some(now) if !now["metadata"]["deletionTimestamp"].is_null() => {
                // It must be gone before another can have its name.
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            Some(now) if compared(&kept(&now)) == compared(was) => Ok(now),
            Some(now) => cluster.replace(at, &in_place_of(was, &now), &writing()).await.map(|written| written.object),
            None => {
                let created = cluster.create(&at.resource, &at.namespace, &anew(was), &writing()).await;
                created.map(|written| written.object)
            }
        };
        match written {
            // Whose fields they are matters to the next apply only: a conflict here is no reason to call the restore failed.
            Ok(now) => match give_back(target, at, was, &now).await {
                Err(KubeError::Conflict { .. } | KubeError::Invalid { .. }) => {}
                other => return other.map_err(|error| failure(&error)),
            },
            Err(KubeError::Conflict { .. } | KubeError::AlreadyExists { .. }) => {}
            Err(error) => return Err(failure(&error)),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let message = format!("{object} changes faster than it can be put back");
    Err(Failure::new(
        Class::Transient,
        "kube.changed",
        message,
        "see who writes it: kubectl get -o yaml --show-managed-fields",
    ))
}

async fn give_back(target: &KubeTarget, at: &ObjectAt, was: &Value, now: &Value) -> Result<(), KubeError> {
    let Some(patch) = ownership(was, now) else { return Ok(()) };
    if patch[1]["value"] == now["metadata"]["managedFields"] {
        return Ok(());
    }
    target.cluster.patch(at, &Patch::Json(patch), &writing()).await.map(drop)
}

/// Waits until a workload that was put back runs. Where a quota keeps its own pods away, those that should go make room: the cluster would
/// wait with either until the other is there.
async fn serve(target: &KubeTarget, at: &ObjectAt) -> Result<(), Failure> {
    if !["Deployment", "StatefulSet", "DaemonSet"].contains(&at.resource.kind.as_str()) {
        return Ok(());
    }
    let ready = async {
        let mut room_made_ns = None;
        loop {
            if let Some(now) = target.cluster.get_if_there(at).await? {
                let read = scene::read(&target.cluster, &now).await?;
                match progress(&read.scene(&now)) {
                    Progress::Ready => return Ok(()),
                    // It was in the same trouble before.
                    Progress::Trouble(trouble) if trouble.lasting => return Ok(()),
                    Progress::Trouble(trouble) if trouble.code == "kube.quota" => {
                        let now_ns = target.clock.monotonic_ns();
                        if room_made_ns.is_none_or(|before| now_ns.saturating_sub(before) > MAKE_ROOM_AGAIN_NS) {
                            room_made_ns = Some(now_ns);
                            make_room(target, &read, &now).await;
                        }
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    match tokio::time::timeout(SERVE_MAX, ready).await {
        Ok(ended) => ended.map_err(|error: KubeError| failure(&error)),
        Err(_) => Ok(()),
    }
}

/// As many pods of older revisions go as the newest lacks. Who may not do that waits.
async fn make_room(target: &KubeTarget, read: &scene::Read, deployment: &Value) {
    let (newest, mut others) = read.sets(deployment);
    let count = |set: &Value, place: &str| set.pointer(place).and_then(Value::as_u64).unwrap_or(0);
    let mut lacking =
        newest.map_or(0, |set| count(set, "/spec/replicas").saturating_sub(count(set, "/status/replicas")));
    others.retain(|set| count(set, "/spec/replicas") > 0);
    for set in others {
        let has = count(set, "/spec/replicas");
        let keeps = has.saturating_sub(lacking);
        lacking -= has - keeps;
        let text = |place: &str| set["metadata"][place].as_str().unwrap_or_default();
        let at = Resource::namespaced("apps/v1", "ReplicaSet", "replicasets").at(text("namespace"), text("name"));
        let patch = Patch::Merge(json!({"spec": {"replicas": keeps}}));
        if keeps < has {
            let _ = target.cluster.patch(&at, &patch, &writing()).await;
        }
    }
}

async fn take_away(target: &KubeTarget, object: &ObjectId) -> Result<(), Failure> {
    let at = at::at(target, object).await?;
    loop {
        let Some(now) = target.cluster.get_if_there(&at).await.map_err(|error| failure(&error))? else { return Ok(()) };
        let ours = now["metadata"]["labels"]["apm.service"].is_string();
        if !ours && !crate::helm::orphan(target, object, &now).await? {
            return Err(not_ours(object));
        }
        if now["metadata"]["deletionTimestamp"].is_null() {
            let uid = now["metadata"]["uid"].as_str().map(str::to_owned);
            let options = DeleteOptions { uid, propagation: Propagation::Background, ..DeleteOptions::default() };
            match target.cluster.delete_if_there(&at, &options).await {
                Ok(_) | Err(KubeError::Conflict { .. }) => {}
                Err(error) => return Err(failure(&error)),
            }
            continue;
        }
        // A finalizer holds it; the step's time limit ends the wait.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
