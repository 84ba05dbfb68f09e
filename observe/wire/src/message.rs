//! One schema, two encodings: a message names its fields once and is read from protobuf or from OTLP's JSON.
//!
//! JSON rules are OTLP's (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in hexadecimal, 64-bit
//! numbers quoted or bare, enums as numbers (names are taken too), unknown fields ignored, `null` the same as absent.
//! Knows no particular message.

use std::borrow::Cow;
use std::cell::Cell;

use base64::Engine as _;
use serde_json::Value as Json;

use crate::proto::{Reader, WireValue};
use crate::{DecodeError, DecodeErrorKind, Limits};

/// A message that borrows from the request.
pub(crate) trait Message<'a>: Default {
    /// Field number and JSON name.
    const FIELDS: &'static [(u32, &'static str)];

    /// Takes one field; of a repeated field each element in turn. Unknown numbers are ignored.
    fn set(&mut self, number: u32, value: Field<'a, '_>) -> Result<(), DecodeError>;
}

/// `message! { Name { 1 "jsonName" (message, value) => statement, … } }`
macro_rules! message {
    ($name:ident { $($number:literal $json:literal ($m:ident, $v:ident) => $set:expr,)* }) => {
        impl<'a> $crate::message::Message<'a> for $name<'a> {
            const FIELDS: &'static [(u32, &'static str)] = &[$(($number, $json)),*];

            fn set(&mut self, number: u32, value: $crate::message::Field<'a, '_>) -> Result<(), $crate::DecodeError> {
                match number {
                    $($number => { let $m = self; let $v = value; $set; })*
                    _ => {}
                }
                Ok(())
            }
        }
    };
}
pub(crate) use message;

/// What is left of the request's limits.
#[derive(Debug)]
pub(crate) struct Spending {
    limits: Limits,
    left_bytes: Cell<u64>,
}

impl Spending {
    pub(crate) fn new(limits: &Limits) -> Self {
        Spending { limits: *limits, left_bytes: Cell::new(limits.decoded_max_bytes) }
    }

    fn charge(&self, bytes: usize) -> Result<(), DecodeError> {
        match self.left_bytes.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.left_bytes.set(left);
                Ok(())
            }
            None => Err(DecodeErrorKind::TooLarge(self.limits.decoded_max_bytes).into()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Raw<'a> {
    Proto(WireValue<'a>),
    Json(&'a Json),
}

/// One field's value, whatever it was encoded in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a, 's> {
    raw: Raw<'a>,
    depth: u32,
    spending: &'s Spending,
}

/// Reads the outermost message of a protobuf body.
pub(crate) fn from_protobuf<'a, M: Message<'a>>(body: &'a [u8], spending: &Spending) -> Result<M, DecodeError> {
    Field { raw: Raw::Proto(WireValue::Bytes(body, 0)), depth: 0, spending }.message()
}

/// Reads the outermost message of a JSON document.
pub(crate) fn from_json<'a, M: Message<'a>>(document: &'a Json, spending: &Spending) -> Result<M, DecodeError> {
    Field { raw: Raw::Json(document), depth: 0, spending }.message()
}

/// Bytes of memory that a byte of JSON can become: `[0,0,…]` is the worst.
const JSON_GROWTH_MAX: u64 = 16;

/// Parses a JSON body that is small enough for its worst case.
pub(crate) fn parse_json(body: &[u8], limits: &Limits) -> Result<Json, DecodeError> {
    if (body.len() as u64).saturating_mul(JSON_GROWTH_MAX) > limits.decoded_max_bytes {
        return Err(DecodeErrorKind::TooLarge(limits.decoded_max_bytes).into());
    }
    serde_json::from_slice(body).map_err(|e| DecodeErrorKind::Json(e.to_string()).into())
}

/// `time_unix_nano` names the same field as `timeUnixNano`.
fn same_name(camel: &str, given: &str) -> bool {
    if camel == given {
        return true;
    }
    if !given.contains('_') {
        return false;
    }
    let mut upper = false;
    let mut expected = camel.chars();
    for c in given.chars() {
        if c == '_' {
            upper = true;
            continue;
        }
        let c = if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c };
        if expected.next() != Some(c) {
            return false;
        }
    }
    expected.next().is_none()
}

fn describe(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

impl<'a> Field<'a, '_> {
    fn mismatch(&self, expected: &'static str) -> DecodeError {
        match self.raw {
            Raw::Proto(value) => value.mismatch(expected),
            Raw::Json(json) => DecodeErrorKind::Type { expected, found: describe(json) }.into(),
        }
    }

    pub(crate) fn text(&self) -> Result<&'a str, DecodeError> {
        match self.raw {
            Raw::Proto(value) => value.text(),
            Raw::Json(Json::String(text)) => Ok(text),
            Raw::Json(_) => Err(self.mismatch("a string")),
        }
    }

    /// 64 bits as they are; JSON negatives come out in two's complement.
    fn whole(&self) -> Result<u64, DecodeError> {
        let json = match self.raw {
            Raw::Proto(value) => return value.unsigned(),
            Raw::Json(json) => json,
        };
        let from_text = |text: &str| text.parse::<u64>().ok().or_else(|| text.parse::<i64>().ok().map(|n| n as u64));
        let found = match json {
            Json::Number(number) => number
                .as_u64()
                .or_else(|| number.as_i64().map(|n| n as u64))
                .or_else(|| number.as_f64().and_then(whole_double)),
            Json::String(text) => from_text(text).or_else(|| text.parse::<f64>().ok().and_then(whole_double)),
            _ => None,
        };
        found.ok_or_else(|| self.mismatch("a whole number"))
    }

    pub(crate) fn unsigned(&self) -> Result<u64, DecodeError> {
        self.whole()
    }

    pub(crate) fn signed(&self) -> Result<i64, DecodeError> {
        self.whole().map(|number| number as i64)
    }

    /// `sint32`: zigzag on the wire, plain in JSON.
    pub(crate) fn sint32(&self) -> Result<i32, DecodeError> {
        let number = match self.raw {
            Raw::Proto(value) => value.zigzag()?,
            Raw::Json(_) => self.signed()?,
        };
        i32::try_from(number).map_err(|_| self.mismatch("a 32-bit number"))
    }

    /// A time in Unix nanoseconds; what does not fit 63 bits is the latest time there is.
    pub(crate) fn time_ns(&self) -> Result<i64, DecodeError> {
        self.whole().map(|number| i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(crate) fn double(&self) -> Result<f64, DecodeError> {
        match self.raw {
            Raw::Proto(value) => value.double(),
            Raw::Json(Json::Number(number)) => number.as_f64().ok_or_else(|| self.mismatch("a number")),
            Raw::Json(Json::String(text)) => text.parse().map_err(|_| self.mismatch("a number")),
            Raw::Json(_) => Err(self.mismatch("a number")),
        }
    }

    pub(crate) fn flag(&self) -> Result<bool, DecodeError> {
        match self.raw {
            Raw::Proto(value) => value.unsigned().map(|n| n != 0),
            Raw::Json(Json::Bool(flag)) => Ok(*flag),
            Raw::Json(Json::String(text)) if text == "true" => Ok(true),
            Raw::Json(Json::String(text)) if text == "false" => Ok(false),
            Raw::Json(_) => Err(self.mismatch("true or false")),
        }
    }

    /// An enum's number; in JSON its name is taken too, an unknown name is 0.
    pub(crate) fn choice(&self, names: &[&str]) -> Result<i64, DecodeError> {
        match self.raw {
            Raw::Json(Json::String(text)) if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                Ok(names.iter().position(|name| name == text).unwrap_or(0) as i64)
            }
            _ => self.signed(),
        }
    }

    /// An id: raw on the wire, hexadecimal in JSON.
    pub(crate) fn hex(&self) -> Result<Cow<'a, [u8]>, DecodeError> {
        match self.raw {
            Raw::Proto(value) => value.bytes().map(|(bytes, _)| Cow::Borrowed(bytes)),
            Raw::Json(_) => {
                let bytes = from_hex(self.text()?).ok_or_else(|| self.mismatch("an id in hexadecimal"))?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Raw on the wire, base64 in JSON.
    pub(crate) fn base64(&self) -> Result<Cow<'a, [u8]>, DecodeError> {
        match self.raw {
            Raw::Proto(value) => value.bytes().map(|(bytes, _)| Cow::Borrowed(bytes)),
            Raw::Json(_) => {
                let text = self.text()?.trim_end_matches('=');
                let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
                let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
                let bytes = engine.decode(text).or_else(|_| url_safe.decode(text));
                bytes.map(Cow::Owned).map_err(|_| self.mismatch("bytes in base64"))
            }
        }
    }

    /// Appends the elements of a packed (or single) run of varints.
    pub(crate) fn extend_varints(&self, list: &mut Vec<u64>) -> Result<(), DecodeError> {
        self.extend(list, |reader| reader.varint(), |field| field.unsigned())
    }

    pub(crate) fn extend_fixed64(&self, list: &mut Vec<u64>) -> Result<(), DecodeError> {
        self.extend(list, |reader| reader.fixed64(), |field| field.unsigned())
    }

    pub(crate) fn extend_doubles(&self, list: &mut Vec<f64>) -> Result<(), DecodeError> {
        self.extend(list, |reader| reader.fixed64().map(f64::from_bits), |field| field.double())
    }

    fn extend<T>(
        &self,
        list: &mut Vec<T>,
        packed: impl Fn(&mut Reader<'a>) -> Result<T, DecodeError>,
        single: impl Fn(&Self) -> Result<T, DecodeError>,
    ) -> Result<(), DecodeError> {
        if let Raw::Proto(WireValue::Bytes(bytes, offset)) = self.raw {
            let mut reader = Reader::at(bytes, offset);
            while !reader.is_empty() {
                self.spending.charge(size_of::<T>())?;
                list.push(packed(&mut reader)?);
            }
        } else {
            self.spending.charge(size_of::<T>())?;
            list.push(single(self)?);
        }
        Ok(())
    }

    /// Appends one element of a repeated message field.
    pub(crate) fn push<M: Message<'a>>(&self, list: &mut Vec<M>) -> Result<(), DecodeError> {
        list.push(self.message()?);
        Ok(())
    }

    pub(crate) fn message<M: Message<'a>>(&self) -> Result<M, DecodeError> {
        if self.depth >= self.spending.limits.depth_max {
            return Err(DecodeErrorKind::TooDeep(self.spending.limits.depth_max).into());
        }
        self.spending.charge(size_of::<M>())?;
        let mut message = M::default();
        match self.raw {
            Raw::Proto(value) => {
                let (bytes, offset) = value.bytes()?;
                let mut reader = Reader::at(bytes, offset);
                while let Some((number, value)) = reader.field()? {
                    let field = self.inner(Raw::Proto(value));
                    message.set(number, field).map_err(|e| match M::FIELDS.iter().find(|(n, _)| *n == number) {
                        Some((_, name)) => e.within(name),
                        None => e,
                    })?;
                }
            }
            Raw::Json(Json::Object(object)) => {
                for (key, value) in object {
                    if let Some((number, name)) = M::FIELDS.iter().find(|(_, name)| same_name(name, key)) {
                        self.set_json(&mut message, *number, value).map_err(|e| e.within(name))?;
                    }
                }
            }
            Raw::Json(Json::Null) => {}
            Raw::Json(_) => return Err(self.mismatch("an object")),
        }
        Ok(message)
    }

    fn set_json<M: Message<'a>>(&self, message: &mut M, number: u32, value: &'a Json) -> Result<(), DecodeError> {
        match value {
            Json::Null => Ok(()),
            Json::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| {
                message.set(number, self.inner(Raw::Json(item))).map_err(|e| e.within(&format!("[{i}]")))
            }),
            single => message.set(number, self.inner(Raw::Json(single))),
        }
    }

    fn inner(&self, raw: Raw<'a>) -> Self {
        Field { raw, depth: self.depth + 1, spending: self.spending }
    }
}

/// Proto's JSON allows `1.0` and `1e3` for whole numbers.
fn whole_double(number: f64) -> Option<u64> {
    let whole = number.fract() == 0.0 && number.abs() < 9.0e15;
    whole.then_some(number as i64 as u64)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
