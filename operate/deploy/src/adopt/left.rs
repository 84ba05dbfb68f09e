//! What of a record has not been read yet. Whoever reads a member takes it out; what is left at the end and says something has no setting. It
//! does not know what any member means.

use serde_json::{Map, Value};

pub(super) struct Left {
    /// What the members are of, for a person: nothing for the record itself.
    of: String,
    members: Map<String, Value>,
}

impl Left {
    pub(super) fn of(value: &Value) -> Left {
        Left { of: String::new(), members: value.as_object().cloned().unwrap_or_default() }
    }

    pub(super) fn named(of: &str, value: &Value) -> Left {
        Left { of: format!("{of} "), ..Left::of(value) }
    }

    /// Null where it is not there, or was taken before.
    pub(super) fn take(&mut self, key: &str) -> Value {
        self.members.remove(key).unwrap_or_default()
    }

    /// A phrase for each that is left and says something.
    pub(super) fn tell(self, unsaid: &mut Vec<String>) {
        for (key, value) in self.members.iter().filter(|(_, value)| says(value)) {
            let shown = match value {
                Value::Number(_) | Value::Bool(_) => format!(" ({value})"),
                // It may be anything, and so secret.
                _ => String::new(),
            };
            unsaid.push(format!("{}{key}{shown}: apm.yaml has no word for it", self.of));
        }
    }
}

/// Docker's defaults are null, false, zero and nothing.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says),
        Value::Object(members) => members.values().any(says),
    }
}
