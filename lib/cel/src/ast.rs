//! The tree of an expression, as it is parsed and then checked in place. Knows neither text nor types.

use std::sync::Arc;

use regex::Regex;

use crate::env::Overloads;
use crate::types::Type;
use crate::value::Value;

/// A node with the byte of the text that it is told at.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
    /// Of which type it is; `dyn` before the check.
    pub(crate) of: Type,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Literal(Value),
    Ident(Arc<str>),
    Select {
        of: Box<Expr>,
        field: Arc<str>,
        optional: bool,
    },
    /// `has(of.field)`.
    Has {
        of: Box<Expr>,
        field: Arc<str>,
    },
    Index {
        of: Box<Expr>,
        key: Box<Expr>,
        optional: bool,
    },
    Call(Box<Call>),
    /// Each item with whether it is optional, as `[?a, b]`.
    List(Vec<(bool, Expr)>),
    Map(Vec<(bool, Expr, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    If(Box<[Expr; 3]>),
    Fold(Box<Fold>),
    /// `optMap` and, where `flat`, `optFlatMap`.
    OptMap {
        of: Box<Expr>,
        name: Arc<str>,
        body: Box<Expr>,
        flat: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: Arc<str>,
    pub(crate) target: Option<Expr>,
    pub(crate) args: Vec<Expr>,
    /// Set by the check.
    pub(crate) overloads: Option<Overloads>,
    /// A pattern that stands there as a literal.
    pub(crate) pattern: Option<Arc<Regex>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    SortBy,
    TransformList,
    TransformMap,
    TransformMapEntry,
}

/// A macro over the items of a list or the keys of a map.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) kind: FoldKind,
    pub(crate) over: Expr,
    pub(crate) first: Arc<str>,
    /// Of the forms with two variables.
    pub(crate) second: Option<Arc<str>>,
    pub(crate) filter: Option<Expr>,
    pub(crate) body: Expr,
}

impl Expr {
    pub(crate) fn new(at: usize, kind: Kind) -> Self {
        Expr { at, kind, of: Type::Dyn }
    }

    pub(crate) fn call(at: usize, name: &str, target: Option<Expr>, args: Vec<Expr>) -> Self {
        Expr::new(at, Kind::Call(Box::new(Call { name: name.into(), target, args, overloads: None, pattern: None })))
    }

    /// Does something with each part of it and with itself.
    pub(crate) fn each(&mut self, does: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            Kind::Literal(_) | Kind::Ident(_) => {}
            Kind::Select { of, .. } | Kind::Has { of, .. } => of.each(does),
            Kind::Index { of, key, .. } => {
                of.each(does);
                key.each(does);
            }
            Kind::Call(call) => call.target.iter_mut().chain(&mut call.args).for_each(|one| one.each(does)),
            Kind::List(items) => items.iter_mut().for_each(|(_, one)| one.each(does)),
            Kind::Map(pairs) => pairs.iter_mut().for_each(|(_, key, value)| {
                key.each(does);
                value.each(does);
            }),
            Kind::And(all) | Kind::Or(all) => all.iter_mut().for_each(|one| one.each(does)),
            Kind::If(parts) => parts.iter_mut().for_each(|one| one.each(does)),
            Kind::Fold(fold) => {
                fold.over.each(does);
                fold.filter.iter_mut().for_each(|one| one.each(does));
                fold.body.each(does);
            }
            Kind::OptMap { of, body, .. } => {
                of.each(does);
                body.each(does);
            }
        }
        does(self);
    }

    /// `a.b.c`, where nothing but names stand there.
    pub(crate) fn dotted(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some(name.to_string()),
            Kind::Select { of, field, optional: false } => Some(format!("{}.{field}", of.dotted()?)),
            _ => None,
        }
    }
}
