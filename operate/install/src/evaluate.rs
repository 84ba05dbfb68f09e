//! Templates with values become text, as Helm's functions make it; only those that the chart uses are known. Knows no chart.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::template::{Line, Node, Pipe, TemplateError, Word, parse};
use crate::yaml;

/// Values, and templates by name.
#[derive(Debug)]
pub(crate) struct Scope {
    root: Value,
    defines: BTreeMap<String, Vec<Node>>,
}

/// `include` of a template that includes itself would have no end.
const DEPTH_MAX: usize = 20;

/// Why, without the place.
type Why = String;

impl Scope {
    pub(crate) fn new(root: Value, file: &str, names: &str) -> Result<Self, TemplateError> {
        Ok(Self { root, defines: parse(file, names)?.defines })
    }

    pub(crate) fn render(&self, file: &str, text: &str) -> Result<String, TemplateError> {
        let parsed = parse(file, text)?;
        let mut out = String::new();
        self.nodes(&parsed.body, &mut out, 0).map_err(|Line { line, it: what }| TemplateError {
            file: file.to_owned(),
            line,
            what,
        })?;
        Ok(out)
    }

    fn nodes(&self, nodes: &[Node], out: &mut String, depth: usize) -> Result<(), Line<Why>> {
        for node in nodes {
            let value = |pipe: &Line<Pipe>| self.pipe(&pipe.it, depth).map_err(|it| Line { line: pipe.line, it });
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Show(pipe) => out.push_str(&shown(&value(pipe)?)),
                Node::If { test, then, other } => {
                    let branch = if truth(&value(test)?) { then } else { other };
                    self.nodes(branch, out, depth)?;
                }
            }
        }
        Ok(())
    }

    fn pipe(&self, pipe: &Pipe, depth: usize) -> Result<Value, Why> {
        let mut last = None;
        for command in pipe {
            last = Some(self.command(command, last, depth)?);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(&self, command: &[Word], piped: Option<Value>, depth: usize) -> Result<Value, Why> {
        let [first, arguments @ ..] = command else { return Err("an empty command".to_owned()) };
        let Word::Name(name) = first else {
            return match arguments.is_empty() && piped.is_none() {
                true => self.word(first, depth),
                false => Err("a value that is called as a function".to_owned()),
            };
        };
        if matches!(name.as_str(), "true" | "false") && arguments.is_empty() {
            return Ok(Value::Bool(name == "true"));
        }
        let mut given = Vec::new();
        for word in arguments {
            given.push(self.word(word, depth)?);
        }
        given.extend(piped);
        self.call(name, &given, depth)
    }

    fn word(&self, word: &Word, depth: usize) -> Result<Value, Why> {
        Ok(match word {
            Word::Text(text) => Value::from(text.as_str()),
            Word::Number(number) => Value::from(*number),
            Word::Group(pipe) => self.pipe(pipe, depth)?,
            Word::Path(path) => path.iter().try_fold(&self.root, |at, key| at.get(key)).cloned().unwrap_or_default(),
            Word::Name(_) => self.command(std::slice::from_ref(word), None, depth)?,
        })
    }

    fn call(&self, name: &str, given: &[Value], depth: usize) -> Result<Value, Why> {
        let value = match (name, given) {
            ("include", [Value::String(name), _]) => {
                let body = self.defines.get(name).ok_or_else(|| format!("`{name}` is not defined"))?;
                if depth >= DEPTH_MAX {
                    return Err(format!("`{name}` includes itself"));
                }
                let mut out = String::new();
                self.nodes(body, &mut out, depth + 1).map_err(|error| error.it)?;
                Value::from(out)
            }
            ("required", [Value::String(why), value]) => match value {
                Value::Null => return Err(why.clone()),
                Value::String(text) if text.is_empty() => return Err(why.clone()),
                there => there.clone(),
            },
            ("default", [other, value]) => if truth(value) { value } else { other }.clone(),
            ("not", [value]) => Value::Bool(!truth(value)),
            ("and", [a, b]) => if truth(a) { b } else { a }.clone(),
            ("or", [a, b]) => if truth(a) { a } else { b }.clone(),
            ("quote", [value]) => Value::from(Value::from(shown(value)).to_string()),
            ("toYaml", [value]) => Value::from(yaml::text(value)),
            ("toJson", [value]) => Value::from(value.to_string()),
            ("sha256sum", [value]) => Value::from(hex(&Sha256::digest(shown(value).as_bytes()))),
            ("nindent", [Value::Number(blanks), value]) => {
                let blanks = " ".repeat(blanks.as_u64().unwrap_or_default() as usize);
                Value::from(shown(value).split('\n').map(|line| format!("\n{blanks}{line}")).collect::<String>())
            }
            ("printf", [Value::String(form), rest @ ..]) => {
                let mut pieces = form.split("%s");
                let mut out = pieces.next().unwrap_or_default().to_owned();
                for (piece, value) in pieces.zip(rest) {
                    out.push_str(&shown(value));
                    out.push_str(piece);
                }
                Value::from(out)
            }
            _ => return Err(format!("`{name}` with {} arguments is not known here", given.len())),
        };
        Ok(value)
    }
}

/// What Go takes for true: anything but nothing, zero and what is empty.
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(pairs) => !pairs.is_empty(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
