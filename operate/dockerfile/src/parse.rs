//! From text to [`Dockerfile`]. Never fails: what cannot be understood becomes a problem with its place, and reading goes on
//! at the next instruction. Source of the format: the Dockerfile reference. Does not judge.

use crate::syntax::{Directive, Dockerfile, Flag, Heredoc, Instruction, Item, ItemKind, Kind, Logical, Problem};
use crate::words;
use base_explain::{Lines, Span};

impl<'a> Dockerfile<'a> {
    pub fn parse(text: &'a str) -> Self {
        let mut reader = Reader::new(text);
        reader.directives();
        while let Some(line) = reader.peek() {
            reader.item(line);
        }
        reader.file
    }
}

/// A physical line: where it starts, where its text ends, where the next one starts.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    next: usize,
    text: &'a str,
}

struct Reader<'a> {
    file: Dockerfile<'a>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let file = Dockerfile {
            text,
            lines: Lines::of(text),
            items: Vec::new(),
            directives: Vec::new(),
            escape: '\\',
            instructions: Vec::new(),
            problems: Vec::new(),
        };
        let mut reader = Reader { file, at: 0 };
        if text.starts_with('\u{feff}') {
            reader.at = '\u{feff}'.len_utf8();
            reader.push(ItemKind::Blank, 0);
        }
        reader
    }

    fn peek(&self) -> Option<Line<'a>> {
        let rest = self.file.text.get(self.at..)?;
        if rest.is_empty() {
            return None;
        }
        let (text, length) = match rest.find('\n') {
            Some(end) => (rest.get(..end).unwrap_or(""), end + 1),
            None => (rest, rest.len()),
        };
        let text = text.strip_suffix('\r').unwrap_or(text);
        Some(Line { start: self.at, next: self.at + length, text })
    }

    fn push(&mut self, kind: ItemKind, start: usize) {
        self.file.items.push(Item { kind, span: Span::new(start, self.at) });
    }

    fn problem(&mut self, what: impl Into<String>, span: Span) {
        self.file.problems.push(Problem { what: what.into(), span });
    }

    /// `# name=value` lines count only before anything else, even before an ordinary comment.
    fn directives(&mut self) {
        while let Some(line) = self.peek() {
            let Some((name, value)) = directive(line.text) else { return };
            let span = Span::new(line.start, line.start + line.text.len());
            if self.file.directives.iter().any(|known| known.name == name) {
                self.problem(format!("the directive `{name}` is given twice"), span);
            }
            if name == "escape" {
                match value {
                    "\\" => {}
                    "`" => self.file.escape = '`',
                    _ => self.problem("`escape` is a backslash or a backtick", span),
                }
            }
            self.file.directives.push(Directive { name, value: value.to_owned(), span });
            self.at = line.next;
            self.push(ItemKind::Directive, line.start);
        }
    }

    fn item(&mut self, line: Line<'a>) {
        let trimmed = line.text.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            self.at = line.next;
            let kind = if trimmed.is_empty() { ItemKind::Blank } else { ItemKind::Comment };
            return self.push(kind, line.start);
        }
        let mut logical = Logical::default();
        let mut empty = Vec::new();
        let mut end = self.joined(line, &mut logical, &mut empty);
        let mut instruction = self.instruction(logical, 0, true);
        instruction.empty_continuations = empty;
        if let Some(last) = self.heredocs(&mut instruction) {
            end = last;
        }
        instruction.span = Span::new(instruction.keyword.span.start, end);
        self.push(ItemKind::Instruction(self.file.instructions.len()), line.start);
        self.file.instructions.push(instruction);
    }

    /// Joins a line and those it continues on; comment lines between them are no part of it.
    fn joined(&mut self, first: Line<'a>, logical: &mut Logical, empty: &mut Vec<Span>) -> usize {
        let trimmed = first.text.trim_start();
        let (mut text, mut start) = (trimmed, first.start + first.text.len() - trimmed.len());
        let mut end = first.start + first.text.len();
        self.at = first.next;
        loop {
            let Some(body) = continued(text, self.file.escape) else {
                logical.push(text, start);
                return end;
            };
            logical.push(body, start);
            loop {
                let Some(line) = self.peek() else { return end };
                let trimmed = line.text.trim_start();
                if trimmed.is_empty() {
                    empty.push(Span::new(line.start, line.next));
                } else if !trimmed.starts_with('#') {
                    self.at = line.next;
                    (text, start, end) = (line.text, line.start, line.start + line.text.len());
                    break;
                }
                self.at = line.next;
            }
        }
    }

    fn instruction(&mut self, logical: Logical, from: usize, top: bool) -> Instruction {
        let escape = self.file.escape;
        let text = logical.text.as_str();
        let tail = text.get(from..).unwrap_or("");
        let start = from + (tail.len() - tail.trim_start().len());
        let keyword_end = text.get(start..).unwrap_or("").find(char::is_whitespace).map_or(text.len(), |at| start + at);
        let keyword = words::word(&logical, start..keyword_end, escape);
        let kind = Kind::of(&keyword.raw);
        let trimmed_end = text.trim_end().len().max(keyword_end);
        let ranges = words::split(text.get(..trimmed_end).unwrap_or(""), keyword_end, escape);
        let mut flags = Vec::new();
        let mut first = 0;
        for range in &ranges {
            let raw = text.get(range.clone()).unwrap_or("");
            if !raw.starts_with("--") {
                break;
            }
            first += 1;
            if raw == "--" {
                break;
            }
            let value = words::unquote(raw.get(2..).unwrap_or(""), escape);
            let (name, value) = match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value, None),
            };
            flags.push(Flag { name, value, span: logical.span(range.clone()) });
        }
        let ranges = ranges.get(first..).unwrap_or(&[]);
        let mut rest = ranges.first().map_or(trimmed_end, |range| range.start)..trimmed_end;
        let list: Vec<_> = ranges.iter().map(|range| words::word(&logical, range.clone(), escape)).collect();
        let json = match kind {
            Kind::Healthcheck => ranges.get(1).map_or(trimmed_end, |range| range.start)..trimmed_end,
            _ => rest.clone(),
        };
        let exec = if kind.takes_json() { words::json_array(&logical, json.clone()) } else { None };
        let broken_exec = kind.takes_json() && exec.is_none() && opens_array(text.get(json).unwrap_or(""));
        let mut inner = None;
        if kind == Kind::Onbuild && top && !rest.is_empty() {
            inner = Some(Box::new(self.instruction(logical.clone(), rest.start, false)));
        }
        rest.end = rest.end.max(rest.start);
        let span = logical.span(start..trimmed_end);
        Instruction {
            kind,
            span,
            keyword,
            logical,
            escape,
            flags,
            rest,
            words: list,
            exec,
            broken_exec,
            heredocs: Vec::new(),
            empty_continuations: Vec::new(),
            inner,
        }
    }

    /// Reads the bodies that the instruction's `<<NAME` words announce; the end of the last one.
    fn heredocs(&mut self, instruction: &mut Instruction) -> Option<usize> {
        let owner = match &mut instruction.inner {
            Some(inner) => inner.as_mut(),
            None => instruction,
        };
        if !matches!(owner.kind, Kind::Run | Kind::Copy | Kind::Add) || owner.exec.is_some() {
            return None;
        }
        let mut end = None;
        let mut found = Vec::new();
        for word in &owner.words {
            let Some((name, strip_tabs, quoted)) = heredoc_word(&word.raw, self.file.escape) else { continue };
            let start = self.at;
            let (mut stop, mut closed) = (start, false);
            while let Some(line) = self.peek() {
                self.at = line.next;
                let text = if strip_tabs { line.text.trim_start_matches('\t') } else { line.text };
                if text == name {
                    closed = true;
                    end = Some(line.start + line.text.len());
                    break;
                }
                stop = line.next;
            }
            let body = Span::new(start, stop);
            found.push(Heredoc { name, quoted, strip_tabs, opener: word.span, body, closed });
            if !closed {
                end = Some(self.file.text.len());
                break;
            }
        }
        owner.heredocs = found.clone();
        let unclosed = found.iter().find(|heredoc| !heredoc.closed);
        if let Some(open) = unclosed {
            self.problem(format!("the heredoc `{}` is never closed", open.name), open.opener);
        }
        instruction.heredocs = found;
        end
    }
}

/// The name and value of a parser directive; only the names docker knows.
fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    matches!(name.as_str(), "syntax" | "escape" | "check").then_some((name, value.trim()))
}

/// The line without its trailing escape, when it ends in one that is not escaped itself.
fn continued(line: &str, escape: char) -> Option<&str> {
    let body = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!body.ends_with(escape)).then_some(body)
}

/// `[ "a" …` is meant as the exec form; `[ -f x ]` and `[[ x ]]` are tests of a shell.
fn opens_array(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('[') else { return false };
    let rest = rest.trim_start();
    rest.starts_with(['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'])
        || (rest.contains(',') && text.ends_with(']'))
}

/// `<<NAME`, `<<-NAME`, `<<"NAME"`, `3<<NAME`: the name, whether tabs go, whether it is quoted.
fn heredoc_word(raw: &str, escape: char) -> Option<(String, bool, bool)> {
    let rest = raw.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, strip_tabs) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if rest.contains('<') {
        return None;
    }
    let quoted = rest.contains(['"', '\'']);
    if rest.matches('"').count() % 2 == 1 || rest.matches('\'').count() % 2 == 1 {
        return None;
    }
    let name = words::unquote(rest, escape);
    (!name.is_empty()).then_some((name, strip_tabs, quoted))
}
