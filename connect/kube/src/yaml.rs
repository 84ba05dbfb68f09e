//! YAML (and so JSON) to nodes that know their place, one document, with limits. Never a value in an error: the file holds keys and tokens. It does
//! not know what a kubeconfig is.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, Span};

use crate::{KubeError, Result};

/// Copies of nodes made by aliases; a file that wants more is an alias bomb.
const ALIAS_NODES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;

/// A node and where it stands. No `Debug`: it may hold a secret.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    /// Also null, as the empty text.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A document of a file; its errors begin with the file's name.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) file: String,
    pub(crate) root: Node,
}

impl Document {
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |problem: &str| KubeError::Config { place: Some(file.to_owned()), problem: problem.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| bad("this is no text in UTF-8"))?;
        let mut loader = Loader { file, anchors: HashMap::new(), copies_left: ALIAS_NODES_MAX };
        let mut parser = Parser::new_from_str(text);
        let mut root = None;
        while let Some((event, span)) = loader.next(&mut parser)? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ if root.is_some() => return Err(loader.bad(&span, "a second document; one is expected")),
                event => root = Some(loader.node(&mut parser, event, span, 0)?),
            }
        }
        let root = root.unwrap_or(Node { line: 1, column: 1, value: Value::Map(Vec::new()) });
        Ok(Self { file: file.to_owned(), root })
    }

    pub(crate) fn bad(&self, node: &Node, problem: impl Into<String>) -> KubeError {
        let place = format!("{}:{}:{}", self.file, node.line, node.column);
        KubeError::Config { place: Some(place), problem: problem.into() }
    }

    /// The text below a key; empty or missing: `None`.
    pub(crate) fn text(&self, node: &Node, key: &str) -> Result<Option<String>> {
        match node.get(key) {
            None => Ok(None),
            Some(Node { value: Value::Text(text), .. }) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.bad(other, format!("`{key}` must be a text, here is {}", other.what()))),
        }
    }

    pub(crate) fn truth(&self, node: &Node, key: &str) -> Result<bool> {
        match (self.text(node, key)?.as_deref(), node.get(key)) {
            (None | Some("false"), _) => Ok(false),
            (Some("true"), _) => Ok(true),
            (_, at) => Err(self.bad(at.unwrap_or(node), format!("`{key}` must be true or false"))),
        }
    }

    pub(crate) fn list<'n>(&self, node: &'n Node, key: &str) -> Result<&'n [Node]> {
        match node.get(key) {
            None => Ok(&[]),
            Some(Node { value: Value::List(items), .. }) => Ok(items),
            Some(Node { value: Value::Text(text), .. }) if text.is_empty() => Ok(&[]),
            Some(other) => Err(self.bad(other, format!("`{key}` must be a list, here is {}", other.what()))),
        }
    }
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    fn what(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Text(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(pairs) => 1 + pairs.iter().map(|(_, node)| node.size()).sum::<usize>(),
        }
    }
}

struct Loader<'f> {
    file: &'f str,
    anchors: HashMap<usize, (Node, usize)>,
    copies_left: usize,
}

impl Loader<'_> {
    fn bad(&self, span: &Span, problem: &str) -> KubeError {
        let place = format!("{}:{}:{}", self.file, span.start.line(), span.start.col() + 1);
        KubeError::Config { place: Some(place), problem: problem.to_owned() }
    }

    fn next<'i, T: saphyr_parser::Input>(&self, parser: &mut Parser<'i, T>) -> Result<Option<(Event<'i>, Span)>> {
        parser.next().transpose().map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            let place = Some(format!("{}:{line}:{column}", self.file));
            KubeError::Config { place, problem: "this is not YAML".to_owned() }
        })
    }

    fn node<'i, T: saphyr_parser::Input>(
        &mut self,
        parser: &mut Parser<'i, T>,
        event: Event<'i>,
        span: Span,
        depth: usize,
    ) -> Result<Node> {
        if depth > DEPTH_MAX {
            return Err(self.bad(&span, "nested deeper than 32 levels"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == saphyr_parser::ScalarStyle::Plain;
                let null = plain && matches!(text.as_ref(), "null" | "~" | "Null" | "NULL");
                (Value::Text(if null { String::new() } else { text.into_owned() }), anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next(parser)? {
                        None | Some((Event::SequenceEnd, _)) => break,
                        Some((event, span)) => items.push(self.node(parser, event, span, depth + 1)?),
                    }
                }
                (Value::List(items), anchor)
            }
            Event::MappingStart(anchor, _) => (self.map(parser, depth)?, anchor),
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(self.bad(&span, "an alias of nothing"));
                };
                if *size > self.copies_left {
                    return Err(self.bad(&span, "aliases copy more than 10,000 nodes"));
                }
                self.copies_left -= size;
                return Ok(node.clone());
            }
            _ => return Err(self.bad(&span, "unexpected here")),
        };
        let node = Node { line: span.start.line(), column: span.start.col() + 1, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), node.size()));
        }
        Ok(node)
    }

    fn map<'i, T: saphyr_parser::Input>(&mut self, parser: &mut Parser<'i, T>, depth: usize) -> Result<Value> {
        let mut pairs: Vec<(String, Node)> = Vec::new();
        loop {
            let (key, key_span) = match self.next(parser)? {
                None | Some((Event::MappingEnd, _)) => return Ok(Value::Map(pairs)),
                Some(next) => next,
            };
            let Event::Scalar(key, ..) = key else { return Err(self.bad(&key_span, "a key must be plain text")) };
            let Some((event, span)) = self.next(parser)? else { return Ok(Value::Map(pairs)) };
            let node = self.node(parser, event, span, depth + 1)?;
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(self.bad(&key_span, &format!("the key `{key}` is here twice")));
            }
            pairs.push((key.into_owned(), node));
        }
    }
}
