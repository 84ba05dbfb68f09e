//! Who may do what: roles and their bindings, and what security constraints allow.

use super::super::found::Found;
use crate::validate::At;

pub(super) fn access(kind: &str, root: &At<'_>, found: &mut Found<'_>) {
    match kind {
        "Role" | "ClusterRole" => {
            let rules = root.get("rules");
            for rule in rules.items() {
                of_role(&rule, found);
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(root, found),
        _ => {}
    }
}

const POD_MAKERS: &[&str] =
    &["pods", "deployments", "statefulsets", "replicasets", "cronjobs", "jobs", "daemonsets", "replicationcontrollers"];

fn of_role(rule: &At<'_>, found: &mut Found<'_>) {
    let (verbs, resources, names) = (rule.get("verbs"), rule.get("resources"), rule.get("resourceNames"));
    for (list, what) in [(&verbs, "verb"), (&resources, "resource"), (&rule.get("apiGroups"), "API group")] {
        for item in list.items().filter(|item| item.str() == "*") {
            found.add("AK1104", &item, format!("any {what}"));
        }
    }
    let may = |wanted: &[&str]| verbs.items().find(|verb| verb.str() == "*" || wanted.contains(&verb.str()));
    let on =
        |wanted: &[&str]| resources.items().find(|resource| resource.str() == "*" || wanted.contains(&resource.str()));
    if let (Some(_), Some(resource)) = (may(&["get", "list", "watch", "create", "delete"]), on(&["secrets"]))
        && names.len() == 0
    {
        found.add("AK1102", &resource, format!("all of `{}`", resource.str()));
    }
    if let (Some(_), Some(resource)) = (may(&["create"]), on(POD_MAKERS)) {
        found.add("AK1103", &resource, format!("`create` of `{}`", resource.str()));
    }
    for verb in verbs.items().filter(|verb| matches!(verb.str(), "escalate" | "bind" | "impersonate")) {
        if names.len() == 0 {
            found.add("AK1105", &verb, format!("`{}`", verb.str()));
        }
    }
}

fn binding(root: &At<'_>, found: &mut Found<'_>) {
    let role = root.get("roleRef");
    let name = role.get("name");
    if name.str() == "cluster-admin" {
        found.add("AK1101", &name, "`cluster-admin`");
    }
    let subjects = root.get("subjects");
    for subject in subjects.items() {
        let who = subject.get("name");
        if matches!(who.str(), "system:anonymous" | "system:unauthenticated") {
            found.add("AK1106", &who, format!("`{}` gets {}", who.str(), name.str()));
        }
    }
}

pub(super) fn constraints(root: &At<'_>, found: &mut Found<'_>) {
    let allowed = root.get("allowPrivilegedContainer");
    if allowed.bool() {
        found.add("AK0510", &allowed, "`allowPrivilegedContainer: true`").suggest_set(&allowed, false);
    }
}
