//! Whether a condition holds. What can never come to hold is a failure with its reason and the last words of whoever ended, so that nobody
//! waits for it. It changes nothing.

use connect_kube::{LogOptions, ObjectAt, Resource};
use futures_util::StreamExt as _;
use operate_execute::Met;
use operate_plan::{Class, Condition, Failure, ObjectId};
use serde_json::Value;

use crate::failure::{failure, foreign};
use crate::status::{Progress, Spoke, Trouble, progress, reported};
use crate::{KubeTarget, at, scene};

/// Last lines of a container that ended.
const LAST_LINES: u64 = 5;

pub(crate) async fn check(target: &KubeTarget, condition: &Condition) -> Result<Met, Failure> {
    let object = &condition.object;
    let with = &condition.with;
    let seen = at::get(target, object).await?;
    let absent = || Met::No("it is not there".into());
    Ok(match (condition.verb.as_str(), seen) {
        ("present", seen) => met(seen.is_some(), || "it is not there".into()),
        ("absent", seen) => met(seen.is_none(), || "it is there".into()),
        (_, None) => absent(),
        ("same", Some(seen)) => same(&seen, with),
        ("ready", Some(seen)) if with["reported"] == true && reported(&seen).is_empty() => {
            Met::No("no controller has said anything about it".into())
        }
        ("ready", Some(seen)) => ready(target, object, &seen).await?,
        ("stopped", Some(seen)) => {
            let read = scene::read(&target.cluster, &seen).await.map_err(|error| failure(&error))?;
            let pods = read.scene(&seen).under.iter().filter(|under| under["kind"] == "Pod").count();
            met(pods == 0, || format!("{pods} pods are still there"))
        }
        ("selects", Some(seen)) => {
            let now = &seen["spec"]["selector"];
            met(*now == with["selector"], || format!("it selects {now}"))
        }
        (verb, _) => return Err(foreign(verb, object)),
    })
}

fn met(holds: bool, otherwise: impl FnOnce() -> String) -> Met {
    if holds { Met::Yes } else { Met::No(otherwise()) }
}

fn same(seen: &Value, with: &Value) -> Met {
    let metadata = &seen["metadata"];
    if metadata["uid"] != with["uid"] {
        return Met::No("it is another one: somebody made it anew".into());
    }
    let changed = [("generation", "generation"), ("version", "resourceVersion")]
        .into_iter()
        .any(|(name, place)| !with[name].is_null() && with[name] != metadata[place]);
    met(!changed, || "somebody changed it meanwhile".into())
}

async fn ready(target: &KubeTarget, object: &ObjectId, seen: &Value) -> Result<Met, Failure> {
    let read = scene::read(&target.cluster, seen).await.map_err(|error| failure(&error))?;
    let trouble = match progress(&read.scene(seen)) {
        Progress::Ready => return Ok(Met::Yes),
        Progress::Waiting(says) => return Ok(Met::No(says)),
        Progress::Trouble(trouble) => trouble,
    };
    let message = match (&trouble.spoke, object.name.split_once('/')) {
        (Some(spoke), Some((namespace, _))) => in_its_words(target, namespace, &trouble, spoke).await,
        _ => trouble.message.clone(),
    };
    match trouble.lasting {
        true => Err(Failure::new(Class::Invalid, trouble.code, message, trouble.next)),
        false => Ok(Met::No(message)),
    }
}

/// A trouble with a container, without the values of its variables; with its last words where it will not get well.
async fn in_its_words(target: &KubeTarget, namespace: &str, trouble: &Trouble, spoke: &Spoke) -> String {
    let pod = Resource::namespaced("v1", "Pod", "pods").at(namespace, &spoke.pod);
    let Ok(found) = target.cluster.get(&pod).await else {
        // What it must not say is not known, so it says nothing.
        return format!("container {} of pod {} is in trouble", spoke.container, spoke.pod);
    };
    let values = values(&found, &spoke.container);
    let mut message = masked(&trouble.message, &values);
    if trouble.lasting {
        let words = last_words(target, &pod, spoke, &values).await;
        if !words.is_empty() {
            message.push_str(&format!("; its last words: {words}"));
        }
    }
    message
}

pub(crate) fn masked(line: &str, values: &[(String, String)]) -> String {
    values.iter().fold(line.to_owned(), |line, (name, value)| line.replace(value, &format!("${name}")))
}

/// The end of a container's log in one line.
async fn last_words(target: &KubeTarget, pod: &ObjectAt, spoke: &Spoke, values: &[(String, String)]) -> String {
    let container = Some(spoke.container.clone());
    let options = LogOptions { container, previous: spoke.previous, tail: Some(LAST_LINES), ..LogOptions::default() };
    let Ok(mut lines) = target.cluster.logs(pod, &options).await else { return String::new() };
    let mut told = Vec::new();
    while let Some(Ok(line)) = lines.next().await {
        let line = String::from_utf8_lossy(&line.text).trim().chars().take(300).collect::<String>();
        if !line.is_empty() {
            told.push(masked(&line, values));
        }
    }
    told.join(" | ")
}

/// Values of variables that are long enough to be a secret, the longest first: one may hold another.
pub(crate) fn values(pod: &Value, container: &str) -> Vec<(String, String)> {
    let places = ["/spec/containers", "/spec/initContainers"];
    let containers = places.iter().filter_map(|place| pod.pointer(place)?.as_array()).flatten();
    let env = containers.filter(|one| one["name"] == container).filter_map(|one| one["env"].as_array()).flatten();
    let mut values: Vec<(String, String)> = env
        .filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["value"].as_str()?.to_owned())))
        // Names that everybody may know, and that stand in the names of pods.
        .filter(|(name, value)| {
            value.len() >= 6 && !["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"].contains(&&**name)
        })
        .collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    values
}
