//! `${NAME}` and `${NAME:-default}` in scalars, so that secrets stay out of files. `$$` is one dollar.

use base_explain::Report;

use crate::{ConfigError, Node, Origin, Value};

/// Replaces in place. `lookup` is the environment, handed in.
pub(crate) fn interpolate(node: &mut Node, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains('$') => {
            *text = replace(text, &node.origin, lookup)?;
            Ok(())
        }
        Value::List(items) => items.iter_mut().try_for_each(|item| interpolate(item, lookup)),
        Value::Map(pairs) => pairs.iter_mut().try_for_each(|(_, item)| interpolate(item, lookup)),
        _ => Ok(()),
    }
}

fn replace(text: &str, origin: &Origin, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((inside, tail)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let value = lookup(name).filter(|v| !v.is_empty()).or_else(|| default.map(str::to_owned));
            out.push_str(&value.ok_or_else(|| {
                let report = Report::new(format!("the environment variable `{name}` is not set"))
                    .hint(format!("set it, or give a default: `${{{name}:-…}}`"));
                ConfigError::new(origin.on(report))
            })?);
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}
