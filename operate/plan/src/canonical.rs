//! One spelling for each value, so that equal things have equal digests: JSON with keys in order and no spaces, then SHA-256. The spelling
//! is that of RFC 8785 but for floating point numbers, which plans do not carry. It does not know what the value means.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest as _;

/// SHA-256 of a canonical text, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Of bytes as they are: files, artefacts.
    pub fn of_bytes(bytes: &[u8]) -> Digest {
        let mut text = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Digest(text)
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The digest of a value, whatever order its keys were written in.
pub fn digest(value: &impl Serialize) -> Digest {
    // A type of ours that JSON cannot hold (a map with keys that are no strings) is a mistake of ours; it digests as its error, never alike.
    let value = serde_json::to_value(value).unwrap_or_else(|error| Value::String(format!("not JSON: {error}")));
    let mut text = String::new();
    spell(&value, &mut text);
    Digest::of_bytes(text.as_bytes())
}

fn spell(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (position, (key, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::String(key.clone()));
                spell(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                spell(item, out);
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}
