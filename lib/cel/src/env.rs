//! What an expression may use: functions, and names of types. A function is declared by its signatures as text, each on a line, as
//! `string.substring(int, int) -> string` or `size(list<A>) -> int`. Knows no function itself.

use std::sync::Arc;

use ahash::AHashMap;
use regex::Regex;

use crate::error::EvalError;
use crate::pattern;
use crate::types::Type;
use crate::value::Value;

/// What a function can reach while it runs: fuel, and patterns that are compiled already.
pub struct Cx<'a> {
    pub(crate) fuel: &'a mut u64,
    pub(crate) fuel_max: u64,
    pub(crate) ready: Option<&'a Arc<Regex>>,
}

impl Cx<'_> {
    /// Pays for work: about one for each step, or for ten characters.
    pub fn pay(&mut self, units: u64) -> Result<(), EvalError> {
        match self.fuel.checked_sub(units) {
            Some(left) => {
                *self.fuel = left;
                Ok(())
            }
            None => {
                *self.fuel = 0;
                Err(EvalError::Cost(self.fuel_max))
            }
        }
    }

    /// Pays for so many bytes of text.
    pub fn pay_text(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.pay(bytes as u64 / 10 + 1)
    }

    /// The pattern, compiled.
    pub fn regex(&mut self, text: &str) -> Result<Arc<Regex>, EvalError> {
        if let Some(ready) = self.ready {
            return Ok(Arc::clone(ready));
        }
        self.pay_text(text.len() * 40)?;
        pattern::pattern(text).map(Arc::new)
    }
}

/// Computes a function; the first argument is the target of a member call.
pub type Run = fn(&mut Cx<'_>, &[Value]) -> Result<Value, EvalError>;

/// A declaration.
#[derive(Clone, Copy)]
pub struct Function {
    /// One a line.
    pub signatures: &'static str,
    /// From which version of the embedder's environment on it may be used.
    pub since: u16,
    pub run: Run,
}

#[derive(Clone)]
pub(crate) struct Overload {
    pub(crate) member: bool,
    pub(crate) params: Vec<Type>,
    pub(crate) result: Type,
    pub(crate) since: u16,
    pub(crate) run: Run,
}

/// All overloads of a name.
#[derive(Clone)]
pub(crate) struct Overloads(pub(crate) Arc<Vec<Overload>>);

impl std::fmt::Debug for Overloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} overloads", self.0.len())
    }
}

/// Functions and types by name.
pub struct Env {
    functions: AHashMap<String, Overloads>,
    types: AHashMap<String, Arc<str>>,
}

impl Env {
    /// From declarations, and the further types that signatures and expressions may name.
    pub fn new(functions: impl IntoIterator<Item = Function>, opaque: &[&'static str]) -> Self {
        let mut all: AHashMap<String, Vec<Overload>> = AHashMap::new();
        for function in functions {
            for line in function.signatures.lines().map(str::trim).filter(|line| !line.is_empty()) {
                if let Some((name, mut overload)) = signature(line, opaque, function.run) {
                    overload.since = function.since;
                    all.entry(name).or_default().push(overload);
                }
            }
        }
        let own = [
            "bool",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "list",
            "map",
            "null_type",
            "type",
            "optional_type",
            "google.protobuf.Duration",
            "google.protobuf.Timestamp",
        ];
        let types = own.iter().chain(opaque).map(|name| ((*name).to_owned(), Arc::from(*name))).collect();
        Env { functions: all.into_iter().map(|(name, all)| (name, Overloads(Arc::new(all)))).collect(), types }
    }

    pub(crate) fn function(&self, name: &str) -> Option<&Overloads> {
        self.functions.get(name)
    }

    pub(crate) fn type_named(&self, name: &str) -> Option<&Arc<str>> {
        self.types.get(name)
    }

    /// Whether any function has the name, however it is called.
    pub fn knows(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }
}

/// `list<A>.slice(int, int) -> list<A>`. None of a line that is no signature; a test keeps all of them right.
fn signature(line: &str, opaque: &[&'static str], run: Run) -> Option<(String, Overload)> {
    let (head, result) = line.split_once(" -> ")?;
    let (before, rest) = head.split_once('(')?;
    let args = rest.strip_suffix(')')?;
    // A type stands before the last dot of a member; a name with a dot of its own has a lower-case first part that is no type.
    let (target, name) = match before.rsplit_once('.') {
        Some((target, name)) => match kind(target, opaque) {
            Some(target) => (Some(target), name),
            None => (None, before),
        },
        None => (None, before),
    };
    let mut params: Vec<Type> = target.iter().cloned().collect();
    for arg in split(args) {
        params.push(kind(arg.trim(), opaque)?);
    }
    let overload = Overload { member: target.is_some(), params, result: kind(result, opaque)?, since: 0, run };
    Some((name.to_owned(), overload))
}

/// At the commas outside `<…>`.
fn split(args: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in args.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                out.extend(args.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    out.extend(args.get(start..).filter(|rest| !rest.trim().is_empty()));
    out
}

fn kind(word: &str, opaque: &[&'static str]) -> Option<Type> {
    if let Some((outer, inner)) = word.strip_suffix('>').and_then(|word| word.split_once('<')) {
        let parts: Option<Vec<Type>> = split(inner).into_iter().map(|part| kind(part.trim(), opaque)).collect();
        return match (outer, parts?.as_slice()) {
            ("list", [items]) => Some(Type::list(items.clone())),
            ("optional", [of]) => Some(Type::optional(of.clone())),
            ("map", [keys, values]) => Some(Type::map(keys.clone(), values.clone())),
            _ => None,
        };
    }
    Some(match word {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "dyn" => Type::Dyn,
        "type" => Type::Type,
        "null" => Type::Null,
        "A" => Type::Var(0),
        "B" => Type::Var(1),
        other => Type::Opaque(opaque.iter().find(|name| **name == other)?),
    })
}
