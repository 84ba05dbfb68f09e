//! A checked tree to its value. Errors are values of `&&`, `||`: the other side may decide. Knows no function; each is called by its overloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Call, Expr, Kind};
use crate::env::Cx;
use crate::error::EvalError;
use crate::library::double_text;
use crate::value::{Key, Value};

pub(crate) struct Evaluation<'f> {
    pub(crate) scope: Vec<(Arc<str>, Value)>,
    pub(crate) fuel: &'f mut u64,
    pub(crate) fuel_max: u64,
}

pub(crate) type Evaluated = Result<Value, EvalError>;

/// A value that must be true or false.
pub(crate) fn truth(value: Evaluated) -> Result<bool, EvalError> {
    match value? {
        Value::Bool(value) => Ok(value),
        other => Err(EvalError::NoOverload(format!("{} is no bool", other.type_name()))),
    }
}

impl Evaluation<'_> {
    pub(crate) fn pay(&mut self, units: u64) -> Result<(), EvalError> {
        Cx { fuel: self.fuel, fuel_max: self.fuel_max, ready: None }.pay(units)
    }

    pub(crate) fn value(&mut self, expr: &Expr) -> Evaluated {
        match &expr.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Ident(name) => self.variable(name),
            Kind::Select { of, field, optional } => {
                let of = self.value(of)?;
                self.pay(1)?;
                select(&of, field, *optional)
            }
            Kind::Has { of, field } => self.has(of, field),
            Kind::Index { of, key, optional } => {
                let (of, key) = (self.value(of)?, self.value(key)?);
                self.pay(1)?;
                index(&of, &key, *optional)
            }
            Kind::Call(call) => self.call(call),
            Kind::List(items) => self.list(items),
            Kind::Map(pairs) => self.map(pairs),
            Kind::And(all) => self.decided(all, false),
            Kind::Or(all) => self.decided(all, true),
            Kind::If(parts) => {
                let [test, yes, no] = &**parts;
                if truth(self.value(test))? { self.value(yes) } else { self.value(no) }
            }
            Kind::Fold(fold) => self.fold(fold),
            Kind::OptMap { of, name, body, flat } => self.opt_map(of, name, body, *flat),
        }
    }

    fn variable(&mut self, name: &Arc<str>) -> Evaluated {
        self.pay(1)?;
        let found = self.scope.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| EvalError::fails(format!("no such attribute(s): {name}")))
    }

    /// The first that is `decides` settles it, whatever is wrong elsewhere.
    fn decided(&mut self, all: &[Expr], decides: bool) -> Evaluated {
        let mut wrong = None;
        for one in all {
            match truth(self.value(one)) {
                Ok(value) if value == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(error @ EvalError::Cost(_)) => return Err(error),
                // What cannot be told outweighs what fails: the whole cannot be told then.
                Err(error @ EvalError::Unknown(_)) => wrong = Some(error),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        wrong.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn has(&mut self, of: &Expr, field: &Arc<str>) -> Evaluated {
        let of = self.value(of)?;
        Ok(Value::Bool(match &of {
            Value::Map(map) => map.contains_key(&Key::Text(Arc::clone(field))),
            Value::Optional(None) => false,
            Value::Optional(Some(of)) => match &**of {
                Value::Map(map) => map.contains_key(&Key::Text(Arc::clone(field))),
                _ => return Err(EvalError::NoOverload("has".to_owned())),
            },
            _ => return Err(EvalError::NoOverload("has".to_owned())),
        }))
    }

    fn call(&mut self, call: &Call) -> Evaluated {
        let mut given = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            given.push(self.value(target)?);
        }
        for arg in &call.args {
            given.push(self.value(arg)?);
        }
        self.pay(1)?;
        let mut cx = Cx { fuel: self.fuel, fuel_max: self.fuel_max, ready: call.pattern.as_ref() };
        let overloads = call.overloads.as_ref().map(|all| all.0.as_slice()).unwrap_or_default();
        let mut last: Option<crate::env::Run> = None;
        for overload in overloads {
            // Overloads of one declaration share their function.
            if last.is_some_and(|last| std::ptr::fn_addr_eq(last, overload.run)) {
                continue;
            }
            match (overload.run)(&mut cx, &given) {
                Err(EvalError::NoOverload(_)) => last = Some(overload.run),
                done => return done,
            }
        }
        Err(EvalError::NoOverload(call.name.to_string()))
    }

    fn list(&mut self, items: &[(bool, Expr)]) -> Evaluated {
        self.pay(10)?;
        let mut out = Vec::with_capacity(items.len());
        for (optional, item) in items {
            out.extend(present(self.value(item)?, *optional));
        }
        Ok(out.into())
    }

    fn map(&mut self, pairs: &[(bool, Expr, Expr)]) -> Evaluated {
        self.pay(30)?;
        let mut out = BTreeMap::new();
        for (optional, key, value) in pairs {
            let key = self.value(key)?;
            let key =
                key.key().ok_or_else(|| EvalError::fails(format!("unsupported key type: {}", key.type_name())))?;
            if let Some(value) = present(self.value(value)?, *optional) {
                out.insert(key, value);
            }
        }
        Ok(Value::Map(Arc::new(out)))
    }

    fn opt_map(&mut self, of: &Expr, name: &Arc<str>, body: &Expr, flat: bool) -> Evaluated {
        match self.value(of)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => {
                self.scope.push((Arc::clone(name), (*inner).clone()));
                let result = self.value(body);
                self.scope.pop();
                if flat { result } else { result.map(Value::some) }
            }
            other => Err(EvalError::NoOverload(other.type_name().to_owned())),
        }
    }
}

fn present(value: Value, optional: bool) -> Option<Value> {
    match (optional, value) {
        (true, Value::Optional(inner)) => inner.map(|inner| (*inner).clone()),
        (_, value) => Some(value),
    }
}

fn select(of: &Value, field: &Arc<str>, optional: bool) -> Evaluated {
    index(of, &Value::Text(Arc::clone(field)), optional)
}

/// A part of a list, a map or an optional of these.
pub(crate) fn index(of: &Value, key: &Value, optional: bool) -> Evaluated {
    let found = match of {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(of)) => {
            return part(of, key).map(|found| found.map_or(Value::Optional(None), Value::some));
        }
        of => part(of, key)?,
    };
    match (found, optional) {
        (found, true) => Ok(found.map_or(Value::Optional(None), Value::some)),
        (Some(found), false) => Ok(found),
        (None, false) => Err(match (of, key) {
            (Value::List(_), Value::Int(at)) => EvalError::fails(format!("index out of bounds: {at}")),
            (_, Value::Text(text)) => EvalError::fails(format!("no such key: {text}")),
            (_, Value::Int(number)) => EvalError::fails(format!("no such key: {number}")),
            (_, Value::Uint(number)) => EvalError::fails(format!("no such key: {number}")),
            (_, Value::Double(number)) => EvalError::fails(format!("no such key: {}", double_text(*number))),
            (_, Value::Bool(value)) => EvalError::fails(format!("no such key: {value}")),
            _ => EvalError::fails("no such key"),
        }),
    }
}

fn part(of: &Value, key: &Value) -> Result<Option<Value>, EvalError> {
    match of {
        Value::Map(map) => Ok(key.key().and_then(|key| map.get(&key)).cloned()),
        Value::List(list) => match key.key() {
            Some(Key::Int(at)) if !matches!(key, Value::Text(_)) => {
                Ok(usize::try_from(at).ok().and_then(|at| list.items.get(at)).cloned())
            }
            Some(Key::Uint(_)) => Ok(None),
            _ => Err(EvalError::NoOverload(format!("a list has no `{}`", key.type_name()))),
        },
        other => Err(EvalError::NoOverload(format!("{} has no parts", other.type_name()))),
    }
}
