//! `${NAME}` and `${NAME:-default}` in scalars, so that secrets stay out of files. `$$` is one dollar. It does not know where a variable comes
//! from: whoever calls looks it up, by its name and by the place where it stands.

use base_explain::Report;

use crate::{ConfigError, Filled, Node, Origin, Value};

/// What a name came to.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub value: String,
    /// It must not be shown.
    pub secret: bool,
}

/// Finds a variable for the node at a path.
pub type Lookup<'a> = dyn Fn(&[&str], &str) -> Option<Variable> + 'a;

/// Replaces in place. A node that cannot be filled in keeps its text, and `trouble` hears of it.
pub(crate) fn interpolate<'n>(
    node: &'n mut Node,
    path: &mut Vec<&'n str>,
    lookup: &Lookup<'_>,
    trouble: &mut dyn FnMut(&[&str], ConfigError),
) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains('$') => match replace(text, &node.origin, path, lookup) {
            Ok((filled_in, filled)) => {
                *text = filled_in;
                node.filled = filled;
            }
            Err(error) => trouble(path, error),
        },
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, path, lookup, trouble)),
        Value::Map(pairs) => {
            for (key, item) in pairs {
                path.push(&key.name);
                interpolate(item, path, lookup, trouble);
                path.pop();
            }
        }
        _ => {}
    }
}

fn replace(
    text: &str,
    origin: &Origin,
    path: &[&str],
    lookup: &Lookup<'_>,
) -> Result<(String, Vec<Filled>), ConfigError> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut filled) = (text, Vec::new());
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let Some(inner) = after.strip_prefix('{') else {
            out.push('$');
            rest = after;
            continue;
        };
        // Where it stands in the file: by the same words before it.
        let begun = &rest[at..];
        let told = |words: &str, report: Report| {
            let before = text[..text.len() - begun.len()].matches(words).count();
            ConfigError::new(origin.at_words(words, before).on(report))
        };
        let Some((inside, tail)) = inner.split_once('}') else {
            let report = Report::new("a `${` has no `}`").hint("write `${NAME}`, or `$$` for one dollar");
            return Err(told("${", report));
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let whole = format!("${{{inside}}}");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
            let report = Report::new(format!("`{name}` is no name of a variable"));
            return Err(told(&whole, report.hint("write `${NAME}` or `${NAME:-default}`; `$$` is one dollar")));
        }
        match (lookup(path, name).filter(|found| !found.value.is_empty()), default) {
            (Some(found), _) => {
                out.push_str(&found.value);
                filled.push(Filled { name: name.to_owned(), secret: found.secret });
            }
            (None, Some(default)) => out.push_str(default),
            (None, None) => {
                let report = Report::new(format!("the environment variable `{name}` is not set"));
                return Err(told(&whole, report.hint(format!("set it, or give a default: `${{{name}:-…}}`"))));
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok((out, filled))
}
