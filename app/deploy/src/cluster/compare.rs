//! What a release would change on a cluster, as the API server says it: each object is applied as a dry run by our manager, with admission and defaults,
//! and held against what is there. It changes nothing, and it shows no value of a Secret unless it is told to.

use std::collections::BTreeMap;

use base_explain::Report;
use operate_deploy::{ClusterRelease, Difference, cluster_applies, cluster_mark, cluster_prunable};
use operate_manifest::mask::{is_secret, masked};
use operate_plan::{Failure, ObjectId};
use serde::Serialize;
use serde_json::Value;

use super::context_of;
use crate::{Desk, DeskError};

const NOBODY: [&str; 4] = ["kube.unreachable", "kube.login", "kube.unauthorized", "kube.timeout"];

/// One object that would be otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectChange {
    /// `Deployment.apps/shop/cart`
    pub object: String,
    /// It is left from an earlier release, and would be deleted.
    pub pruned: bool,
    /// Nothing: it is not there. What only the server writes is left out.
    pub was: Option<Value>,
    pub becomes: Option<Value>,
}

/// One object of which nobody can say what would become of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unknown {
    pub object: String,
    pub code: String,
    pub why: String,
    pub next: String,
}

/// A release beside what is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Compared {
    pub changes: Vec<ObjectChange>,
    pub unknown: Vec<Unknown>,
    /// Objects that stay as they are.
    pub same: usize,
}

impl Desk {
    /// What would be otherwise after the release.
    pub async fn compare(&self, release: &ClusterRelease, show_secrets: bool) -> Result<Compared, DeskError> {
        if release.helm.is_some() {
            let report = Report::new(format!("{} is a chart: its objects are Helm's to change", release.service));
            return Err(DeskError::Told(report.hint("`apm deploy --dry-run` shows what the release would change")));
        }
        let context = context_of(&release.target).unwrap_or_default();
        let target = self.clusters.target(context, &self.seal).map_err(DeskError::Settings)?;
        let seen = self.seen_for(&target, release).await;
        let mut compared = Compared::default();
        for act in cluster_applies(release, &seen) {
            match target.preview(&act).await {
                Ok((was, becomes)) => {
                    let (was, becomes) = (was.map(unmarked), unmarked(becomes));
                    if was.as_ref() == Some(&becomes) {
                        compared.same += 1;
                        continue;
                    }
                    compared.changes.push(change(&act.object, was, Some(becomes), show_secrets));
                }
                // Nobody answers, or nobody knows us: it is the same for all of them.
                Err(failure) if NOBODY.contains(&failure.code.as_str()) => {
                    return Err(DeskError::Told(Report::new(failure.message).hint(failure.next)));
                }
                Err(failure) => compared.unknown.push(unknown(&act.object, &failure)),
            }
        }
        for object in cluster_prunable(release, &seen) {
            match target.preview_gone(&object).await {
                Ok(None) => {}
                Ok(Some(was)) => {
                    let mut change = change(&object, Some(unmarked(was)), None, show_secrets);
                    change.pruned = true;
                    compared.changes.push(change);
                }
                Err(failure) => compared.unknown.push(unknown(&object, &failure)),
            }
        }
        Ok(compared)
    }
}

fn unknown(object: &ObjectId, failure: &Failure) -> Unknown {
    let why = failure.causes.iter().fold(failure.message.clone(), |why, cause| format!("{why}: {cause}"));
    Unknown { object: object.to_string(), code: failure.code.clone(), why, next: failure.next.clone() }
}

/// Without what every release writes anew: its version, and the digest by which it knows that nothing is to be done.
fn unmarked(mut object: Value) -> Value {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(cluster_mark::VERSION);
        annotations.remove(cluster_mark::CONFIG);
        if annotations.is_empty()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    object
}

fn change(object: &ObjectId, was: Option<Value>, becomes: Option<Value>, show_secrets: bool) -> ObjectChange {
    let (was, becomes) = match show_secrets {
        true => (was, becomes),
        false => hidden(was, becomes),
    };
    ObjectChange { object: object.to_string(), pruned: false, was, becomes }
}

/// Masks that say whether a value is another one, and nothing else of it.
fn hidden(was: Option<Value>, becomes: Option<Value>) -> (Option<Value>, Option<Value>) {
    if !was.iter().chain(&becomes).any(is_secret) {
        return (was, becomes);
    }
    let value = |side: &Option<Value>, key: &str| side.as_ref().and_then(|side| side["data"].get(key)).cloned();
    let mut hidden = [was.as_ref().map(masked), becomes.as_ref().map(masked)];
    let keys: Vec<String> = [&was, &becomes]
        .into_iter()
        .flatten()
        .filter_map(|side| side["data"].as_object())
        .flat_map(|data| data.keys().cloned())
        .collect();
    for key in keys {
        if let (Some(before), Some(after)) = (value(&was, &key), value(&becomes, &key))
            && before != after
        {
            for (side, word) in hidden.iter_mut().zip(["*** (before)", "*** (after)"]) {
                if let Some(side) = side {
                    side["data"][&key] = Value::from(word);
                }
            }
        }
    }
    let [was, becomes] = hidden;
    (was, becomes)
}

impl Compared {
    /// The same as single facts, for who shows containers too.
    pub fn differences(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        for change in &self.changes {
            let container = change.object.clone();
            let one = |what: String, was: Option<String>, becomes: Option<String>| Difference {
                container: container.clone(),
                what,
                was,
                becomes,
            };
            match (&change.was, &change.becomes) {
                (Some(_), None) => found.push(one("object".to_owned(), Some("deleted".to_owned()), None)),
                (was, becomes) => {
                    if was.is_none() {
                        found.push(one("object".to_owned(), None, Some("created".to_owned())));
                    }
                    let facts = |side: &Option<Value>| {
                        let mut facts = BTreeMap::new();
                        if let Some(side) = side {
                            flat(side, String::new(), &mut facts);
                        }
                        facts
                    };
                    let (was, becomes) = (facts(was), facts(becomes));
                    let keys: std::collections::BTreeSet<&String> = was.keys().chain(becomes.keys()).collect();
                    let others = keys.into_iter().filter(|key| was.get(*key) != becomes.get(*key));
                    found.extend(others.map(|key| one(key.clone(), was.get(key).cloned(), becomes.get(key).cloned())));
                }
            }
        }
        found
    }
}

/// `spec.template.spec.containers[app].image`: each value by its way there; items of lists by their names where they have some.
fn flat(value: &Value, way: String, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                // A key with a point in it would look like two.
                let key = if key.contains('.') { format!("[{key}]") } else { key.clone() };
                let way =
                    if way.is_empty() || key.starts_with('[') { format!("{way}{key}") } else { format!("{way}.{key}") };
                flat(value, way, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or_else(|| at.to_string(), str::to_owned);
                flat(item, format!("{way}[{name}]"), into);
            }
        }
        Value::String(text) => drop(into.insert(way, text.clone())),
        other => drop(into.insert(way, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use operate_deploy::cluster_object;
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_secret_only_that_a_value_changes_is_shown() {
        let secret = |a: &str, b: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"a": a, "b": b}});
        let id = cluster_object(&secret("", ""));
        let change = change(&id, Some(secret("b2xk", "c2FtZQ==")), Some(secret("bmV3", "c2FtZQ==")), false);
        let text = serde_json::to_string(&change).expect("JSON");
        assert!(!text.contains("b2xk") && !text.contains("bmV3") && !text.contains("c2FtZQ"), "{text}");
        let compared = Compared { changes: vec![change], ..Compared::default() };
        let told: Vec<_> = compared.differences().into_iter().map(|one| (one.what, one.was, one.becomes)).collect();
        assert_eq!(told, [("data.a".to_owned(), Some("*** (before)".to_owned()), Some("*** (after)".to_owned()))]);
    }

    #[test]
    fn a_change_is_told_by_the_way_to_it() {
        let object = |image: &str| json!({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}, "spec": {"containers": [{"name": "app", "image": image}], "args": [1, true]}});
        let (was, becomes) = (Some(object("a:1")), Some(object("a:2")));
        let change = ObjectChange { object: "Pod/n/x".to_owned(), pruned: false, was, becomes };
        let gone = ObjectChange { pruned: true, becomes: None, ..change.clone() };
        let compared = Compared { changes: vec![change, gone], ..Compared::default() };
        let told: Vec<_> = compared.differences().into_iter().map(|one| (one.what, one.was, one.becomes)).collect();
        let text = |text: &str| Some(text.to_owned());
        let expect = [
            ("spec.containers[app].image".to_owned(), text("a:1"), text("a:2")),
            ("object".to_owned(), text("deleted"), None),
        ];
        assert_eq!(told, expect);
    }

    #[test]
    fn what_a_release_writes_anew_is_no_change() {
        let object =
            |version: &str| json!({"metadata": {"annotations": {"apm.version": version, "apm.config": version}}});
        assert_eq!(unmarked(object("1")), unmarked(object("2")));
        assert_eq!(unmarked(object("1")), json!({"metadata": {}}));
    }
}
