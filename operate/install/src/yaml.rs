//! A value as YAML in blocks, keys sorted, as Helm's `toYaml` writes it. Text that might be taken for something else is quoted as in JSON, which is YAML too.

use serde_json::Value;

pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out.trim_end().trim_start_matches('\n').to_owned()
}

/// Behind `key:` or `-`, with the blank or line break before it.
fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(pairs) if !pairs.is_empty() => {
            let mut keys: Vec<&String> = pairs.keys().collect();
            keys.sort();
            for key in keys {
                out.push_str(&format!("\n{indent}{}:", word(key)));
                block(&pairs[key.as_str()], depth + 1, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                // JSON in one line: a list's items are small here, and a map behind a dash needs no rule of its own.
                out.push_str(&format!(
                    "\n{indent}- {}",
                    if item.is_string() { scalar(item) } else { item.to_string() }
                ));
            }
        }
        other => {
            if depth > 0 {
                out.push(' ');
            }
            out.push_str(&scalar(other));
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        other => other.to_string(),
    }
}

/// Plain where nobody can take it for a number, a word of YAML, or a mark.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}
