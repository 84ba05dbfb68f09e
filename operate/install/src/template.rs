//! The part of Go's text templates that the chart uses, as a tree: `{{ … }}` with pipelines, `if`, `else`, `define`, and blanks that are cut away.
//! Whatever else stands in a template is an error that says where. It knows no value. Source: <https://pkg.go.dev/text/template>.

use std::collections::BTreeMap;

/// What is wrong with a template, or with a value that it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct TemplateError {
    pub file: String,
    pub line: usize,
    pub what: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Show(Line<Pipe>),
    If { test: Line<Pipe>, then: Vec<Node>, other: Vec<Node> },
}

/// Something and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line<T> {
    pub(crate) line: usize,
    pub(crate) it: T,
}

/// Commands, each given the value of the one before as its last argument.
pub(crate) type Pipe = Vec<Vec<Word>>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Word {
    Text(String),
    Number(i64),
    /// `.Values.engine.memory`; `.` is empty.
    Path(Vec<String>),
    Name(String),
    Group(Pipe),
}

/// What a file says: its own text, and what it defines by name.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) body: Vec<Node>,
    pub(crate) defines: BTreeMap<String, Vec<Node>>,
}

pub(crate) fn parse(file: &str, text: &str) -> Result<Parsed, TemplateError> {
    let mut reader = Reader { file, rest: text, line: 1, defines: BTreeMap::new(), trim_next: false };
    let (body, end) = reader.nodes()?;
    match end {
        Stop::File => Ok(Parsed { body, defines: reader.defines }),
        _ => Err(reader.error("`end` or `else` without `if`")),
    }
}

enum Stop {
    File,
    End,
    Else,
}

struct Reader<'t> {
    file: &'t str,
    rest: &'t str,
    line: usize,
    defines: BTreeMap<String, Vec<Node>>,
    /// The action before ended in `-}}`.
    trim_next: bool,
}

impl<'t> Reader<'t> {
    fn error(&self, what: &str) -> TemplateError {
        TemplateError { file: self.file.to_owned(), line: self.line, what: what.to_owned() }
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        loop {
            let Some(start) = self.rest.find("{{") else {
                let text = std::mem::take(&mut self.rest);
                self.push_text(&mut nodes, text, false);
                return Ok((nodes, Stop::File));
            };
            let (text, after) = (&self.rest[..start], &self.rest[start + 2..]);
            let trims = after.starts_with("- ");
            self.push_text(&mut nodes, text, trims);
            self.line += text.matches('\n').count();
            let end = after.find("}}").ok_or_else(|| self.error("a `{{` without `}}`"))?;
            let action = &after[..end];
            self.rest = &after[end + 2..];
            let action = action.strip_prefix("- ").unwrap_or(action);
            let (action, trim_next) = match action.strip_suffix(" -") {
                Some(action) => (action, true),
                None => (action, false),
            };
            self.trim_next = trim_next;
            let line = self.line;
            self.line += action.matches('\n').count();
            let action = action.trim();
            let (word, argument) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
            match word {
                _ if action.starts_with("/*") => {}
                "end" => return Ok((nodes, Stop::End)),
                "else" if argument.is_empty() => return Ok((nodes, Stop::Else)),
                "if" => {
                    let test = Line { line, it: self.pipe(argument)? };
                    let (then, end) = self.nodes()?;
                    let (other, end) = if matches!(end, Stop::Else) { self.nodes()? } else { (Vec::new(), end) };
                    if !matches!(end, Stop::End) {
                        return Err(TemplateError { line, ..self.error("an `if` without its `end`") });
                    }
                    nodes.push(Node::If { test, then, other });
                }
                "define" => {
                    let name = argument.trim_matches('"').to_owned();
                    let (body, end) = self.nodes()?;
                    if !matches!(end, Stop::End) {
                        return Err(TemplateError { line, ..self.error("a `define` without its `end`") });
                    }
                    self.defines.insert(name, body);
                }
                "range" | "with" | "block" | "template" | "break" | "continue" | "else" => {
                    return Err(TemplateError { line, ..self.error(&format!("`{action}` is not known here")) });
                }
                _ => nodes.push(Node::Show(Line { line, it: self.pipe(action)? })),
            }
        }
    }

    fn push_text(&mut self, nodes: &mut Vec<Node>, text: &str, trims_end: bool) {
        let mut text = text;
        if std::mem::take(&mut self.trim_next) {
            text = text.trim_start();
        }
        if trims_end {
            text = text.trim_end();
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text.to_owned()));
        }
    }

    fn pipe(&self, text: &str) -> Result<Pipe, TemplateError> {
        let mut rest = text;
        let pipe = self.commands(&mut rest)?;
        if rest.is_empty() { Ok(pipe) } else { Err(self.error(&format!("`{rest}` was not expected"))) }
    }

    /// Until the end, or a bracket that closes.
    fn commands(&self, rest: &mut &str) -> Result<Pipe, TemplateError> {
        let mut pipe = vec![Vec::new()];
        loop {
            *rest = rest.trim_start();
            let Some(first) = rest.chars().next() else { break };
            let word = match first {
                ')' => break,
                '|' => {
                    *rest = &rest[1..];
                    pipe.push(Vec::new());
                    continue;
                }
                '(' => {
                    *rest = &rest[1..];
                    let group = self.commands(rest)?;
                    *rest = rest.strip_prefix(')').ok_or_else(|| self.error("a `(` without `)`"))?;
                    Word::Group(group)
                }
                '"' => self.string(rest)?,
                _ => {
                    let end = rest.find(|c: char| c.is_whitespace() || "()|\"".contains(c)).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    *rest = after;
                    self.word(word)?
                }
            };
            if let Some(command) = pipe.last_mut() {
                command.push(word);
            }
        }
        if pipe.iter().any(Vec::is_empty) {
            return Err(self.error("a pipeline with nothing in it"));
        }
        Ok(pipe)
    }

    fn word(&self, word: &str) -> Result<Word, TemplateError> {
        if let Some(path) = word.strip_prefix('.') {
            return Ok(Word::Path(path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()));
        }
        if let Ok(number) = word.parse() {
            return Ok(Word::Number(number));
        }
        if word.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Ok(Word::Name(word.to_owned()));
        }
        Err(self.error(&format!("`{word}` is not known here")))
    }

    /// JSON's strings are Go's, as far as the chart goes.
    fn string(&self, rest: &mut &str) -> Result<Word, TemplateError> {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| match c {
            '"' if !escaped => true,
            '\\' => {
                escaped = !escaped;
                false
            }
            _ => {
                escaped = false;
                false
            }
        });
        let (end, _) = end.ok_or_else(|| self.error("a string without its end"))?;
        let (text, after) = rest.split_at(end + 1);
        *rest = after;
        serde_json::from_str(text).map(Word::Text).map_err(|error| self.error(&format!("{text}: {error}")))
    }
}
