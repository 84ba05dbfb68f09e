//! Variables in values, by compose's grammar: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?error}`, `${NAME?error}`,
//! `${NAME:+other}`, `${NAME+other}`, nested, and `$$` for a dollar (compose specification, "Interpolation"). It reads no environment itself.

use crate::node::{Finding, Node, Value};

const DEPTH_MAX: usize = 16;
/// A value that grows beyond it was made to.
const BYTES_MAX: usize = 1 << 20;

/// What a text turned out not to be.
pub(crate) enum Bad {
    Form(String),
    Required { name: String, says: String },
}

pub(crate) struct Variables<'a> {
    pub(crate) lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Names that were wanted and are nowhere; they became nothing.
    pub(crate) unset: Vec<String>,
}

impl Variables<'_> {
    /// In place, in all values; keys stay.
    pub(crate) fn fill(&mut self, node: &mut Node, notes: &mut Vec<Finding>) -> Result<(), Finding> {
        match &mut node.value {
            Value::Scalar(text) if text.contains('$') => {
                let filled = self.text(text, 0).map_err(|bad| match bad {
                    Bad::Form(why) => Finding::new(&node.place, why, "a dollar that is meant is written twice: `$$`"),
                    Bad::Required { name, says } => {
                        let says = if says.is_empty() { "it is required".to_owned() } else { says };
                        let message = format!("the variable `{name}` is not set: {says}");
                        Finding::new(&node.place, message, "set it in the environment or in the `.env` file")
                    }
                })?;
                *text = filled;
                for name in self.unset.drain(..) {
                    let message = format!("the variable `{name}` is not set; nothing stands in its place");
                    notes.push(Finding::new(&node.place, message, format!("set it, or write `${{{name}:-}}`")));
                }
                Ok(())
            }
            Value::List(items) => items.iter_mut().try_for_each(|item| self.fill(item, notes)),
            Value::Map(pairs) => pairs.iter_mut().try_for_each(|pair| self.fill(&mut pair.node, notes)),
            _ => Ok(()),
        }
    }

    pub(crate) fn text(&mut self, text: &str, depth: usize) -> Result<String, Bad> {
        if depth > DEPTH_MAX {
            return Err(Bad::Form("variables are nested too deep".into()));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                out.push('$');
                rest = tail;
            } else if let Some(inner) = after.strip_prefix('{') {
                let close = closing(inner)
                    .ok_or_else(|| Bad::Form(format!("`{text}` opens a variable and does not close it")))?;
                out.push_str(&self.braced(&inner[..close], depth)?);
                rest = &inner[close + 1..];
            } else {
                let name = name(after);
                match name.is_empty() {
                    // A dollar that begins nothing is a dollar.
                    true => out.push('$'),
                    false => out.push_str(&self.plain(name)),
                }
                rest = &after[name.len()..];
            }
            if out.len() > BYTES_MAX {
                return Err(Bad::Form(format!("with its variables it is larger than {BYTES_MAX} bytes")));
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn plain(&mut self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            self.unset.push(name.to_owned());
            String::new()
        })
    }

    fn braced(&mut self, inside: &str, depth: usize) -> Result<String, Bad> {
        let name = name(inside);
        let rest = &inside[name.len()..];
        if name.is_empty() {
            return Err(Bad::Form(format!("`${{{inside}}}` names no variable")));
        }
        if rest.is_empty() {
            return Ok(self.plain(name));
        }
        // With a colon a variable that is set to nothing counts as not set.
        let (empty_is_unset, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
        let found = (self.lookup)(name).filter(|value| !(empty_is_unset && value.is_empty()));
        let mut chars = rest.chars();
        let operator = chars.next();
        let word = chars.as_str();
        match operator {
            Some('-') => found.map_or_else(|| self.text(word, depth + 1), Ok),
            Some('+') if found.is_some() => self.text(word, depth + 1),
            Some('+') => Ok(String::new()),
            Some('?') => match found {
                Some(value) => Ok(value),
                None => Err(Bad::Required { name: name.to_owned(), says: self.text(word, depth + 1)? }),
            },
            _ => Err(Bad::Form(format!("`${{{inside}}}` is no form of a variable"))),
        }
    }
}

/// The name at the beginning: a letter or underscore, then digits too.
fn name(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_alphabetic() || *c == '_' || *at > 0 && c.is_ascii_digit()))
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Where the brace that was opened before this text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}
