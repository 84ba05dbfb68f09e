//! The messages that all three signals share: attribute values, resource, scope. Borrowed from the request.

use std::borrow::Cow;

use base_signal::{Attributes, Value};
use base64::Engine as _;

use crate::DecodeError;
use crate::message::{Field, message};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Any<'a> {
    #[default]
    Empty,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Cow<'a, [u8]>),
    Array(Vec<Any<'a>>),
    Map(Vec<KeyValue<'a>>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KeyValue<'a> {
    pub(super) key: &'a str,
    pub(super) value: Any<'a>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ResourceModel<'a> {
    pub(super) attributes: Vec<KeyValue<'a>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ScopeModel<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) attributes: Vec<KeyValue<'a>>,
}

#[derive(Default)]
struct ArrayValue<'a> {
    values: Vec<Any<'a>>,
}

#[derive(Default)]
struct MapValue<'a> {
    values: Vec<KeyValue<'a>>,
}

message! { Any {
    1 "stringValue" (m, v) => *m = Any::Text(v.text()?),
    2 "boolValue" (m, v) => *m = Any::Bool(v.flag()?),
    3 "intValue" (m, v) => *m = Any::Int(v.signed()?),
    4 "doubleValue" (m, v) => *m = Any::Double(v.double()?),
    5 "arrayValue" (m, v) => *m = Any::Array(v.message::<ArrayValue>()?.values),
    6 "kvlistValue" (m, v) => *m = Any::Map(v.message::<MapValue>()?.values),
    7 "bytesValue" (m, v) => *m = Any::Bytes(v.base64()?),
} }

message! { KeyValue {
    1 "key" (m, v) => m.key = v.text()?,
    2 "value" (m, v) => m.value = v.message()?,
} }

message! { ArrayValue { 1 "values" (m, v) => v.push(&mut m.values)?, } }
message! { MapValue { 1 "values" (m, v) => v.push(&mut m.values)?, } }
message! { ResourceModel { 1 "attributes" (m, v) => v.push(&mut m.attributes)?, } }

message! { ScopeModel {
    1 "name" (m, v) => m.name = v.text()?,
    2 "version" (m, v) => m.version = v.text()?,
    3 "attributes" (m, v) => v.push(&mut m.attributes)?,
} }

impl<'a> Any<'a> {
    pub(super) fn to_value(&self) -> Value {
        match self {
            Any::Empty => Value::Empty,
            Any::Text(text) => Value::String((*text).to_owned()),
            Any::Bool(flag) => Value::Bool(*flag),
            Any::Int(number) => Value::Int(*number),
            Any::Double(number) => Value::Double(*number),
            Any::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Any::Array(items) => Value::Array(items.iter().map(Any::to_value).collect()),
            Any::Map(pairs) => Value::Map(to_attributes(pairs)),
        }
    }

    /// As a label value or a line shows it.
    pub(super) fn to_text(&self) -> Cow<'a, str> {
        match self {
            Any::Text(text) => Cow::Borrowed(text),
            Any::Double(number) => Cow::Owned(double_text(*number)),
            // Hexadecimal is how we show bytes; as a label they look as Prometheus and Loki write them.
            Any::Bytes(bytes) => Cow::Owned(base64::engine::general_purpose::STANDARD.encode(bytes)),
            other => Cow::Owned(other.to_value().to_string()),
        }
    }
}

/// As Go's JSON prints it, which is what the collector and Prometheus make of it: an exponent from 1e21 on and below 1e-6.
fn double_text(number: f64) -> String {
    let size = number.abs();
    if number.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return if size >= 1.0 { text.replace('e', "e+") } else { text };
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    number.to_string()
}

pub(super) fn to_attributes(pairs: &[KeyValue<'_>]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.to_value())).collect()
}

pub(super) fn find<'a, 'l>(pairs: &'l [KeyValue<'a>], key: &str) -> Option<&'l Any<'a>> {
    pairs.iter().find(|pair| pair.key == key).map(|pair| &pair.value)
}

/// A field of a oneof in which numbers may be whole or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Number {
    #[default]
    Missing,
    Int(i64),
    Double(f64),
}

impl Number {
    /// Whole numbers above 2^53 are rounded: samples are float64.
    pub(super) fn as_f64(self) -> Option<f64> {
        match self {
            Number::Missing => None,
            Number::Int(number) => Some(number as f64),
            Number::Double(number) => Some(number),
        }
    }
}

/// Reads an optional field.
pub(super) fn some<'a, T>(
    field: Field<'a, '_>,
    read: impl Fn(&Field<'a, '_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    read(&field).map(Some)
}

/// The list of messages under field 1, which is the shape of all three outermost requests and of several others.
#[derive(Debug)]
pub(super) struct Listed<M>(pub(super) Vec<M>);

impl<M> Default for Listed<M> {
    fn default() -> Self {
        Listed(Vec::new())
    }
}

/// Gives [`Listed`] its JSON name.
macro_rules! listed {
    ($inner:ident, $json:literal) => {
        impl<'a> $crate::message::Message<'a> for $crate::otlp::common::Listed<$inner<'a>> {
            const FIELDS: &'static [(u32, &'static str)] = &[(1, $json)];

            fn set(&mut self, number: u32, value: $crate::message::Field<'a, '_>) -> Result<(), $crate::DecodeError> {
                if number == 1 { value.push(&mut self.0) } else { Ok(()) }
            }
        }
    };
}
pub(super) use listed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_as_prometheus_has_them() {
        for (any, expect) in [
            (Any::Double(1e21), "1e+21"),
            (Any::Double(1.5e-7), "1.5e-7"),
            (Any::Double(0.00001), "0.00001"),
            (Any::Double(3.0), "3"),
            (Any::Double(0.0), "0"),
            (Any::Double(f64::NEG_INFINITY), "-Infinity"),
            (Any::Double(f64::NAN), "NaN"),
            (Any::Bytes(Cow::Borrowed(&[1, 2])), "AQI="),
            (Any::Array(vec![Any::Text("x"), Any::Int(1)]), r#"["x",1]"#),
            (Any::Empty, ""),
        ] {
            assert_eq!(any.to_text(), expect);
        }
    }
}
