//! Writes new values in the style of the text around them. Knows the style, not the place.

use crate::data::Data;
use crate::node::{Document, Node, Style, Value};
use crate::scalar::{double, plain_safe, single};

/// How a text is written, as far as its own lines tell.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Columns from a map to the map in it.
    pub(crate) step: usize,
    /// Columns from a key to the dashes of its list.
    pub(crate) dash: usize,
    pub(crate) newline: &'static str,
    /// Of text that needs quotes.
    pub(crate) double: bool,
    pub(crate) json: bool,
}

/// A value as it follows its key or dash: the rest of that line, and whole lines below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) head: String,
    pub(crate) lines: Vec<String>,
}

#[derive(Default)]
struct Seen {
    steps: [usize; 9],
    dashes: [usize; 9],
    single: usize,
    double: usize,
    bare_keys: usize,
}

impl Layout {
    pub(crate) fn of(text: &str, documents: &[Document]) -> Self {
        let mut seen = Seen::default();
        for document in documents {
            look(&document.root, None, &mut seen);
        }
        let most = |counts: &[usize; 9]| {
            let best = counts.iter().copied().max().filter(|&n| n > 0)?;
            counts.iter().position(|&n| n == best)
        };
        let step = most(&seen.steps).filter(|&n| n > 0).unwrap_or(2);
        let flow = documents.first().is_some_and(|document| document.root.style == Style::Flow);
        Layout {
            step,
            dash: most(&seen.dashes).unwrap_or(step),
            newline: if text.find('\n').is_some_and(|at| text.get(..at).is_some_and(|t| t.ends_with('\r'))) {
                "\r\n"
            } else {
                "\n"
            },
            double: seen.double >= seen.single,
            json: flow && seen.bare_keys == 0 && seen.single == 0,
        }
    }

    /// A key as it must be written.
    pub(crate) fn key(&self, key: &str, in_flow: bool) -> String {
        if !self.json && plain_safe(key, in_flow) { key.to_owned() } else { self.quoted(key, None) }
    }

    fn quoted(&self, text: &str, old: Option<Style>) -> String {
        let want_single = match old {
            Some(Style::Single) => true,
            Some(Style::Double) => false,
            _ => !self.double,
        };
        let written = (want_single && !self.json).then(|| single(text)).flatten();
        written.unwrap_or_else(|| double(text))
    }

    /// On one line; `old` is the style of what it replaces.
    pub(crate) fn inline(&self, data: &Data, old: Option<Style>, in_flow: bool) -> String {
        match data {
            Data::Null => "null".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Number(number) => number.to_string(),
            Data::Text(text) => {
                let keep = matches!(old, Some(Style::Single | Style::Double));
                if !keep && !self.json && plain_safe(text, in_flow) { text.clone() } else { self.quoted(text, old) }
            }
            Data::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.inline(item, None, true)).collect();
                format!("[{}]", items.join(", "))
            }
            Data::Map(pairs) => {
                let one = |(key, value): &(String, Data)| {
                    format!("{}: {}", self.key(key, true), self.inline(value, None, true))
                };
                let pairs: Vec<String> = pairs.iter().map(one).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    /// In brackets over several lines, the closing one at `column`.
    pub(crate) fn spread(&self, data: &Data, column: usize) -> String {
        let inner = " ".repeat(column + self.step);
        let (open, close, parts): (_, _, Vec<String>) = match data {
            Data::List(items) if !items.is_empty() => {
                ('[', ']', items.iter().map(|item| self.spread(item, column + self.step)).collect())
            }
            Data::Map(pairs) if !pairs.is_empty() => {
                let one = |(key, value): &(String, Data)| {
                    format!("{}: {}", self.key(key, true), self.spread(value, column + self.step))
                };
                ('{', '}', pairs.iter().map(one).collect())
            }
            _ => return self.inline(data, None, true),
        };
        let newline = self.newline;
        let body = parts.join(&format!(",{newline}{inner}"));
        format!("{open}{newline}{inner}{body}{newline}{}{close}", " ".repeat(column))
    }

    /// As it follows a key that stands at `column`.
    pub(crate) fn after_key(&self, data: &Data, column: usize, old: Option<Style>) -> Written {
        match data {
            Data::Text(text) => self.text(text, column + self.step, old),
            Data::List(items) if !items.is_empty() => {
                Written { head: String::new(), lines: self.lines(data, column + self.dash) }
            }
            Data::Map(pairs) if !pairs.is_empty() => {
                Written { head: String::new(), lines: self.lines(data, column + self.step) }
            }
            _ => Written { head: self.inline(data, old, false), lines: Vec::new() },
        }
    }

    /// As it follows a dash at `column`.
    pub(crate) fn after_dash(&self, data: &Data, column: usize, old: Option<Style>) -> Written {
        match data {
            Data::Text(text) => self.text(text, column + 2, old),
            _ if data.is_empty() || !matches!(data, Data::List(_) | Data::Map(_)) => {
                Written { head: self.inline(data, old, false), lines: Vec::new() }
            }
            _ => {
                let mut lines = self.lines(data, column + 2);
                let head =
                    if lines.is_empty() { String::new() } else { lines.remove(0).trim_start_matches(' ').to_owned() };
                Written { head, lines }
            }
        }
    }

    /// A map or list that is not empty, each line with its indentation.
    pub(crate) fn lines(&self, data: &Data, column: usize) -> Vec<String> {
        let mut out = Vec::new();
        match data {
            Data::List(items) => {
                for item in items {
                    out.extend(self.item(item, column));
                }
            }
            Data::Map(pairs) => {
                for (key, value) in pairs {
                    out.extend(self.pair(key, value, column));
                }
            }
            _ => {}
        }
        out
    }

    pub(crate) fn item(&self, data: &Data, column: usize) -> Vec<String> {
        let Written { head, mut lines } = self.after_dash(data, column, None);
        lines.insert(0, format!("{}- {head}", " ".repeat(column)));
        lines
    }

    pub(crate) fn pair(&self, key: &str, data: &Data, column: usize) -> Vec<String> {
        let Written { head, mut lines } = self.after_key(data, column, None);
        let space = if head.is_empty() { "" } else { " " };
        lines.insert(0, format!("{}{}:{space}{head}", " ".repeat(column), self.key(key, false)));
        lines
    }

    /// Text of several lines as a block scalar, where it can be one.
    fn text(&self, text: &str, column: usize, old: Option<Style>) -> Written {
        let body = text.strip_suffix('\n').unwrap_or(text);
        let blocks = text.contains('\n')
            && !matches!(old, Some(Style::Double))
            && !body.is_empty()
            && !body.starts_with([' ', '\n', '\t'])
            && !body.ends_with('\n')
            && body.split('\n').all(|line| !line.starts_with('\t') && line.trim_end() == line)
            && !body
                .chars()
                .any(|c| c != '\n' && (c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')));
        if !blocks || self.json {
            return Written { head: self.inline(&Data::Text(text.to_owned()), old, false), lines: Vec::new() };
        }
        let head = if text.ends_with('\n') { "|" } else { "|-" }.to_owned();
        let indent = " ".repeat(column);
        let lines =
            body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") });
        Written { head, lines: lines.collect() }
    }
}

/// Counts what a text prefers; `key` is the column of the key that leads to the node.
fn look(node: &Node, key: Option<u32>, seen: &mut Seen) {
    let count = |counts: &mut [usize; 9], from: u32, to: u32| {
        if let Some(slot) = to.checked_sub(from).and_then(|n| counts.get_mut(n as usize)) {
            *slot += 1;
        }
    };
    match &node.value {
        Value::Scalar(_) => match node.style {
            Style::Single => seen.single += 1,
            Style::Double => seen.double += 1,
            _ => {}
        },
        Value::List(items) => {
            // The list's own column is that of its first dash's value or of the dash: ask the item.
            if let (Some(key), Style::Indented, Some(first)) = (key, node.style, items.first()) {
                let dash = first.column.saturating_sub(first.start.saturating_sub(first.lead) + 1);
                if first.style != Style::Absent && first.props.is_none() {
                    count(&mut seen.dashes, key, dash);
                }
            }
            for item in items {
                look(item, None, seen);
            }
        }
        Value::Map(pairs) => {
            if let (Some(key), Style::Indented, Some(first)) = (key, node.style, pairs.first()) {
                count(&mut seen.steps, key, first.column);
            }
            for pair in pairs {
                match pair.key_style {
                    Style::Plain => seen.bare_keys += 1,
                    Style::Single => seen.single += 1,
                    _ => {}
                }
                look(&pair.node, Some(pair.column), seen);
            }
        }
    }
}
