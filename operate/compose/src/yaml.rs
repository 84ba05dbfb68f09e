//! YAML text to nodes, with limits. Anchors, aliases and merge keys (`<<`) work; `!reset` and `!override` are kept. It knows no key.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Input, Parser, ScalarStyle, Span};

use crate::node::{Finding, Node, Pair, Place, Tag, Value};

/// A larger one is no compose file.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Nodes that aliases may copy: more is an alias bomb.
const COPIES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 64;

pub(crate) fn parse(file: &str, text: &str) -> Result<Node, Finding> {
    let file: Arc<str> = file.into();
    if text.len() > TEXT_BYTES_MAX {
        let place = Place { file, line: 1, column: 1 };
        let message = format!("it has {} bytes, at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(Finding::new(&place, message, "is it a compose file?"));
    }
    let mut reader = Reader { file, anchors: HashMap::new(), copies_left: COPIES_MAX };
    let mut parser = Parser::new_from_str(text);
    let mut document = None;
    while let Some((event, span)) = reader.next(&mut parser)? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if document.is_some() => {
                let hint = "one compose file is one document; put the other into a file of its own";
                return Err(Finding::new(&reader.place(&span), "a second document", hint));
            }
            event => document = Some(reader.node(&mut parser, event, &span, 0)?),
        }
    }
    let empty = Node::at(&Place { file: Arc::clone(&reader.file), line: 1, column: 1 }, Value::Null);
    Ok(document.unwrap_or(empty))
}

struct Reader {
    file: Arc<str>,
    anchors: HashMap<usize, (Node, usize)>,
    copies_left: usize,
}

impl Reader {
    fn place(&self, span: &Span) -> Place {
        Place { file: Arc::clone(&self.file), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn next<'i, T: Input>(&self, parser: &mut Parser<'i, T>) -> Result<Option<(Event<'i>, Span)>, Finding> {
        parser.next().transpose().map_err(|error| {
            let marker = error.marker();
            let place = Place { file: Arc::clone(&self.file), line: marker.line(), column: marker.col() + 1 };
            Finding::new(
                &place,
                format!("this is not YAML: {}", error.info()),
                "check indentation and quotes around it",
            )
        })
    }

    fn node<'i, T: Input>(
        &mut self,
        parser: &mut Parser<'i, T>,
        event: Event<'i>,
        span: &Span,
        depth: usize,
    ) -> Result<Node, Finding> {
        let place = self.place(span);
        if depth > DEPTH_MAX {
            return Err(Finding::new(&place, "nested too deep", format!("{DEPTH_MAX} levels are read")));
        }
        let tag_of = |tag: Option<&saphyr_parser::Tag>| match tag.map(|tag| tag.suffix.as_str()) {
            Some("reset") => Tag::Reset,
            Some("override") => Tag::Override,
            _ => Tag::None,
        };
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag_of(tag.as_deref())),
            Event::SequenceStart(anchor, tag) => {
                let mut items = Vec::new();
                while let Some((event, span)) = self.next(parser)? {
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(parser, event, &span, depth + 1)?);
                }
                (Value::List(items), anchor, tag_of(tag.as_deref()))
            }
            Event::MappingStart(anchor, tag) => (self.map(parser, depth)?, anchor, tag_of(tag.as_deref())),
            Event::Alias(id) => return self.alias(id, &place),
            other => return Err(Finding::new(&place, format!("unexpected {other:?}"), "check the YAML around it")),
        };
        let node = Node { value, place, tag };
        if anchor != 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn map<'i, T: Input>(&mut self, parser: &mut Parser<'i, T>, depth: usize) -> Result<Value, Finding> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut merged: Vec<Pair> = Vec::new();
        while let Some((event, span)) = self.next(parser)? {
            let place = self.place(&span);
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(name, ..) => name.into_owned(),
                _ => return Err(Finding::new(&place, "a key must be plain text", "quote it")),
            };
            let Some((event, span)) = self.next(parser)? else { break };
            let node = self.node(parser, event, &span, depth + 1)?;
            if key == "<<" {
                let sources = if let Value::List(items) = node.value { items } else { vec![node] };
                for source in sources {
                    let Value::Map(more) = source.value else {
                        return Err(Finding::new(&place, "`<<` takes in maps only", "name an anchor of a map"));
                    };
                    merged.extend(more);
                }
            } else if let Some(first) = pairs.iter().find(|known| known.key == key) {
                let message = format!("the key `{key}` is here twice; it stands at {} already", first.place);
                return Err(Finding::new(&place, message, "keep one of them"));
            } else {
                pairs.push(Pair { key, place, node });
            }
        }
        // What stands in the map itself wins, and an earlier source wins over a later one.
        for pair in merged {
            if !pairs.iter().any(|known| known.key == pair.key) {
                pairs.push(pair);
            }
        }
        Ok(Value::Map(pairs))
    }

    fn alias(&mut self, id: usize, place: &Place) -> Result<Node, Finding> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(Finding::new(place, "an alias of nothing", "define the anchor before it"));
        };
        if *size > self.copies_left {
            return Err(Finding::new(place, "aliases copy too much", format!("{COPIES_MAX} nodes are copied at most")));
        }
        self.copies_left -= size;
        Ok(node.clone())
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => Value::Null,
        text => Value::Scalar(text.to_owned()),
    }
}

fn count(node: &Node) -> usize {
    1 + node.items().iter().map(count).sum::<usize>() + node.pairs().iter().map(|pair| count(&pair.node)).sum::<usize>()
}
