//! What a whole project needs beside its files: chosen profiles, the default network, full names, and whether what is named is there. It reads
//! nothing.

use std::collections::BTreeSet;

use crate::node::{Finding, Node, Value};

/// Takes out services whose profiles are not wanted.
pub(crate) fn choose_profiles(root: &mut Node, wanted: &[String], errors: &mut Vec<Finding>) {
    let Some(mut services) = root.get("services").cloned() else { return };
    let all = wanted.iter().any(|profile| profile == "*");
    let off: BTreeSet<String> = services
        .pairs()
        .iter()
        .filter(|pair| {
            let profiles = pair.node.get("profiles").map(Node::items).unwrap_or_default();
            let chosen = |profile: &Node| profile.text().is_some_and(|text| wanted.iter().any(|wanted| wanted == text));
            !all && !profiles.is_empty() && !profiles.iter().any(chosen)
        })
        .map(|pair| pair.key.clone())
        .collect();
    off.iter().for_each(|name| drop(services.take(name)));
    let names: BTreeSet<String> = services.pairs().iter().map(|pair| pair.key.clone()).collect();
    if let Value::Map(pairs) = &mut services.value {
        for pair in pairs {
            let Some(mut needs) = pair.node.get("depends_on").cloned() else { continue };
            let gone: Vec<_> = needs.pairs().iter().filter(|need| !names.contains(&need.key)).cloned().collect();
            for need in gone {
                // What is not required may be switched off.
                if !off.contains(&need.key) || need.node.get("required").is_none_or(Node::is_true) {
                    let message = format!("`{}` depends on `{}`, which is not there", pair.key, need.key);
                    let hint = if off.contains(&need.key) { "choose its profile too" } else { "check its name" };
                    errors.push(Finding::new(&need.place, message, hint));
                }
                needs.take(&need.key);
            }
            pair.node.set("depends_on", needs);
            if pair.node.get("depends_on").is_some_and(|needs| needs.pairs().is_empty()) {
                pair.node.take("depends_on");
            }
        }
    }
    root.set("services", services);
}

/// The default network, full names, and a look at what is named.
pub(crate) fn complete(root: &mut Node, project: &str, errors: &mut Vec<Finding>) {
    let place = root.place.clone();
    let empty = || Node::at(&place, Value::Map(Vec::new()));
    let mut services = root.get("services").cloned().unwrap_or_else(empty);
    let mut networks = root.get("networks").cloned().unwrap_or_else(empty);
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut named: BTreeSet<String> = BTreeSet::new();
    if let Value::Map(pairs) = &mut services.value {
        for pair in pairs {
            let service = &mut pair.node;
            if service.value == Value::Null {
                service.value = Value::Map(Vec::new());
            }
            let none = service.get("networks").is_none_or(|networks| networks.pairs().is_empty());
            if none && service.get("network_mode").is_none() {
                let mut own = empty();
                own.set("default", Node::at(&service.place, Value::Null));
                service.set("networks", own);
            }
            for network in service.get("networks").map(Node::pairs).unwrap_or_default() {
                used.insert(network.key.clone());
                if network.key != "default" && networks.get(&network.key).is_none() {
                    let message = format!("`{}` uses the network `{}`, which is not there", pair.key, network.key);
                    errors.push(Finding::new(&network.place, message, "add it under `networks` at the top"));
                }
            }
            for volume in service.get("volumes").map(Node::items).unwrap_or_default() {
                if volume.text_of("type") == Some("volume")
                    && let Some(source) = volume.text_of("source")
                {
                    named.insert(source.to_owned());
                    if root.get("volumes").and_then(|all| all.get(source)).is_none() {
                        let message = format!("`{}` uses the volume `{source}`, which is not there", pair.key);
                        errors.push(Finding::new(&volume.place, message, "add it under `volumes` at the top"));
                    }
                }
            }
            for section in ["secrets", "configs"] {
                for grant in service.get(section).map(Node::items).unwrap_or_default() {
                    let source = grant.text_of("source").unwrap_or_default();
                    if root.get(section).and_then(|all| all.get(source)).is_none() {
                        let message = format!("`{}` uses `{source}` of `{section}`, which is not there", pair.key);
                        errors.push(Finding::new(&grant.place, message, "add it at the top"));
                    }
                }
            }
            if service.get("image").is_none() {
                let message = format!("`{}` names no image", pair.key);
                errors.push(Finding::new(&pair.place, message, "add `image`; a release builds none"));
            }
        }
    }
    if used.contains("default") && networks.get("default").is_none() {
        networks.set("default", empty());
    }
    root.set("services", services);
    if !networks.pairs().is_empty() {
        root.set("networks", networks);
    }
    for section in ["networks", "volumes", "secrets", "configs"] {
        let Some(mut all) = root.get(section).cloned() else { continue };
        if let Value::Map(pairs) = &mut all.value {
            for pair in pairs {
                if pair.node.get("name").is_none() {
                    let external = pair.node.get("external").is_some_and(Node::is_true);
                    let name = if external { pair.key.clone() } else { format!("{project}_{}", pair.key) };
                    pair.node.set("name", Node::text_at(&pair.place, name));
                }
            }
        }
        root.set(section, all);
    }
}

/// Services in the order in which they may start: what is needed first. A circle is an error at its place.
pub fn order(root: &Node) -> Result<Vec<String>, Finding> {
    let services = root.get("services").map(Node::pairs).unwrap_or_default();
    let mut done: Vec<String> = Vec::new();
    while done.len() < services.len() {
        let free = services.iter().find(|pair| {
            let needs = pair.node.get("depends_on").map(Node::pairs).unwrap_or_default();
            !done.contains(&pair.key) && needs.iter().all(|need| done.contains(&need.key))
        });
        let Some(free) = free else {
            let left = services.iter().find(|pair| !done.contains(&pair.key));
            let place = left.map(|pair| pair.place.clone()).unwrap_or_default();
            return Err(Finding::new(&place, "services depend on each other in a circle", "remove one `depends_on`"));
        };
        done.push(free.key.clone());
    }
    Ok(done)
}
