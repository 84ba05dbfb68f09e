//! How two values of the world or of a plan differ, path by path: two images of an object, two plans of one line. It does not judge which
//! is better.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `/env/PORT`, as JSON pointers (RFC 6901) write it.
    pub path: String,
    /// `None`: it was not there.
    pub from: Option<Value>,
    /// `None`: it is gone.
    pub to: Option<Value>,
}

/// Every leaf that differs, in the order of paths. Lists are compared by position.
pub fn diff(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(&mut String::new(), Some(from), Some(to), &mut changes);
    changes
}

fn walk(path: &mut String, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                down(path, &escaped, a.get(key), b.get(key), changes);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for position in 0..a.len().max(b.len()) {
                down(path, &position.to_string(), a.get(position), b.get(position), changes);
            }
        }
        (from, to) => changes.push(Change { path: path.clone(), from: from.cloned(), to: to.cloned() }),
    }
}

fn down(path: &mut String, part: &str, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<Change>) {
    let length = path.len();
    path.push('/');
    path.push_str(part);
    walk(path, from, to, changes);
    path.truncate(length);
}
