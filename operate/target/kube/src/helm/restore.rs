//! Makes a release what it was: rolled back to the revision that stood, or uninstalled where none was. Its objects are then looked at one by
//! one, as those of any other step. It removes no release that its run did not make.

use operate_execute::{Context, Image};
use operate_plan::{Class, Failure, ObjectId};
use serde_json::Value;
use std::time::Duration;

use super::act::{LOOK_AGAIN, is_dead, program, rollback, run_mark};
use super::records::{kept, revisions};
use super::{At, mark};
use crate::KubeTarget;
use crate::failure::not_ours;

/// For hooks, as Helm has it by itself.
const LIMIT: Duration = Duration::from_secs(300);
const TRIES_MAX: u32 = 2;

pub(crate) async fn restore(
    target: &KubeTarget,
    context: &Context,
    object: &ObjectId,
    before: &Image,
) -> Result<(), Failure> {
    let (helm, at) = (program(target)?, At::of(object)?);
    let mut rolled_back = 0;
    loop {
        let Some(mut lock) = helm.lock(&at)? else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let revisions = revisions(&target.cluster, &at).await?;
        let hidden = revisions.hidden();
        let (newest, was) = match (revisions.newest, before) {
            (None, Image::Absent) => return Ok(()),
            (None, Image::Present(_)) => {
                let message = format!("the Helm release {at} is gone, with its history");
                let next = "its objects are put back; install it anew to have it among Helm's: helm install";
                return Err(Failure::new(Class::NotFound, "helm.gone", message, next));
            }
            (Some(newest), before) => (newest, before),
        };
        if newest.is_pending() && !is_dead(target, &lock, &newest, LIMIT) {
            // A program of another machine; the limit of the step ends the wait.
            drop(lock);
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        match was {
            Image::Present(was) if newest.status == "deployed" && is_same(was, &kept(&newest)) => return Ok(()),
            Image::Present(_) if rolled_back == TRIES_MAX => {
                let message = format!("the Helm release {at} was rolled back, and is another one again");
                let next = "see who else releases it: helm history";
                return Err(Failure::new(Class::Transient, "helm.moved", message, next));
            }
            Image::Present(was) => {
                let to = was["helm"]["revision"].as_u64().unwrap_or_default();
                rolled_back += 1;
                rollback(target, &at, &mut lock, [newest.revision, to], LIMIT, &hidden).await?;
            }
            Image::Absent => {
                if newest.label(mark::RUN) != Some(run_mark(&context.run).as_str()) {
                    return Err(not_ours(object));
                }
                let mut call = helm.on(&at, &["uninstall"], LIMIT);
                call.option("--timeout", format!("{}s", LIMIT.as_secs()));
                (call.input, call.hidden) = (lock.input()?, &hidden);
                helm.run(call).await?;
            }
        }
    }
}

/// Whether two images are of the same release; each rollback is another revision of it.
pub(crate) fn is_same(before: &Value, now: &Value) -> bool {
    ["chart", "manifest", "values"].into_iter().all(|part| before["helm"][part] == now["helm"][part])
}
