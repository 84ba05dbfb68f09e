//! `80`, `8080:80/udp`, `127.0.0.1:9000-9002:9000-9002` and the long form become one entry for each port of the container.

use serde_json::Number;

use crate::canonical::Canon;
use crate::node::{Finding, Node, Value};
use crate::shape::Shape;

const LONG: &[(&str, Shape)] = &[
    ("target", Shape::Int),
    ("published", Shape::Text),
    ("protocol", Shape::Text),
    ("host_ip", Shape::Text),
    ("mode", Shape::Text),
    ("name", Shape::Text),
    ("app_protocol", Shape::Text),
];
/// A range of more is a mistake.
const RANGE_MAX: u16 = 1000;

pub(crate) fn read(canon: &mut Canon<'_>, node: Node, what: &str) -> Vec<Node> {
    let place = node.place.clone();
    let Some(text) = node.text() else {
        let mut node = canon.map(node, LONG, &format!("an entry in {what}"));
        if node.get("target").is_none() {
            canon.errors.push(Finding::new(&place, "this port has no `target`", "it is the port inside the container"));
        }
        for (key, default) in [("mode", "ingress"), ("protocol", "tcp")] {
            if node.get(key).is_none() {
                node.set(key, Node::text_at(&place, default));
            }
        }
        return vec![node];
    };
    let Some(entries) = short(text) else {
        let hint = "write 80, 8080:80, 127.0.0.1:8080:80/udp, or ranges of equal length";
        canon.errors.push(Finding::new(&place, format!("`{text}` is no port"), hint));
        return Vec::new();
    };
    let entry = |(target, published, address, protocol): (u16, Option<String>, String, String)| {
        let mut node = Node::at(&place, Value::Map(Vec::new()));
        node.set("mode", Node::text_at(&place, "ingress"));
        if !address.is_empty() {
            node.set("host_ip", Node::text_at(&place, address));
        }
        node.set("target", Node::at(&place, Value::Number(Number::from(target))));
        if let Some(published) = published {
            node.set("published", Node::text_at(&place, published));
        }
        node.set("protocol", Node::text_at(&place, protocol));
        node
    };
    entries.into_iter().map(entry).collect()
}

type Entry = (u16, Option<String>, String, String);

fn short(text: &str) -> Option<Vec<Entry>> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return None;
    }
    let (rest, container) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (address, published) = if rest.starts_with('[') || rest.contains(':') {
        rest.rsplit_once(':')?
    } else if rest.contains('.') {
        (rest, "")
    } else {
        ("", rest)
    };
    let address = address.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (first, last) = range(container)?;
    let count = last - first;
    let published = if published.is_empty() { None } else { Some(range(published)?) };
    (first..=last)
        .map(|target| {
            let published = match published {
                None => None,
                Some((low, high)) if high - low == count => Some((low + (target - first)).to_string()),
                // One port of the container takes whichever of the range is free.
                Some((low, high)) if count == 0 => Some(format!("{low}-{high}")),
                Some(_) => return None,
            };
            Some((target, published, address.clone(), protocol.clone()))
        })
        .collect()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last - first < RANGE_MAX).then_some((first, last))
}
