//! Types: how they are written, and whether a value of one may stand where another is wanted. The rules are cel-go's. Knows no function.

use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;

/// A static type.
#[derive(Debug, Clone)]
pub enum Type {
    /// Checked when it is evaluated.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Duration,
    Timestamp,
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    Optional(Arc<Type>),
    /// The type of a type.
    Type,
    Record(Arc<Record>),
    /// A type of the embedder's.
    Opaque(&'static str),
    /// A type parameter; only in signatures and while a text is checked.
    Var(u32),
}

/// An object with declared fields. Two of them are one type only if they are the same record.
#[derive(Debug)]
pub struct Record {
    pub fields: AHashMap<Arc<str>, Type>,
}

impl Type {
    pub fn list(items: Type) -> Self {
        Type::List(Arc::new(items))
    }

    pub fn map(keys: Type, values: Type) -> Self {
        Type::Map(Arc::new(keys), Arc::new(values))
    }

    pub fn optional(of: Type) -> Self {
        Type::Optional(Arc::new(of))
    }

    pub fn record(fields: impl IntoIterator<Item = (Arc<str>, Type)>) -> Self {
        Type::Record(Arc::new(Record { fields: fields.into_iter().collect() }))
    }

    pub(crate) fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    fn parts(&self) -> Vec<&Type> {
        match self {
            Type::List(a) | Type::Optional(a) => vec![a],
            Type::Map(a, b) => vec![a, b],
            _ => Vec::new(),
        }
    }

    pub(crate) fn same(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Record(a), Type::Record(b)) => Arc::ptr_eq(a, b),
            (Type::Opaque(a), Type::Opaque(b)) => a == b,
            (Type::Var(a), Type::Var(b)) => a == b,
            (a, b) => {
                std::mem::discriminant(a) == std::mem::discriminant(b)
                    && a.parts().into_iter().zip(b.parts()).all(|(a, b)| a.same(b))
            }
        }
    }

    /// As `dyn` stands for `int`, in any part.
    fn at_most_as_special_as(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Dyn | Type::Var(_), _) => true,
            (_, Type::Dyn | Type::Var(_)) => false,
            (a, b) => {
                std::mem::discriminant(a) == std::mem::discriminant(b)
                    && a.parts().into_iter().zip(b.parts()).all(|(a, b)| a.at_most_as_special_as(b))
            }
        }
    }

    /// A signature's type with these in the place of its parameters.
    pub(crate) fn with(&self, vars: &[Type; 2]) -> Type {
        match self {
            Type::Var(id) => vars.get(*id as usize).cloned().unwrap_or(Type::Dyn),
            Type::List(of) => Type::list(of.with(vars)),
            Type::Optional(of) => Type::optional(of.with(vars)),
            Type::Map(keys, values) => Type::map(keys.with(vars), values.with(vars)),
            other => other.clone(),
        }
    }

    pub(crate) fn most_general(a: &Type, b: &Type) -> Type {
        if a.at_most_as_special_as(b) { a.clone() } else { b.clone() }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Type::Dyn | Type::Var(_) => "dyn",
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::Text => "string",
            Type::Bytes => "bytes",
            Type::Duration => "duration",
            Type::Timestamp => "timestamp",
            Type::Type => "type",
            Type::Record(_) => "object",
            Type::Opaque(name) => name,
            Type::List(of) => return write!(f, "list({of})"),
            Type::Map(keys, values) => return write!(f, "map({keys}, {values})"),
            Type::Optional(of) => return write!(f, "optional_type({of})"),
        };
        f.write_str(word)
    }
}

/// What the type parameters of a text stand for, as far as is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings {
    bound: AHashMap<u32, Type>,
    next: u32,
}

impl Bindings {
    pub(crate) fn fresh(&mut self) -> Type {
        self.next += 1;
        Type::Var(self.next)
    }

    /// With what is known put in; `finish` makes the rest `dyn`.
    pub(crate) fn put_in(&self, kind: &Type, finish: bool) -> Type {
        match kind {
            Type::Var(id) => match self.bound.get(id) {
                Some(bound) => self.put_in(bound, finish),
                None if finish => Type::Dyn,
                None => kind.clone(),
            },
            Type::List(of) => Type::list(self.put_in(of, finish)),
            Type::Optional(of) => Type::optional(self.put_in(of, finish)),
            Type::Map(keys, values) => Type::map(self.put_in(keys, finish), self.put_in(values, finish)),
            other => other.clone(),
        }
    }

    /// Whether each value may stand at its parameter; if so, what follows for the parameters is kept.
    pub(crate) fn all_fit(&mut self, given: &[Type], wanted: &[Type]) -> bool {
        if given.len() != wanted.len() {
            return false;
        }
        let mut tried = self.clone();
        let fits = given.iter().zip(wanted).all(|(given, wanted)| tried.fit(given, wanted));
        if fits {
            *self = tried;
        }
        fits
    }

    fn fit(&mut self, given: &Type, wanted: &Type) -> bool {
        if let Type::Var(id) = wanted {
            match self.bound.get(id).cloned() {
                Some(bound) => return self.widen(*id, given, &bound),
                None if self.bind(*id, given) => return true,
                None => {}
            }
        }
        if let Type::Var(id) = given {
            return match self.bound.get(id).cloned() {
                Some(bound) => self.widen(*id, wanted, &bound),
                None => self.bind(*id, wanted),
            };
        }
        match (given, wanted) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null | Type::Opaque(_) | Type::Optional(_) | Type::Record(_) | Type::Duration | Type::Timestamp
            ),
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => self.fit(a, b),
            (Type::Map(a, b), Type::Map(c, d)) => self.fit(a, c) && self.fit(b, d),
            (a, b) => a.same(b),
        }
    }

    fn widen(&mut self, id: u32, given: &Type, bound: &Type) -> bool {
        if bound.same(given) {
            return true;
        }
        if !self.fit(given, bound) {
            return false;
        }
        let general = Type::most_general(given, bound);
        self.bind(id, &general);
        true
    }

    fn bind(&mut self, id: u32, to: &Type) -> bool {
        if matches!(to, Type::Var(same) if *same == id) {
            return true;
        }
        if self.occurs(id, to) {
            return false;
        }
        self.bound.insert(id, to.clone());
        true
    }

    fn occurs(&self, id: u32, inside: &Type) -> bool {
        match inside {
            Type::Var(other) => *other == id || self.bound.get(other).is_some_and(|bound| self.occurs(id, bound)),
            other => other.parts().into_iter().any(|part| self.occurs(id, part)),
        }
    }
}
