//! The tree's nodes. Scalars keep their text: what type they are is for the reader to say.

use std::sync::Arc;

use base_explain::{Place, Report};
use serde::de::DeserializeOwned;

use crate::ConfigError;
use crate::error::unknown;

/// A text that nodes point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    pub name: String,
    pub text: String,
}

/// Where a node was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the root before anything was read.
    #[default]
    Default,
    /// Line and column from 1; `length` in characters.
    File {
        source: Arc<SourceText>,
        line: usize,
        column: usize,
        length: usize,
    },
    Environment(String),
    Flag(String),
}

impl Origin {
    /// The place of some words in the node's text, of which so many stand before those that are meant; the node's own where the file spells them
    /// another way.
    pub(crate) fn at_words(&self, words: &str, before: usize) -> Origin {
        let Origin::File { source, line, column, .. } = self else { return self.clone() };
        let start = source.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let rest = source.text.get(start..).unwrap_or_default();
        let skipped: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let rest = rest.get(skipped..).unwrap_or_default();
        let Some((at, _)) = rest.match_indices(words).nth(before) else { return self.clone() };
        let above = &rest[..at];
        let (lines, last) = (above.matches('\n').count(), above.rsplit('\n').next().unwrap_or_default());
        let column = if lines == 0 { column + last.chars().count() } else { last.chars().count() + 1 };
        Origin::File { source: source.clone(), line: line + lines, column, length: words.chars().count() }
    }

    /// Puts the place on a report.
    pub fn on(&self, report: Report) -> Report {
        match self {
            Origin::Default => report,
            Origin::File { source, line, column, length } => {
                report.at(Place::new(&source.name, *line, *column).in_text(&source.text, *length))
            }
            Origin::Environment(name) => report.because(format!("it was set by the environment variable `{name}`")),
            Origin::Flag(name) => report.because(format!("it was given by the flag `{name}`")),
        }
    }
}

/// `apm.yaml:3:5`, `$APM_PROJECT`, `--memory`, or `default`.
impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { source, line, column, .. } => write!(f, "{}:{line}:{column}", source.name),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub origin: Origin,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    #[default]
    Null,
    /// A quoted scalar is a string whatever it looks like.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A variable that a scalar was filled in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    pub name: String,
    /// Its value must not be shown.
    pub secret: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub value: Value,
    pub origin: Origin,
    /// Of a scalar: the variables in it.
    pub filled: Vec<Filled>,
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(pairs) => pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The node as a typed value; an error has its place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        T::deserialize(self)
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The first variable in it or below it that must not be shown, and the node that it fills in.
    pub fn secret(&self) -> Option<(&Node, &Filled)> {
        if let Some(filled) = self.filled.iter().find(|filled| filled.secret) {
            return Some((self, filled));
        }
        match &self.value {
            Value::List(items) => items.iter().find_map(Node::secret),
            Value::Map(pairs) => pairs.iter().find_map(|(_, node)| node.secret()),
            _ => None,
        }
    }

    /// The node with only the keys named: for a struct that shares a map with others.
    pub fn only(&self, names: &[&str]) -> Node {
        let mut part = self.clone();
        if let Value::Map(pairs) = &mut part.value {
            pairs.retain(|(key, _)| names.contains(&key.name.as_str()));
        }
        part
    }

    /// Names the first key that is not known.
    pub fn check_keys(&self, known: &[&str]) -> Result<(), ConfigError> {
        let Value::Map(pairs) = &self.value else { return Ok(()) };
        match pairs.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
            Some((key, _)) => Err(unknown("key", &key.name, known).place(&key.origin)),
            None => Ok(()),
        }
    }

    /// Lays `over` on top: maps are merged key by key, anything else is replaced.
    pub(crate) fn merge(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Map(pairs), Value::Map(news)) => {
                for (key, node) in news {
                    match pairs.iter_mut().find(|(known, _)| known.name == key.name) {
                        Some((_, old)) => old.merge(node),
                        None => pairs.push((key, node)),
                    }
                }
            }
            (old, value) => {
                *old = value;
                self.origin = over.origin;
                self.filled = over.filled;
            }
        }
    }
}
