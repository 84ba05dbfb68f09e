//! The suffix of a generated object's name, digit for digit as kustomize makes it: SHA-256 over the JSON that Go writes of kind, type and data; the name
//! is empty there, whatever it is.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Digits of the suffix.
const DIGITS: usize = 10;
/// Longer base64 is broken into lines of so many.
const LINE: usize = 70;

/// Ten digits and letters, none of which make a word.
pub fn suffix(object: &Value) -> String {
    let mut counted = Map::new();
    counted.insert("kind".to_owned(), object["kind"].clone());
    counted.insert("name".to_owned(), json!(""));
    // What is not there is an empty text to kustomize.
    let or_empty = |key: &str| object.get(key).cloned().unwrap_or_else(|| json!(""));
    counted.insert("data".to_owned(), or_empty("data"));
    if object["kind"] == "Secret" {
        counted.insert("type".to_owned(), or_empty("type"));
    }
    for key in ["binaryData", "stringData"] {
        if let Some(Value::Object(map)) = object.get(key) {
            counted.insert(key.to_owned(), Value::Object(map.clone()));
        }
    }
    let mut text = String::new();
    write(&Value::Object(counted), &mut text);
    let mut hex = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let plain = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hex.chars().take(DIGITS).map(plain).collect()
}

/// Keys in order; signs that mean something to HTML are escaped, as Go does.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in pairs.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::String(text) => quoted(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(sign));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Base64, in lines where it is long: the lines count.
pub(super) fn base64(bytes: &[u8]) -> String {
    let whole = BASE64_STANDARD.encode(bytes);
    if whole.len() < LINE {
        return whole;
    }
    let mut lines = String::with_capacity(whole.len() + whole.len() / LINE + 1);
    for line in whole.as_bytes().chunks(LINE) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines
}
