//! One file over another, by compose's rules (compose specification, "Merge"): maps grow together, lists are joined and then each thing in them
//! is there once, the later one; commands are replaced. Both are canonical before. It reads nothing.

use std::collections::HashMap;

use crate::node::{Node, Pair, Tag, Value};

/// Lays `over` over `under`. `path` is where they stand: `["services", "web"]`.
pub(crate) fn merge(under: Node, over: Node, path: &mut Vec<String>) -> Node {
    if over.tag == Tag::Override || over.tag == Tag::Reset || replaced(path) {
        return over;
    }
    match (under.value, over.value) {
        (value, Value::Null) => Node { value, place: under.place, tag: Tag::None },
        (Value::Map(mut pairs), Value::Map(more)) => {
            // Options of one driver of logs mean nothing to another.
            if is_at(path, &["services", "*", "logging"]) {
                let driver =
                    |pairs: &[Pair]| pairs.iter().find(|pair| pair.key == "driver").map(|pair| pair.node.value.clone());
                if let (Some(one), Some(other)) = (driver(&pairs), driver(&more))
                    && one != other
                {
                    return Node { value: Value::Map(more), place: over.place, tag: Tag::None };
                }
            }
            for pair in more {
                path.push(pair.key.clone());
                match pairs.iter().position(|known| known.key == pair.key) {
                    Some(at) => {
                        let known = std::mem::take(&mut pairs[at].node);
                        pairs[at] = Pair { node: merge(known, pair.node, path), ..pair };
                    }
                    None => pairs.push(pair),
                }
                path.pop();
            }
            Node { value: Value::Map(pairs), place: under.place, tag: Tag::None }
        }
        (Value::List(mut items), Value::List(more)) => {
            if is_at(path, &["services", "*", "extra_hosts"]) {
                let new: Vec<_> =
                    more.into_iter().filter(|item| !items.iter().any(|known| known.text() == item.text())).collect();
                items.extend(new);
            } else {
                items.extend(more);
            }
            Node { value: Value::List(items), place: under.place, tag: Tag::None }
        }
        (_, value) => Node { value, place: over.place, tag: Tag::None },
    }
}

fn replaced(path: &[String]) -> bool {
    is_at(path, &["services", "*", "command"])
        || is_at(path, &["services", "*", "entrypoint"])
        || is_at(path, &["services", "*", "healthcheck", "test"])
        || is_at(path, &["services", "*", "ulimits", "*"])
}

fn is_at(path: &[String], pattern: &[&str]) -> bool {
    path.len() == pattern.len() && path.iter().zip(pattern).all(|(word, wanted)| *wanted == "*" || word == wanted)
}

/// Removes what `!reset` marks, and what a service's lists have twice.
pub(crate) fn unique(root: &mut Node) {
    reset(root);
    let Some(services) = root.get("services").cloned() else { return };
    let mut services = services;
    if let Value::Map(pairs) = &mut services.value {
        for pair in pairs {
            if let Value::Map(keys) = &mut pair.node.value {
                keys.iter_mut().for_each(|key| service_key(&key.key, &mut key.node));
            }
        }
    }
    root.set("services", services);
}

fn service_key(key: &str, node: &mut Node) {
    let text = |node: &Node| node.text().map(|text| text.split('=').next().unwrap_or(text).to_owned());
    let of = |node: &Node, key: &str| node.get(key).map(|value| value.json().to_string()).unwrap_or_default();
    let name: &dyn Fn(&Node) -> Option<String> = match key {
        "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "profiles" | "tmpfs" => &text,
        "volumes" | "devices" => &|node| Some(of(node, "target")),
        "env_file" => &|node| Some(of(node, "path")),
        "secrets" | "configs" => &|node| {
            let target = node.text_of("target").map(str::to_owned);
            target.or_else(|| Some(format!("/{}", node.text_of("source")?)))
        },
        "ports" => &|node| Some(["host_ip", "published", "target", "protocol"].map(|key| of(node, key)).join(":")),
        "networks" => {
            if let Value::Map(pairs) = &mut node.value {
                for pair in pairs.iter_mut().filter_map(|pair| match &mut pair.node.value {
                    Value::Map(keys) => keys.iter_mut().find(|key| key.key == "aliases"),
                    _ => None,
                }) {
                    once(&mut pair.node, &text);
                }
            }
            return;
        }
        _ => return,
    };
    once(node, name);
}

/// The later one of the same name, at the place of the first.
fn once(node: &mut Node, name: &dyn Fn(&Node) -> Option<String>) {
    let Value::List(items) = &mut node.value else { return };
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut done: Vec<Node> = Vec::new();
    for item in std::mem::take(items) {
        match name(&item) {
            Some(name) if at.contains_key(&name) => done[at[&name]] = item,
            Some(name) => {
                at.insert(name, done.len());
                done.push(item);
            }
            None => done.push(item),
        }
    }
    *items = done;
}

fn reset(node: &mut Node) {
    match &mut node.value {
        Value::Map(pairs) => {
            pairs.retain(|pair| pair.node.tag != Tag::Reset);
            pairs.iter_mut().for_each(|pair| reset(&mut pair.node));
        }
        Value::List(items) => {
            items.retain(|item| item.tag != Tag::Reset);
            items.iter_mut().for_each(reset);
        }
        _ => {}
    }
}
