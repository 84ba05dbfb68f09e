//! Reads the text of a script: words, quotes, joins, redirections, substitutions. Does not know which scripts there are.

use std::ops::Range;

use super::{Assignment, Command, Join, ShellWord, is_shell};
use crate::syntax::Logical;
use base_explain::Span;

const DEPTH_MAX: usize = 4;

/// Commands of one instruction beyond this number are not read; the longest scripts of people have some hundreds.
const COMMANDS_MAX: usize = 2_000;

/// The way from an offset in a script back to the file.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Logical(&'a Logical, usize),
    File(usize),
    /// A text that was unquoted: only the place of the whole is known.
    Whole(Span),
}

impl Origin<'_> {
    fn span(self, range: Range<usize>) -> Span {
        match self {
            Origin::Logical(logical, base) => logical.span(base + range.start..base + range.end),
            Origin::File(base) => Span::new(base + range.start, base + range.end),
            Origin::Whole(span) => span,
        }
    }
}

pub(super) struct Reader<'a> {
    origin: Origin<'a>,
    text: &'a str,
    depth: usize,
    pub(super) command: Command,
    brackets: usize,
    /// The text's substitutions are in the list already, from the word it was taken from.
    read_before: bool,
    out: &'a mut Vec<Command>,
}

fn fresh(before: Join, depth: usize, brackets: usize) -> Command {
    Command {
        words: Vec::new(),
        assignments: Vec::new(),
        before,
        after: Join::Edge,
        writes: Vec::new(),
        nested: depth > 0,
        subshell: brackets > 0,
        in_heredoc: false,
        exact: true,
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(origin: Origin<'a>, text: &'a str, depth: usize, out: &'a mut Vec<Command>) -> Self {
        Reader { origin, text, depth, command: fresh(Join::Edge, depth, 0), brackets: 0, read_before: false, out }
    }

    pub(super) fn end(&mut self, join: Join) {
        let empty = self.command.words.is_empty() && self.command.assignments.is_empty();
        if empty {
            // `a \n && b`, `if` and the like: what joins is the stronger of the two.
            if join != Join::Then && join != Join::Edge || self.command.before == Join::Edge {
                self.command.before = if self.out.is_empty() { Join::Edge } else { join };
            }
            self.command.writes.clear();
            return;
        }
        let next = fresh(join, self.depth, self.brackets);
        let mut done = std::mem::replace(&mut self.command, next);
        done.after = join;
        done.exact &= !matches!(self.origin, Origin::Whole(_));
        let nested = (self.depth < DEPTH_MAX).then(|| inner_script(&done)).flatten();
        self.out.push(done);
        if let Some(word) = nested {
            let mut reader = Reader::new(Origin::Whole(word.span), &word.text, self.depth + 1, self.out);
            reader.read_before = word.expanded;
            reader.run();
        }
    }

    pub(super) fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at).filter(|_| self.out.len() < COMMANDS_MAX) {
            match byte {
                b' ' | b'\t' | b'\r' => at += 1,
                b'\\' if matches!(bytes.get(at + 1), Some(b'\n')) => at += 2,
                b'\\' if matches!(bytes.get(at + 1), Some(b'\r')) => at += 3,
                b'\n' => {
                    self.end(Join::Then);
                    at += 1;
                }
                b'#' => at = self.text.get(at..).and_then(|rest| rest.find('\n')).map_or(bytes.len(), |end| at + end),
                b';' => {
                    self.end(Join::Then);
                    at += 1;
                }
                b'&' if bytes.get(at + 1) == Some(&b'&') => {
                    self.end(Join::And);
                    at += 2;
                }
                b'&' if bytes.get(at + 1) == Some(&b'>') => at = self.redirect(at + 1),
                b'&' => {
                    self.end(Join::Background);
                    at += 1;
                }
                b'|' if bytes.get(at + 1) == Some(&b'|') => {
                    self.end(Join::Or);
                    at += 2;
                }
                b'|' => {
                    self.end(Join::Pipe);
                    at += 1 + usize::from(bytes.get(at + 1) == Some(&b'&'));
                }
                b'(' => {
                    self.brackets += 1;
                    self.end(Join::Then);
                    self.command.subshell = true;
                    at += 1;
                }
                b')' => {
                    self.brackets = self.brackets.saturating_sub(1);
                    self.end(Join::Then);
                    at += 1;
                }
                b'>' | b'<' => at = self.redirect(at),
                _ => at = self.word(at),
            }
        }
        self.end(Join::Edge);
    }

    /// `> file`, `2>&1`, `<<EOF`, `<(…)`; the place after it.
    fn redirect(&mut self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let writes = bytes.get(at) == Some(&b'>');
        let mut end = at;
        while matches!(bytes.get(end), Some(b'>' | b'<' | b'&' | b'|' | b'-')) {
            end += 1;
        }
        while matches!(bytes.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        let target = self.scan(end);
        if writes {
            self.command.writes.push(self.text.get(end..target).unwrap_or("").trim_matches(['"', '\'']).to_owned());
        }
        target.max(at + 1)
    }

    /// The end of the word that starts at `at`, quotes and substitutions held together.
    fn scan(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => break,
                b'\\' => at += 2,
                b'\'' => {
                    at = self.text.get(at + 1..).and_then(|r| r.find('\'')).map_or(bytes.len(), |end| at + end + 2)
                }
                b'"' => at = self.double_quoted(at),
                b'`' => at = self.text.get(at + 1..).and_then(|r| r.find('`')).map_or(bytes.len(), |end| at + end + 2),
                b'$' if bytes.get(at + 1) == Some(&b'(') => at = self.closing(at + 1, b'(', b')'),
                b'$' if bytes.get(at + 1) == Some(&b'{') => at = self.closing(at + 1, b'{', b'}'),
                _ => at += 1,
            }
        }
        let mut end = at.min(bytes.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        end
    }

    fn double_quoted(&self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = at + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                b'$' if bytes.get(at + 1) == Some(&b'(') => at = self.closing(at + 1, b'(', b')'),
                _ => at += 1,
            }
        }
        bytes.len()
    }

    fn closing(&self, at: usize, open: u8, close: u8) -> usize {
        let bytes = self.text.as_bytes();
        let (mut at, mut depth) = (at, 0usize);
        let mut quote = None;
        while let Some(byte) = bytes.get(at) {
            match quote {
                Some(q) if *byte == q => quote = None,
                Some(_) => {}
                None if *byte == b'\\' => at += 1,
                None if matches!(byte, b'\'' | b'"') => quote = Some(*byte),
                None if *byte == open => depth += 1,
                None if *byte == close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                None => {}
            }
            at += 1;
        }
        bytes.len()
    }

    fn word(&mut self, at: usize) -> usize {
        let end = self.scan(at).max(at + 1);
        let raw = self.text.get(at..end).unwrap_or("");
        let span = self.origin.span(at..end);
        let first = self.command.words.is_empty();
        if first && is_keyword(raw) {
            self.end(Join::Then);
            return end;
        }
        // A file descriptor before a redirection: `2>&1`.
        let redirected = matches!(self.text.as_bytes().get(end), Some(b'<' | b'>'));
        if redirected && !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit()) {
            return end;
        }
        let quoted = raw.contains(['"', '\'']);
        if first && let Some((name, value)) = raw.split_once('=').filter(|(name, _)| is_name(name)) {
            let value = crate::words::unquote(value, '\\');
            self.command.assignments.push(Assignment { name: name.to_owned(), value, span });
        } else {
            let text = if quoted || raw.contains('\\') {
                crate::words::unquote(&raw.replace("\\\n", ""), '\\')
            } else {
                raw.to_owned()
            };
            let expanded = self.expands(raw);
            self.command.words.push(ShellWord { text, span, quoted, expanded });
        }
        self.substitutions(at, end);
        end
    }

    /// Whether this reader lists what the word substitutes.
    fn expands(&self, raw: &str) -> bool {
        self.depth < DEPTH_MAX && !raw.starts_with('\'') && !self.read_before
    }

    /// `$( … )` and backticks inside of a word are scripts of their own.
    fn substitutions(&mut self, from: usize, to: usize) {
        let raw = self.text.get(from..to).unwrap_or("");
        if !self.expands(raw) || !(raw.contains("$(") || raw.contains('`')) {
            return;
        }
        let mut at = from;
        while at < to && self.out.len() < COMMANDS_MAX {
            let bytes = self.text.as_bytes();
            let inner = if bytes.get(at) == Some(&b'$') && bytes.get(at + 1) == Some(&b'(') {
                let close = self.closing(at + 1, b'(', b')');
                Some((at + 2, close.saturating_sub(1), close))
            } else if bytes.get(at) == Some(&b'`') {
                let close = self.text.get(at + 1..to).and_then(|rest| rest.find('`')).map(|end| at + 1 + end);
                close.map(|close| (at + 1, close, close + 1))
            } else {
                None
            };
            let Some((start, stop, next)) = inner else {
                at += 1;
                continue;
            };
            if let Some(text) = self.text.get(start..stop) {
                let origin = match self.origin {
                    Origin::Logical(logical, base) => Origin::Logical(logical, base + start),
                    Origin::File(base) => Origin::File(base + start),
                    Origin::Whole(span) => Origin::Whole(span),
                };
                Reader::new(origin, text, self.depth + 1, self.out).run();
            }
            at = next.max(at + 1);
        }
    }
}

/// The script of `sh -c "…"`.
fn inner_script(command: &Command) -> Option<ShellWord> {
    if !is_shell(command.program()) {
        return None;
    }
    let arguments = command.arguments();
    let at = arguments
        .iter()
        .position(|word| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.ends_with('c'))?;
    arguments.get(at + 1).cloned()
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "if" | "then" | "elif" | "else" | "fi" | "do" | "done" | "while" | "until" | "{" | "}" | "!" | "esac"
    )
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
