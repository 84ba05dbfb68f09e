//! Where a value starts and ends in its text, which the parser's events tell only in part. Knows no tree.

use saphyr_parser::ScalarStyle;

use crate::node::{Props, Style};
use crate::text::{line_end, next_line, skip_trivia};

/// Over anchor and tag: where the value may start, and what they were.
pub(crate) fn props(
    text: &str,
    lead: usize,
    anchor: usize,
    tag: Option<&saphyr_parser::Tag>,
) -> (usize, Option<Box<Props>>) {
    if anchor == 0 && tag.is_none() {
        return (lead, None);
    }
    let bytes = text.as_bytes();
    let mut at = lead;
    for _ in 0..2 {
        let next = skip_trivia(text, at);
        if !matches!(bytes.get(next), Some(b'&' | b'!')) {
            break;
        }
        let rest = bytes.get(next..).unwrap_or(&[]);
        at = next
            + rest
                .iter()
                .position(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}'))
                .unwrap_or(rest.len());
    }
    let tag = tag.map(|tag| {
        if tag.handle == "!" && tag.suffix.is_empty() {
            "!".to_owned()
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        }
    });
    (at, Some(Box::new(Props { tag, anchor })))
}

/// Where a scalar starts and ends; a block scalar from its sign to its last line that counts.
pub(crate) fn scalar_span(
    text: &str,
    value: &str,
    style: ScalarStyle,
    (start, end): (usize, usize),
    from: usize,
) -> (usize, usize, Style) {
    match style {
        ScalarStyle::Plain if value.is_empty() => (from, from, Style::Absent),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let start = skip_trivia(text, from);
            let header = line_end(text, start);
            let body = text.get(start..end.max(start)).unwrap_or("");
            let keeps = text.get(start..header).is_some_and(|h| h.split('#').next().unwrap_or("").contains('+'));
            if keeps {
                return (start, kept_end(text, header), Style::Block);
            }
            let end = start + body.trim_end_matches([' ', '\t', '\n', '\r']).len();
            // Trailing blanks of the last line belong to it.
            (start, line_end(text, end).max(header), Style::Block)
        }
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
            let start = start.max(from);
            // The parser's end may lie behind a comment.
            (start, quoted_end(text, start).unwrap_or(end.max(from)), style_of(style))
        }
        style => (start.max(from), end.max(from), style_of(style)),
    }
}

/// Behind the closing quote of what is quoted at a place.
fn quoted_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(start).filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            byte if byte != quote => at += 1,
            _ if quote == b'\'' && bytes.get(at + 1) == Some(&quote) => at += 2,
            _ => return Some(at + 1),
        }
    }
}

/// A block scalar that keeps its last line breaks ends where the next less indented line starts.
fn kept_end(text: &str, header: usize) -> usize {
    let mut at = next_line(text, header);
    let mut indent = None;
    while at < text.len() {
        let line = text.get(at..line_end(text, at)).unwrap_or("");
        let blank = line.trim_matches(' ').is_empty();
        let depth = line.len() - line.trim_start_matches(' ').len();
        let least = *indent.get_or_insert(if blank { 0 } else { depth });
        if !blank && (depth < least || least == 0) {
            break;
        }
        if blank && least == 0 {
            indent = None;
        }
        at = next_line(text, at);
    }
    at
}

pub(crate) fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}
