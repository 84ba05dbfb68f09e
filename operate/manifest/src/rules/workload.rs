//! Deployments, ReplicaSets, StatefulSets, DaemonSets: replicas, strategies, selectors.

use super::meta::{annotations, labels};
use super::template::pod_template;
use super::words::{count_or_percent, is_none_at_all, named, not_negative, one_of};
use super::{pod, selector, storage};
use crate::format;
use crate::validate::{At, Out};

/// The first minor version known to check what StatefulSets make; 1.30 does not.
pub(crate) const LOOKS_INTO_PODS: u8 = 36;

/// What the server takes for a deadline that is not said.
const PROGRESS_SECONDS: i64 = 600;

pub(crate) fn deployment(spec: &At<'_>, out: &mut Out) {
    not_negative(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"], out);
    selector::of_template(spec, out);
    let deadline = spec.get("progressDeadlineSeconds");
    let ready = spec.get("minReadySeconds").int().unwrap_or(0);
    if deadline.int().unwrap_or(PROGRESS_SECONDS) <= ready && ready >= 0 {
        out.error(
            &deadline,
            "relation/match",
            "the deadline must be longer than `minReadySeconds`",
            format!("more than {ready} seconds"),
        );
    }
    let strategy = spec.get("strategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    one_of(&kind, &["RollingUpdate", "Recreate"], out);
    if kind.str() == "Recreate" {
        if rolling.is() {
            out.error(&rolling, "relation/conflict", "`type: Recreate` has no `rollingUpdate`", "take it out");
        }
    } else {
        let (down, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
        count_or_percent(&down, true, out);
        count_or_percent(&surge, false, out);
        if is_none_at_all(&down) && is_none_at_all(&surge) {
            out.error(
                &down,
                "relation/conflict",
                "with neither surge nor unavailable pods no pod can be exchanged",
                "allow one of them",
            );
        }
    }
    pod_template(&spec.get("template"), &pod::Context::ALWAYS, out);
}

pub(crate) fn replica_set(spec: &At<'_>, out: &mut Out) {
    not_negative(spec, &["replicas", "minReadySeconds"], out);
    selector::of_template(spec, out);
    pod_template(&spec.get("template"), &pod::Context::ALWAYS, out);
}

pub(crate) fn replication_controller(spec: &At<'_>, out: &mut Out) {
    not_negative(spec, &["replicas", "minReadySeconds"], out);
    let (chosen, template) = (spec.get("selector"), spec.get("template"));
    let metadata = template.get("metadata");
    let given = metadata.get("labels");
    for (key, value) in chosen.pairs() {
        if given.get(key).text() != value.text() {
            out.error(
                &value,
                "relation/match",
                "the selector does not select the labels of the pod template",
                "give both the same labels",
            );
        }
    }
    if chosen.len() == 0 && given.len() == 0 {
        out.error(&chosen, "field/required", "neither a selector nor labels", "label the pod template");
    }
    pod_template(&template, &pod::Context::ALWAYS, out);
}

pub(crate) fn daemon_set(spec: &At<'_>, out: &mut Out) {
    not_negative(spec, &["minReadySeconds", "revisionHistoryLimit"], out);
    selector::of_template(spec, out);
    let strategy = spec.get("updateStrategy");
    one_of(&strategy.get("type"), &["RollingUpdate", "OnDelete"], out);
    let rolling = strategy.get("rollingUpdate");
    let (down, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    if strategy.get("type").str() != "OnDelete" {
        count_or_percent(&down, true, out);
        count_or_percent(&surge, true, out);
        let surges = surge.is() && !is_none_at_all(&surge);
        if surges && !is_none_at_all(&down) && down.is() {
            out.error(
                &surge,
                "relation/conflict",
                "with a surge no pod may be unavailable",
                "write `maxUnavailable: 0`",
            );
        }
        if is_none_at_all(&down) && !surges {
            out.error(
                &down,
                "relation/conflict",
                "with neither surge nor unavailable pods no pod can be exchanged",
                "allow one of them",
            );
        }
    }
    pod_template(&spec.get("template"), &pod::Context::ALWAYS, out);
}

pub(crate) fn stateful_set(spec: &At<'_>, out: &mut Out) {
    not_negative(spec, &["replicas", "minReadySeconds", "revisionHistoryLimit"], out);
    one_of(&spec.get("podManagementPolicy"), &["OrderedReady", "Parallel"], out);
    let strategy = spec.get("updateStrategy");
    one_of(&strategy.get("type"), &["RollingUpdate", "OnDelete"], out);
    let rolling = strategy.get("rollingUpdate");
    if strategy.get("type").str() == "OnDelete" {
        if rolling.is() {
            out.error(&rolling, "relation/conflict", "`type: OnDelete` has no `rollingUpdate`", "take it out");
        }
    } else {
        not_negative(&rolling, &["partition"], out);
        let down = rolling.get("maxUnavailable");
        count_or_percent(&down, true, out);
        if is_none_at_all(&down) {
            out.error(&down, "range/number", "no pod could be exchanged", "at least 1");
        }
    }
    let retention = spec.get("persistentVolumeClaimRetentionPolicy");
    for key in ["whenDeleted", "whenScaled"] {
        one_of(&retention.get(key), &["Retain", "Delete"], out);
    }
    selector::of_template(spec, out);
    let template = spec.get("template");
    let metadata = template.get("metadata");
    labels(&metadata.get("labels"), out);
    annotations(&metadata.get("annotations"), out);
    let inner = template.get("spec");
    one_of(&inner.get("restartPolicy"), &["Always"], out);
    // Older servers do not look into the pods of a StatefulSet; it is the pods that then cannot be made. Volumes come by the claims as well.
    let claims = spec.get("volumeClaimTemplates");
    let names: Vec<&str> = claims
        .node
        .map(lib_yaml_edit::Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|claim| claim.get("metadata")?.get("name")?.text())
        .collect();
    out.lenient = out.minor < LOOKS_INTO_PODS;
    if !spec.get("serviceName").str().is_empty() {
        named(&spec.get("serviceName"), format::dns_label, "DNS label", out);
    }
    pod::with_claims(&inner, &names, &pod::Context::ALWAYS, out);
    for claim in claims.items() {
        storage::claim(&claim.get("spec"), out);
    }
    out.lenient = false;
}
