//! Environment variables, and what looks like a secret where none should be.

use ahash::AHashSet;

use super::super::found::{Found, Mend};
use super::super::view::{View, namespace};
use super::{Pod, called};
use crate::validate::At;

/// Words of names whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "private-key",
    "credential",
];

/// A name that says its value is secret, but for those that name a file, a URL or another name.
fn looks_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let elsewhere = ["_file", "_path", "_name", "_url", "_uri", "_dir", "_ttl", "_key_id", "-file", "-path", "-name"];
    SECRET_WORDS.iter().any(|word| lower.contains(word)) && !elsewhere.iter().any(|end| lower.ends_with(end))
}

pub(super) fn container(at: &At<'_>, pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let variables = at.get("env");
    let mut seen: AHashSet<&str> = AHashSet::new();
    for one in variables.items() {
        let (name, value) = (one.get("name"), one.get("value"));
        let written = one.node.and_then(|one| one.get("name")).and_then(lib_yaml_edit::Node::text);
        if let Some(text) = written.filter(|text| !text.is_empty())
            && !seen.insert(text)
        {
            duplicate(&one, &name, &variables, found);
        }
        // `$(OTHER)` is what stands in another variable.
        let plain =
            value.node.and_then(|node| node.text()).is_some_and(|text| !text.is_empty() && !text.contains("$("));
        if plain && looks_secret(name.str()) {
            found.add("AK0512", &name, format!("the value of `{}` is written here", name.str()));
        }
        let from = one.get("valueFrom");
        let secret = from.get("secretKeyRef");
        if secret.is() {
            found.add("AK0513", &secret, format!("`{}` comes from a Secret", name.str()));
        }
        named(&secret, "Secret", pod, view, found);
        named(&from.get("configMapKeyRef"), "ConfigMap", pod, view, found);
    }
    let whole = at.get("envFrom");
    for one in whole.items() {
        let secret = one.get("secretRef");
        if secret.is() {
            found.add("AK0513", &secret, format!("{} gets all of a Secret", called(at)));
        }
        named(&secret, "Secret", pod, view, found);
        named(&one.get("configMapRef"), "ConfigMap", pod, view, found);
    }
}

fn duplicate(one: &At<'_>, name: &At<'_>, variables: &At<'_>, found: &mut Found<'_>) {
    let same = |other: &At<'_>| {
        let data = |at: &At<'_>| at.node.map(|node| node.data(lib_yaml_edit::Dialect::Kubectl));
        data(other) == data(one)
    };
    let twins = variables.items().filter(|other| other.get("name").str() == name.str());
    let (count, equal) = twins.fold((0, true), |(count, equal), other| (count + 1, equal && same(&other)));
    let added = found.add("AK0701", name, format!("`{}` is set before", name.str()));
    // The same again: the second says nothing new.
    if equal && count == 2 {
        added.safe("take the second out", Mend::Remove(one.steps()));
    }
}

/// What a variable comes from is among the files.
fn named(reference: &At<'_>, kind: &str, pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let name = reference.get("name");
    if name.str().is_empty() || reference.get("optional").bool() {
        return;
    }
    if view.find(kind, namespace(pod.workload.object), name.str()).is_none() {
        found.add("AK0702", &name, format!("there is no {kind} `{}`", name.str()));
    }
}

pub(super) fn config_map(root: &At<'_>, found: &mut Found<'_>) {
    let data = root.get("data");
    for (key, value) in data.pairs() {
        if looks_secret(key) && !value.str().is_empty() {
            found.add("AK0514", &value, format!("the value of `{key}` is written here"));
        }
    }
}
