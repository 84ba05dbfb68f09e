//! Autoscalers, disruption budgets, priority classes.

use super::resources;
use super::selector::{lax, selector};
use super::words::{count_or_percent, exactly_one, named, one_of, wanted, within};
use crate::format;
use crate::validate::{At, Out};

pub(crate) fn autoscaler(root: &At<'_>, version: &str, out: &mut Out) {
    let spec = root.get("spec");
    let (least, most) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    // Zero is for servers that scale to zero, which is off unless it is switched on.
    within(&least, 0, i64::MAX, out);
    within(&most, 1, i64::MAX, out);
    if most.int().is_some_and(|most| most < least.int().unwrap_or(1)) && most.int().is_some_and(|most| most > 0) {
        out.error(&most, "relation/match", "`maxReplicas` is below `minReplicas`", "raise it");
    }
    let target = spec.get("scaleTargetRef");
    for key in ["kind", "name"] {
        let at = target.get(key);
        if wanted(&at, key, out) && !format::path_segment(at.str()) {
            out.error(&at, "format/name", format!("`{}` is no {key}", at.str()), "no `/`, no `%`");
        }
    }
    let api = target.get("apiVersion");
    if out.minor >= 36 && api.is() && api.str() != "v1" && !api.str().contains('/') {
        out.error(&api, "format/value", format!("`{}` says no API group", api.str()), "as apps/v1");
    }
    if version == "v1" {
        within(&spec.get("targetCPUUtilizationPercentage"), 1, i64::MAX, out);
        return;
    }
    let metrics = spec.get("metrics");
    let mut scales_to_zero = false;
    for metric in metrics.items() {
        scales_to_zero |= matches!(metric.get("type").str(), "Object" | "External");
        one_metric(&metric, out);
    }
    if least.int() == Some(0) && (!scales_to_zero || out.minor < 36) {
        out.error(&least, "range/number", "0 replicas cannot be scaled by their own metrics", "at least 1");
    }
    let behavior = spec.get("behavior");
    for (direction, longest) in [("scaleUp", 3600), ("scaleDown", 3600)] {
        rules(&behavior.get(direction), longest, out);
    }
}

fn one_metric(at: &At<'_>, out: &mut Out) {
    let kind = at.get("type");
    if !wanted(&kind, "type", out) {
        return;
    }
    one_of(&kind, &["Object", "Pods", "Resource", "ContainerResource", "External"], out);
    let key = match kind.str() {
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "External" => "external",
        _ => return,
    };
    if exactly_one(at, &["object", "pods", "resource", "containerResource", "external"], "metric", out).is_none() {
        return;
    }
    let metric = at.get(key);
    if !metric.is() {
        out.error(&metric, "relation/match", format!("`type: {}` needs `{key}`", kind.str()), format!("set `{key}`"));
        return;
    }
    if matches!(key, "resource" | "containerResource") {
        let name = metric.get("name");
        if wanted(&name, "name", out) && key == "containerResource" {
            resources::of_containers(&name, out);
        }
    } else {
        let outer = metric.get("metric");
        let name = outer.get("name");
        if wanted(&name, "name", out) && !format::path_segment(name.str()) {
            out.error(&name, "format/name", format!("`{}` is no name of a metric", name.str()), "no `/`, no `%`");
        }
        lax(&metric.get("metric").get("selector"), out);
    }
    if key == "containerResource" {
        let container = metric.get("container");
        if wanted(&container, "container", out) {
            named(&container, format::dns_label, "DNS label", out);
        }
    }
    let target = metric.get("target");
    let kind = target.get("type");
    if wanted(&kind, "type", out) {
        one_of(&kind, &["Utilization", "Value", "AverageValue"], out);
    }
    within(&target.get("averageUtilization"), 1, i64::MAX, out);
    for key in ["value", "averageValue"] {
        let amount = target.get(key);
        if amount.node.and_then(|node| node.text()).and_then(format::quantity).is_some_and(|n| n <= 0) {
            out.error(&amount, "range/number", "the target must be above 0", "raise it");
        }
    }
    let set: Vec<&str> =
        ["averageUtilization", "averageValue", "value"].into_iter().filter(|key| target.get(key).is()).collect();
    match key {
        "resource" | "containerResource" => {
            if !set.contains(&"averageUtilization") && !set.contains(&"averageValue") {
                out.error(&target, "field/required", "no target is said", "set averageUtilization or averageValue");
            } else if set.contains(&"averageUtilization") && set.contains(&"averageValue") {
                out.error(
                    &target,
                    "relation/conflict",
                    "averageUtilization and averageValue exclude each other",
                    "keep one of them",
                );
            }
        }
        "pods" if !set.contains(&"averageValue") => {
            out.error(&target, "field/required", "no target is said", "set averageValue")
        }
        "external" if set.len() == 2 => {
            out.error(&target, "relation/conflict", "value and averageValue exclude each other", "keep one of them");
        }
        "object" | "external" if !set.contains(&"value") && !set.contains(&"averageValue") => {
            out.error(&target, "field/required", "no target is said", "set value or averageValue");
        }
        _ => {}
    }
    if key == "object" {
        let object = metric.get("describedObject");
        for key in ["kind", "name"] {
            let at = object.get(key);
            if wanted(&at, key, out) && !format::path_segment(at.str()) {
                out.error(&at, "format/name", format!("`{}` is no {key}", at.str()), "no `/`, no `%`");
            }
        }
    }
}

/// Before, the field is dropped.
const TOLERANCE: u8 = 35;

fn rules(at: &At<'_>, longest: i64, out: &mut Out) {
    if !at.is() {
        return;
    }
    within(&at.get("stabilizationWindowSeconds"), 0, longest, out);
    let tolerance = at.get("tolerance");
    let amount = tolerance.node.and_then(|node| node.text()).and_then(format::quantity);
    if out.minor >= TOLERANCE && amount.is_some_and(|amount| amount < 0) {
        out.error(&tolerance, "range/number", "a negative tolerance", "0 or more, as \"0.05\"");
    }
    one_of(&at.get("selectPolicy"), &["Max", "Min", "Disabled"], out);
    let policies = at.get("policies");
    if at.node.and_then(|node| node.get("policies")).is_some() && policies.len() == 0 && policies.is() {
        out.error(&policies, "field/required", "no policy is said", "add one, or leave `policies` out");
    }
    for policy in policies.items() {
        one_of(&policy.get("type"), &["Pods", "Percent"], out);
        within(&policy.get("value"), 1, i64::MAX, out);
        within(&policy.get("periodSeconds"), 1, 1800, out);
    }
}

pub(crate) fn disruption_budget(spec: &At<'_>, out: &mut Out) {
    let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if least.is() && most.is() {
        out.error(
            &most,
            "relation/conflict",
            "`minAvailable` and `maxUnavailable` exclude each other",
            "keep one of them",
        );
    }
    count_or_percent(&least, true, out);
    count_or_percent(&most, true, out);
    selector(&spec.get("selector"), out);
    one_of(&spec.get("unhealthyPodEvictionPolicy"), &["IfHealthyBudget", "AlwaysAllow"], out);
}

/// Users' priorities end here; above are the system's.
const PRIORITY_MAX: i64 = 1_000_000_000;

pub(crate) fn priority_class(root: &At<'_>, out: &mut Out) {
    let metadata = root.get("metadata");
    let name = metadata.get("name");
    if matches!(name.str(), "system-node-critical" | "system-cluster-critical") {
        return;
    }
    if name.str().starts_with("system-") {
        out.error(&name, "format/name", "names that begin with `system-` are the system's", "choose another name");
    }
    let value = root.get("value");
    if value.int().is_some_and(|n| n > PRIORITY_MAX && i32::try_from(n).is_ok()) {
        out.error(&value, "range/number", "above the highest priority for users", format!("at most {PRIORITY_MAX}"));
    }
    one_of(&root.get("preemptionPolicy"), &["PreemptLowerPriority", "Never"], out);
}
