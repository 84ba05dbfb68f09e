//! Volumes of a pod: names, and one source each.

use super::container::{field_ref, resource_ref};
use super::storage;
use super::words::{named, one_of, wanted, within};
use crate::format;
use crate::validate::{At, Out};

/// Checks them and hands out their names.
pub(crate) fn volumes<'a>(at: &'a At<'a>, out: &mut Out) -> Vec<&'a str> {
    let mut names: Vec<&'a str> = Vec::new();
    let items = at.node.map(lib_yaml_edit::Node::items).unwrap_or_default();
    for (index, node) in items.iter().enumerate() {
        let one = at.item(index, node);
        let name = one.get("name");
        if wanted(&name, "name", out) {
            named(&name, format::dns_label, "DNS label", out);
            let text = node.get("name").and_then(lib_yaml_edit::Node::text).unwrap_or("");
            if names.contains(&text) {
                out.error(
                    &name,
                    "relation/unique",
                    format!("another volume is called `{text}`"),
                    "give each a name of its own",
                );
            }
            names.push(text);
        }
        source(&one, out);
    }
    names
}

fn source(at: &At<'_>, out: &mut Out) {
    let set: Vec<&str> = at
        .pairs()
        .filter(|(key, value)| *key != "name" && value.node.is_some_and(|node| !crate::validate::is_null(node)))
        .map(|(key, _)| key)
        .collect();
    if set.len() > 1 {
        out.error(
            at,
            "relation/conflict",
            format!("{} exclude each other", set.join(" and ")),
            "one volume has one source",
        );
        return;
    }
    // A volume without any source is an empty directory.
    let Some(kind) = set.first().copied() else { return };
    let source = at.get(kind);
    match kind {
        "hostPath" => {
            let path = source.get("path");
            if wanted(&path, "path", out) && path.str().split('/').any(|part| part == "..") {
                out.error(&path, "format/value", "`..` in a path of the host", "write the whole path");
            }
            one_of(
                &source.get("type"),
                &["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"],
                out,
            );
        }
        "emptyDir" => {
            let medium = source.get("medium");
            if !medium.str().starts_with("HugePages") {
                one_of(&medium, &["Memory"], out);
            }
            let limit = source.get("sizeLimit");
            if limit.node.and_then(|node| node.text()).and_then(format::quantity).is_some_and(|n| n < 0) {
                out.error(&limit, "range/number", "a negative size", "0 or more");
            }
        }
        "configMap" | "secret" => {
            let name = if kind == "secret" { "secretName" } else { "name" };
            wanted(&source.get(name), name, out);
            files(&source, out);
        }
        "persistentVolumeClaim" => {
            wanted(&source.get("claimName"), "claimName", out);
        }
        "nfs" => {
            wanted(&source.get("server"), "server", out);
            let path = source.get("path");
            if wanted(&path, "path", out) && !path.str().starts_with('/') {
                out.error(&path, "format/value", "an NFS path begins with `/`", "write the whole path");
            }
        }
        "csi" => {
            wanted(&source.get("driver"), "driver", out);
        }
        "ephemeral" => {
            let template = source.get("volumeClaimTemplate");
            storage::claim(&template.get("spec"), out);
        }
        "downwardAPI" => downward(&source, out),
        "projected" => projected(&source, out),
        _ => {}
    }
}

/// Modes and paths of files in a volume.
fn files(at: &At<'_>, out: &mut Out) {
    within(&at.get("defaultMode"), 0, 0o777, out);
    let items = at.get("items");
    for item in items.items() {
        wanted(&item.get("key"), "key", out);
        below(&item.get("path"), out);
        within(&item.get("mode"), 0, 0o777, out);
    }
}

fn below(path: &At<'_>, out: &mut Out) {
    if wanted(path, "path", out) {
        let text = path.str();
        if text.starts_with('/') || text.split('/').any(|part| part == "..") || text.starts_with("..") {
            out.error(path, "format/value", "it must stay in the volume", "write a relative path without `..`");
        }
    }
}

fn downward(at: &At<'_>, out: &mut Out) {
    within(&at.get("defaultMode"), 0, 0o777, out);
    let items = at.get("items");
    for item in items.items() {
        below(&item.get("path"), out);
        within(&item.get("mode"), 0, 0o777, out);
        let (field, resource) = (item.get("fieldRef"), item.get("resourceFieldRef"));
        match (field.is(), resource.is()) {
            (true, true) => out.error(
                &item,
                "relation/conflict",
                "`fieldRef` and `resourceFieldRef` exclude each other",
                "keep one of them",
            ),
            (false, false) => {
                out.error(&item, "field/required", "no source is said", "set `fieldRef` or `resourceFieldRef`")
            }
            (true, false) => {
                field_ref(
                    &field,
                    &["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"],
                    out,
                );
            }
            (false, true) => {
                wanted(&resource.get("containerName"), "containerName", out);
                resource_ref(&resource, out);
            }
        }
    }
}

fn projected(at: &At<'_>, out: &mut Out) {
    within(&at.get("defaultMode"), 0, 0o777, out);
    let sources = at.get("sources");
    for one in sources.items() {
        let set: Vec<&str> = one.pairs().map(|(key, _)| key).collect();
        if set.len() > 1 {
            out.error(
                &one,
                "relation/conflict",
                format!("{} exclude each other", set.join(" and ")),
                "make each a source of its own",
            );
        }
        for kind in ["configMap", "secret"] {
            let source = one.get(kind);
            if source.is() {
                wanted(&source.get("name"), "name", out);
                files(&source, out);
            }
        }
        if one.get("downwardAPI").is() {
            downward(&one.get("downwardAPI"), out);
        }
        let token = one.get("serviceAccountToken");
        if token.is() {
            wanted(&token.get("path"), "path", out);
            within(&token.get("expirationSeconds"), 600, 1 << 32, out);
        }
    }
}
