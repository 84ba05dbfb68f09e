//! Attribute values: OpenTelemetry's AnyValue.

use std::fmt;

/// Pairs in the order the sender gave; names are unique by the specification but that is not enforced.
pub type Attributes = Vec<(String, Value)>;

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Empty,
    String(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Attributes),
}

impl Value {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// As a label value or a log line shows it: strings as they are, the rest as JSON, bytes as hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::String(text) => f.write_str(text),
            Value::Empty => Ok(()),
            other => json(other, f),
        }
    }
}

fn json(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Empty => f.write_str("null"),
        Value::String(text) => quoted(text, f),
        Value::Bool(flag) => write!(f, "{flag}"),
        Value::Int(number) => write!(f, "{number}"),
        Value::Double(number) if number.is_finite() => write!(f, "{number}"),
        Value::Double(number) => write!(f, "\"{number}\""),
        Value::Bytes(bytes) => {
            f.write_str("\"")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("\"")
        }
        Value::Array(items) => {
            f.write_str("[")?;
            for (i, item) in items.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { "," })?;
                json(item, f)?;
            }
            f.write_str("]")
        }
        Value::Map(pairs) => {
            f.write_str("{")?;
            for (i, (name, item)) in pairs.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { "," })?;
                quoted(name, f)?;
                f.write_str(":")?;
                json(item, f)?;
            }
            f.write_str("}")
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_json_but_for_bare_strings() {
        let map = Value::Map(vec![
            ("a\"b".into(), Value::String("x\n".into())),
            ("list".into(), Value::Array(vec![Value::Int(1), Value::Double(0.5), Value::Empty])),
            ("raw".into(), Value::Bytes(vec![1, 255])),
        ]);
        assert_eq!(map.to_string(), r#"{"a\"b":"x\n","list":[1,0.5,null],"raw":"01ff"}"#);
        assert_eq!(Value::String("plain".into()).to_string(), "plain");
    }

    #[test]
    fn what_json_has_no_word_for() {
        let list = |items| Value::Array(items).to_string();
        let odd = vec![Value::Double(f64::INFINITY), Value::Double(f64::NAN), Value::Bool(true), Value::Int(-7)];
        assert_eq!(list(odd), r#"["inf","NaN",true,-7]"#);
        assert_eq!(list(vec![Value::String("\\\r\t\u{1}".into())]), r#"["\\\r\t\u0001"]"#);
        assert_eq!((Value::Empty.to_string(), Value::Int(1).as_str()), (String::new(), None));
    }
}
