//! Values and what is equal. Cheap to copy: what is large is shared. Knows no function.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A value of a type of the embedder's.
pub trait Opaque: fmt::Debug + Send + Sync {
    /// As it was given to the environment.
    fn type_name(&self) -> &'static str;
    fn same(&self, other: &dyn Opaque) -> bool;
    fn any(&self) -> &dyn Any;
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    /// In nanoseconds.
    Duration(i64),
    /// In nanoseconds since 1970.
    Timestamp(i128),
    List(List),
    Map(Arc<BTreeMap<Key, Value>>),
    Optional(Option<Arc<Value>>),
    Type(Arc<str>),
    Opaque(Arc<dyn Opaque>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Bool(bool),
    Int(i64),
    /// Only what is no `Int`: equal numbers are one key.
    Uint(u64),
    Text(Arc<str>),
}

/// What makes the items of a list the same, whatever their order.
#[derive(Debug, Clone)]
pub enum Keep {
    /// Their order.
    Order,
    /// A set of scalars.
    Set,
    /// Maps, each with a key of these fields.
    Keys(Arc<[Arc<str>]>),
}

#[derive(Debug, Clone)]
pub struct List {
    pub items: Arc<Vec<Value>>,
    pub keep: Keep,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(List { items: Arc::new(items), keep: Keep::Order })
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl Value {
    /// A length; none is near the bound.
    pub fn count(n: usize) -> Self {
        Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }

    pub fn some(value: Value) -> Self {
        Value::Optional(Some(Arc::new(value)))
    }

    /// What `type()` says of it.
    pub fn type_name(&self) -> &str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Optional(_) => "optional_type",
            Value::Type(_) => "type",
            Value::Opaque(value) => value.type_name(),
        }
    }

    /// As a key of a map; a whole double is one too.
    pub fn key(&self) -> Option<Key> {
        match self {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Int(value) => Some(Key::Int(*value)),
            Value::Uint(value) => Some(i64::try_from(*value).map_or(Key::Uint(*value), Key::Int)),
            #[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds of i64")]
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 9.2e18 => Some(Key::Int(*value as i64)),
            Value::Text(text) => Some(Key::Text(Arc::clone(text))),
            _ => None,
        }
    }

    /// Equality as `==` has it: numbers by value whatever their type, and values of different types are not equal.
    pub fn same(&self, other: &Value) -> bool {
        use std::cmp::Ordering::Equal;
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::Opaque(a), Value::Opaque(b)) => a.type_name() == b.type_name() && a.same(&**b),
            (Value::Optional(a), Value::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.same(b),
                (None, None) => true,
                _ => false,
            },
            (Value::List(a), Value::List(b)) => a.same(b),
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| value.same(other)))
            }
            (a, b) => number_order(a, b) == Some(Equal),
        }
    }

    /// How it stands to another of its type, or to another number; nothing where there is no order.
    pub fn order(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (a, b) => number_order(a, b),
        }
    }

    /// About how large it is: texts in tens of bytes, items and pairs.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Value::Text(text) => text.len() as u64 / 10 + 1,
            Value::Bytes(bytes) => bytes.len() as u64 / 10 + 1,
            Value::List(list) => list.items.len() as u64 + 1,
            Value::Map(map) => map.len() as u64 + 1,
            _ => 1,
        }
    }
}

impl Key {
    pub fn value(&self) -> Value {
        match self {
            Key::Bool(value) => Value::Bool(*value),
            Key::Int(value) => Value::Int(*value),
            Key::Uint(value) => Value::Uint(*value),
            Key::Text(text) => Value::Text(Arc::clone(text)),
        }
    }
}

impl List {
    /// The items' key, where the list is one of maps by key.
    fn key_of(item: &Value, keys: &[Arc<str>]) -> Vec<Option<Value>> {
        let Value::Map(map) = item else { return vec![Some(item.clone())] };
        keys.iter().map(|key| map.get(&Key::Text(Arc::clone(key))).cloned()).collect()
    }

    fn same_key(&self, a: &Value, b: &Value) -> bool {
        match &self.keep {
            Keep::Keys(keys) => {
                let (a, b) = (Self::key_of(a, keys), Self::key_of(b, keys));
                a.iter().zip(&b).all(|pair| match pair {
                    (Some(a), Some(b)) => a.same(b),
                    (None, None) => true,
                    _ => false,
                })
            }
            _ => a.same(b),
        }
    }

    pub(crate) fn same(&self, other: &List) -> bool {
        if self.items.len() != other.items.len() {
            return false;
        }
        match self.keep {
            Keep::Order => self.items.iter().zip(other.items.iter()).all(|(a, b)| a.same(b)),
            _ => other
                .items
                .iter()
                .all(|theirs| self.items.iter().any(|ours| self.same_key(ours, theirs) && ours.same(theirs))),
        }
    }

    /// `self + other`: a set is united, a map's items are taken over by key.
    pub(crate) fn joined(&self, other: &List) -> List {
        let mut items = self.items.as_ref().clone();
        for theirs in other.items.iter() {
            let place = match self.keep {
                Keep::Order => None,
                _ => items.iter().position(|ours| self.same_key(ours, theirs)),
            };
            match place.and_then(|place| items.get_mut(place)) {
                Some(ours) => *ours = theirs.clone(),
                None => items.push(theirs.clone()),
            }
        }
        List { items: Arc::new(items), keep: self.keep.clone() }
    }
}

/// How two numbers of any types stand to each other; nothing of what is no number, or not comparable.
fn number_order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Uint(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Int(a), Value::Double(b)) => whole_to(i128::from(*a), *b),
        (Value::Uint(a), Value::Double(b)) => whole_to(i128::from(*a), *b),
        (Value::Double(a), Value::Int(b)) => whole_to(i128::from(*b), *a).map(std::cmp::Ordering::reverse),
        (Value::Double(a), Value::Uint(b)) => whole_to(i128::from(*b), *a).map(std::cmp::Ordering::reverse),
        _ => None,
    }
}

/// Exact, also where a double cannot hold the whole number.
fn whole_to(whole: i128, double: f64) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering::{Greater, Less};
    if double.is_nan() {
        return None;
    }
    if double >= 1e20 {
        return Some(Less);
    }
    if double <= -1e20 {
        return Some(Greater);
    }
    let floor = double.floor();
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let order = whole.cmp(&(floor as i128));
    Some(if order.is_eq() && double > floor { Less } else { order })
}
