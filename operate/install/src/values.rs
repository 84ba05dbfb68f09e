//! The chart's values: its defaults with files and single settings laid over them, as Helm lays them, but for a key that the chart does not know, which is
//! an error here. It opens no file.

use lib_yaml_edit::{Dialect, Limits, parse};
use serde_json::{Map, Value};

use crate::chart;

/// All values; what is not set is as the chart has it.
#[derive(Debug, Clone)]
pub struct Values(Value);

/// Why a value is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    #[error("{file}: {what}")]
    File { file: String, what: String },
    #[error("{source_name}: `{path}` is no value of the chart; those near it are {known}")]
    Unknown { source_name: String, path: String, known: String },
    #[error("{source_name}: `{path}` is {wanted}, and {given} was given")]
    Type { source_name: String, path: String, wanted: &'static str, given: &'static str },
    #[error("`{0}` cannot be read: write `path.to.key=value`; lists and brackets stand in a file of values")]
    Set(String),
}

/// Below these anything may stand: it is somebody else's form.
pub(crate) const FREE: [&str; 10] = [
    "engine.settings",
    "engine.resources",
    "engine.service.annotations",
    "engine.nodeSelector",
    "engine.affinity",
    "collector.settings",
    "collector.resources",
    "collector.nodeSelector",
    "inject.resources",
    "inject.namespaceSelector",
];

impl Default for Values {
    fn default() -> Self {
        // The chart's own file is read in a test; were it broken, nothing would be set.
        Self(document("values.yaml", chart::VALUES).unwrap_or_default())
    }
}

impl Values {
    /// Lays a file over what is there: maps are merged, anything else takes the place of what was there, `null` takes it out.
    pub fn lay(&mut self, file: &str, text: &str) -> Result<(), ValuesError> {
        let over = document(file, text)?;
        check(file, &self.0, &over, "")?;
        merge(&mut self.0, over);
        Ok(())
    }

    /// `engine.memory=1GB`, several with commas between them; `true`, `false`, `null` and whole numbers are what they say. A comma in a value is `\,`.
    pub fn set(&mut self, words: &str) -> Result<(), ValuesError> {
        for word in split(words) {
            let wrong = || ValuesError::Set(word.clone());
            let (path, value) = word.split_once('=').ok_or_else(wrong)?;
            if path.is_empty() || path.contains(['[', '{']) || value.starts_with('{') {
                return Err(wrong());
            }
            let value = match value {
                "true" | "false" => Value::Bool(value == "true"),
                "null" => Value::Null,
                _ => value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
            };
            let over =
                path.rsplit('.').fold(value, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)])));
            check("--set", &self.0, &over, "")?;
            merge(&mut self.0, over);
        }
        Ok(())
    }

    /// The image's whole reference.
    pub fn set_image(&mut self, image: &str) {
        merge(&mut self.0, serde_json::json!({"image": image}));
    }

    pub(crate) fn json(&self) -> &Value {
        &self.0
    }

    /// Text at a path; empty where there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        path.split('.').try_fold(&self.0, |at, key| at.get(key)).and_then(Value::as_str).unwrap_or("")
    }
}

fn document(file: &str, text: &str) -> Result<Value, ValuesError> {
    let wrong = |what: String| ValuesError::File { file: file.to_owned(), what };
    let documents = parse(text, &Limits::default()).map_err(|fault| wrong(fault.to_string()))?;
    let [document] = &documents[..] else {
        return match documents.is_empty() {
            true => Ok(Value::Object(Map::new())),
            false => Err(wrong("values are one document, and there are several".to_owned())),
        };
    };
    match Value::from(document.root.data(Dialect::Kubectl)) {
        map @ Value::Object(_) => Ok(map),
        Value::Null => Ok(Value::Object(Map::new())),
        other => Err(wrong(format!("values are a map, and this is {}", kind(&other)))),
    }
}

/// Refuses keys that the chart does not have, and a value of another kind than its default.
fn check(source: &str, base: &Value, over: &Value, path: &str) -> Result<(), ValuesError> {
    if over.is_null() || FREE.contains(&path) && over.is_object() {
        return Ok(());
    }
    let same = match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let known = base.get(key).ok_or_else(|| {
                    let known: Vec<&str> = base.keys().map(String::as_str).collect();
                    ValuesError::Unknown {
                        source_name: source.to_owned(),
                        path: below.clone(),
                        known: known.join(", "),
                    }
                })?;
                check(source, known, value, &below)?;
            }
            true
        }
        // A number where text is wanted is that text: `--set image=1`.
        (Value::String(_), Value::String(_) | Value::Number(_)) | (Value::Null, _) => true,
        (base, over) => kind(base) == kind(over),
    };
    let (wanted, given) = (kind(base), kind(over));
    match same {
        true => Ok(()),
        false => Err(ValuesError::Type { source_name: source.to_owned(), path: path.to_owned(), wanted, given }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(&key);
                } else {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// At commas, but for those behind a backslash.
fn split(words: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut letters = words.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = all.len() - 1;
        match letter {
            '\\' if letters.peek() == Some(&',') => all[last].extend(letters.next()),
            ',' => all.push(String::new()),
            other => all[last].push(other),
        }
    }
    all
}
