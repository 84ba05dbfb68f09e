//! What is done to a release: upgraded (which is how it is installed too), and repaired where its record hangs. Each may be done again after it
//! was cut off anywhere, also when the program was killed with us, or lives on without us.

use std::path::PathBuf;
use std::time::Duration;

use operate_execute::{Context, RunId};
use operate_plan::{Act, Class, Failure, ObjectId, digest};
use serde_json::Value;

use super::files::Files;
use super::lock::{Lock, Started};
use super::post::hidden_of;
use super::program::Call;
use super::record::{Record, decode, with_status};
use super::records::{revisions, secret_at, unreadable};
use super::{At, BY_US, Helm, mark};
use crate::failure::failure;
use crate::{KubeTarget, act, writing};

/// Between two looks at somebody else's work.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// For Helm itself to see that its time is over, and to write that down.
const GRACE_MS: u64 = 30_000;
/// Helm's own, where the plan says nothing.
const LIMIT_MS: u64 = 300_000;

pub(crate) async fn act(target: &KubeTarget, context: &Context, act: &Act) -> Result<String, Failure> {
    match act.verb.as_str() {
        "helm-upgrade" => upgrade(target, context, &act.object, &act.with).await,
        "helm-repair" => repair(target, &act.object, &act.with).await,
        // What is waited for is what it expects.
        "helm-wait" => Ok(String::new()),
        verb => Err(crate::failure::foreign(verb, &act.object)),
    }
}

pub(crate) fn program(target: &KubeTarget) -> Result<&Helm, Failure> {
    target.helm.as_ref().ok_or_else(|| {
        let message = "nobody said which program `helm` is";
        Failure::new(Class::Invalid, "helm.missing", message, "install Helm 3.13 or newer")
    })
}

/// As a label can hold it.
pub(crate) fn run_mark(run: &RunId) -> String {
    digest(&run.0).as_str().chars().take(32).collect()
}

pub(crate) fn limit(with: &Value) -> Duration {
    Duration::from_millis(with["limit_ms"].as_u64().unwrap_or(LIMIT_MS))
}

async fn upgrade(target: &KubeTarget, context: &Context, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let (helm, at, run) = (program(target)?, At::of(object)?, run_mark(&context.run));
    loop {
        let Some(mut lock) = helm.lock(&at)? else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let newest = revisions(&target.cluster, &at).await?.newest;
        let ours = newest.as_ref().is_some_and(|newest| newest.label(mark::RUN) == Some(run.as_str()));
        match &newest {
            Some(newest) if newest.is_pending() && !ours => return Err(busy(&at, newest)),
            Some(newest) if newest.is_pending() => {
                if is_dead(target, &lock, newest, limit(with)) {
                    give_up(target, &at, newest.revision).await?;
                } else {
                    drop(lock);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                continue;
            }
            Some(newest) if ours && newest.status == "deployed" && newest.description.contains(BY_US) => {
                return Ok(format!("revision {} of {at}", newest.revision));
            }
            _ => {}
        }
        let before = newest.as_ref().map_or(0, |newest| newest.revision);
        if let Some(seen) = with["before"].as_u64().filter(|seen| *seen != before && !ours) {
            let message = format!("somebody made revision {before} of the Helm release {at}: it was at {seen}");
            return Err(Failure::new(Class::Conflict, "helm.moved", message, "see `helm history`, then plan again"));
        }
        let attempt: String = {
            let drawn = digest(&(&run, target.clock.now_ns(), target.clock.monotonic_ns()));
            drawn.as_str().chars().take(32).collect()
        };
        lock.note(&Started { attempt: attempt.clone(), revision: before + 1, at_ms: target.clock.now_ms() })?;
        let files = Files::new(&helm.folder, &format!("{}.{}.files", at.namespace, at.name))?;
        let values = values(target, object, with)?;
        let post = post(target, object, with)?;
        let hidden = hidden_of(&values, post.as_deref());
        let mut call = asked(target, &at, object, with, &files, &values)?;
        helm.change(&mut call, &files, post.as_deref()).await?;
        (call.input, call.hidden) = (lock.input()?, &hidden);
        call.option("--labels", labels(with, &[(mark::RUN, &run), (mark::ATTEMPT, &attempt)]));
        let service = with["description"].as_str().unwrap_or("released");
        call.option("--description", format!("{service}, {BY_US} (run {})", context.run));
        helm.run(call).await?;
        // Whether it stands is asked next; what somebody else does after it is not undone by doing it again.
        return Ok(format!("revision {} of {at}", before + 1));
    }
}

/// `helm upgrade --install` as the plan wants it, but for what tells one start from another.
fn asked<'a>(
    target: &KubeTarget,
    at: &At,
    object: &ObjectId,
    with: &Value,
    files: &Files,
    values: &[Vec<u8>],
) -> Result<Call<'a>, Failure> {
    let helm = program(target)?;
    let chart = opened(target, object, "/chart", &with["chart"])?;
    let limit = limit(with);
    let mut call = helm.on(at, &["upgrade", "--install"], limit + Duration::from_millis(GRACE_MS));
    call.words.push(files.add("chart.tgz", &chart)?.into());
    for (number, values) in values.iter().enumerate() {
        call.option("--values", files.add(&format!("values-{number}.yaml"), values)?);
    }
    call.option("--timeout", format!("{}ms", limit.as_millis()));
    if let Some(most) = with["history_max"].as_u64() {
        call.option("--history-max", most.to_string());
    }
    if with["create_namespace"] == true {
        call.words.push("--create-namespace".into());
    }
    Ok(call)
}

fn labels(with: &Value, more: &[(&str, &str)]) -> String {
    let given = with["labels"].as_object().into_iter().flatten();
    let given = given.filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    given.chain(more.iter().map(|(name, value)| format!("{name}={value}"))).collect::<Vec<_>>().join(",")
}

fn values(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<Vec<Vec<u8>>, Failure> {
    let list = with["values"].as_array().into_iter().flatten().enumerate();
    list.map(|(number, one)| opened(target, object, &format!("/values/{number}"), one)).collect()
}

/// For the post-renderer, where there is to be one.
fn post(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<Option<Vec<u8>>, Failure> {
    if with["post"].is_null() { Ok(None) } else { opened(target, object, "/post", &with["post"]).map(Some) }
}

fn opened(target: &KubeTarget, object: &ObjectId, place: &str, secret: &Value) -> Result<Vec<u8>, Failure> {
    act::opened(target, object, place, secret["sealed"].as_str().unwrap_or_default())
}

/// What Helm and the API server would say, without doing it. A release whose record hangs is not asked about: Helm would only say that.
pub(crate) async fn rehearse(target: &KubeTarget, act: &Act) -> Result<Vec<String>, Failure> {
    let (helm, at) = (program(target)?, At::of(&act.object)?);
    if act.verb != "helm-upgrade"
        || revisions(&target.cluster, &at).await?.newest.is_some_and(|newest| newest.is_pending())
    {
        return Ok(Vec::new());
    }
    super::lock::private(&helm.folder)?;
    let files = Files::own(&helm.folder, "rehearse")?;
    let values = values(target, &act.object, &act.with)?;
    let post = post(target, &act.object, &act.with)?;
    let hidden = hidden_of(&values, post.as_deref());
    let mut call = asked(target, &at, &act.object, &act.with, &files, &values)?;
    helm.change(&mut call, &files, post.as_deref()).await?;
    call.hidden = &hidden;
    call.words.extend([PathBuf::from("--dry-run=server").into(), PathBuf::from("--hide-secret").into()]);
    helm.run(call).await.map(|_| Vec::new())
}

/// Whether the program that left a pending record cannot be alive any more.
pub(crate) fn is_dead(target: &KubeTarget, lock: &Lock, record: &Record, limit: Duration) -> bool {
    let age_ms = target.clock.now_ms().saturating_sub(record.updated_ms);
    let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX).saturating_add(2 * GRACE_MS as i64);
    lock.before.as_ref().is_some_and(|started| started.made(record)) || age_ms > limit_ms
}

pub(crate) fn busy(at: &At, record: &Record) -> Failure {
    let message = format!(
        "the Helm release {at} says {} at revision {}: another helm is at work",
        record.status, record.revision
    );
    let next = "wait for it; `apm k8s status` shows whether it hangs, and `apm deploy --repair` repairs it then";
    Failure::new(Class::Conflict, "helm.busy", message, next)
}

/// Marks a pending record as failed, as Helm would have, had it lived: the next upgrade takes it from there. Who holds the lock knows that its
/// helm is dead; a record that somebody else writes meanwhile is left alone.
async fn give_up(target: &KubeTarget, at: &At, revision: u64) -> Result<(), Failure> {
    let place = secret_at(at, revision);
    let Some(secret) = target.cluster.get_if_there(&place).await.map_err(|error| failure(&error))? else {
        return Ok(());
    };
    let record = decode(&secret).map_err(|error| unreadable(&error))?;
    if !record.is_pending() {
        return Ok(());
    }
    let description = format!("its helm was ended while it was {}; marked as failed {BY_US}", record.status);
    let failed =
        with_status(&secret, "failed", &description, target.clock.now_ms()).map_err(|error| unreadable(&error))?;
    match target.cluster.replace(&place, &failed, &writing()).await {
        Ok(_) | Err(connect_kube::KubeError::Conflict { .. }) => Ok(()),
        Err(error) => Err(failure(&error)),
    }
}

async fn repair(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let (helm, at) = (program(target)?, At::of(object)?);
    let mut did = String::from("it was repaired already");
    loop {
        let Some(mut lock) = helm.lock(&at)? else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let revisions = revisions(&target.cluster, &at).await?;
        let hidden = revisions.hidden();
        let Some(newest) = revisions.newest.filter(Record::is_pending) else {
            // `helm history` goes on showing it; that it hung is over.
            let seen = with["revision"].as_u64().unwrap_or_default();
            give_up(target, &at, seen).await?;
            return Ok(did);
        };
        let own = lock.before.as_ref().is_some_and(|started| started.made(&newest));
        if with["revision"] != newest.revision && !own {
            return Err(busy(&at, &newest));
        }
        match with["to"].as_u64() {
            Some(to) => {
                did = format!("rolled back to revision {to}");
                rollback(target, &at, &mut lock, [newest.revision, to], limit(with), &hidden).await?;
            }
            None => {
                did = format!("revision {} marked as failed", newest.revision);
                give_up(target, &at, newest.revision).await?;
            }
        }
    }
}

/// Has Helm go back from the newest revision to another.
pub(crate) async fn rollback(
    target: &KubeTarget,
    at: &At,
    lock: &mut Lock,
    [newest, to]: [u64; 2],
    limit: Duration,
    hidden: &[(String, String)],
) -> Result<(), Failure> {
    let helm = program(target)?;
    lock.note(&Started { attempt: String::new(), revision: newest + 1, at_ms: target.clock.now_ms() })?;
    let mut call = helm.on(at, &["rollback"], limit + Duration::from_millis(GRACE_MS));
    call.words.insert(2, to.to_string().into());
    call.option("--timeout", format!("{}ms", limit.as_millis()));
    // How many are kept is said by the upgrade; the way back forgets nothing.
    call.option("--history-max", "0");
    (call.input, call.hidden) = (lock.input()?, hidden);
    helm.run(call).await.map(drop)
}
