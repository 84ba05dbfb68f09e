//! Kinds of the cluster itself: admission webhooks, classes of runtimes and volume attributes, leases, flow schemas, ranges of service addresses.

use super::resources::standard;
use super::selector::selector;
use super::words::{cidr, exactly_one, named, one_of, unique, unique_words, wanted, within};
use crate::format;
use crate::validate::{At, Out};

const OPERATIONS: &[&str] = &["*", "CREATE", "UPDATE", "DELETE", "CONNECT"];

/// Validating and mutating ones.
pub(crate) fn webhooks(root: &At<'_>, out: &mut Out) {
    let all = root.get("webhooks");
    for one in all.items() {
        let name = one.get("name");
        if wanted(&name, "name", out) && (!format::dns_subdomain(name.str()) || name.str().split('.').count() < 3) {
            let what = format!("`{}` is no name of a webhook", name.str());
            out.error(&name, "format/name", what, "a domain of three parts at least, as check.example.org");
        }
        let versions = one.get("admissionReviewVersions");
        if !versions.items().any(|version| matches!(version.str(), "v1" | "v1beta1")) {
            out.error(&versions, "field/required", "no version that servers speak", "write [v1]");
        }
        unique_words(&versions, out);
        let effects = one.get("sideEffects");
        if wanted(&effects, "sideEffects", out) {
            one_of(&effects, &["None", "NoneOnDryRun"], out);
        }
        one_of(&one.get("failurePolicy"), &["Fail", "Ignore"], out);
        one_of(&one.get("matchPolicy"), &["Exact", "Equivalent"], out);
        one_of(&one.get("reinvocationPolicy"), &["Never", "IfNeeded"], out);
        within(&one.get("timeoutSeconds"), 1, 30, out);
        selector(&one.get("namespaceSelector"), out);
        selector(&one.get("objectSelector"), out);
        let client = one.get("clientConfig");
        if let Some("service") = exactly_one(&client, &["url", "service"], "address", out) {
            let service = client.get("service");
            wanted(&service.get("name"), "name", out);
            wanted(&service.get("namespace"), "namespace", out);
            within(&service.get("port"), 1, 65_535, out);
            let path = service.get("path");
            if !path.str().is_empty() && !path.str().starts_with('/') {
                out.error(&path, "format/value", "a path begins with `/`", "write the whole path");
            }
        }
        let rules = one.get("rules");
        for rule in rules.items() {
            for key in ["apiGroups", "apiVersions", "operations", "resources"] {
                if rule.get(key).len() == 0 {
                    out.error(&rule.get(key), "field/required", format!("`{key}` is empty"), format!("list `{key}`"));
                }
            }
            let operations = rule.get("operations");
            for operation in operations.items() {
                one_of(&operation, OPERATIONS, out);
            }
            one_of(&rule.get("scope"), &["*", "Cluster", "Namespaced"], out);
        }
    }
    unique(&all, "name", out);
}

pub(crate) fn runtime_class(root: &At<'_>, out: &mut Out) {
    let handler = root.get("handler");
    if wanted(&handler, "handler", out) {
        named(&handler, format::dns_label, "DNS label", out);
    }
    let overhead = root.get("overhead");
    let fixed = overhead.get("podFixed");
    for (name, value) in fixed.pairs() {
        if !format::qualified_name(name) || !(name.contains('/') || standard(name)) {
            let what = format!("`{name}` is no resource of a pod");
            out.error(&value, "format/name", what, "cpu, memory, or one with a domain");
        }
        let amount = value.node.and_then(|node| node.text()).and_then(format::quantity);
        if amount.is_some_and(|amount| amount < 0) {
            out.error(&value, "range/number", format!("{} is negative", value.shown()), "0 or more");
        }
    }
}

pub(crate) fn lease(spec: &At<'_>, out: &mut Out) {
    within(&spec.get("leaseDurationSeconds"), 1, i64::MAX, out);
    within(&spec.get("leaseTransitions"), 0, i64::MAX, out);
}

pub(crate) fn flow_schema(root: &At<'_>, out: &mut Out) {
    let spec = root.get("spec");
    let level = spec.get("priorityLevelConfiguration");
    let name = level.get("name");
    if wanted(&name, "priorityLevelConfiguration.name", out) {
        named(&name, format::dns_subdomain, "DNS subdomain", out);
    }
    // 0 is as good as nothing said.
    let precedence = spec.get("matchingPrecedence");
    within(&precedence, 0, 10_000, out);
    let metadata = root.get("metadata");
    if precedence.int() == Some(1) && metadata.get("name").str() != "exempt" {
        out.error(&precedence, "range/number", "1 is for the flow schema `exempt` alone", "from 2 to 10000");
    }
    let distinguisher = spec.get("distinguisherMethod");
    if distinguisher.is() {
        let kind = distinguisher.get("type");
        wanted(&kind, "type", out);
        one_of(&kind, &["ByUser", "ByNamespace"], out);
    }
}

pub(crate) fn volume_attributes(root: &At<'_>, out: &mut Out) {
    let driver = root.get("driverName");
    if wanted(&driver, "driverName", out) && !format::qualified_name(&driver.str().to_lowercase()) {
        let what = format!("`{}` is no name of a driver", driver.str());
        out.error(&driver, "format/name", what, "as ebs.csi.aws.com");
    }
    let parameters = root.get("parameters");
    if parameters.len() == 0 {
        out.error(&parameters, "field/required", "no parameter is said", "set one at least under `parameters`");
    }
}

pub(crate) fn service_range(spec: &At<'_>, out: &mut Out) {
    let ranges = spec.get("cidrs");
    if ranges.len() == 0 || ranges.len() > 2 {
        out.error(&ranges, "field/required", "one range, or one of each family, is wanted", "as [10.96.0.0/16]");
    }
    for range in ranges.items().filter(|range| cidr(range.str()).is_none()) {
        out.error(&range, "format/value", format!("`{}` is no range", range.str()), "as 10.96.0.0/16");
    }
    let families: Vec<bool> = ranges.items().filter_map(|one| Some(cidr(one.str())?.0.is_ipv4())).collect();
    if matches!(families[..], [a, b] if a == b) {
        out.error(&ranges, "relation/conflict", "both ranges are of one family", "keep one of them");
    }
}

pub(crate) fn device_class(spec: &At<'_>, out: &mut Out) {
    let selectors = spec.get("selectors");
    for one in selectors.items() {
        let cel = one.get("cel");
        if !cel.is() {
            out.error(&cel, "field/required", "a selector needs `cel`", "set `cel.expression`");
        } else {
            wanted(&cel.get("expression"), "expression", out);
        }
    }
}
