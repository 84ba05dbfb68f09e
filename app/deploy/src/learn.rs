//! What a conversation found out, written into `apm.yaml`: the rest of the file, comments too, stays to the byte. Pure. What cannot be
//! written for sure is not written: the new text is read again, and must say what was learnt and else the same.

use std::collections::BTreeMap;

use app_config::{Node, Origin, Tree, Value};
use operate_deploy::Strategy;

/// What is to be kept of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    pub project: String,
    pub service: String,
    /// Without a tag.
    pub image: String,
    /// `None`: as it was.
    pub strategy: Option<Strategy>,
}

/// The text with it; `None` where a person must write it, as [`lines`] says.
pub fn learnt(text: &str, learnt: &Learnt) -> Option<String> {
    let wanted = wanted(learnt);
    candidates(text, learnt).into_iter().find(|candidate| {
        let (Some(was), Some(becomes)) = (flat(text), flat(candidate)) else { return false };
        let mut expect = was;
        expect.extend(wanted.clone());
        // A file that was empty gets a name as well.
        let new = ["version", "project"].map(str::to_owned);
        becomes.iter().all(|(path, value)| expect.get(path) == Some(value) || new.contains(path))
            && expect.iter().all(|(path, value)| becomes.get(path) == Some(value))
    })
}

/// The lines that say it, for a person.
pub fn lines(learnt: &Learnt) -> String {
    format!("services:\n{}", block(learnt, "  "))
}

fn wanted(learnt: &Learnt) -> BTreeMap<String, String> {
    let path = |rest: &str| format!("services.{}.{rest}", learnt.service);
    let mut wanted = BTreeMap::from([(path("image"), learnt.image.clone())]);
    wanted.extend(learnt.strategy.map(|strategy| (path("deploy.strategy"), strategy.word().to_owned())));
    wanted
}

/// A service of its own, indented.
fn block(learnt: &Learnt, indent: &str) -> String {
    let strategy =
        learnt.strategy.map(|strategy| format!("{indent}{indent}deploy: {{ strategy: {} }}\n", strategy.word()));
    format!("{indent}{}:\n{indent}{indent}image: {}\n{}", learnt.service, learnt.image, strategy.unwrap_or_default())
}

/// Every leaf by its path.
fn flat(text: &str) -> Option<BTreeMap<String, String>> {
    fn walk(node: &Node, path: String, found: &mut BTreeMap<String, String>) {
        match &node.value {
            Value::Map(members) => {
                for (key, member) in members {
                    let path = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
                    walk(member, path, found);
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    walk(item, format!("{path}.{at}"), found);
                }
            }
            Value::Scalar { text, .. } => {
                found.insert(path, text.clone());
            }
            Value::Null => {}
        }
    }
    let mut tree = Tree::default();
    // Variables are left as they are written.
    tree.add_file("apm.yaml", text, &|name: &str| Some(format!("${{{name}}}"))).ok()?;
    let mut found = BTreeMap::new();
    for top in tree.names() {
        if let Some(node) = tree.node(&top) {
            walk(node, top.clone(), &mut found);
        }
    }
    Some(found)
}

/// Ways to write it, the best first.
fn candidates(text: &str, learnt: &Learnt) -> Vec<String> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    if text.trim().is_empty() {
        return vec![format!("{text}{end}version: 1\nproject: {}\nservices:\n{}", learnt.project, block(learnt, "  "))];
    }
    let mut tree = Tree::default();
    if tree.add_file("apm.yaml", text, &|_: &str| Some(String::new())).is_err() {
        return Vec::new();
    }
    let path = format!("services.{}", learnt.service);
    let (services, service) = (tree.node("services"), tree.node(&path));
    let mut found = Vec::new();
    if let (Some(image), None) = (tree.node(&format!("{path}.image")), learnt.strategy) {
        found.extend(replaced(text, image, &learnt.image));
    }
    if let (Some(image), Some(strategy)) = (tree.node(&format!("{path}.image")), learnt.strategy) {
        let with_image = replaced(text, image, &learnt.image);
        // The strategy stands further down or further up; places hold as long as lines do.
        if let (Some(text), Some(now)) = (with_image.as_deref(), tree.node(&format!("{path}.deploy.strategy"))) {
            found.extend(replaced(text, now, strategy.word()));
        }
        if let Some(text) = with_image {
            found.extend(below(&text, image, &format!("deploy: {{ strategy: {} }}", strategy.word())));
        }
    }
    if let (Some(first), None) = (service.and_then(first_child), tree.node(&format!("{path}.image"))) {
        let strategy = learnt.strategy.map(|strategy| format!("deploy: {{ strategy: {} }}", strategy.word()));
        let image = above(text, first, &format!("image: {}", learnt.image));
        let both = image.as_deref().zip(strategy).and_then(|(text, line)| above(text, first, &line));
        found.extend(if learnt.strategy.is_some() { both } else { image });
    }
    match (services.and_then(first_child), service) {
        (Some(first), None) => {
            let lines = block(learnt, &" ".repeat(place(first).map_or(2, |(_, column)| column - 1)));
            found.extend(above(text, first, lines.trim_end().trim_start()));
        }
        (None, None) => found.push(format!("{text}{end}services:\n{}", block(learnt, "  "))),
        _ => {}
    }
    found
}

/// Where the first key of a map stands.
fn first_child(node: &Node) -> Option<&Origin> {
    match &node.value {
        Value::Map(members) => members.first().map(|(key, _)| &key.origin),
        _ => None,
    }
}

/// Line and column, from 1.
fn place(origin: &Origin) -> Option<(usize, usize)> {
    match origin {
        Origin::File { line, column, .. } => Some((*line, *column)),
        _ => None,
    }
}

/// The line's text up to a column, and from it on.
fn parted(line: &str, column: usize) -> (String, String) {
    (line.chars().take(column - 1).collect(), line.chars().skip(column - 1).collect())
}

fn replaced(text: &str, node: &Node, value: &str) -> Option<String> {
    let Origin::File { line, column, length, .. } = &node.origin else { return None };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let old = lines.get_mut(line.checked_sub(1)?)?;
    let (before, rest) = parted(old, *column);
    let after: String = rest.chars().skip(*length).collect();
    *old = format!("{before}{value}{after}");
    Some(lines.concat())
}

/// Another key of the same map in the line above.
fn above(text: &str, origin: &Origin, line: &str) -> Option<String> {
    let (at, column) = place(origin)?;
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let (indent, _) = parted(lines.get(at.checked_sub(1)?)?, column);
    lines.insert(at - 1, format!("{indent}{line}\n"));
    indent.trim().is_empty().then(|| lines.concat())
}

/// Another key of the same map in the line below a value's.
fn below(text: &str, node: &Node, line: &str) -> Option<String> {
    let (at, _) = place(&node.origin)?;
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let there = lines.get_mut(at.checked_sub(1)?)?;
    let indent: String = there.chars().take_while(|c| *c == ' ').collect();
    if !there.ends_with('\n') {
        there.push('\n');
    }
    lines.insert(at, format!("{indent}{line}\n"));
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, strategy: Option<Strategy>, expect: Option<&str>) {
        let what = Learnt { project: "shop".into(), service: "cart".into(), image: "shop/cart".into(), strategy };
        assert_eq!(learnt(text, &what).as_deref(), expect, "of:\n{text}");
    }

    #[test]
    fn what_was_learnt_is_written_and_the_rest_stays() {
        let rolling = Some(Strategy::Rolling);
        check(
            "",
            rolling,
            Some(
                "version: 1\nproject: shop\nservices:\n  cart:\n    image: shop/cart\n    deploy: { strategy: rolling }\n",
            ),
        );
        check("# ours\nproject: shop", None, Some("# ours\nproject: shop\nservices:\n  cart:\n    image: shop/cart\n"));
        check(
            "services:\n    web: { image: w } # kept\njudge: {}\n",
            None,
            Some("services:\n    cart:\n        image: shop/cart\n    web: { image: w } # kept\njudge: {}\n"),
        );
        check(
            "services:\n  cart:\n    # the old one\n    image: old/cart  # why\n    port: 80\n",
            None,
            Some("services:\n  cart:\n    # the old one\n    image: shop/cart  # why\n    port: 80\n"),
        );
        check(
            "services:\n  cart:\n    port: 80\n",
            None,
            Some("services:\n  cart:\n    image: shop/cart\n    port: 80\n"),
        );
        check(
            "services:\n  cart:\n    image: old\n    deploy:\n      strategy: recreate\n",
            rolling,
            Some("services:\n  cart:\n    image: shop/cart\n    deploy:\n      strategy: rolling\n"),
        );
        check(
            "services:\n  cart:\n    image: old\n    port: 80\n",
            rolling,
            Some("services:\n  cart:\n    image: shop/cart\n    deploy: { strategy: rolling }\n    port: 80\n"),
        );
        check("services: { cart: { image: old } }\n", None, Some("services: { cart: { image: shop/cart } }\n"));
        check(
            "services:\n  cart: { image: \"old\", port: 80 }\n",
            None,
            Some("services:\n  cart: { image: shop/cart, port: 80 }\n"),
        );
    }

    #[test]
    fn what_is_not_sure_is_left_to_a_person() {
        // A second `deploy` would be in the way of the first.
        check("services:\n  cart:\n    image: old\n    deploy: { ports: [\"80\"] }\n", Some(Strategy::Rolling), None);
        check("services: { web: { image: w } }\n", None, None);
        check("services: &all\n  cart: *other\n", None, None);
        check("not: [closed\n", None, None);
    }
}
