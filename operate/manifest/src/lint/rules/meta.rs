//! Names, labels and annotations of objects, and the order of their keys.

use base_explain::Span;
use lib_yaml_edit::{Node, Pair};

use super::super::found::Found;
use crate::object::Object;
use crate::validate::{At, Schemas};

pub(super) fn object(object: &Object, root: &At<'_>, found: &mut Found<'_>) {
    let metadata = root.get("metadata");
    let (labels, annotations) = (metadata.get("labels"), metadata.get("annotations"));
    let place = if metadata.is() { &metadata } else { root };
    let id = &object.identity;
    let email = annotations.get("email");
    let is_address = |text: &str| {
        text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.ends_with('.'))
    };
    if !is_address(email.str()) {
        let place = if email.is() { &email } else { place };
        found.add("AK0812", place, format!("{id} has no annotation `email` with an address"));
    }
    if !labels.get("owner").is() {
        found.add("AK0813", place, format!("{id} has no label `owner`"));
    }
    if !labels.get("app.kubernetes.io/name").is() {
        found.add("AK0814", place, format!("{id} has no label `app.kubernetes.io/name`"));
    }
    let lives = Schemas::embedded().any_kind(&id.api_version, &id.kind).is_some_and(|kind| kind.namespaced);
    if lives && matches!(id.namespace.as_deref(), None | Some("default")) {
        let namespace = metadata.get("namespace");
        let place = if namespace.is() { &namespace } else { place };
        found.add("AK0809", place, format!("{id} goes into `default`, or wherever it is applied"));
    }
    if found.wants("AK0004") {
        sorted(&object.node, found);
    }
}

/// Says the first place of each map where a key is out of order.
fn sorted(node: &Node, found: &mut Found<'_>) {
    let out_of_order = |pairs: &&[Pair]| pairs.first().zip(pairs.get(1)).is_some_and(|(a, b)| a.key > b.key);
    if let Some([before, pair]) = node.pairs().windows(2).find(out_of_order) {
        let span = Span::new(pair.key_start as usize, pair.key_end as usize);
        found.add_at("AK0004", span, format!("`{}` stands behind `{}`", pair.key, before.key));
    }
    for inner in node.items().iter().chain(node.pairs().iter().map(|pair| &pair.node)) {
        sorted(inner, found);
    }
}
