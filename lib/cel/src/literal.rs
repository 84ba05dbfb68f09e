//! What stands in a text as a literal: its type, and whether a function can take it at all. Knows no tree but a call.

use std::sync::Arc;

use crate::ast::{Call, Expr, Kind};
use crate::error::EvalError;
use crate::parse::Fault;
use crate::pattern::pattern;
use crate::types::Type;
use crate::value::Value;

/// The type of a value that stands in a text.
pub(crate) fn literal(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::Text(_) => Type::Text,
        Value::Bytes(_) => Type::Bytes,
        Value::Type(_) => Type::Type,
        _ => Type::Dyn,
    }
}

/// Patterns, durations and timestamps that stand there as literals are looked at before anything runs; patterns are compiled once.
pub(crate) fn literals(call: &mut Call) -> Result<(), Fault> {
    let text_of = |expr: Option<&Expr>| match expr.map(|expr| (expr.at, &expr.kind)) {
        Some((at, Kind::Literal(Value::Text(text)))) => Some((at, Arc::clone(text))),
        _ => None,
    };
    match &*call.name {
        "matches" | "find" | "findAll" => {
            let place = if call.target.is_some() { 0 } else { 1 };
            if let Some((at, text)) = text_of(call.args.get(place)) {
                match pattern(&text) {
                    Ok(regex) => call.pattern = Some(Arc::new(regex)),
                    Err(EvalError::Fails(_)) if &*call.name == "matches" => {
                        return Err(Fault::at(at, "invalid matches argument"));
                    }
                    Err(_) => {}
                }
            }
        }
        "duration" | "timestamp" if call.target.is_none() => {
            if let Some((at, text)) = text_of(call.args.first()) {
                let fine = match &*call.name {
                    "duration" => crate::duration(&text).is_some(),
                    _ => crate::timestamp(&text).is_some(),
                };
                if !fine {
                    return Err(Fault::at(at, format!("invalid {} argument", call.name)));
                }
            }
        }
        _ => {}
    }
    Ok(())
}
