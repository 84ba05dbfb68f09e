//! What a node means, places and style left out: what an edit is given, and what two texts are compared by.

use serde_json::{Number, Value as Json};

use crate::node::{Node, Pair, Step, Value};
use crate::scalar::{Dialect, Word, resolve};

/// A value. Maps keep the order they were given in, and are equal in any order.
#[derive(Debug, Clone)]
pub enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Data>),
    Map(Vec<(String, Data)>),
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Data::Null, Data::Null) => true,
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Number(a), Data::Number(b)) => a == b,
            (Data::Text(a), Data::Text(b)) => a == b,
            (Data::List(a), Data::List(b)) => a == b,
            (Data::Map(a), Data::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| b.iter().any(|(k, v)| k == key && v == value))
            }
            _ => false,
        }
    }
}

impl Data {
    /// A map of pairs.
    pub fn map<K: Into<String>, V: Into<Data>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Data::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Data::List(items) if items.is_empty()) || matches!(self, Data::Map(pairs) if pairs.is_empty())
    }

    pub(crate) fn at_mut(&mut self, path: &[Step]) -> Option<&mut Data> {
        path.iter().try_fold(self, |data, step| match (data, step) {
            (Data::Map(pairs), Step::Key(key)) => pairs.iter_mut().find(|(k, _)| **k == **key).map(|(_, value)| value),
            (Data::List(items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        })
    }
}

impl Node {
    /// What a scalar means in a dialect; nothing of a map or list.
    pub fn word(&self, dialect: Dialect) -> Option<Word<'_>> {
        self.text().map(|text| resolve(text, self.style, self.tag(), dialect))
    }

    /// What it means in a dialect. Recursion is bounded by the depth that was read.
    pub fn data(&self, dialect: Dialect) -> Data {
        match &self.value {
            Value::Scalar(_) => match self.word(dialect) {
                Some(Word::Text(text)) => Data::Text(text.to_owned()),
                Some(Word::Bool(value)) => Data::Bool(value),
                Some(Word::Number(number)) => Data::Number(number),
                Some(Word::Null) | None => Data::Null,
            },
            Value::List(items) => Data::List(items.iter().map(|item| item.data(dialect)).collect()),
            Value::Map(pairs) => {
                Data::Map(pairs.iter().map(|Pair { key, node, .. }| (key.to_string(), node.data(dialect))).collect())
            }
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Data::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Data::Text(text)
    }
}

impl From<bool> for Data {
    fn from(value: bool) -> Self {
        Data::Bool(value)
    }
}

impl From<i64> for Data {
    fn from(value: i64) -> Self {
        // The same number from a text is unsigned if it can be.
        Data::Number(u64::try_from(value).map_or_else(|_| Number::from(value), Number::from))
    }
}

impl From<Vec<Data>> for Data {
    fn from(items: Vec<Data>) -> Self {
        Data::List(items)
    }
}

impl From<Json> for Data {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Data::Null,
            Json::Bool(value) => Data::Bool(value),
            Json::Number(number) => Data::Number(number),
            Json::String(text) => Data::Text(text),
            Json::Array(items) => Data::List(items.into_iter().map(Data::from).collect()),
            Json::Object(pairs) => Data::Map(pairs.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}

impl From<Data> for Json {
    fn from(data: Data) -> Self {
        match data {
            Data::Null => Json::Null,
            Data::Bool(value) => Json::Bool(value),
            Data::Number(number) => Json::Number(number),
            Data::Text(text) => Json::String(text),
            Data::List(items) => Json::Array(items.into_iter().map(Json::from).collect()),
            Data::Map(pairs) => Json::Object(pairs.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}
