//! What two manifests have in common when they say the same: SHA-256 over canonical JSON. Comments, order of keys, quotes and style do not count; the
//! order of lists does. Knows no defaults of the server.

use std::fmt::Write as _;

use lib_yaml_edit::Data;
use sha2::{Digest, Sha256};

use crate::object::Object;

impl Object {
    /// `sha256:…`, 64 lower-case hexadecimal digits.
    pub fn content_hash(&self) -> String {
        let mut canonical = String::with_capacity(1024);
        write(&self.data(), &mut canonical);
        let mut out = "sha256:".to_owned();
        for byte in Sha256::digest(canonical.as_bytes()) {
            // Writing into a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

/// Keys sorted by their bytes, no blanks, whole numbers without a point.
fn write(data: &Data, out: &mut String) {
    match data {
        Data::Null => out.push_str("null"),
        Data::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                let _ = write!(out, "{float:.0}");
            }
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        Data::Text(text) => quoted(text, out),
        Data::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Data::Map(pairs) => {
            let mut sorted: Vec<&(String, Data)> = pairs.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn quoted(text: &str, out: &mut String) {
    // A text can always be written as JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}
