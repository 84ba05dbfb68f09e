//! The tree that a compose file is read into. Every node knows where it was written. It does not know what the keys mean.

use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};

/// Line and column from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something to tell a person about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    pub message: String,
    pub hint: String,
}

impl Finding {
    pub(crate) fn new(place: &Place, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { place: place.clone(), message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    /// As it was written; what it is, its key says.
    Scalar(String),
    Bool(bool),
    Number(Number),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// What a tag says about merging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tag {
    #[default]
    None,
    /// `!reset`: what was there goes.
    Reset,
    /// `!override`: what was there is replaced and not merged.
    Override,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    pub value: Value,
    pub place: Place,
    pub(crate) tag: Tag,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Node {
    pub(crate) fn at(place: &Place, value: Value) -> Node {
        Node { value, place: place.clone(), tag: Tag::None }
    }

    pub(crate) fn text_at(place: &Place, text: impl Into<String>) -> Node {
        Node::at(place, Value::Scalar(text.into()))
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.pairs().iter().find(|pair| pair.key == key).map(|pair| &pair.node)
    }

    /// Of a map; empty for anything else.
    pub fn pairs(&self) -> &[Pair] {
        if let Value::Map(pairs) = &self.value { pairs } else { &[] }
    }

    /// Of a list; empty for anything else.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    pub fn text(&self) -> Option<&str> {
        if let Value::Scalar(text) = &self.value { Some(text) } else { None }
    }

    /// The text under a key.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub fn is_true(&self) -> bool {
        self.value == Value::Bool(true)
    }

    pub fn number(&self) -> Option<f64> {
        if let Value::Number(number) = &self.value { number.as_f64() } else { None }
    }

    pub fn whole(&self) -> Option<i64> {
        if let Value::Number(number) = &self.value { number.as_i64() } else { None }
    }

    pub(crate) fn set(&mut self, key: &str, node: Node) {
        let place = node.place.clone();
        if let Value::Map(pairs) = &mut self.value {
            match pairs.iter_mut().find(|pair| pair.key == key) {
                Some(pair) => pair.node = node,
                None => pairs.push(Pair { key: key.to_owned(), place, node }),
            }
        }
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let Value::Map(pairs) = &mut self.value else { return None };
        let at = pairs.iter().position(|pair| pair.key == key)?;
        Some(pairs.remove(at).node)
    }

    /// Without the places.
    pub fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Scalar(text) => Json::String(text.clone()),
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(pairs) => {
                Json::Object(pairs.iter().map(|pair| (pair.key.clone(), pair.node.json())).collect::<Map<_, _>>())
            }
        }
    }
}
