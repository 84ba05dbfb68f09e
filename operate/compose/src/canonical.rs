//! Short forms become long ones, each value becomes what its key says it is, and paths become whole. What cannot be understood is named with
//! its place; nothing is left out in silence. It merges nothing and knows one file at a time.

use std::path::{Component, Path, PathBuf};

use serde_json::Number;

use crate::node::{Finding, Node, Pair, Place, Tag, Value};
use crate::shape::{ENDPOINT, HARMLESS, MISSING, OTHERS, Shape};
use crate::{mounts, ports, units, words};

/// Where the file's relative paths begin, and what was found on the way.
pub(crate) struct Canon<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) home: Option<&'a Path>,
    /// What stands in the way of carrying it out.
    pub(crate) errors: Vec<Finding>,
    /// What changes nothing.
    pub(crate) notes: Vec<Finding>,
}

impl Canon<'_> {
    fn bad(&mut self, place: &Place, message: impl Into<String>, hint: &str) {
        self.errors.push(Finding::new(place, message, hint));
    }

    /// A map by its table. `what` is told in errors: `service web`.
    pub(crate) fn map(&mut self, node: Node, table: &'static [(&'static str, Shape)], what: &str) -> Node {
        let (place, tag) = (node.place.clone(), node.tag);
        let pairs = match node.value {
            Value::Map(pairs) => pairs,
            Value::Null => return node,
            _ => {
                self.bad(&place, format!("{what} is a map of keys"), "write `key: value`, one a line");
                return Node { value: Value::Null, place, tag };
            }
        };
        let has_image = pairs.iter().any(|pair| pair.key == "image");
        let mut done = Vec::new();
        for pair in pairs {
            if pair.key == "build" && has_image {
                let message = format!("`build` of {what} is not needed");
                self.notes.push(Finding::new(&pair.place, message, "the image is taken as it is, and not built"));
                continue;
            }
            if pair.key.starts_with("x-") {
                continue;
            }
            let Some((_, shape)) = table.iter().find(|(key, _)| *key == pair.key) else {
                self.not_in_table(&pair, table, what);
                continue;
            };
            let at = if what.is_empty() { pair.key.clone() } else { format!("{} of {what}", pair.key) };
            let node = if pair.node.tag == Tag::Reset { pair.node } else { self.value(pair.node, *shape, &at) };
            done.push(Pair { node, ..pair });
        }
        Node { value: Value::Map(done), place, tag }
    }

    fn not_in_table(&mut self, pair: &Pair, table: &'static [(&'static str, Shape)], what: &str) {
        let key = pair.key.as_str();
        if let Some((_, why)) = HARMLESS.iter().find(|(known, _)| *known == key) {
            self.notes.push(Finding::new(&pair.place, format!("`{key}` of {what} is not needed"), *why));
        } else if let Some((_, hint)) = MISSING.iter().find(|(known, _)| *known == key) {
            self.bad(&pair.place, format!("`{key}` of {what} is not carried out"), hint);
        } else if OTHERS.contains(&key) {
            let hint = "remove it, or deploy with a tool that has it";
            self.bad(&pair.place, format!("`{key}` of {what} is not carried out"), hint);
        } else {
            let hint = match base_explain::nearest(key, table.iter().map(|(key, _)| *key)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "compose has no such key here; a key of your own begins with `x-`".to_owned(),
            };
            self.bad(&pair.place, format!("`{key}` is no key of {what}"), &hint);
        }
    }

    pub(crate) fn value(&mut self, node: Node, shape: Shape, what: &str) -> Node {
        if node.value == Value::Null && !matches!(shape, Shape::Networks) {
            return node;
        }
        let (place, tag) = (node.place.clone(), node.tag);
        let value = match shape {
            Shape::Any => node.value,
            Shape::Map(table) => return self.map(node, table, what),
            Shape::Text => self.typed(node, what, "one text", |text| Some(Value::Scalar(text.to_owned()))),
            Shape::Int => {
                self.typed(node, what, "a whole number", |text| Some(Value::Number(units::whole(text)?.into())))
            }
            Shape::Float => self
                .typed(node, what, "a number", |text| Number::from_f64(text.parse::<f64>().ok()?).map(Value::Number)),
            Shape::Bool => self.typed(node, what, "true or false", |text| match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "on" => Some(Value::Bool(true)),
                "false" | "no" | "n" | "off" => Some(Value::Bool(false)),
                _ => None,
            }),
            Shape::Size => self.typed(node, what, "a size such as 64m or 1.5g", |text| {
                Some(Value::Scalar(units::bytes(text)?.to_string()))
            }),
            Shape::Time => self.typed(node, what, "a time such as 30s or 1m30s", |text| {
                Some(Value::Scalar(units::time_text(units::nanos(text)?)))
            }),
            Shape::Words => match node.text() {
                Some(text) => match words::split(text) {
                    Some(words) => Value::List(words.into_iter().map(|word| Node::text_at(&place, word)).collect()),
                    None => {
                        self.bad(&place, format!("a quote in {what} is not closed"), "close it, or write a list");
                        Value::Null
                    }
                },
                None => self.list(node, what),
            },
            Shape::Test => match node.text() {
                Some(text) => Value::List(vec![Node::text_at(&place, "CMD-SHELL"), Node::text_at(&place, text)]),
                None => self.list(node, what),
            },
            Shape::List => self.list(node, what),
            Shape::OneOrMore if node.text().is_some() => Value::List(vec![node]),
            Shape::OneOrMore => self.list(node, what),
            Shape::Pairs => self.pairs(node, what, '=', false),
            Shape::Labels => self.pairs(node, what, '=', true),
            Shape::Hosts => self.hosts(node, what),
            Shape::Ports => self.long(node, what, ports::read),
            Shape::Volumes => self.long(node, what, mounts::volume),
            Shape::Mounts { secrets } => self.long(node, what, if secrets { mounts::secret } else { mounts::config }),
            Shape::Devices => self.long(node, what, mounts::device),
            Shape::EnvFile => {
                let node = if node.text().is_some() { Node::at(&place, Value::List(vec![node])) } else { node };
                self.long(node, what, mounts::env_file)
            }
            Shape::Networks => self.by_name(node, what, ENDPOINT, None),
            Shape::DependsOn => self.by_name(node, what, mounts::DEPENDENCY, Some(("condition", "service_started"))),
            Shape::Ulimits => self.ulimits(node, what),
            Shape::External => match &node.value {
                Value::Map(_) => {
                    self.bad(
                        &place,
                        format!("{what} with a name is of an old format"),
                        "write `external: true` and `name`",
                    );
                    Value::Null
                }
                _ => return self.value(node, Shape::Bool, what),
            },
        };
        Node { value, place, tag }
    }

    fn typed(&mut self, node: Node, what: &str, kind: &str, read: impl Fn(&str) -> Option<Value>) -> Value {
        let found = node.text().and_then(read);
        found.unwrap_or_else(|| {
            self.bad(&node.place, format!("{what} is {kind}"), "compare it with the compose specification");
            Value::Null
        })
    }

    fn list(&mut self, node: Node, what: &str) -> Value {
        if let Value::List(items) = node.value {
            for item in items.iter().filter(|item| item.text().is_none()) {
                self.errors.push(Finding::new(&item.place, format!("{what} is a list of texts"), "quote it"));
            }
            return Value::List(items);
        }
        self.bad(&node.place, format!("{what} is a list"), "write `- ` before each item");
        Value::Null
    }

    /// Items in a short or a long form; one may become several.
    fn long(&mut self, node: Node, what: &str, read: fn(&mut Canon<'_>, Node, &str) -> Vec<Node>) -> Value {
        let Value::List(items) = node.value else {
            self.bad(&node.place, format!("{what} is a list"), "write `- ` before each item");
            return Value::Null;
        };
        Value::List(items.into_iter().flat_map(|item| read(self, item, what)).collect())
    }

    fn pairs(&mut self, node: Node, what: &str, sign: char, fill: bool) -> Value {
        let mut done: Vec<Pair> = Vec::new();
        let mut add = |key: String, place: Place, node: Node| {
            done.retain(|known| known.key != key);
            done.push(Pair { key, place, node });
        };
        let nothing = |place: &Place| Node::at(place, if fill { Value::Scalar(String::new()) } else { Value::Null });
        match node.value {
            Value::Map(pairs) => {
                for pair in pairs {
                    let node = match &pair.node.value {
                        _ if pair.node.tag == Tag::Reset => pair.node,
                        Value::Null => nothing(&pair.node.place),
                        Value::Scalar(_) => pair.node,
                        _ => {
                            let message = format!("`{}` of {what} is one text", pair.key);
                            self.errors.push(Finding::new(&pair.node.place, message, "quote it"));
                            continue;
                        }
                    };
                    add(pair.key, pair.place, node);
                }
            }
            Value::List(items) => {
                for item in items {
                    let Some(text) = item.text() else {
                        self.errors.push(Finding::new(
                            &item.place,
                            format!("{what} is a list of NAME=value"),
                            "quote it",
                        ));
                        continue;
                    };
                    let (key, node) = match text.split_once(sign) {
                        Some((key, value)) => (key.to_owned(), Node::text_at(&item.place, value)),
                        None => (text.to_owned(), nothing(&item.place)),
                    };
                    add(key, item.place, node);
                }
            }
            _ => self.bad(&node.place, format!("{what} is a map or a list"), "write `NAME: value`, one a line"),
        }
        Value::Map(done)
    }

    fn hosts(&mut self, node: Node, what: &str) -> Value {
        let mut done = Vec::new();
        let place = node.place.clone();
        let mut add = |place: &Place, name: &str, address: &str| {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            done.push(Node::text_at(place, format!("{}={bare}", name.trim())));
        };
        match node.value {
            Value::List(items) => {
                for item in &items {
                    match item.text().and_then(|text| text.split_once(['=', ':'])) {
                        Some((name, address)) => add(&item.place, name, address.trim()),
                        None => {
                            self.bad(&item.place, format!("{what} is a list of NAME=address"), "write name=10.0.0.1")
                        }
                    }
                }
            }
            Value::Map(pairs) => {
                for pair in &pairs {
                    let one = std::slice::from_ref(&pair.node);
                    let all = if pair.node.text().is_some() { one } else { pair.node.items() };
                    all.iter().filter_map(Node::text).for_each(|address| add(&pair.place, &pair.key, address));
                }
            }
            _ => self.bad(&place, format!("{what} is a list"), "write name=10.0.0.1"),
        }
        Value::List(done)
    }

    /// Names in a list, or a map of names to settings.
    fn by_name(
        &mut self,
        node: Node,
        what: &str,
        table: &'static [(&'static str, Shape)],
        default: Option<(&str, &str)>,
    ) -> Value {
        let fresh = |place: &Place| match default {
            None => Node::at(place, Value::Null),
            Some((key, value)) => {
                let mut node = Node::at(place, Value::Map(Vec::new()));
                node.set(key, Node::text_at(place, value));
                node.set("required", Node::at(place, Value::Bool(true)));
                node
            }
        };
        let mut done = Vec::new();
        match node.value {
            Value::Null => {}
            Value::List(items) => {
                for item in items {
                    match item.text() {
                        Some(name) => {
                            done.push(Pair {
                                key: name.to_owned(),
                                place: item.place.clone(),
                                node: fresh(&item.place),
                            });
                        }
                        None => {
                            self.bad(&item.place, format!("{what} is a list of names"), "or a map of names to settings")
                        }
                    }
                }
            }
            Value::Map(pairs) => {
                for pair in pairs {
                    let read = self.map(pair.node, table, &format!("`{}` in {what}", pair.key));
                    let mut node =
                        if default.is_some() { fresh(&pair.place) } else { Node::at(&pair.place, Value::Null) };
                    if let Value::Map(settings) = read.value {
                        if node.value == Value::Null {
                            node.value = Value::Map(Vec::new());
                        }
                        settings.into_iter().for_each(|setting| node.set(&setting.key, setting.node));
                    }
                    done.push(Pair { node, ..pair });
                }
            }
            _ => self.bad(&node.place, format!("{what} is a list of names"), "or a map of names to settings"),
        }
        Value::Map(done)
    }

    fn ulimits(&mut self, node: Node, what: &str) -> Value {
        let Value::Map(pairs) = node.value else {
            self.bad(&node.place, format!("{what} is a map"), "write `nofile: { soft: 1000, hard: 2000 }`");
            return Value::Null;
        };
        let limits = pairs.into_iter().map(|pair| {
            let shape = if pair.node.text().is_some() { Shape::Int } else { Shape::Map(mounts::LIMIT) };
            let node = self.value(pair.node, shape, &format!("`{}` in {what}", pair.key));
            Pair { key: pair.key, place: pair.place, node }
        });
        Value::Map(limits.collect())
    }

    /// Whole, without `.` and `..`; `~` is the home folder.
    pub(crate) fn path(&self, text: &str) -> String {
        let given = match (text.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                home.join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(text),
        };
        clean(&self.folder.join(given))
    }
}

pub(crate) fn clean(path: &Path) -> String {
    let mut done = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                done.pop();
            }
            part => done.push(part),
        }
    }
    done.display().to_string()
}
