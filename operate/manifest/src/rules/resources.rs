//! Requests and limits, quotas and ranges of limits: quantities and what they count.

use super::words::{one_of, unique};
use crate::format;
use crate::validate::{At, Out};

/// Names without a domain that containers may ask for.
pub(crate) fn standard(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Counted in whole pieces, and never shared.
fn extended(name: &str) -> bool {
    name.contains('/')
        && !name.starts_with("requests.")
        && !name
            .split_once('/')
            .is_some_and(|(domain, _)| domain == "kubernetes.io" || domain.ends_with(".kubernetes.io"))
}

/// A name that containers may ask for.
pub(crate) fn of_containers(at: &At<'_>, out: &mut Out) {
    let name = at.str();
    if !format::qualified_name(name) || !(name.contains('/') || standard(name)) {
        let what = format!("`{name}` is no resource of a container");
        out.error(at, "format/name", what, "cpu, memory, ephemeral-storage, hugepages-SIZE, or one with a domain");
    }
}

pub(crate) fn of_container(at: &At<'_>, out: &mut Out) {
    let (limits, requests) = (at.get("limits"), at.get("requests"));
    for list in [&limits, &requests] {
        for (name, value) in list.pairs() {
            let known = format::qualified_name(name) && (name.contains('/') || standard(name));
            if !known {
                out.error(
                    &value,
                    "format/name",
                    format!("`{name}` is no resource of a container"),
                    "cpu, memory, ephemeral-storage, hugepages-SIZE, or one with a domain",
                );
            }
            amount(name, &value, out);
        }
    }
    for (name, value) in requests.pairs() {
        let limit = limits.get(name);
        let (Some(request), Some(most)) = (read(&value), read(&limit)) else {
            if extended(name) && !limit.is() {
                out.error(
                    &value,
                    "field/required",
                    format!("`{name}` needs a limit of the same amount"),
                    "set it under `limits`",
                );
            }
            continue;
        };
        if extended(name) || name.starts_with("hugepages-") {
            if request != most {
                out.error(
                    &value,
                    "relation/match",
                    format!("`{name}` cannot be shared: request and limit must be equal"),
                    "write the same amount",
                );
            }
        } else if request > most {
            let what = format!("the request of {} is above the limit {}", value.shown(), limit.shown());
            out.error(&value, "relation/match", what, "lower the request, or raise the limit");
        }
    }
}

fn read(at: &At<'_>) -> Option<i128> {
    at.node?.text().and_then(format::quantity)
}

fn amount(name: &str, at: &At<'_>, out: &mut Out) {
    let Some(value) = read(at) else { return };
    if value < 0 {
        out.error(at, "range/number", format!("{} is negative", at.shown()), "0 or more");
    } else if extended(name) && value % 1_000_000_000 != 0 {
        out.error(at, "range/number", format!("`{name}` is counted in whole pieces"), "write a whole number");
    }
}

/// Names without a domain that are counted in a namespace.
const COUNTED: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
];

fn known_or_of_a_domain(name: &str) -> bool {
    name.contains('/')
        || COUNTED.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
}

pub(crate) fn quota(spec: &At<'_>, out: &mut Out) {
    let hard = spec.get("hard");
    for (name, value) in hard.pairs() {
        if !format::qualified_name(name) || !known_or_of_a_domain(name) {
            out.error(
                &value,
                "format/name",
                format!("`{name}` is no resource"),
                "as requests.cpu, limits.memory, pods or count/deployments.apps",
            );
        }
        amount(name, &value, out);
    }
    let scopes = spec.get("scopes");
    for scope in scopes.items() {
        one_of(
            &scope,
            &[
                "Terminating",
                "NotTerminating",
                "BestEffort",
                "NotBestEffort",
                "PriorityClass",
                "CrossNamespacePodAffinity",
                "VolumeAttributesClass",
            ],
            out,
        );
    }
}

pub(crate) fn limit_range(spec: &At<'_>, out: &mut Out) {
    let limits = spec.get("limits");
    for one in limits.items() {
        let (least, most) = (one.get("min"), one.get("max"));
        let kind = one.get("type");
        let pods = matches!(kind.str(), "Pod" | "Container");
        if !pods
            && kind.str() != "PersistentVolumeClaim"
            && !(format::qualified_name(kind.str()) && kind.str().contains('/'))
        {
            out.error(
                &kind,
                "format/value",
                format!("`{}` has no range", kind.str()),
                "write Container, Pod or PersistentVolumeClaim",
            );
        }
        for key in ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"] {
            let list = one.get(key);
            for (name, value) in list.pairs() {
                let known = if pods { standard(name) || name.contains('/') } else { known_or_of_a_domain(name) };
                if !known || !format::qualified_name(name) {
                    out.error(&value, "format/name", format!("`{name}` is no resource"), "as cpu or memory");
                }
            }
        }
        for (name, value) in least.pairs() {
            if let (Some(least), Some(most)) = (read(&value), read(&most.get(name)))
                && least > most
            {
                out.error(&value, "relation/match", format!("the least of `{name}` is above the most"), "lower it");
            }
        }
        let (request, limit) = (one.get("defaultRequest"), one.get("default"));
        if one.get("type").str() == "Pod" {
            for at in [&request, &limit] {
                if at.is() {
                    out.error(at, "relation/conflict", "a range of type Pod has no defaults", "use type Container");
                }
            }
            continue;
        }
        for (name, value) in request.pairs() {
            for (bound, above) in [(&limit, true), (&most, true), (&least, false)] {
                let bound = bound.get(name);
                if let (Some(request), Some(bound)) = (read(&value), read(&bound))
                    && (if above { request > bound } else { request < bound })
                {
                    out.error(
                        &value,
                        "relation/match",
                        format!("the default request of `{name}` is out of the range"),
                        "choose it between min, default and max",
                    );
                }
            }
        }
        for (name, value) in limit.pairs() {
            for (bound, above) in [(&most, true), (&least, false)] {
                let bound = bound.get(name);
                if let (Some(limit), Some(bound)) = (read(&value), read(&bound))
                    && (if above { limit > bound } else { limit < bound })
                {
                    out.error(
                        &value,
                        "relation/match",
                        format!("the default of `{name}` is out of the range"),
                        "choose it between min and max",
                    );
                }
            }
        }
    }
    unique(&limits, "type", out);
}
