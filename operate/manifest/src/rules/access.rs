//! Roles and bindings.

use super::selector;
use super::words::wanted;
use crate::format;
use crate::validate::{At, Out};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(crate) fn check(kind: &str, root: &At<'_>, out: &mut Out) {
    match kind {
        "Role" | "ClusterRole" => {
            let rules = root.get("rules");
            for rule in rules.items() {
                one_rule(&rule, kind == "Role", out);
            }
            let aggregation = root.get("aggregationRule");
            let selectors = aggregation.get("clusterRoleSelectors");
            if aggregation.is() && selectors.len() == 0 {
                out.error(&selectors, "field/required", "nothing is aggregated", "add a selector");
            }
            for one in selectors.items() {
                selector::selector(&one, out);
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(kind, root, out),
        _ => {}
    }
}

fn one_rule(at: &At<'_>, namespaced: bool, out: &mut Out) {
    let (verbs, groups, resources, urls) =
        (at.get("verbs"), at.get("apiGroups"), at.get("resources"), at.get("nonResourceURLs"));
    if verbs.len() == 0 {
        out.error(&verbs, "field/required", "no verb is said", "as [get, list, watch]");
    }
    if urls.len() > 0 {
        if namespaced {
            out.error(&urls, "relation/conflict", "a Role has no rules for URLs", "use a ClusterRole");
        }
        if groups.len() > 0 || resources.len() > 0 || at.get("resourceNames").len() > 0 {
            out.error(&urls, "relation/conflict", "URLs and resources exclude each other", "make them two rules");
        }
        return;
    }
    if groups.len() == 0 {
        out.error(&groups, "field/required", "no API group is said", "as [\"\"] for the core, or [apps]");
    }
    if resources.len() == 0 {
        out.error(&resources, "field/required", "no resource is said", "as [pods]");
    }
}

fn binding(kind: &str, root: &At<'_>, out: &mut Out) {
    let role = root.get("roleRef");
    let group = role.get("apiGroup");
    if !matches!(group.str(), "" | GROUP) {
        out.error(&group, "format/value", format!("`{}` has no roles", group.str()), format!("write `{GROUP}`"));
    }
    let (of, name) = (role.get("kind"), role.get("name"));
    let kinds: &[&str] = if kind == "RoleBinding" { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&of.str()) {
        out.error(
            &of,
            "format/value",
            format!("`{}` cannot be bound so", of.str()),
            format!("write {}", kinds.join(" or ")),
        );
    }
    if wanted(&name, "name", out) && !format::path_segment(name.str()) {
        out.error(
            &name,
            "format/name",
            format!("`{}` is no name of a role", name.str()),
            "no `/`, no `%`, not `.` or `..`",
        );
    }
    let subjects = root.get("subjects");
    for subject in subjects.items() {
        one_subject(&subject, kind == "RoleBinding", out);
    }
}

fn one_subject(at: &At<'_>, namespaced: bool, out: &mut Out) {
    let (kind, name, group, space) = (at.get("kind"), at.get("name"), at.get("apiGroup"), at.get("namespace"));
    wanted(&name, "name", out);
    match kind.str() {
        "ServiceAccount" => {
            if !name.str().is_empty() && !format::dns_subdomain(name.str()) {
                out.error(
                    &name,
                    "format/name",
                    format!("`{}` is no name of a ServiceAccount", name.str()),
                    "lower-case letters, digits, `-` and `.`",
                );
            }
            if !group.str().is_empty() {
                out.error(&group, "format/value", "ServiceAccounts are of the core group", "take it out");
            }
            // A RoleBinding's own namespace is not taken: nobody is bound.
            let before = out.lenient;
            out.lenient |= namespaced;
            wanted(&space, "namespace", out);
            out.lenient = before;
        }
        "User" | "Group" => {
            if !matches!(group.str(), "" | GROUP) {
                out.error(
                    &group,
                    "format/value",
                    format!("`{}` has no users", group.str()),
                    format!("write `{GROUP}`"),
                );
            }
        }
        other => out.error(
            &kind,
            "format/value",
            format!("`{other}` cannot be bound"),
            "write ServiceAccount, User or Group",
        ),
    }
}
