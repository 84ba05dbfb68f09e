//! What a planner has to know of an object, and no more: what identifies it, its marks, who made it, and how it runs. Values of Secrets are
//! not among it.

use connect_kube::AccessQuestion;
use operate_plan::{Failure, ObjectId};
use serde_json::{Map, Value, json};

use crate::failure::{failure, foreign};
use crate::scene;
use crate::status::{Progress, progress};
use crate::{KubeTarget, at};

pub(crate) async fn look(target: &KubeTarget, object: &ObjectId) -> Result<Option<Value>, Failure> {
    if object.kind == "access" {
        return access(target, object).await.map(Some);
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
            if let Some(hash) = read.hash(&found) {
                fact["hash"] = json!(hash);
            }
        }
        "Service" => fact["selector"] = found["spec"]["selector"].clone(),
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

async fn access(target: &KubeTarget, object: &ObjectId) -> Result<Value, Failure> {
    let [verb, kind, namespace] = object.name.splitn(3, '/').collect::<Vec<_>>()[..] else {
        return Err(foreign("look at", object));
    };
    let resource = at::resource(target, kind, None).await?;
    let question = AccessQuestion::new(verb, &resource, (!namespace.is_empty()).then_some(namespace));
    let answer = target.cluster.may(&question).await.map_err(|error| failure(&error))?;
    if !answer.allowed && !answer.evaluation_error.is_empty() {
        let message = format!("the server could not judge {object}: {}", answer.evaluation_error);
        let next = "ask again, or look at the authorizer's log";
        return Err(Failure::new(operate_plan::Class::Unknown, "kube.access", message, next));
    }
    let who = target.cluster.found().context.clone().unwrap_or_else(|| "this login".to_owned());
    Ok(json!({"allowed": answer.allowed, "who": who}))
}
