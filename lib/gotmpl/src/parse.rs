//! Pieces to a tree: the grammar, and what can be known to be wrong before anything is carried out. Runs nothing.

use std::collections::HashMap;

use crate::Functions;
use crate::builtin;
use crate::lex::{Action, Bad, Kind, Piece, Word, pieces};
use crate::tree::{Branch, Node, Operand, Pipeline, Term, Whole};
use crate::value::Value;

/// A text that is no template, told as Go tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct ParseError {
    pub name: String,
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// Levels of `if`, `with`, `range` and parentheses.
const DEPTH_MAX: usize = 100;

pub(crate) fn parse(
    name: &str,
    text: &str,
    functions: &dyn Functions,
    variables: &[&str],
) -> Result<Whole, ParseError> {
    let told = |(line, message): Bad| ParseError { name: name.to_owned(), line, message };
    let pieces = pieces(text).map_err(told)?;
    let variables = std::iter::once("$").chain(variables.iter().copied()).map(str::to_owned).collect();
    let last_line = text.bytes().filter(|b| *b == b'\n').count() + 1;
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        functions,
        variables,
        defined: HashMap::new(),
        depth: 0,
        loops: 0,
        last_line,
    };
    let (nodes, end) = parser.list().map_err(told)?;
    match end {
        Stop::File => Ok(Whole { nodes, defined: parser.defined }),
        Stop::End(line) => Err(told((line, "unexpected {{end}}".to_owned()))),
        Stop::Else(action) => Err(told((action.line, "unexpected {{else}}".to_owned()))),
    }
}

struct Parser<'f> {
    pieces: std::vec::IntoIter<Piece>,
    functions: &'f dyn Functions,
    /// Those that are known here, with their `$`.
    variables: Vec<String>,
    defined: HashMap<String, Vec<Node>>,
    depth: usize,
    /// `range`s around this place.
    loops: usize,
    last_line: usize,
}

/// What a list of nodes ended with.
enum Stop {
    File,
    End(usize),
    Else(Action),
}

impl Parser<'_> {
    fn list(&mut self) -> Result<(Vec<Node>, Stop), Bad> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let line = action.line;
            let word = match action.words.first().map(|word| &word.kind) {
                Some(Kind::Name(name)) => name.clone(),
                _ => String::new(),
            };
            let bare = action.words.len() == 1;
            match word.as_str() {
                "end" if bare => return Ok((nodes, Stop::End(line))),
                "else" => return Ok((nodes, Stop::Else(action))),
                "if" | "with" | "range" => nodes.push(self.branch(&word, &action, 1)?),
                "break" | "continue" if bare => {
                    if self.loops == 0 {
                        return Err((line, format!("{{{{{word}}}}} outside {{{{range}}}}")));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                "define" => self.define(&action)?,
                "template" => nodes.push(self.template(&action)?),
                "block" => return Err((line, "`block` is not known here; use `define` and `template`".to_owned())),
                _ => nodes.push(Node::Print(self.pipeline(&action, &action.words, "command")?)),
            }
        }
        Ok((nodes, Stop::File))
    }

    /// `if`, `with` or `range`, whose pipeline begins at a word of the action.
    fn branch(&mut self, kind: &str, action: &Action, from: usize) -> Result<Node, Bad> {
        self.deeper(action.line)?;
        let known = self.variables.len();
        let pipeline = self.pipeline(action, action.words.get(from..).unwrap_or_default(), kind)?;
        self.loops += usize::from(kind == "range");
        let (then, end) = self.list()?;
        self.loops -= usize::from(kind == "range");
        let otherwise = match end {
            Stop::End(_) => Vec::new(),
            Stop::File => return Err((self.last_line, "unexpected EOF".to_owned())),
            Stop::Else(other) => self.otherwise(kind, &other)?,
        };
        self.variables.truncate(known);
        self.depth -= 1;
        let branch = Branch { pipeline, then, otherwise };
        Ok(match kind {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    fn otherwise(&mut self, kind: &str, other: &Action) -> Result<Vec<Node>, Bad> {
        match other.words.get(1).map(|word| &word.kind) {
            None => match self.list()? {
                (nodes, Stop::End(_)) => Ok(nodes),
                (_, Stop::Else(again)) => Err((again.line, "expected end; found {{else}}".to_owned())),
                (_, Stop::File) => Err((self.last_line, "unexpected EOF".to_owned())),
            },
            // `else if` shares its `end`.
            Some(Kind::Name(name)) if kind != "range" && name == kind => Ok(vec![self.branch(kind, other, 2)?]),
            Some(_) => Err((other.line, format!("unexpected {} in else", other.text))),
        }
    }

    fn define(&mut self, action: &Action) -> Result<(), Bad> {
        let [_, Word { kind: Kind::Literal(Value::Text(name)), .. }] = action.words.as_slice() else {
            return Err((action.line, "define clause: a name in quotes is wanted".to_owned()));
        };
        self.deeper(action.line)?;
        // It sees none of the variables around it.
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, end) = self.list()?;
        (self.variables, self.loops) = (outside, loops);
        self.depth -= 1;
        if !matches!(end, Stop::End(_)) {
            return Err((self.last_line, "unexpected EOF".to_owned()));
        }
        self.defined.insert(name.clone(), nodes);
        Ok(())
    }

    fn template(&mut self, action: &Action) -> Result<Node, Bad> {
        let Some(Kind::Literal(Value::Text(name))) = action.words.get(1).map(|word| &word.kind) else {
            return Err((action.line, "template clause: a name in quotes is wanted".to_owned()));
        };
        let data = match action.words.get(2..).unwrap_or_default() {
            [] => None,
            words => Some(self.pipeline(action, words, "template clause")?),
        };
        Ok(Node::Template { name: name.clone(), data, line: action.line })
    }

    fn deeper(&mut self, line: usize) -> Result<(), Bad> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((line, format!("more than {DEPTH_MAX} levels within each other")));
        }
        Ok(())
    }

    fn pipeline(&mut self, action: &Action, words: &[Word], of: &str) -> Result<Pipeline, Bad> {
        let bad = |message: String| (action.line, message);
        let is_range = of == "range";
        let (variables, declares, words) = match words {
            [Word { kind: Kind::Variable(name), .. }, Word { kind: Kind::Declare, .. }, rest @ ..] => {
                (vec![name.clone()], true, rest)
            }
            [Word { kind: Kind::Variable(name), .. }, Word { kind: Kind::Assign, .. }, rest @ ..] => {
                (vec![name.clone()], false, rest)
            }
            [
                Word { kind: Kind::Variable(key), .. },
                Word { kind: Kind::Comma, .. },
                Word { kind: Kind::Variable(item), .. },
                Word { kind: between @ (Kind::Declare | Kind::Assign), .. },
                rest @ ..,
            ] if is_range => (vec![key.clone(), item.clone()], *between == Kind::Declare, rest),
            words => (Vec::new(), false, words),
        };
        if !declares {
            variables.iter().try_for_each(|name| self.known(name, action.line))?;
        }
        let mut words = Words { words, at: 0 };
        let commands = self.commands(&mut words, action, of)?;
        if words.peek().is_some() {
            return Err(bad(format!("unexpected \")\" in {of}")));
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { line: action.line, text: action.text.clone(), variables, declares, commands })
    }

    fn known(&self, name: &str, line: usize) -> Result<(), Bad> {
        match self.variables.iter().any(|known| known == name) {
            true => Ok(()),
            false => Err((line, format!("undefined variable {name:?}"))),
        }
    }

    /// Commands up to the end, or to a `)` that is left.
    fn commands(&mut self, words: &mut Words<'_>, action: &Action, of: &str) -> Result<Vec<Vec<Term>>, Bad> {
        let bad = |message: String| (action.line, message);
        let (mut commands, mut terms) = (Vec::new(), Vec::<Term>::new());
        while let Some(word) = words.peek() {
            match &word.kind {
                Kind::Close => break,
                Kind::Pipe => {
                    if terms.is_empty() {
                        return Err(bad(format!("missing value for {of}")));
                    }
                    commands.push(std::mem::take(&mut terms));
                    words.at += 1;
                }
                Kind::Field(name) if word.glued && !terms.is_empty() => {
                    let (name, line) = (name.clone(), action.line);
                    let last =
                        terms.last_mut().filter(|term| !matches!(term.operand, Operand::Literal(_) | Operand::Nil));
                    let last = last.ok_or_else(|| (line, format!("unexpected . after term {:?}", action.text)))?;
                    last.fields.push(name);
                    words.at += 1;
                }
                _ => {
                    let term = self.term(words, action)?;
                    terms.push(term);
                }
            }
        }
        if !terms.is_empty() {
            commands.push(terms);
        }
        if commands.is_empty() {
            return Err(bad(format!("missing value for {of}")));
        }
        let executable = |command: &Vec<Term>| match command.first() {
            Some(Term { operand: Operand::Literal(_) | Operand::Nil | Operand::Dot, fields }) => !fields.is_empty(),
            _ => true,
        };
        if let Some(at) = commands.iter().skip(1).position(|command| !executable(command)) {
            return Err(bad(format!("non executable command in pipeline stage {}", at + 2)));
        }
        Ok(commands)
    }

    fn term(&mut self, words: &mut Words<'_>, action: &Action) -> Result<Term, Bad> {
        let bad = |message: String| (action.line, message);
        let Some(word) = words.peek() else { return Err(bad("missing value for command".to_owned())) };
        words.at += 1;
        let plain = |operand| Ok(Term { operand, fields: Vec::new() });
        match &word.kind {
            Kind::Dot => match words.peek() {
                Some(Word { glued: true, kind: Kind::Dot | Kind::Field(_) | Kind::Name(_), .. }) => {
                    Err(bad("unexpected <.> in operand".to_owned()))
                }
                _ => plain(Operand::Dot),
            },
            Kind::Field(name) => Ok(Term { operand: Operand::Dot, fields: vec![name.clone()] }),
            Kind::Variable(name) => {
                self.known(name, action.line)?;
                plain(Operand::Variable(name.clone()))
            }
            Kind::Name(name) if name == "nil" => plain(Operand::Nil),
            Kind::Name(name) if builtin::NAMES.contains(&name.as_str()) || self.functions.knows(name) => {
                plain(Operand::Function(name.clone()))
            }
            Kind::Name(name) => Err(bad(format!("function {name:?} not defined"))),
            Kind::Literal(value) => plain(Operand::Literal(value.clone())),
            Kind::Open => {
                self.deeper(action.line)?;
                let commands = self.commands(words, action, "parenthesized pipeline")?;
                self.depth -= 1;
                match words.peek() {
                    Some(Word { kind: Kind::Close, .. }) => words.at += 1,
                    _ => return Err(bad("unclosed left paren".to_owned())),
                }
                let (line, text) = (action.line, action.text.clone());
                let inner = Pipeline { line, text, variables: Vec::new(), declares: false, commands };
                plain(Operand::Pipeline(Box::new(inner)))
            }
            other => Err(bad(format!("unexpected {other:?} in operand"))),
        }
    }
}

struct Words<'w> {
    words: &'w [Word],
    at: usize,
}

impl<'w> Words<'w> {
    fn peek(&self) -> Option<&'w Word> {
        self.words.get(self.at)
    }
}
