//! What a planner has to know of an object, and no more: what identifies it, its marks, who made it, and how it runs. Values of Secrets are
//! not among it.

use connect_kube::{AccessQuestion, ListOptions};
use operate_plan::{Failure, ObjectId};
use serde_json::{Map, Value, json};

use crate::failure::{failure, foreign};
use crate::scene;
use crate::status::{self, Progress, progress};
use crate::{KubeTarget, at};

/// Quotas, policies and the like of one namespace; more are a mistake.
const ALL_MAX: usize = 1_000;

pub(crate) async fn look(target: &KubeTarget, object: &ObjectId) -> Result<Option<Value>, Failure> {
    match object.kind.as_str() {
        "access" => return access(target, object).await.map(Some),
        "all" => return all(target, object).await.map(Some),
        _ => {}
    }
    if object.kind == crate::helm::KIND {
        return crate::helm::look(target, object).await;
    }
    if object.kind == crate::weights::KIND {
        return crate::weights::look(target, object).await;
    }
    let Some(found) = at::get(target, object).await? else { return Ok(None) };
    let metadata = &found["metadata"];
    let mut fact = json!({
        "uid": metadata["uid"], "version": metadata["resourceVersion"],
        "labels": marks(&metadata["labels"]), "annotations": marks(&metadata["annotations"]), "managers": managers(&found),
    });
    if metadata["generation"].is_u64() {
        fact["generation"] = metadata["generation"].clone();
        // What counts its changes is told by the count; the version changes with every word of status.
        fact["version"] = Value::Null;
    }
    if !metadata["deletionTimestamp"].is_null() {
        fact["deleting"] = json!(true);
    }
    match object.kind.as_str() {
        "Deployment.apps" | "StatefulSet.apps" | "DaemonSet.apps" => {
            let read = scene::read(&target.cluster, &found).await.map_err(|error| failure(&error))?;
            fact["ready"] = json!(progress(&read.scene(&found)) == Progress::Ready);
            fact["replicas"] = found["spec"]["replicas"].clone();
            fact["template"] = template(&found["spec"]["template"]);
            if object.kind == "DaemonSet.apps" {
                fact["nodes"] = found["status"]["desiredNumberScheduled"].clone();
            }
            if let Some(hash) = read.hash(&found) {
                fact["hash"] = json!(hash);
            }
        }
        "Service" => fact["selector"] = found["spec"]["selector"].clone(),
        "Gateway.gateway.networking.k8s.io" => fact["reported"] = json!(status::reported(&found)),
        // The record of a release; what else is in a ConfigMap is nobody's here.
        "ConfigMap" if object.name.rsplit('/').next().is_some_and(|name| name.starts_with("apm-release-")) => {
            fact["data"] = found["data"].clone();
        }
        _ => {}
    }
    Ok(Some(fact))
}

fn marks(map: &Value) -> Value {
    let marks = map.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("apm."));
    Value::Object(marks.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn managers(object: &Value) -> Vec<String> {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<_> = managers
        .filter(|manager| manager["subresource"].is_null())
        .filter_map(|manager| Some(manager["manager"].as_str()?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Of a template of pods, what decides whether a quota or a range has room for them. No variable is among it.
fn template(template: &Value) -> Value {
    let pod = &template["spec"];
    let containers = |key: &str| -> Vec<Value> {
        let all = pod[key].as_array().into_iter().flatten();
        all.map(
            |one| json!({"name": one["name"], "resources": one["resources"], "restartPolicy": one["restartPolicy"]}),
        )
        .collect()
    };
    let mut spec = json!({"containers": containers("containers"), "initContainers": containers("initContainers")});
    for name in ["overhead", "resources", "priorityClassName", "activeDeadlineSeconds"] {
        spec[name] = pod[name].clone();
    }
    json!({"metadata": {"labels": template["metadata"]["labels"]}, "spec": spec})
}

/// All objects of a kind in a namespace: `all/KIND/NAMESPACE`. Of each its name, and what it says.
async fn all(target: &KubeTarget, object: &ObjectId) -> Result<Value, Failure> {
    let Some((kind, namespace)) = object.name.split_once('/') else { return Err(foreign("look at", object)) };
    let resource = match at::resource(target, kind, None).await {
        // A server that does not know the kind has none of it.
        Err(failure) if failure.code == "kube.no-such-kind" => return Ok(json!({"objects": []})),
        other => other?,
    };
    let listed = target.cluster.list(&resource, Some(namespace), &ListOptions::default(), ALL_MAX).await;
    let objects = listed.map_err(|error| failure(&error))?;
    let told = objects.iter().map(|one| {
        let metadata = json!({"name": one["metadata"]["name"], "namespace": one["metadata"]["namespace"]});
        let status = if kind == "ResourceQuota" { one["status"].clone() } else { Value::Null };
        json!({"metadata": metadata, "spec": one["spec"], "status": status})
    });
    Ok(json!({"objects": told.collect::<Vec<_>>()}))
}

/// Whether we may do a thing to objects of a kind: to any of them, or at least to each that is named.
async fn access(target: &KubeTarget, object: &ObjectId) -> Result<Value, Failure> {
    let [verb, kind, namespace, names] = object.name.splitn(4, '/').collect::<Vec<_>>()[..] else {
        return Err(foreign("look at", object));
    };
    let resource = at::resource(target, kind, None).await?;
    let mut question = AccessQuestion::new(verb, &resource, (!namespace.is_empty()).then_some(namespace));
    let mut allowed = may(target, object, &question).await?;
    if !allowed && !names.is_empty() {
        allowed = true;
        for name in names.split(',') {
            question.name = Some(name.to_owned());
            allowed = allowed && may(target, object, &question).await?;
        }
    }
    let who = target.cluster.found().context.clone().unwrap_or_else(|| "this login".to_owned());
    Ok(json!({"allowed": allowed, "who": who, "resource": resource.plural}))
}

async fn may(target: &KubeTarget, object: &ObjectId, question: &AccessQuestion) -> Result<bool, Failure> {
    let answer = target.cluster.may(question).await.map_err(|error| failure(&error))?;
    if !answer.allowed && !answer.evaluation_error.is_empty() {
        let message = format!("the server could not judge {object}: {}", answer.evaluation_error);
        let next = "ask again, or look at the authorizer's log";
        return Err(Failure::new(operate_plan::Class::Unknown, "kube.access", message, next));
    }
    Ok(answer.allowed)
}
