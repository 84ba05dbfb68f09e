//! What stands in the way of a release, by what was seen: what nobody could read, what is not ours, what we may not do. It changes nothing.

use std::collections::BTreeMap;

use operate_plan::{Failure, Inventory, ObjectId, Seen};
use serde_json::Value;

use super::{ClusterRelease, before, cluster_objects, color, mark, marked, mesh, object, order};
use crate::Refusal;

pub(super) fn check(release: &ClusterRelease, seen: &Inventory) -> Result<(), Refusal> {
    if release.items.is_empty() {
        return Err(Refusal::NoObjects { service: release.service.clone() });
    }
    known(release, seen)?;
    for item in &release.items {
        let id = object(&item.body);
        // A namespace or a definition is everybody's.
        if order::keeps(&id.kind).is_some() || release.adopt {
            continue;
        }
        if let Some(value) = seen.present(&id).filter(|value| !is_ours(release, value)) {
            return Err(Refusal::ForeignObject { object: id, managers: managers(value) });
        }
    }
    let same = |item: &super::Item| color::forms(release, item).iter().any(|form| !differs(release, form, seen));
    if !release.force && release.items.iter().all(same) && super::record::prunable(release, seen).is_empty() {
        let (service, version) = (release.service.clone(), release.version.clone());
        return Err(Refusal::NothingToDo { service, version });
    }
    Ok(())
}

/// What nobody could read, and what we may not do.
pub(super) fn known(release: &ClusterRelease, seen: &Inventory) -> Result<(), Refusal> {
    let (mut forbidden, mut unknown) = (Vec::new(), None);
    for object in cluster_objects(release).into_iter().chain(mesh::objects_left(release, seen)) {
        match seen.look(&object) {
            // Routes may be there of which nobody knows, and gateways; the findings say so.
            Seen::Unknown(_) if object.kind == "all" || mesh::is_gateway(&object) => {}
            // Who may not ask what he may do finds out by trying; the plan says so.
            Seen::Unknown(_) if object.kind == "access" => {}
            Seen::Unknown(failure) => unknown = unknown.or(Some(Refusal::Unknown { object, failure })),
            Seen::Present(value) if object.kind == "access" && value["allowed"] == false => {
                forbidden.push((object, value));
            }
            Seen::Present(value) if value["deleting"] == true => return Err(Refusal::Deleting { object }),
            Seen::Present(_) | Seen::Absent => {}
        }
    }
    if let Some((_, first)) = forbidden.first() {
        let (what, who) = (what(&forbidden), text(first, "who"));
        return Err(Refusal::Forbidden { what, who, rule: rule(&forbidden) });
    }
    // What could not be looked at for want of a right is among what is forbidden.
    if let Some(refusal) = unknown {
        return Err(refusal);
    }
    Ok(())
}

/// Whether an object is not what is wanted, or does not run.
pub(super) fn differs(release: &ClusterRelease, item: &super::Item, seen: &Inventory) -> bool {
    let wanted = marked(release, item);
    let Some(value) = seen.present(&object(&item.body)) else { return true };
    let config = &wanted["metadata"]["annotations"][mark::CONFIG];
    release.force || value["annotations"][mark::CONFIG] != *config || value["ready"] == false
}

pub(super) fn is_ours(release: &ClusterRelease, value: &Value) -> bool {
    let is = |name: &str, wanted: &str| value["labels"][name] == wanted;
    is(mark::SERVICE, &release.service) && is(mark::ENVIRONMENT, &release.environment)
}

/// What nobody could say whether we may.
pub(super) fn unsure(release: &ClusterRelease, seen: &Inventory) -> Option<(String, Failure)> {
    let left = mesh::objects_left(release, seen).into_iter().filter(|object| object.kind == "access");
    order::accesses(release).into_iter().chain(left).find_map(|object| match seen.look(&object) {
        Seen::Unknown(failure) => Some((words(&object), failure)),
        _ => None,
    })
}

/// `patch Deployment.apps in shop`.
pub(super) fn words(access: &ObjectId) -> String {
    match access.name.splitn(4, '/').collect::<Vec<_>>()[..] {
        [verb, kind, "", ..] => format!("{verb} {kind}"),
        [verb, kind, namespace, ..] => format!("{verb} {kind} in {namespace}"),
        _ => access.name.clone(),
    }
}

/// `create, patch Deployment.apps in shop; list Pod in shop`.
fn what(forbidden: &[(ObjectId, Value)]) -> String {
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (access, _) in forbidden {
        if let Some((verb, _)) = access.name.split_once('/') {
            let of = words(access);
            verbs.entry(of.strip_prefix(verb).unwrap_or_default().to_owned()).or_default().push(verb);
        }
    }
    verbs.into_iter().map(|(of, verbs)| format!("{}{of}", verbs.join(", "))).collect::<Vec<_>>().join("; ")
}

/// The rules that would allow all of it, as a Role has them.
pub(super) fn rule(forbidden: &[(ObjectId, Value)]) -> String {
    let mut verbs: BTreeMap<(&str, &str, String), Vec<&str>> = BTreeMap::new();
    for (access, value) in forbidden {
        let [verb, kind, namespace, ..] = access.name.splitn(4, '/').collect::<Vec<_>>()[..] else { continue };
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        // The server's own word for the kind, where it said it.
        let plural = value["resource"].as_str().map_or_else(|| before::plural(kind), str::to_owned);
        verbs.entry((namespace, group, plural)).or_default().push(verb);
    }
    let mut roles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((namespace, group, plural), verbs) in verbs {
        let verbs = verbs.join(", ");
        let rule = format!("`- {{apiGroups: [\"{group}\"], resources: [{plural}], verbs: [{verbs}]}}`");
        roles.entry(namespace).or_default().push(rule);
    }
    let one = |(namespace, rules): (&str, Vec<String>)| {
        let role = if namespace.is_empty() { "a ClusterRole".to_owned() } else { format!("a Role in {namespace}") };
        format!("{role} with {}", rules.join(", "))
    };
    roles.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

fn managers(value: &Value) -> String {
    let names: Vec<_> = value["managers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() { "somebody".to_owned() } else { names.join(", ") }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
