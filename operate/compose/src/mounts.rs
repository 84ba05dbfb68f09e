//! Volumes, secrets, configs, devices and files of variables in their short forms become their long ones.

use crate::canonical::Canon;
use crate::node::{Finding, Node, Value};
use crate::shape::Shape;

pub(crate) const DEPENDENCY: &[(&str, Shape)] =
    &[("condition", Shape::Text), ("required", Shape::Bool), ("restart", Shape::Bool)];
pub(crate) const LIMIT: &[(&str, Shape)] = &[("soft", Shape::Int), ("hard", Shape::Int)];

const VOLUME: &[(&str, Shape)] = &[
    ("type", Shape::Text),
    ("source", Shape::Text),
    ("target", Shape::Text),
    ("read_only", Shape::Bool),
    ("bind", Shape::Map(&[("propagation", Shape::Text), ("create_host_path", Shape::Bool), ("selinux", Shape::Text)])),
    ("volume", Shape::Map(&[("nocopy", Shape::Bool)])),
    ("tmpfs", Shape::Map(&[("size", Shape::Size), ("mode", Shape::Int)])),
];
const GRANT: &[(&str, Shape)] = &[
    ("source", Shape::Text),
    ("target", Shape::Text),
    ("uid", Shape::Text),
    ("gid", Shape::Text),
    ("mode", Shape::Text),
];
const DEVICE: &[(&str, Shape)] = &[("source", Shape::Text), ("target", Shape::Text), ("permissions", Shape::Text)];
const FILE: &[(&str, Shape)] = &[("path", Shape::Text), ("required", Shape::Bool), ("format", Shape::Text)];

/// `data:/data`, `./x:/x:ro`, `/anonymous`.
pub(crate) fn volume(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    let place = node.place.clone();
    let Some(text) = node.text() else {
        let mut node = canon.map(node, VOLUME, &format!("an entry in {what}"));
        if node.get("target").is_none() {
            canon.errors.push(Finding::new(&place, "this volume has no `target`", "it is the path in the container"));
        }
        let kind = node.text_of("type").unwrap_or_default().to_owned();
        match (kind.as_str(), node.text_of("source").map(|source| canon.path(source))) {
            ("bind", Some(source)) => node.set("source", Node::text_at(&place, source)),
            ("bind" | "volume" | "tmpfs", _) => {}
            (kind, _) => {
                let message = format!("`{kind}` volumes are not carried out");
                canon.errors.push(Finding::new(&place, message, "bind, volume and tmpfs are"));
            }
        }
        if let Value::Map(pairs) = &mut node.value
            && let Some(Value::Map(bind)) =
                pairs.iter_mut().find(|pair| pair.key == "bind").map(|pair| &mut pair.node.value)
        {
            // Not to make the folder is what leaving it out means.
            bind.retain(|pair| pair.key != "create_host_path" || pair.node.is_true());
        }
        return vec![node];
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => (None, "", ""),
    };
    if !target.starts_with('/') || source == Some("") {
        let hint = "write NAME:/path, ./folder:/path or /folder:/path:ro";
        canon.errors.push(Finding::new(&place, format!("`{text}` is no volume"), hint));
        return Vec::new();
    }
    let is_path = |source: &str| source.starts_with(['.', '/', '~']);
    let mut node = Node::at(&place, Value::Map(Vec::new()));
    let bind = source.is_some_and(is_path);
    node.set("type", Node::text_at(&place, if bind { "bind" } else { "volume" }));
    if let Some(source) = source {
        let source = if bind { canon.path(source) } else { source.to_owned() };
        node.set("source", Node::text_at(&place, source));
    }
    let target = if target.len() > 1 { target.trim_end_matches('/') } else { target };
    node.set("target", Node::text_at(&place, target));
    let mut more = Node::at(&place, Value::Map(Vec::new()));
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => node.set("read_only", Node::at(&place, Value::Bool(true))),
            "rw" => {}
            "z" | "Z" if bind => more.set("selinux", Node::text_at(&place, option)),
            "nocopy" if !bind => more.set("nocopy", Node::at(&place, Value::Bool(true))),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" if bind => {
                more.set("propagation", Node::text_at(&place, option));
            }
            _ => {
                let message = format!("`{option}` of the volume `{text}` is not understood");
                canon.errors.push(Finding::new(&place, message, "ro, rw, z, Z, nocopy and propagations are"));
            }
        }
    }
    if bind {
        more.set("create_host_path", Node::at(&place, Value::Bool(true)));
    }
    node.set(if bind { "bind" } else { "volume" }, more);
    vec![node]
}

pub(crate) fn secret(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    grant(canon, node, what, Some("/run/secrets/"))
}

pub(crate) fn config(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    grant(canon, node, what, None)
}

/// A name, or a name with where it is to be.
fn grant(canon: &mut Canon<'_>, node: Node, what: &str, folder: Option<&str>) -> Vec<Node> {
    let place = node.place.clone();
    let mut node = match node.text() {
        Some(name) => {
            let mut long = Node::at(&place, Value::Map(Vec::new()));
            long.set("source", Node::text_at(&place, name));
            long
        }
        None => canon.map(node, GRANT, &format!("an entry in {what}")),
    };
    match (folder, node.text_of("target"), node.text_of("source")) {
        (Some(folder), None, Some(source)) => {
            let target = format!("{folder}{source}");
            node.set("target", Node::text_at(&place, target));
        }
        (_, _, None) => canon.errors.push(Finding::new(&place, "it has no `source`", "name one of those at the top")),
        _ => {}
    }
    vec![node]
}

/// `/dev/a`, `/dev/a:/dev/b`, `/dev/a:/dev/b:r`.
pub(crate) fn device(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    let place = node.place.clone();
    let Some(text) = node.text() else { return vec![canon.map(node, DEVICE, &format!("an entry in {what}"))] };
    let mut parts = text.splitn(3, ':');
    let source = parts.next().unwrap_or_default();
    let target = parts.next().unwrap_or(source);
    let mut long = Node::at(&place, Value::Map(Vec::new()));
    for (key, value) in [("source", source), ("target", target), ("permissions", parts.next().unwrap_or("rwm"))] {
        long.set(key, Node::text_at(&place, value));
    }
    vec![long]
}

/// A path, or a path with whether it must be there.
pub(crate) fn env_file(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    let place = node.place.clone();
    let mut long = match node.text() {
        Some(path) => {
            let mut long = Node::at(&place, Value::Map(Vec::new()));
            long.set("path", Node::text_at(&place, path));
            long
        }
        None => canon.map(node, FILE, &format!("an entry in {what}")),
    };
    match long.text_of("path").map(|path| canon.path(path)) {
        Some(path) => long.set("path", Node::text_at(&place, path)),
        None => canon.errors.push(Finding::new(&place, "it has no `path`", "name the file")),
    }
    vec![long]
}
