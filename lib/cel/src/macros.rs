//! Calls that are no calls: `has`, and what binds a variable, as `all` and `map`. Knows no type.

use std::sync::Arc;

use crate::ast::{Expr, Fold, FoldKind, Kind};
use crate::parse::{Fault, Parsed};

pub(crate) fn global(at: usize, name: &str, mut args: Vec<Expr>) -> Parsed {
    if name == "has" && args.len() == 1 {
        return match args.remove(0).kind {
            Kind::Select { of, field, optional: false } => Ok(Expr::new(at, Kind::Has { of, field })),
            _ => Err(Fault::at(at, "invalid argument to has() macro")),
        };
    }
    Ok(Expr::call(at, name, None, args))
}

fn name_of(expr: &Expr) -> Result<Arc<str>, Fault> {
    match &expr.kind {
        Kind::Ident(name) => Ok(Arc::clone(name)),
        _ => Err(Fault::at(expr.at, "argument must be a simple name")),
    }
}

pub(crate) fn member(at: usize, target: Expr, name: &str, args: Vec<Expr>) -> Parsed {
    use FoldKind::{All, Exists, ExistsOne, Filter, Map, SortBy, TransformList, TransformMap, TransformMapEntry};
    // How many variables, and whether a filter stands before the body.
    let (kind, variables, filtered) = match (name, args.len()) {
        ("all", 2) => (All, 1, false),
        ("all", 3) => (All, 2, false),
        ("exists", 2) => (Exists, 1, false),
        ("exists", 3) => (Exists, 2, false),
        ("exists_one" | "existsOne", 2) => (ExistsOne, 1, false),
        ("exists_one" | "existsOne", 3) => (ExistsOne, 2, false),
        ("map", 2) => (Map, 1, false),
        ("map", 3) => (Map, 1, true),
        ("filter", 2) => (Filter, 1, false),
        ("sortBy", 2) => (SortBy, 1, false),
        ("transformList", 3) => (TransformList, 2, false),
        ("transformList", 4) => (TransformList, 2, true),
        ("transformMap", 3) => (TransformMap, 2, false),
        ("transformMap", 4) => (TransformMap, 2, true),
        ("transformMapEntry", 3) => (TransformMapEntry, 2, false),
        ("transformMapEntry", 4) => (TransformMapEntry, 2, true),
        ("optMap" | "optFlatMap", 2) => return opt_map(at, target, name == "optFlatMap", args),
        _ => return Ok(Expr::call(at, name, Some(target), args)),
    };
    let mut args = args.into_iter();
    let mut next = || args.next().ok_or_else(|| Fault::at(at, format!("`{name}` lacks an argument")));
    let first = name_of(&next()?)?;
    let second = if variables == 2 { Some(name_of(&next()?)?) } else { None };
    if second.as_ref() == Some(&first) {
        return Err(Fault::at(at, format!("duplicate variable name: {first}")));
    }
    let filter = if filtered { Some(next()?) } else { None };
    let body = next()?;
    Ok(Expr::new(at, Kind::Fold(Box::new(Fold { kind, over: target, first, second, filter, body }))))
}

fn opt_map(at: usize, target: Expr, flat: bool, mut args: Vec<Expr>) -> Parsed {
    let (body, variable) = (args.pop(), args.pop());
    let (Some(body), Some(variable)) = (body, variable) else {
        return Err(Fault::at(at, "an argument is missing"));
    };
    let name = name_of(&variable)?;
    Ok(Expr::new(at, Kind::OptMap { of: Box::new(target), name, body: Box::new(body), flat }))
}
