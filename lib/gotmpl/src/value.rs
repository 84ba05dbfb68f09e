//! What a template works with, and how Go prints it. Knows no template.

use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// Go's `map[string]string`: a key that is not there is the empty text.
    Texts(Arc<BTreeMap<String, String>>),
    /// Go's `map[string]any`: a key that is not there is nothing.
    Map(Arc<BTreeMap<String, Value>>),
    /// Fields that must be there.
    Struct(Arc<Struct>),
}

/// A struct of the embedder's.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// As errors name it: `struct`, `*template.sample`.
    pub type_name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
}

impl Value {
    /// Go's name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "[]interface {}",
            Value::Texts(_) => "map[string]string",
            Value::Map(_) => "map[string]interface {}",
            Value::Struct(of) => of.type_name,
        }
    }

    /// What `if` asks.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Texts(map) => !map.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Struct(_) => true,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Value::Texts(map) => Ok(Value::Text(map.get(name).cloned().unwrap_or_default())),
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Struct(of) => of
                .fields
                .iter()
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| format!("can't evaluate field {name} in type {}", of.type_name)),
            Value::Nil => Err(format!("nil data; no entry for key {name:?}")),
            other => Err(format!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }

    /// As Go's `%v`.
    pub fn show(&self) -> String {
        let spaced = |items: Vec<String>| items.join(" ");
        match self {
            Value::Nil => "<no value>".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => show_float(*value),
            Value::Text(text) => text.clone(),
            Value::List(items) => format!("[{}]", spaced(items.iter().map(Value::show).collect())),
            Value::Texts(map) => format!("map[{}]", spaced(map.iter().map(|(k, v)| format!("{k}:{v}")).collect())),
            Value::Map(map) => {
                format!("map[{}]", spaced(map.iter().map(|(k, v)| format!("{k}:{}", v.show())).collect()))
            }
            Value::Struct(of) => {
                let sign = if of.type_name.starts_with('*') { "&" } else { "" };
                format!("{sign}{{{}}}", spaced(of.fields.iter().map(|(_, v)| v.show()).collect()))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

/// Go's `%v` and `%g` of a float: the fewest digits that read back the same, with an exponent below 1e-4 and from 1e6 on.
pub fn show_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let written = format!("{value:e}");
    let exponent = written.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&exponent) { format!("{value}") } else { exponent_form(&written) }
}

/// Rust's `1.5e-7` as Go writes it: `1.5e-07`.
pub(crate) fn exponent_form(written: &str) -> String {
    let Some((mantissa, exponent)) = written.split_once('e') else { return written.to_owned() };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
