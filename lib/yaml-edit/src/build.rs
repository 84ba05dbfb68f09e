//! The parser's events to a tree with places, within limits. Aliases are expanded and merge keys (`<<`) followed, within a budget of copies; for an
//! edit both are kept as written.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::fault::{Fault, FaultKind};
use crate::node::{Document, Node, Pair, Props, Style, Value};
use crate::scan::{props, scalar_span, style_of};
use crate::text::{Offsets, skip_trivia};

/// What is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub bytes_max: usize,
    /// Levels of nesting.
    pub depth_max: usize,
    /// Nodes that aliases may copy: more is an alias bomb.
    pub copies_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: 10 << 20, depth_max: 100, copies_max: 100_000 }
    }
}

/// Reads all documents of a text. A text without any is an empty list.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<Document>, Fault> {
    Builder::new(text, limits, true)?.documents()
}

/// As [`parse`], with aliases and merge keys as they are written.
pub(crate) fn parse_written(text: &str, limits: &Limits) -> Result<Vec<Document>, Fault> {
    Builder::new(text, limits, false)?.documents()
}

struct Builder<'t> {
    text: &'t str,
    limits: Limits,
    expand: bool,
    parser: Parser<'t, StrInput<'t>>,
    offsets: Offsets<'t>,
    keys: AHashSet<Arc<str>>,
    anchors: AHashMap<usize, (Arc<Node>, usize)>,
    copies_left: usize,
    /// All before it is read.
    cursor: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, limits: &Limits, expand: bool) -> Result<Self, Fault> {
        // Offsets are kept in 32 bits.
        let bytes_max = limits.bytes_max.min(u32::MAX as usize);
        if text.len() > bytes_max {
            let message = format!("it has {} bytes, at most {bytes_max} are read", text.len());
            return Err(Fault::new(FaultKind::TooLarge, (1, 1), message, "split it into several files"));
        }
        Ok(Builder {
            text,
            limits: *limits,
            expand,
            parser: Parser::new_from_str(text),
            offsets: Offsets::new(text),
            keys: AHashSet::new(),
            anchors: AHashMap::new(),
            copies_left: limits.copies_max,
            cursor: 0,
        })
    }

    fn documents(mut self) -> Result<Vec<Document>, Fault> {
        let mut documents: Vec<Document> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(explicit) => {
                    if explicit {
                        self.cursor = self.offsets.byte(span.end.index());
                    }
                    let start = self.cursor;
                    let (event, span) = self.next()?;
                    let root = self.node(event, &span, start, 0)?;
                    let (_, span) = self.next()?;
                    let end = self.offsets.byte(span.start.index()).max(root.end as usize);
                    let marker = self.text.get(end..).is_some_and(|rest| rest.starts_with("..."));
                    self.cursor = if marker { end + 3 } else { end };
                    let line = root.line;
                    documents.push(Document { root, start: short(start), end: short(end), line });
                }
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(Fault::scan(self.text, &error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, lead: usize, depth: usize) -> Result<Node, Fault> {
        if depth > self.limits.depth_max {
            let message = format!("nested deeper than {} levels", self.limits.depth_max);
            return Err(Fault::new(FaultKind::TooDeep, place(span), message, "flatten it"));
        }
        match event {
            Event::Alias(id) => self.alias(id, span, lead),
            Event::Scalar(text, style, anchor, tag) => {
                let (from, props) = props(self.text, lead, anchor, tag.as_deref());
                let span_bytes = (self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
                let (start, end, style) = scalar_span(self.text, &text, style, span_bytes, from);
                let node = self.made(Value::Scalar(text.into()), style, lead, (start, end), span, props);
                self.anchored(node, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let (from, props) = props(self.text, lead, anchor, tag.as_deref());
                let start = skip_trivia(self.text, from);
                let flow = self.text.as_bytes().get(start) == Some(&b'[');
                self.cursor = if flow { start + 1 } else { start };
                let (items, end) = self.items(flow, depth)?;
                let style = if flow { Style::Flow } else { Style::Indented };
                let node = self.made(Value::List(items), style, lead, (start, end), span, props);
                self.anchored(node, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let (from, props) = props(self.text, lead, anchor, tag.as_deref());
                let start = skip_trivia(self.text, from);
                // The parser marks an indented map by no sign of its own, a pair in a list by its key.
                let flow = self.text.as_bytes().get(start) == Some(&b'{');
                self.cursor = if flow { start + 1 } else { start };
                let (pairs, end) = self.pairs(flow, depth)?;
                let bare =
                    !flow && self.text.as_bytes().get(lead.wrapping_sub(1)).is_some_and(|b| matches!(b, b'[' | b','));
                let style = if flow {
                    Style::Flow
                } else if bare {
                    Style::Bare
                } else {
                    Style::Indented
                };
                let node = self.made(Value::Map(pairs), style, lead, (start, end), span, props);
                self.anchored(node, anchor)
            }
            Event::StreamEnd => {
                let hint = "is the file truncated?";
                Err(Fault::new(FaultKind::Truncated, place(span), "the text ends too early".to_owned(), hint))
            }
            _ => Err(Fault::new(
                FaultKind::Syntax,
                place(span),
                "a value is missing".to_owned(),
                "check the lines around it",
            )),
        }
    }

    fn items(&mut self, flow: bool, depth: usize) -> Result<(Vec<Node>, usize), Fault> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok((items, self.closed(flow, &span)));
            }
            let at = skip_trivia(self.text, self.cursor);
            let lead = match self.text.as_bytes().get(at) {
                Some(b'-') if !flow => at + 1,
                Some(b',') if flow => at + 1,
                _ => self.cursor,
            };
            items.push(self.node(event, &span, lead, depth + 1)?);
        }
    }

    fn pairs(&mut self, flow: bool, depth: usize) -> Result<(Vec<Pair>, usize), Fault> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut seen: AHashMap<Arc<str>, usize> = AHashMap::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => break Ok((self.merged(pairs)?, self.closed(flow, &span))),
                Event::Scalar(name, style, ..) if !name.is_empty() || style != ScalarStyle::Plain => {
                    (name, style_of(style))
                }
                _ => {
                    let message = "a key must be plain text and not empty".to_owned();
                    return Err(Fault::new(FaultKind::Key, place(&span), message, "write it as one word, or quote it"));
                }
            };
            let (name, key_style) = name;
            let key = self.key(&name);
            let first = if pairs.len() < 16 {
                pairs.iter().position(|pair| pair.key == key)
            } else {
                if seen.is_empty() {
                    seen = pairs.iter().enumerate().map(|(at, pair)| (Arc::clone(&pair.key), at)).collect();
                }
                seen.get(&key).copied()
            };
            if let Some(first) = first.and_then(|at| pairs.get(at)) {
                let message =
                    format!("the key `{key}` is here twice; it stands at {}:{} already", first.line, first.column);
                let mut fault = Fault::new(FaultKind::Duplicate, place(&span), message, "keep one of them");
                fault.other = Some((first.line as usize, first.column as usize));
                return Err(fault);
            }
            if !seen.is_empty() {
                seen.insert(Arc::clone(&key), pairs.len());
            }
            let (key_start, key_end) = (self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
            let at = skip_trivia(self.text, key_end);
            let lead = if self.text.as_bytes().get(at) == Some(&b':') { at + 1 } else { key_end };
            self.cursor = lead;
            let (line, column) = place(&span);
            let (event, span) = self.next()?;
            let node = self.node(event, &span, lead, depth + 1)?;
            let (line, column) = (short(line), short(column));
            pairs.push(Pair {
                key,
                key_style,
                key_start: short(key_start),
                key_end: short(key_end),
                line,
                column,
                node,
            });
        }
    }

    /// Where a list or map ends: at its bracket, or with its last child.
    fn closed(&mut self, flow: bool, span: &Span) -> usize {
        if flow {
            self.cursor = self.offsets.byte(span.end.index());
        }
        self.cursor
    }

    /// What the map says itself wins, and an earlier source over a later one.
    fn merged(&mut self, mut pairs: Vec<Pair>) -> Result<Vec<Pair>, Fault> {
        let merges = |pair: &Pair| &*pair.key == "<<" && pair.key_style == Style::Plain;
        if !self.expand || !pairs.iter().any(merges) {
            return Ok(pairs);
        }
        let Some(at) = pairs.iter().position(merges) else { return Ok(pairs) };
        let from = pairs.remove(at);
        let sources = if let Value::List(items) = from.node.value { items } else { vec![from.node] };
        for source in sources {
            let (line, column) = (source.line as usize, source.column as usize);
            let Value::Map(more) = source.value else {
                let message = "`<<` takes in maps only".to_owned();
                return Err(Fault::new(FaultKind::Syntax, (line, column), message, "name an anchor of a map"));
            };
            for mut pair in more {
                if !pairs.iter().any(|known| known.key == pair.key) {
                    pair.node.copied = true;
                    pairs.push(pair);
                }
            }
        }
        Ok(pairs)
    }

    fn alias(&mut self, id: usize, span: &Span, lead: usize) -> Result<Node, Fault> {
        let (start, end) = (self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
        self.cursor = end;
        if !self.expand {
            let text = Value::Scalar(self.text.get(start..end).unwrap_or("").into());
            let mut node = self.made(text, Style::Alias, lead, (start, end), span, None);
            node.props = Some(Box::new(Props { tag: None, anchor: id }));
            return Ok(node);
        }
        let Some((node, size)) = self.anchors.get(&id).cloned() else {
            let message = "this alias stands inside what it names".to_owned();
            return Err(Fault::new(FaultKind::Aliases, place(span), message, "define the anchor before it"));
        };
        self.spend(size, place(span))?;
        let mut node = Node::clone(&node);
        let (line, column) = place(span);
        (node.copied, node.lead, node.start, node.end) = (true, short(lead), short(start), short(end));
        (node.line, node.column) = (short(line), short(column));
        Ok(node)
    }

    /// Keeps what aliases may name. That is a copy too: anchors within anchors would make many.
    fn anchored(&mut self, node: Node, anchor: usize) -> Result<Node, Fault> {
        if anchor != 0 && self.expand {
            let size = count(&node);
            self.spend(size, (node.line as usize, node.column as usize))?;
            self.anchors.insert(anchor, (Arc::new(node.clone()), size));
        }
        Ok(node)
    }

    fn spend(&mut self, nodes: usize, place: (usize, usize)) -> Result<(), Fault> {
        self.copies_left = self.copies_left.checked_sub(nodes).ok_or_else(|| {
            let message = format!("anchors and aliases copy more than {} nodes", self.limits.copies_max);
            Fault::new(FaultKind::Aliases, place, message, "write the values out")
        })?;
        Ok(())
    }

    fn made(
        &mut self,
        value: Value,
        style: Style,
        lead: usize,
        (start, end): (usize, usize),
        span: &Span,
        props: Option<Box<Props>>,
    ) -> Node {
        self.cursor = end.max(self.cursor);
        let (line, column) = place(span);
        let (line, column) = (short(line), short(column));
        Node {
            value,
            style,
            copied: false,
            lead: short(lead),
            start: short(start),
            end: short(end),
            line,
            column,
            props,
        }
    }

    /// One copy of each word that is a key.
    fn key(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.keys.get(name) {
            return Arc::clone(known);
        }
        let key: Arc<str> = name.into();
        self.keys.insert(Arc::clone(&key));
        key
    }
}

fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn place(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(pairs) => pairs.iter().map(|pair| count(&pair.node)).sum(),
    }
}
