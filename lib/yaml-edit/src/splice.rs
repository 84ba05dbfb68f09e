//! The five edits as replacements of bytes, on a tree as it is written. Does not check that the text means what was asked for afterwards.

use crate::data::Data;
use crate::edit::EditError;
use crate::node::{Node, Pair, Step, Style, Value, path_text};
use crate::render::{Layout, Written};
use crate::text::{line_end, line_start, next_line, opens_line, skip_trivia};

/// Bytes `from..to` become `with`.
#[derive(Debug, Clone)]
pub(crate) struct Splice {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) with: String,
}

pub(crate) fn splice(from: usize, to: usize, with: impl Into<String>) -> Splice {
    Splice { from, to, with: with.into() }
}

/// A text with its tree as written.
pub(crate) struct Tree<'a> {
    pub(crate) text: &'a str,
    pub(crate) root: &'a Node,
    pub(crate) layout: &'a Layout,
}

/// What leads to a node.
#[derive(Clone, Copy)]
enum Lead {
    Root,
    Key(usize),
    Dash(usize),
    /// In brackets.
    Flow,
}

type Splices = Result<Vec<Splice>, EditError>;

impl Tree<'_> {
    fn find(&self, path: &[Step]) -> Result<(&Node, Lead), EditError> {
        let mut found = (self.root, Lead::Root);
        for (at, step) in path.iter().enumerate() {
            let (node, _) = found;
            let here = || path_text(path.get(..=at).unwrap_or(path));
            if node.style == Style::Alias {
                return Err(EditError::Aliased { path: path_text(path.get(..at).unwrap_or(path)), line: node.line });
            }
            found = match step {
                Step::Key(key) => {
                    let pair = node.pair(key).ok_or_else(|| EditError::Missing { path: here() })?;
                    (
                        &pair.node,
                        if node.style == Style::Indented { Lead::Key(pair.column as usize - 1) } else { Lead::Flow },
                    )
                }
                Step::Index(index) => {
                    let item = node.items().get(*index).ok_or_else(|| EditError::Missing { path: here() })?;
                    (item, if node.style == Style::Indented { Lead::Dash(self.dash(item)) } else { Lead::Flow })
                }
            };
        }
        Ok(found)
    }

    /// The column of an item's dash.
    fn dash(&self, item: &Node) -> usize {
        let at = (item.lead as usize).saturating_sub(1);
        self.text.get(line_start(self.text, at)..at).map_or(0, |before| before.chars().count())
    }

    fn joined(&self, lines: &[String]) -> String {
        lines.join(self.layout.newline)
    }

    pub(crate) fn replace(&self, path: &[Step], data: &Data) -> Splices {
        let (node, lead) = self.find(path)?;
        let old = Some(node.style);
        let (after, end) = (node.lead as usize, self.end(node));
        let colon = self.text.as_bytes().get(after.wrapping_sub(1)) == Some(&b':');
        if matches!(lead, Lead::Flow) || (self.layout.json && matches!(lead, Lead::Root)) {
            let spread = self.text.get(node.span()).is_some_and(|old| old.contains('\n'));
            let value = if spread {
                self.layout.spread(data, self.indent_at(node.start as usize))
            } else {
                self.layout.inline(data, old, true)
            };
            return Ok(match (node.style, node.props.is_some()) {
                (Style::Absent, _) if !colon => vec![splice(after, after, format!(": {value}"))],
                (Style::Absent, _) | (_, true) => vec![splice(after, end.max(after), format!(" {value}"))],
                _ => vec![splice(node.start as usize, end, value)],
            });
        }
        let Written { head, lines } = match lead {
            Lead::Key(column) => self.layout.after_key(data, column, old),
            Lead::Dash(column) => self.layout.after_dash(data, column, old),
            _ => return Ok(self.replace_root(node, data)),
        };
        let spaced = if head.is_empty() { String::new() } else { format!(" {head}") };
        let below =
            |lines: &[String]| lines.iter().map(|line| format!("{}{line}", self.layout.newline)).collect::<String>();
        if node.style == Style::Absent || node.props.is_some() {
            let end = end.max(after);
            return Ok(vec![
                splice(after, end, spaced),
                splice(line_end(self.text, end), line_end(self.text, end), below(&lines)),
            ]);
        }
        let start = node.start as usize;
        let first_line_end = line_end(self.text, after);
        if start > first_line_end {
            // It stands below its key: what stands behind the key, a comment, stays there.
            return Ok(vec![splice(after, after, spaced), splice(first_line_end, end, below(&lines))]);
        }
        if self.text.get(start..end).is_some_and(|old| old.contains('\n')) {
            return Ok(vec![splice(after, end, format!("{spaced}{}", below(&lines)))]);
        }
        let from = if head.is_empty() { after } else { start };
        Ok(vec![splice(from, end, head), splice(line_end(self.text, end), line_end(self.text, end), below(&lines))])
    }

    fn replace_root(&self, node: &Node, data: &Data) -> Vec<Splice> {
        let lines = self.layout.lines(data, 0);
        let value =
            if lines.is_empty() { self.layout.inline(data, Some(node.style), false) } else { self.joined(&lines) };
        let (after, end) = (node.lead as usize, self.end(node));
        if node.style != Style::Absent && node.props.is_none() {
            let own_line = lines.is_empty() || opens_line(self.text, node.start as usize);
            let lead = if own_line { "" } else { self.layout.newline };
            return vec![splice(node.start as usize, end, format!("{lead}{value}"))];
        }
        // Behind all comments: at the end of the line where the last of them ends.
        let at = if node.style == Style::Absent { self.blank_end(after) } else { end };
        let newline =
            if at == 0 || self.text.get(..at).is_some_and(|t| t.ends_with('\n')) { "" } else { self.layout.newline };
        let closing = if at == 0
            || self.text.get(at..).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['\n', '\r']))
            || newline.is_empty()
        {
            self.layout.newline
        } else {
            ""
        };
        vec![splice(if node.props.is_some() { after } else { at }, at, format!("{newline}{value}{closing}"))]
    }

    fn blank_end(&self, at: usize) -> usize {
        let to = skip_trivia(self.text, at);
        if to == self.text.len() { to } else { line_start(self.text, to).max(at) }
    }

    /// Where a node ends, without the line break that a block scalar may end in.
    fn end(&self, node: &Node) -> usize {
        let end = (node.end as usize).max(node.lead as usize);
        let kept = self.text.get(..end).is_some_and(|t| t.ends_with('\n')) && end > node.lead as usize;
        if kept { line_end(self.text, line_start(self.text, end - 1)) } else { end }
    }

    /// Blanks before the first word of the line.
    fn indent_at(&self, at: usize) -> usize {
        let line = self.text.get(line_start(self.text, at)..).unwrap_or("");
        line.len() - line.trim_start_matches(' ').len()
    }

    pub(crate) fn insert_pair(&self, path: &[Step], key: &str, data: &Data) -> Splices {
        let (node, lead) = self.find(path)?;
        let Value::Map(pairs) = &node.value else { return Err(self.not(node, path, "map")) };
        let Some(last) = pairs.last() else {
            return self.replace(path, &Data::Map(vec![(key.to_owned(), data.clone())]));
        };
        match node.style {
            Style::Indented => {
                let column = match lead {
                    _ if last.column > 0 => pairs.first().map_or(0, |first| first.column as usize - 1),
                    _ => 0,
                };
                Ok(vec![self.below(
                    (last.node.end as usize).max(last.node.lead as usize),
                    &self.layout.pair(key, data, column),
                )])
            }
            Style::Flow => {
                let value = self.flow_value(data, last.key_start as usize);
                let text = format!("{}: {value}", self.layout.key(key, true));
                Ok(vec![self.behind(last.key_start as usize, self.pair_end(last), &text)])
            }
            _ => Err(self.not(node, path, "map in braces")),
        }
    }

    pub(crate) fn insert_item(&self, path: &[Step], index: usize, data: &Data) -> Splices {
        let (node, _) = self.find(path)?;
        let Value::List(items) = &node.value else { return Err(self.not(node, path, "list")) };
        if items.is_empty() {
            return self.replace(path, &Data::List(vec![data.clone()]));
        }
        let flow = node.style == Style::Flow;
        match (index.checked_sub(1).and_then(|before| items.get(before)), items.first()) {
            (Some(before), _) if flow => {
                let value = self.flow_value(data, before.start as usize);
                Ok(vec![self.behind(before.start as usize, self.end(before), &value)])
            }
            (Some(before), _) => {
                let lines = self.layout.item(data, self.dash(before));
                Ok(vec![self.below((before.end as usize).max(before.lead as usize), &lines)])
            }
            (None, Some(first)) if flow => {
                let value = self.flow_value(data, first.start as usize);
                let gap = if opens_line(self.text, first.start as usize) {
                    format!("{}{}", self.layout.newline, " ".repeat(self.indent_at(first.start as usize)))
                } else {
                    " ".to_owned()
                };
                Ok(vec![splice(first.start as usize, first.start as usize, format!("{value},{gap}"))])
            }
            (None, Some(first)) => {
                let column = self.dash(first);
                let at = first.lead as usize - 1;
                let text = self.joined(&self.layout.item(data, column));
                let text = text.trim_start_matches(' ');
                Ok(vec![splice(at, at, format!("{text}{}{}", self.layout.newline, " ".repeat(column)))])
            }
            (None, None) => Err(EditError::Missing { path: path_text(path) }),
        }
    }

    /// Whole lines behind the one in which something ends.
    fn below(&self, end: usize, lines: &[String]) -> Splice {
        let text = self.joined(lines);
        if end > 0 && self.text.get(..end).is_some_and(|t| t.ends_with('\n')) {
            return splice(end, end, format!("{text}{}", self.layout.newline));
        }
        let at = line_end(self.text, end);
        splice(at, at, format!("{}{text}", self.layout.newline))
    }

    fn flow_value(&self, data: &Data, beside: usize) -> String {
        if opens_line(self.text, beside) {
            self.layout.spread(data, self.indent_at(beside))
        } else {
            self.layout.inline(data, None, true)
        }
    }

    /// Behind a neighbour in brackets, on a line of its own if the neighbour has one.
    fn behind(&self, neighbour: usize, end: usize, text: &str) -> Splice {
        let gap = if opens_line(self.text, neighbour) {
            format!("{}{}", self.layout.newline, " ".repeat(self.indent_at(neighbour)))
        } else {
            " ".to_owned()
        };
        splice(end, end, format!(",{gap}{text}"))
    }

    pub(crate) fn remove(&self, path: &[Step]) -> Splices {
        let Some((last, parent)) = path.split_last() else { return Err(EditError::Missing { path: String::new() }) };
        self.find(path)?;
        let (node, _) = self.find(parent)?;
        // Where each child starts and ends.
        let (at, spans, none): (usize, Vec<(usize, usize)>, Data) = match (&node.value, last) {
            (Value::Map(pairs), Step::Key(key)) => {
                let at = pairs.iter().position(|pair| pair.key == *key);
                let spans = pairs.iter().map(|pair| (pair.key_start as usize, self.pair_end(pair))).collect();
                (at.unwrap_or(0), spans, Data::Map(Vec::new()))
            }
            (Value::List(items), Step::Index(index)) => {
                let indented = node.style == Style::Indented;
                let start = |item: &Node| if indented { item.lead as usize - 1 } else { item.start as usize };
                (*index, items.iter().map(|item| (start(item), self.end(item))).collect(), Data::List(Vec::new()))
            }
            _ => return Err(EditError::Missing { path: path_text(path) }),
        };
        let Some(&(start, end)) = spans.get(at) else { return Err(EditError::Missing { path: path_text(path) }) };
        if spans.len() == 1 {
            return self.replace(parent, &none);
        }
        let next = spans.get(at + 1).map(|(start, _)| *start);
        if node.style != Style::Indented {
            let before = at.checked_sub(1).and_then(|n| spans.get(n)).map_or(start, |(_, end)| *end);
            return Ok(vec![next.map_or_else(|| splice(before, end, ""), |next| splice(start, next, ""))]);
        }
        if opens_line(self.text, start) {
            let (from, to) = (line_start(self.text, start), next_line(self.text, end));
            let open_end = to == self.text.len() && !self.text.ends_with('\n') && from > 0;
            let from = if open_end { line_end(self.text, line_start(self.text, from - 1)) } else { from };
            return Ok(vec![splice(from, to, "")]);
        }
        let Some(next) = next else { return Err(EditError::Missing { path: path_text(path) }) };
        let between = self.text.get(line_end(self.text, end)..next).unwrap_or("");
        Ok(vec![if between.trim().is_empty() {
            splice(start, next, "")
        } else {
            splice(start, line_end(self.text, end), "")
        }])
    }

    fn pair_end(&self, pair: &Pair) -> usize {
        self.end(&pair.node).max(pair.key_end as usize)
    }

    pub(crate) fn rename(&self, path: &[Step], to: &str) -> Splices {
        let Some((Step::Key(key), parent)) = path.split_last() else {
            return Err(EditError::Missing { path: path_text(path) });
        };
        let (node, _) = self.find(parent)?;
        let pair = node.pair(key).ok_or_else(|| EditError::Missing { path: path_text(path) })?;
        if node.pair(to).is_some() {
            return Err(EditError::Exists { path: path_text(path), key: to.to_owned() });
        }
        let written = match pair.key_style {
            Style::Plain => self.layout.key(to, node.style != Style::Indented),
            style => self.layout.inline(&Data::Text(to.to_owned()), Some(style), true),
        };
        Ok(vec![splice(pair.key_start as usize, pair.key_end as usize, written)])
    }

    fn not(&self, node: &Node, path: &[Step], wanted: &'static str) -> EditError {
        if node.style == Style::Alias {
            return EditError::Aliased { path: path_text(path), line: node.line };
        }
        EditError::Kind { path: path_text(path), wanted, line: node.line }
    }
}
