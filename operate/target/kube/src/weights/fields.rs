//! Whose the fields of a route are (`metadata.managedFields`): who wrote a list last, and how fields go back to whoever had them. Pure.

use connect_kube::Patch;
use serde_json::{Value, json};

use crate::MANAGER;

fn entries(object: &Value) -> impl Iterator<Item = &Value> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    // Status is its controllers'.
    entries.filter(|entry| entry["subresource"] != "status")
}

/// The owners of all that is not status.
pub(super) fn owners(object: &Value) -> Value {
    entries(object).cloned().collect()
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == MANAGER && entry["operation"] == "Update"
}

/// `argocd-controller at 2026-01-02T03:04:05Z`: who wrote the list at this pointer last, or wrote the object last where nobody owns the list.
pub(super) fn last_of(object: &Value, at: &str) -> String {
    let row = at.split('/').nth(2).map(|row| format!("f:{row}")).unwrap_or_default();
    let owns = |entry: &&Value| !entry["fieldsV1"]["f:spec"][row.as_str()].is_null();
    let time = |entry: &&Value| entry["time"].as_str().unwrap_or_default().to_owned();
    let others = || entries(object).filter(|entry| !is_ours(entry));
    let last = others().filter(owns).max_by_key(time).or_else(|| others().max_by_key(time));
    match last {
        Some(entry) => {
            let name = entry["manager"].as_str().unwrap_or("somebody");
            entry["time"].as_str().map_or_else(|| name.to_owned(), |time| format!("{name} at {time}"))
        }
        None => "somebody".to_owned(),
    }
}

/// What gives the fields back to those who had them before ours were written; nothing where they have them, and nothing where somebody else wrote meanwhile, for whose fields these
/// are now nobody can tell.
pub(super) fn given_back(owners_before: &Value, now: &Value) -> Option<Patch> {
    let before: Vec<&Value> = owners_before.as_array()?.iter().collect();
    let current: Vec<&Value> = entries(now).collect();
    if before == current {
        return None;
    }
    let who = |entry: &Value| json!([entry["manager"], entry["operation"], entry["subresource"], entry["time"]]);
    let known = |entry: &&Value| is_ours(entry) || before.iter().any(|was| who(was) == who(entry));
    if !current.iter().all(known) {
        return None;
    }
    let all = now["metadata"]["managedFields"].as_array().into_iter().flatten();
    let status = all.filter(|entry| entry["subresource"] == "status");
    let owners: Vec<&Value> = before.into_iter().chain(status).collect();
    Some(Patch::Json(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": now["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": owners},
    ])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, time: &str) -> Value {
        json!({"manager": manager, "operation": operation, "time": time})
    }

    /// The managers after the fields were given back; `None` where they are left as they are.
    fn check(before: &[&Value], now: &[&Value], expect: Option<&[&str]>) {
        let object = json!({"metadata": {"resourceVersion": "7", "managedFields": now}});
        let found = given_back(&json!(before), &object);
        let managers = found.map(|patch| match patch {
            Patch::Json(ops) => {
                let all = ops[1]["value"].as_array().expect("managers").clone();
                all.iter().map(|one| one["manager"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(managers, expect.map(|names| names.iter().map(|name| (*name).to_owned()).collect()));
    }

    #[test]
    fn fields_go_back_unless_somebody_else_wrote_meanwhile() {
        let argo = entry("argocd-controller", "Apply", "1");
        let ours = entry("apm", "Update", "2");
        let mut status = entry("gateway", "Update", "3");
        status["subresource"] = json!("status");
        let both = [&argo, &ours, &status];
        check(&[&argo], &both, Some(&["argocd-controller", "gateway"]));
        // One that had this list alone has vanished from those who own something.
        check(&[&argo], &[&ours], Some(&["argocd-controller"]));
        check(&[&argo], &[&argo, &status], None);
        check(&[&argo], &[&entry("argocd-controller", "Apply", "4"), &ours], None);
        check(&[&argo], &[&entry("kubectl-edit", "Update", "4"), &ours], None);
    }
}
