//! Claims, volumes and classes of storage.

use super::selector::selector;
use super::words::{named, one_of, wanted};
use crate::format;
use crate::validate::{At, Out, is_null};

const MODES: &[&str] = &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

fn modes(spec: &At<'_>, out: &mut Out) {
    let modes = spec.get("accessModes");
    if modes.len() == 0 {
        out.error(&modes, "field/required", "no access mode is said", "as [ReadWriteOnce]");
    }
    for mode in modes.items() {
        one_of(&mode, MODES, out);
    }
    if modes.len() > 1 && modes.items().any(|mode| mode.str() == "ReadWriteOncePod") {
        out.error(&modes, "relation/conflict", "ReadWriteOncePod excludes other modes", "keep it alone");
    }
}

fn positive(at: &At<'_>, out: &mut Out) {
    if at.node.and_then(|node| node.text()).and_then(format::quantity).is_some_and(|n| n <= 0) {
        out.error(at, "range/number", "the size must be above 0", "as 1Gi");
    }
}

pub(crate) fn claim(spec: &At<'_>, out: &mut Out) {
    modes(spec, out);
    let resources = spec.get("resources");
    let requests = resources.get("requests");
    let size = requests.get("storage");
    if size.is() {
        positive(&size, out);
    } else {
        out.error(&size, "field/required", "no size is said", "set `resources.requests.storage`");
    }
    named(&spec.get("storageClassName"), format::dns_subdomain, "DNS subdomain", out);
    one_of(&spec.get("volumeMode"), &["Filesystem", "Block"], out);
    selector(&spec.get("selector"), out);
    let source = spec.get("dataSource");
    if source.is() {
        wanted(&source.get("kind"), "kind", out);
        wanted(&source.get("name"), "name", out);
    }
}

/// What of a volume's spec is no source.
const SETTINGS: &[&str] = &[
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

pub(crate) fn volume(spec: &At<'_>, out: &mut Out) {
    modes(spec, out);
    let capacity = spec.get("capacity");
    let size = capacity.get("storage");
    if size.is() {
        positive(&size, out);
    } else {
        out.error(&size, "field/required", "no size is said", "set `capacity.storage`");
    }
    for (name, value) in capacity.pairs().filter(|(name, _)| *name != "storage") {
        out.error(&value, "format/name", format!("a volume has no `{name}`"), "its size is `storage` alone");
    }
    let said = spec.pairs().filter(|(_, value)| !value.node.is_some_and(is_null));
    let sources: Vec<&str> = said.map(|(key, _)| key).filter(|key| !SETTINGS.contains(key)).collect();
    match sources.as_slice() {
        [] => out.error(spec, "field/required", "no source is said", "as `hostPath`, `nfs`, `csi`, `local`"),
        [_] => {}
        _ => out.error(
            spec,
            "relation/conflict",
            format!("{} exclude each other", sources.join(" and ")),
            "one volume has one source",
        ),
    }
    let path = spec.get("hostPath").get("path").str().to_owned();
    if path == "/" && spec.get("persistentVolumeReclaimPolicy").str() == "Recycle" {
        out.error(spec, "relation/conflict", "the root of the host cannot be recycled", "write Retain");
    }
    if spec.get("local").is() && !spec.get("nodeAffinity").is() {
        out.error(
            &spec.get("nodeAffinity"),
            "field/required",
            "a local volume is on one node",
            "set `nodeAffinity.required`",
        );
    }
    one_of(&spec.get("persistentVolumeReclaimPolicy"), &["Retain", "Recycle", "Delete"], out);
    one_of(&spec.get("volumeMode"), &["Filesystem", "Block"], out);
    named(&spec.get("storageClassName"), format::dns_subdomain, "DNS subdomain", out);
}

pub(crate) fn class(root: &At<'_>, out: &mut Out) {
    let provisioner = root.get("provisioner");
    if wanted(&provisioner, "provisioner", out) && !format::qualified_name(&provisioner.str().to_lowercase()) {
        out.error(
            &provisioner,
            "format/name",
            format!("`{}` is no provisioner", provisioner.str()),
            "as ebs.csi.aws.com",
        );
    }
    one_of(&root.get("reclaimPolicy"), &["Delete", "Retain", "Recycle"], out);
    let binding = root.get("volumeBindingMode");
    if binding.text() == Some("") {
        out.error(
            &binding,
            "format/value",
            "an empty mode",
            "leave it out, or write Immediate or WaitForFirstConsumer",
        );
    }
    one_of(&root.get("volumeBindingMode"), &["Immediate", "WaitForFirstConsumer"], out);
}
