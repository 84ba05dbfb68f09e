//! YAML text to nodes, one document, with limits. Anchors and aliases work, within a budget of copies; merge keys (`<<`) too.

use std::collections::HashMap;
use std::sync::Arc;

use base_explain::Report;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::{ConfigError, Key, Node, Origin, SourceText, Value};

/// Larger files are no configuration.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Copies of nodes made by aliases; a file that wants more is an alias bomb.
const ALIAS_NODES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 64;

pub(crate) fn parse(name: &str, text: &str) -> Result<Node, ConfigError> {
    if text.len() > TEXT_BYTES_MAX {
        let report = Report::new(format!("`{name}` has {} bytes, the limit is {TEXT_BYTES_MAX}", text.len()));
        return Err(ConfigError::new(report));
    }
    let source = Arc::new(SourceText { name: name.to_owned(), text: text.to_owned() });
    let mut loader = Loader { source, anchors: HashMap::new(), copies_left: ALIAS_NODES_MAX };
    let mut parser = Parser::new_from_str(text);
    let mut document = None;
    while let Some((event, span)) = loader.next(&mut parser)? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if document.is_some() => {
                return Err(loader.error(
                    &span,
                    "a second document; one is expected",
                    "remove it, or the `---` before it",
                ));
            }
            event => document = Some(loader.node(&mut parser, event, span, 0)?),
        }
    }
    Ok(document.unwrap_or_default())
}

struct Loader {
    source: Arc<SourceText>,
    anchors: HashMap<usize, (Node, usize)>,
    copies_left: usize,
}

impl Loader {
    fn next<'i, T: saphyr_parser::Input>(
        &self,
        parser: &mut Parser<'i, T>,
    ) -> Result<Option<(Event<'i>, Span)>, ConfigError> {
        parser.next().transpose().map_err(|error| {
            let origin = self.origin(error.marker().line(), error.marker().col() + 1, 1);
            ConfigError::new(origin.on(Report::new(format!("this is not YAML: {}", error.info()))))
        })
    }

    fn node<'i, T: saphyr_parser::Input>(
        &mut self,
        parser: &mut Parser<'i, T>,
        event: Event<'i>,
        span: Span,
        depth: usize,
    ) -> Result<Node, ConfigError> {
        if depth > DEPTH_MAX {
            return Err(self.error(&span, "nested too deep", "the limit is 64 levels"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
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
            Event::Alias(id) => return self.alias(id, &span),
            other => return Err(self.error(&span, &format!("unexpected {other:?}"), "check the YAML around it")),
        };
        let node = Node { value, origin: self.span_origin(&span), filled: Vec::new() };
        if anchor != 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn map<'i, T: saphyr_parser::Input>(
        &mut self,
        parser: &mut Parser<'i, T>,
        depth: usize,
    ) -> Result<Value, ConfigError> {
        let mut pairs: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let (key_event, key_span) = match self.next(parser)? {
                None | Some((Event::MappingEnd, _)) => break,
                Some(next) => next,
            };
            let Event::Scalar(name, ..) = key_event else {
                return Err(self.error(&key_span, "a key must be plain text", "quote it"));
            };
            let Some((event, span)) = self.next(parser)? else { break };
            let node = self.node(parser, event, span, depth + 1)?;
            let key = Key { name: name.into_owned(), origin: self.span_origin(&key_span) };
            if key.name == "<<" {
                let sources = if let Value::List(items) = node.value { items } else { vec![node] };
                merged.extend(
                    sources
                        .into_iter()
                        .filter_map(|n| match n.value {
                            Value::Map(pairs) => Some(pairs),
                            _ => None,
                        })
                        .flatten(),
                );
                continue;
            }
            if let Some((first, _)) = pairs.iter().find(|(known, _)| known.name == key.name) {
                let report = Report::new(format!("the key `{}` is here twice", key.name))
                    .because(format!("it stands at {} already", first.origin))
                    .hint("keep one of them");
                return Err(ConfigError::new(key.origin.on(report)));
            }
            pairs.push((key, node));
        }
        for (key, node) in merged {
            if !pairs.iter().any(|(known, _)| known.name == key.name) {
                pairs.push((key, node));
            }
        }
        Ok(Value::Map(pairs))
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, ConfigError> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(self.error(span, "an alias of nothing", "define the anchor before it"));
        };
        if *size > self.copies_left {
            return Err(self.error(span, "aliases copy too much", "the limit is 100,000 nodes"));
        }
        self.copies_left -= size;
        Ok(node.clone())
    }

    fn span_origin(&self, span: &Span) -> Origin {
        let same_line = span.start.line() == span.end.line();
        let length = if same_line { span.end.index().saturating_sub(span.start.index()) } else { 1 };
        self.origin(span.start.line(), span.start.col() + 1, length.max(1))
    }

    fn origin(&self, line: usize, column: usize, length: usize) -> Origin {
        Origin::File { source: self.source.clone(), line, column, length }
    }

    fn error(&self, span: &Span, message: &str, hint: &str) -> ConfigError {
        ConfigError::new(self.span_origin(span).on(Report::new(message).hint(hint)))
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if !quoted => Value::Null,
        text => Value::Scalar { text: text.to_owned(), quoted },
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(pairs) => pairs.iter().map(|(_, node)| count(node)).sum::<usize>(),
        _ => 0,
    }
}
