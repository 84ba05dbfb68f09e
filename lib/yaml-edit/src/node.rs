//! What was read: documents, nodes and their places in the text, in bytes and as line and column. Knows no way to change them.

use std::fmt::Write as _;
use std::sync::Arc;

/// How a node is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing stands there: `key:`.
    Absent,
    Plain,
    Single,
    Double,
    /// A block scalar, `|` or `>`.
    Block,
    /// A map or list by indentation.
    Indented,
    /// A map or list in brackets.
    Flow,
    /// A pair in a list without braces: `[a: b]`.
    Bare,
    /// `*name`; only in texts that are being edited, elsewhere it is expanded.
    Alias,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar as its text; [`crate::resolve`] says what it means.
    Scalar(Box<str>),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// One node. Bytes are offsets into the text it was read from; lines and columns (in characters) count from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub style: Style,
    /// It came by an alias or a merge key: its place is that of what it was copied from or by.
    pub copied: bool,
    /// Right behind the `:`, `-`, `[` or `,` that leads to it.
    pub(crate) lead: u32,
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub column: u32,
    pub props: Option<Box<Props>>,
}

/// What may stand before a node's value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Props {
    /// The tag, as `!!str`'s `tag:yaml.org,2002:str`.
    pub tag: Option<String>,
    /// The parser's number of the anchor; 0 is none.
    pub anchor: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    pub key: Arc<str>,
    pub key_style: Style,
    pub key_start: u32,
    pub key_end: u32,
    pub line: u32,
    pub column: u32,
    pub node: Node,
}

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub root: Node,
    /// Where it begins and ends, in bytes, comments around it included, `---` left out.
    pub start: u32,
    pub end: u32,
    /// Of its first line that says something.
    pub line: u32,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Key(Arc<str>),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

impl Node {
    pub(crate) fn tag(&self) -> Option<&str> {
        self.props.as_ref()?.tag.as_deref()
    }

    /// The node under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.pair(key).map(|pair| &pair.node)
    }

    pub fn pair(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| &*pair.key == key)
    }

    /// Its pairs; empty if it is no map.
    pub fn pairs(&self) -> &[Pair] {
        if let Value::Map(pairs) = &self.value { pairs } else { &[] }
    }

    /// Its items; empty if it is no list.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// A scalar's text, whatever it means.
    pub fn text(&self) -> Option<&str> {
        if let Value::Scalar(text) = &self.value { Some(text) } else { None }
    }

    /// What stands at a path below it.
    pub fn at(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items().get(*index),
        })
    }

    pub(crate) fn span(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A path as people write it: `spec.containers[0].image`, keys with other signs in quotes.
pub fn path_text(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        // Writing into a string cannot fail.
        let _ = match step {
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"', ' ', '/']) => {
                write!(out, "[\"{key}\"]")
            }
            Step::Key(key) if out.is_empty() => write!(out, "{key}"),
            Step::Key(key) => write!(out, ".{key}"),
        };
    }
    out
}
