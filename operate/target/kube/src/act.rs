//! The changes: apply, scale, select, delete. Each may be done again after it was cut off anywhere.

use connect_kube::{DeleteOptions, KubeError, Patch, Propagation, WriteOptions, Written};
use operate_execute::Done;
use operate_plan::{Act, Class, Failure, ObjectId};
use serde_json::{Value, json};

use crate::failure::{failure, foreign, not_ours};
use crate::kept::{compared, kept};
use crate::{KubeTarget, MANAGER, at, writing};

pub(crate) async fn act(target: &KubeTarget, act: &Act) -> Result<Done, Failure> {
    let (object, with) = (&act.object, &act.with);
    let note = match act.verb.as_str() {
        "apply" => apply(target, object, with, &writing()).await?.join("; "),
        "scale" => scale(target, object, with).await?,
        "select" => select(target, object, with).await?,
        "delete" => delete(target, object, with).await?,
        verb => return Err(foreign(verb, object)),
    };
    Ok(Done { touched: vec![object.clone()], note })
}

/// How the sealed value of an object is named, so that it opens there only.
pub fn secret_name(object: &ObjectId, place: &str) -> String {
    format!("{object}#{place}")
}

/// See [`KubeTarget::preview`].
pub(crate) async fn preview(target: &KubeTarget, act: &Act) -> Result<(Option<Value>, Value), Failure> {
    let shown = |object: &Value| compared(&kept(object));
    let body = whole(target, &act.object, &act.with)?;
    let found = match at::at_of(target, &act.object, &body).await {
        Ok(at) => target.cluster.get_if_there(&at).await.map_err(|error| failure(&error))?,
        // Its definition is not there yet.
        Err(failure) if failure.code == "kube.no-such-kind" => return Ok((None, shown(&body))),
        Err(failure) => return Err(failure),
    };
    match written(target, &act.object, &act.with, &writing().dry()).await {
        Ok(written) => Ok((found.as_ref().map(shown), shown(&written.object))),
        // Its namespace is not there yet.
        Err(failure) if failure.class == Class::NotFound && found.is_none() => Ok((None, shown(&body))),
        Err(failure) => Err(failure),
    }
}

/// The body with its secrets opened.
fn whole(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<Value, Failure> {
    let mut body = with["body"].clone();
    for (place, secret) in with["secrets"].as_object().into_iter().flatten() {
        let value = opened(target, object, place, secret["sealed"].as_str().unwrap_or_default())?;
        let value = String::from_utf8(value).map_err(|error| unopened(object, place, &error.utf8_error()))?;
        set(&mut body, place, value);
    }
    Ok(body)
}

/// Applies, or tries it out as the options say; the server's warnings.
pub(crate) async fn apply(
    target: &KubeTarget,
    object: &ObjectId,
    with: &Value,
    options: &WriteOptions,
) -> Result<Vec<String>, Failure> {
    Ok(written(target, object, with, options).await?.warnings)
}

async fn written(
    target: &KubeTarget,
    object: &ObjectId,
    with: &Value,
    options: &WriteOptions,
) -> Result<Written, Failure> {
    let body = whole(target, object, with)?;
    let at = at::at_of(target, object, &body).await?;
    let mut options = options.clone();
    options.force = with["force"] == true;
    let written = match target.cluster.apply(&at, &body, &options).await {
        // A scale or a switch of ours: the fields are ours already, under another operation.
        Err(KubeError::Conflict { fields, .. })
            if !fields.is_empty() && fields.iter().all(|field| field.manager == MANAGER) =>
        {
            target.cluster.apply(&at, &body, &options.forced()).await
        }
        other => other,
    };
    written.map_err(|error| failure(&error))
}

pub(crate) fn opened(target: &KubeTarget, object: &ObjectId, place: &str, sealed: &str) -> Result<Vec<u8>, Failure> {
    target.seal.open(&secret_name(object, place), sealed).map_err(|error| unopened(object, place, &error))
}

fn unopened(object: &ObjectId, place: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let next = "the key file of the machine that made the plan is needed; or plan again here";
    Failure::new(Class::Invalid, "seal.failed", format!("{place} of {object} cannot be opened"), next).caused_by(error)
}

/// Puts a value at a JSON pointer, whose parent may not be there yet.
fn set(body: &mut Value, place: &str, value: String) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    let mut at = body;
    for part in parent.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Array(list) => match part.parse::<usize>().ok().and_then(|index| list.get_mut(index)) {
                Some(found) => found,
                None => return,
            },
            other => &mut other[part],
        };
    }
    if at.is_object() || at.is_null() {
        at[key.replace("~1", "/").replace("~0", "~")] = Value::from(value);
    }
}

async fn scale(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let Some(replicas) = with["replicas"].as_u64().and_then(|replicas| u32::try_from(replicas).ok()) else {
        return Err(foreign("scale to nothing", object));
    };
    let at = at::at(target, object).await?;
    // Not by the subresource: an autoscaler would be taken for the one who scales.
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    target.cluster.patch(&at, &patch, &writing()).await.map_err(|error| failure(&error))?;
    Ok(String::new())
}

async fn select(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let at = at::at(target, object).await?;
    // A merge would keep the labels that it does not name.
    let patch = Patch::Json(json!([{"op": "replace", "path": "/spec/selector", "value": with["selector"]}]));
    target.cluster.patch(&at, &patch, &writing()).await.map_err(|error| failure(&error))?;
    Ok(String::new())
}

async fn delete(target: &KubeTarget, object: &ObjectId, with: &Value) -> Result<String, Failure> {
    let at = at::at(target, object).await?;
    let Some(now) = target.cluster.get_if_there(&at).await.map_err(|error| failure(&error))? else {
        return Ok("it was gone".into());
    };
    let ours = now["metadata"]["labels"]["apm.service"].is_string();
    if !ours || (!with["uid"].is_null() && with["uid"] != now["metadata"]["uid"]) {
        return Err(not_ours(object));
    }
    let uid = now["metadata"]["uid"].as_str().map(str::to_owned);
    let options = DeleteOptions { uid, propagation: Propagation::Background, ..DeleteOptions::default() };
    target.cluster.delete_if_there(&at, &options).await.map_err(|error| failure(&error))?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_where_its_place_says() {
        let mut body = json!({"kind": "Secret"});
        set(&mut body, "/data/a~1b", "x".into());
        assert_eq!(body, json!({"kind": "Secret", "data": {"a/b": "x"}}));
        let mut body = json!({"spec": {"env": [{"name": "A"}]}});
        set(&mut body, "/spec/env/0/value", "x".into());
        set(&mut body, "/spec/env/7/value", "y".into());
        assert_eq!(body, json!({"spec": {"env": [{"name": "A", "value": "x"}]}}));
    }
}
