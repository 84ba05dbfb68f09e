//! Types of a parsed text: every name is declared, every call has an overload that takes its arguments. The tree is changed in place: names with dots
//! are put together, calls get their overloads. The words are cel-go's.

use std::sync::Arc;

use crate::ast::{Call, Expr, Fold, FoldKind, Kind};
use crate::env::{Env, Overload, Overloads};
use crate::literal::{literal, literals};
use crate::parse::Fault;
use crate::types::{Bindings, Type};
use crate::value::Value;

/// From which version of the environment a macro may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MacrosSince {
    pub(crate) two_variables: u16,
    pub(crate) sort_by: u16,
}

pub(crate) struct Checker<'e> {
    pub(crate) env: &'e Env,
    pub(crate) version: u16,
    pub(crate) macros: MacrosSince,
    pub(crate) scope: Vec<(Arc<str>, Type)>,
    pub(crate) bindings: Bindings,
    /// Names of variables that were used, outer ones first met.
    pub(crate) used: Vec<Arc<str>>,
    /// Inside the arguments of `format`, whose lists may hold what they like.
    pub(crate) mixed: bool,
}

type Checked = Result<Type, Fault>;

fn undeclared(at: usize, name: &str) -> Fault {
    Fault::at(at, format!("undeclared reference to '{name}' (in container '')"))
}

impl Checker<'_> {
    fn variable(&mut self, name: &str) -> Option<Type> {
        let (name, kind) = self.scope.iter().rev().find(|(known, _)| &**known == name)?.clone();
        if !self.used.contains(&name) {
            self.used.push(name);
        }
        Some(kind)
    }

    fn fits(&mut self, given: &Type, wanted: &Type) -> bool {
        self.bindings.all_fit(std::slice::from_ref(given), std::slice::from_ref(wanted))
    }

    fn want(&mut self, at: usize, given: &Type, wanted: &Type) -> Result<(), Fault> {
        if self.fits(given, wanted) {
            return Ok(());
        }
        let given = self.bindings.put_in(given, true);
        Err(Fault::at(at, format!("expected type '{wanted}' but found '{given}'")))
    }

    /// The type with what is known of it.
    fn known(&self, kind: &Type) -> Type {
        self.bindings.put_in(kind, false)
    }

    pub(crate) fn check(&mut self, expr: &mut Expr) -> Checked {
        let kind = self.checked(expr)?;
        expr.of = kind.clone();
        Ok(kind)
    }

    fn checked(&mut self, expr: &mut Expr) -> Checked {
        let at = expr.at;
        if matches!(expr.kind, Kind::Select { .. })
            && let Some(name) = expr.dotted()
            && let Some(kind) = self.env.type_named(&name)
        {
            let root = name.split('.').next().unwrap_or("");
            if !self.scope.iter().any(|(known, _)| &**known == root) {
                expr.kind = Kind::Literal(Value::Type(Arc::clone(kind)));
                return Ok(Type::Type);
            }
        }
        match &mut expr.kind {
            Kind::Literal(value) => Ok(literal(value)),
            Kind::Ident(name) => {
                if let Some(kind) = self.variable(name) {
                    return Ok(kind);
                }
                let kind = self.env.type_named(name).ok_or_else(|| undeclared(at, name))?;
                expr.kind = Kind::Literal(Value::Type(Arc::clone(kind)));
                Ok(Type::Type)
            }
            Kind::Select { of, field, optional } => {
                let of = self.check(of)?;
                let (field, optional) = (Arc::clone(field), *optional);
                self.select(at, &of, &field, optional)
            }
            Kind::Has { of, field } => {
                let of = self.check(of)?;
                let field = Arc::clone(field);
                self.select(at, &of, &field, false)?;
                Ok(Type::Bool)
            }
            Kind::Index { of, key, optional } => {
                let (of, key) = (self.check(of)?, self.check(key)?);
                let optional = *optional;
                self.index(at, &of, &key, optional)
            }
            Kind::Call(call) => self.call(at, call),
            Kind::List(items) => {
                let mut of = None;
                for (optional, item) in items {
                    let (at, kind) = (item.at, self.check(item)?);
                    let kind = self.unwrapped(at, kind, *optional)?;
                    of = Some(self.joined(at, of, kind)?);
                }
                Ok(Type::list(of.unwrap_or_else(|| self.bindings.fresh())))
            }
            Kind::Map(pairs) => {
                let (mut keys, mut values) = (None, None);
                for (optional, key, value) in pairs {
                    let (key_at, key_kind) = (key.at, self.check(key)?);
                    keys = Some(self.joined(key_at, keys, key_kind)?);
                    let (at, kind) = (value.at, self.check(value)?);
                    let kind = self.unwrapped(at, kind, *optional)?;
                    values = Some(self.joined(at, values, kind)?);
                }
                let keys = keys.unwrap_or_else(|| self.bindings.fresh());
                Ok(Type::map(keys, values.unwrap_or_else(|| self.bindings.fresh())))
            }
            Kind::And(all) | Kind::Or(all) => {
                for one in all {
                    let (at, kind) = (one.at, self.check(one)?);
                    self.want(at, &kind, &Type::Bool)?;
                }
                Ok(Type::Bool)
            }
            Kind::If(parts) => {
                let [test, yes, no] = &mut **parts;
                let kinds = [self.check(test)?, self.check(yes)?, self.check(no)?];
                let either = self.bindings.fresh();
                if !self.bindings.all_fit(&kinds, &[Type::Bool, either.clone(), either.clone()]) {
                    return Err(self.no_overload(at, "_?_:_", &kinds, false));
                }
                Ok(self.known(&either))
            }
            Kind::Fold(fold) => self.fold(at, fold),
            Kind::OptMap { of, name, body, flat } => {
                let inner = self.check(of)?;
                let value = self.bindings.fresh();
                self.want(at, &inner, &Type::optional(value.clone()))?;
                self.scope.push((Arc::clone(name), self.known(&value)));
                let (body_at, result) = (body.at, self.check(body)?);
                self.scope.pop();
                if !*flat {
                    return Ok(Type::optional(result));
                }
                let value = self.bindings.fresh();
                self.want(body_at, &result, &Type::optional(value.clone()))?;
                Ok(Type::optional(self.known(&value)))
            }
        }
    }

    /// What an optional item holds.
    fn unwrapped(&mut self, at: usize, kind: Type, optional: bool) -> Checked {
        if !optional {
            return Ok(kind);
        }
        let value = self.bindings.fresh();
        self.want(at, &kind, &Type::optional(value.clone()))?;
        Ok(self.known(&value))
    }

    /// The items of a literal are of one type.
    fn joined(&mut self, at: usize, before: Option<Type>, kind: Type) -> Checked {
        let Some(before) = before else { return Ok(kind) };
        if self.fits(&before, &kind) {
            return Ok(Type::most_general(&self.known(&before), &self.known(&kind)));
        }
        if self.mixed {
            return Ok(Type::Dyn);
        }
        let (before, kind) = (self.bindings.put_in(&before, true), self.bindings.put_in(&kind, true));
        Err(Fault::at(at, format!("expected type '{before}' but found '{kind}'")))
    }

    fn select(&mut self, at: usize, of: &Type, field: &str, optional: bool) -> Checked {
        let of = self.known(of);
        let (inner, already) = match &of {
            Type::Optional(inner) => (self.known(inner), true),
            other => (other.clone(), false),
        };
        let found = match &inner {
            Type::Map(_, values) => (**values).clone(),
            Type::Record(record) => {
                record.fields.get(field).cloned().ok_or_else(|| Fault::at(at, format!("undefined field '{field}'")))?
            }
            Type::Var(_) => {
                self.fits(&Type::Dyn, &inner);
                Type::Dyn
            }
            Type::Dyn => Type::Dyn,
            other => {
                return Err(Fault::at(at, format!("type '{other}' does not support field selection")));
            }
        };
        Ok(if already || optional { Type::optional(found) } else { found })
    }

    fn index(&mut self, at: usize, of: &Type, key: &Type, optional: bool) -> Checked {
        let (a, b) = (self.bindings.fresh(), self.bindings.fresh());
        let inner = match self.known(of) {
            Type::Optional(inner) => Some((*inner).clone()),
            _ => None,
        };
        let wrapped = inner.is_some();
        let base = inner.unwrap_or_else(|| of.clone());
        let as_list = self.bindings.all_fit(&[base.clone(), key.clone()], &[Type::list(a.clone()), Type::Int]);
        let found = if as_list && !self.known(of).is_dyn() {
            self.known(&a)
        } else if self.bindings.all_fit(&[base, key.clone()], &[Type::map(a.clone(), b.clone()), a]) {
            if as_list { Type::Dyn } else { self.known(&b) }
        } else if as_list {
            Type::Dyn
        } else {
            let name = if optional { "_[?_]" } else { "_[_]" };
            return Err(self.no_overload(at, name, &[of.clone(), key.clone()], false));
        };
        Ok(if optional || wrapped { Type::optional(found) } else { found })
    }

    fn no_overload(&self, at: usize, name: &str, given: &[Type], member: bool) -> Fault {
        let words: Vec<String> = given.iter().map(|kind| self.bindings.put_in(kind, true).to_string()).collect();
        let applied = match (words.split_first(), member) {
            (Some((target, rest)), true) => format!("{target}.({})", rest.join(", ")),
            _ => format!("({})", words.join(", ")),
        };
        Fault::at(at, format!("found no matching overload for '{name}' applied to '{applied}'"))
    }

    fn call(&mut self, at: usize, call: &mut Call) -> Checked {
        // `ip.isCanonical(x)` is a function's name with a dot, if nothing nearer has the first part's name.
        if let Some(name) = call.target.as_ref().and_then(Expr::dotted) {
            let full = format!("{name}.{}", call.name);
            let root = name.split('.').next().unwrap_or("");
            if self.env.knows(&full) && !self.scope.iter().any(|(known, _)| &**known == root) {
                call.name = full.into();
                call.target = None;
            }
        }
        let mut given = Vec::new();
        if let Some(target) = &mut call.target {
            given.push(self.check(target)?);
        }
        let outer = self.mixed;
        self.mixed |= &*call.name == "format" && call.target.is_some();
        for arg in &mut call.args {
            given.push(self.check(arg)?);
        }
        self.mixed = outer;
        let all = self.env.function(&call.name).ok_or_else(|| undeclared(at, &call.name))?;
        let version = self.version;
        if all.0.iter().all(|overload| overload.since > version) {
            return Err(undeclared(at, &call.name));
        }
        let member = call.target.is_some();
        let mut result: Option<Type> = None;
        let mut taken: Vec<Overload> = Vec::new();
        for overload in all.0.iter().filter(|overload| overload.member == member && overload.since <= version) {
            let vars = [self.bindings.fresh(), self.bindings.fresh()];
            let params: Vec<Type> = overload.params.iter().map(|kind| kind.with(&vars)).collect();
            if !self.bindings.all_fit(&given, &params) {
                continue;
            }
            let found = self.known(&overload.result.with(&vars));
            result = Some(match result {
                None => found,
                Some(before) if before.same(&found) => before,
                Some(_) => Type::Dyn,
            });
            taken.push(overload.clone());
        }
        let Some(result) = result else { return Err(self.no_overload(at, &call.name, &given, member)) };
        call.overloads = Some(Overloads(Arc::new(taken)));
        literals(call)?;
        Ok(result)
    }

    fn fold(&mut self, at: usize, fold: &mut Fold) -> Checked {
        let needs = match (fold.kind, &fold.second) {
            (FoldKind::SortBy, _) => self.macros.sort_by,
            (_, Some(_)) => self.macros.two_variables,
            _ => 0,
        };
        if needs > self.version {
            return Err(Fault::at(at, "undeclared reference to a macro (in container '')"));
        }
        let over = self.check(&mut fold.over)?;
        let over = self.known(&over);
        let (key, value) = match &over {
            Type::List(items) => (Type::Int, (**items).clone()),
            Type::Map(keys, values) => ((**keys).clone(), (**values).clone()),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::Var(_) => {
                self.fits(&Type::Dyn, &over);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                let what = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return Err(Fault::at(fold.over.at, what));
            }
        };
        let depth = self.scope.len();
        match &fold.second {
            Some(second) => {
                self.scope.push((Arc::clone(&fold.first), key.clone()));
                self.scope.push((Arc::clone(second), value));
            }
            None => {
                let item = if matches!(over, Type::Map(..)) { key.clone() } else { value };
                self.scope.push((Arc::clone(&fold.first), item));
            }
        }
        if let Some(filter) = &mut fold.filter {
            let (at, kind) = (filter.at, self.check(filter)?);
            self.want(at, &kind, &Type::Bool)?;
        }
        let (body_at, body) = (fold.body.at, self.check(&mut fold.body)?);
        self.scope.truncate(depth);
        match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => {
                self.want(body_at, &body, &Type::Bool)?;
                Ok(Type::Bool)
            }
            FoldKind::Filter => {
                self.want(body_at, &body, &Type::Bool)?;
                Ok(match over {
                    Type::Map(keys, _) => Type::List(keys),
                    list @ Type::List(_) => list,
                    _ => Type::list(Type::Dyn),
                })
            }
            FoldKind::Map | FoldKind::TransformList => Ok(Type::list(body)),
            FoldKind::SortBy => Ok(over),
            FoldKind::TransformMap => Ok(Type::map(key, body)),
            FoldKind::TransformMapEntry => Ok(body),
        }
    }
}
