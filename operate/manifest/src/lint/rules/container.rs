//! Containers: image, resources, security context.

use lib_yaml_edit::Data;

use super::super::found::{Found, Mend};
use super::{Pod, called};
use crate::format;
use crate::validate::At;

pub(super) fn container(at: &At<'_>, pod: &Pod<'_>, found: &mut Found<'_>) {
    image(at, found);
    resources(at, &pod.spec.get("resources"), found);
    let (own, pods) = (at.get("securityContext"), pod.spec.get("securityContext"));
    security(at, &own, &pods, found);
    capabilities(at, &own, found);
}

/// A reference without its digest, and its tag.
fn tag_of(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map(|(_, tag)| tag)
}

const MOVING: &[&str] = &["latest", "edge", "nightly", "main", "master", "dev", "develop", "stable"];

fn image(at: &At<'_>, found: &mut Found<'_>) {
    let image = at.get("image");
    let text = image.str();
    if text.is_empty() || text.contains('@') {
        return;
    }
    let tag = tag_of(text);
    let moves = tag.is_none_or(|tag| tag.is_empty() || MOVING.contains(&tag));
    if moves {
        let what = match tag.filter(|tag| !tag.is_empty()) {
            Some(tag) => format!("`{text}`: `{tag}` is another image each time it is pushed"),
            None => format!("`{text}` has no tag, which means `latest`"),
        };
        found.add("AK0201", &image, what);
    } else {
        found.add("AK0203", &image, format!("`{text}` has a tag only"));
    }
    let policy = at.get("imagePullPolicy");
    // Without a policy the server takes Always for `latest` and for no tag, and IfNotPresent for all others.
    let always = tag.is_none_or(|tag| matches!(tag, "" | "latest"));
    let pulled = if policy.is() { policy.str() == "Always" } else { always };
    if moves && !pulled {
        let what = match policy.str() {
            "" => format!("`{text}` moves, and is pulled only where it is not there yet"),
            policy => format!("`{text}` moves, and the policy is {policy}"),
        };
        let place = if policy.is() { &policy } else { &image };
        found.add("AK0202", place, what).suggest_set(&policy, "Always");
    }
}

/// What is said for the whole pod counts for its containers.
fn resources(at: &At<'_>, pods: &At<'_>, found: &mut Found<'_>) {
    let resources = at.get("resources");
    let (requests, limits) = (resources.get("requests"), resources.get("limits"));
    let name = called(at);
    let said = |of: &At<'_>, what: &str| {
        let text = of.get(what).node.and_then(lib_yaml_edit::Node::text)?;
        // What is no quantity is validation's to tell; here it was said.
        Some(format::quantity(text).unwrap_or(1))
    };
    let (pods_requests, pods_limits) = (pods.get("requests"), pods.get("limits"));
    let positive = |of: &At<'_>, what: &str| said(of, what).filter(|n| *n > 0);
    let request = |what: &str| positive(&requests, what).or(positive(&pods_requests, what));
    let limit = |what: &str| positive(&limits, what).or(positive(&pods_limits, what));
    let place = if resources.is() { &resources } else { at };
    // A limit alone is the request too.
    if request("cpu").or(limit("cpu")).is_none() {
        found.add("AK0301", place, format!("{name} requests no CPU"));
    }
    if limit("cpu").is_none() {
        found.add("AK0305", place, format!("{name} may take any CPU"));
    }
    match (positive(&requests, "memory"), positive(&limits, "memory")) {
        (_, None) if limit("memory").is_some() => {}
        (_, None) => drop(found.add("AK0302", place, format!("{name} may take any memory"))),
        (Some(request), Some(limit)) if request < limit => {
            let limit = limits.get("memory");
            let what = format!("{name} is promised {} and may take {}", requests.get("memory").shown(), limit.shown());
            found.add("AK0304", &limit, what);
        }
        _ => {}
    }
    let storage = "ephemeral-storage";
    if positive(&requests, storage).or(positive(&limits, storage)).is_none() || positive(&limits, storage).is_none() {
        found.add("AK0303", place, format!("{name} may fill the node's disk"));
    }
}

/// A field of the security context that should have this value: found where it stands, else at the container.
fn should_be(value: bool, field: &At<'_>, container: &At<'_>, id: &str, found: &mut Found<'_>) {
    let place = if field.is() { field } else { container };
    let key = field.path();
    let key = key.rsplit('.').next().unwrap_or("");
    found.add(id, place, format!("{} does not say `{key}: {value}`", called(container))).suggest_set(field, value);
}

fn security(at: &At<'_>, own: &At<'_>, pods: &At<'_>, found: &mut Found<'_>) {
    let name = called(at);
    let privileged = own.get("privileged");
    if privileged.bool() {
        found.add("AK0501", &privileged, format!("{name} is privileged")).suggest_set(&privileged, false);
    }
    let escalation = own.get("allowPrivilegeEscalation");
    // What is privileged must be allowed to: the server refuses the two together.
    if escalation.bool() || !escalation.is() && !privileged.bool() {
        should_be(false, &escalation, at, "AK0502", found);
    }
    let read_only = own.get("readOnlyRootFilesystem");
    if !read_only.bool() {
        should_be(true, &read_only, at, "AK0504", found);
    }
    user(at, own, pods, found);
    let mount = own.get("procMount");
    if mount.str() == "Unmasked" {
        found.add("AK0506", &mount, format!("{name} sees all of /proc")).suggest_set(&mount, "Default");
    }
    let (profile, for_all) = (own.get("seccompProfile"), pods.get("seccompProfile"));
    let kind = profile.get("type");
    if kind.str() == "Unconfined" {
        found.add("AK0509", &kind, format!("{name} is unconfined")).suggest_set(&kind, "RuntimeDefault");
    } else if !profile.is() && !for_all.is() {
        let added = found.add("AK0509", at, format!("{name} has none"));
        added.suggest_set(&profile, Data::map([("type", "RuntimeDefault")]));
    }
}

/// Who it runs as: the container's word counts before the pod's.
fn user(at: &At<'_>, own: &At<'_>, pods: &At<'_>, found: &mut Found<'_>) {
    let (user, pods_user) = (own.get("runAsUser"), pods.get("runAsUser"));
    let (non_root, pods_non_root) = (own.get("runAsNonRoot"), pods.get("runAsNonRoot"));
    let user = if user.is() { &user } else { &pods_user };
    let field = if non_root.is() { &non_root } else { &pods_non_root };
    match user.int() {
        // No edit: what says root on purpose would fail to start.
        Some(0) => drop(found.add("AK0503", user, format!("{} runs as user 0", called(at)))),
        Some(_) => {}
        None if field.bool() => {}
        None => should_be(true, &non_root, at, "AK0503", found),
    }
}

/// As good as root on the node, each for another reason.
const DANGEROUS: &[&str] = &[
    "ALL",
    "SYS_ADMIN",
    "NET_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_BOOT",
    "DAC_READ_SEARCH",
    "BPF",
    "MAC_ADMIN",
    "PERFMON",
];

fn capabilities(at: &At<'_>, own: &At<'_>, found: &mut Found<'_>) {
    let capabilities = own.get("capabilities");
    let (add, drops) = (capabilities.get("add"), capabilities.get("drop"));
    let bare = |text: &str| text.to_ascii_uppercase().trim_start_matches("CAP_").to_owned();
    let dropped: Vec<String> = drops.items().map(|item| bare(item.str())).collect();
    let has = |name: &str| dropped.iter().any(|dropped| dropped == name);
    if !has("ALL") && !has("NET_RAW") {
        let mut wanted: Vec<Data> = drops.items().map(|item| Data::from(item.str())).collect();
        wanted.push(Data::from("NET_RAW"));
        let place = if drops.is() { &drops } else { at };
        let what = format!("{} does not drop NET_RAW", called(at));
        let mend = Mend::Set(drops.steps(), Data::List(wanted));
        found.add("AK0505", place, what).suggest("drop NET_RAW", mend);
    }
    for item in add.items() {
        let name = bare(item.str());
        if DANGEROUS.contains(&name.as_str()) {
            found.add("AK0508", &item, format!("{} gets {name}", called(at)));
        } else if name == "NET_RAW" {
            found.add("AK0505", &item, format!("{} asks for NET_RAW", called(at)));
        }
    }
}
