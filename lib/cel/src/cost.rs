//! What an expression costs at most, before anybody evaluates it: cel-go's estimate over a checked text (`checker/cost.go`), with the functions that
//! Kubernetes' API server estimates by itself (`pkg/cel/library/cost.go`). How large the variables may be is the embedder's to say. Evaluates nothing.
//!
//! Only the greatest cost is kept. Macros are counted as the loops that cel-go makes of them. Paths are what the server's are, a shared and overwritten
//! end of a list included: the estimate decides which definitions a server takes, so it has to be the same one.

mod calls;
mod path;
mod size;

use std::sync::Arc;

use crate::ast::{Expr, Fold, FoldKind, Kind};
use crate::types::Type;
use crate::value::Value;
use path::Path;
pub use size::Size;
use size::{add, times};

/// How many elements (characters, items, pairs) what stands at a path may have: `self`, then names of fields, `@items`, `@keys` or `@values`. None where
/// nothing is known of it.
pub type Sizes<'s> = &'s dyn Fn(&[Arc<str>]) -> Option<Size>;

const TEXT_FACTOR: f64 = 0.1;
const LIST_COST: u64 = 10;
const MAP_COST: u64 = 30;

/// What the items of a list, or the keys and values of a map, may have.
#[derive(Debug, Clone, Copy)]
struct Entry {
    is_list: bool,
    key: Size,
    value: Size,
}

impl Entry {
    fn union(one: Option<Entry>, other: Option<Entry>) -> Option<Entry> {
        let (one, other) = (one?, other?);
        Some(Entry { key: one.key.union(other.key), value: one.value.union(other.value), ..one })
    }
}

/// What is known of a part that was counted.
#[derive(Debug, Clone, Default)]
struct Told {
    cost: u64,
    path: Path,
    /// What was found out about its size.
    size: Option<Size>,
    entry: Option<Entry>,
}

impl Told {
    fn of(cost: u64) -> Told {
        Told { cost, ..Told::default() }
    }
}

#[derive(Debug)]
struct Local {
    name: Arc<str>,
    path: Path,
    size: Option<Size>,
    entry: Option<Entry>,
}

struct Coster<'s> {
    sizes: Sizes<'s>,
    locals: Vec<Local>,
}

/// The greatest cost.
pub(crate) fn estimate(expr: &Expr, sizes: Sizes<'_>) -> u64 {
    Coster { sizes, locals: Vec::new() }.cost(expr).cost
}

fn is_scalar(kind: &Type) -> bool {
    match kind {
        Type::Bool | Type::Double | Type::Duration | Type::Int | Type::Timestamp | Type::Uint => true,
        Type::Optional(of) => is_scalar(of),
        _ => false,
    }
}

impl Coster<'_> {
    fn local(&self, expr: &Expr) -> Option<&Local> {
        let Kind::Ident(name) = &expr.kind else { return None };
        self.locals.iter().rev().find(|local| local.name == *name)
    }

    /// Of a part that was counted; what a path says is kept.
    fn size(&self, expr: &Expr, told: &mut Told) -> Option<Size> {
        if told.size.is_some() {
            return told.size;
        }
        let own = match &expr.kind {
            Kind::Literal(Value::Text(text)) => Some(text.chars().count()),
            Kind::Literal(Value::Bytes(bytes)) => Some(bytes.len()),
            Kind::Literal(Value::Type(_)) => None,
            Kind::Literal(_) => Some(1),
            Kind::List(items) => Some(items.len()),
            Kind::Map(pairs) => Some(pairs.len()),
            _ => None,
        };
        if let Some(count) = own {
            return Some(Size::fixed(count as u64));
        }
        if let Some(size) = self.at(&told.path) {
            told.size = Some(size);
            return told.size;
        }
        if is_scalar(&expr.of) {
            return Some(Size::fixed(1));
        }
        self.local(expr).and_then(|local| local.size)
    }

    fn at(&self, path: &Path) -> Option<Size> {
        let names = path.names();
        if names.is_empty() { None } else { (self.sizes)(&names) }
    }

    fn known_size(&self, expr: &Expr, told: &mut Told) -> Size {
        self.size(expr, told).unwrap_or(Size::UNKNOWN)
    }

    fn cost(&mut self, expr: &Expr) -> Told {
        match &expr.kind {
            Kind::Literal(Value::Type(name)) => Told { path: Path::of(name), ..Told::of(1) },
            Kind::Literal(_) => Told::of(0),
            Kind::Ident(name) => match self.local(expr) {
                Some(local) => Told { path: local.path.clone(), entry: local.entry, ..Told::of(1) },
                None => Told { path: Path::of(name), ..Told::of(1) },
            },
            Kind::Select { of, optional: true, .. } => Told::of(add(self.cost(of).cost, 1)),
            Kind::Select { of, field, optional: false } => {
                let inner = self.cost(of);
                let own = u64::from(matches!(of.of, Type::Map(..) | Type::Record(_)));
                Told { path: inner.path.with(field), ..Told::of(add(inner.cost, own)) }
            }
            Kind::Has { of, .. } => Told::of(self.cost(of).cost),
            Kind::Index { of, key, optional } => self.index(expr, of, key, *optional),
            Kind::Call(call) => self.call(expr, call),
            Kind::List(items) => {
                let (mut cost, mut size) = (LIST_COST, None::<Size>);
                for (_, item) in items {
                    let mut told = self.cost(item);
                    cost = add(cost, told.cost);
                    let own = self.known_size(item, &mut told);
                    size = Some(size.map_or(own, |size| size.union(own)));
                }
                let value = size.unwrap_or(Size::fixed(0));
                Told { entry: Some(Entry { is_list: true, key: Size::fixed(1), value }), ..Told::of(cost) }
            }
            Kind::Map(pairs) => {
                let (mut cost, mut sizes) = (MAP_COST, None::<(Size, Size)>);
                for (_, key, value) in pairs {
                    let (mut one, mut other) = (self.cost(key), self.cost(value));
                    cost = add(cost, add(one.cost, other.cost));
                    let own = (self.known_size(key, &mut one), self.known_size(value, &mut other));
                    sizes = Some(sizes.map_or(own, |(key, value)| (key.union(own.0), value.union(own.1))));
                }
                let (key, value) = sizes.unwrap_or((Size::fixed(0), Size::fixed(0)));
                Told { entry: Some(Entry { is_list: false, key, value }), ..Told::of(cost) }
            }
            Kind::And(all) | Kind::Or(all) => {
                let mut cost = 0;
                for one in all {
                    cost = add(cost, self.cost(one).cost);
                }
                Told::of(cost)
            }
            Kind::If(parts) => {
                let [test, yes, no] = &**parts;
                let (test, mut one, mut other) = (self.cost(test), self.cost(yes), self.cost(no));
                let size = self.known_size(yes, &mut one).union(self.known_size(no, &mut other));
                let entry = Entry::union(one.entry, other.entry);
                Told { size: Some(size), entry, ..Told::of(add(test.cost, one.cost.max(other.cost))) }
            }
            Kind::Fold(fold) => self.fold(fold),
            Kind::OptMap { of, name, body, flat } => self.opt_map(of, name, body, *flat),
        }
    }

    fn index(&mut self, expr: &Expr, of: &Expr, key: &Expr, optional: bool) -> Told {
        let mut base = self.cost(of);
        // The operands are looked at as they are counted.
        self.size(of, &mut base);
        let key = self.cost(key);
        let mut told = Told::of(add(1, add(base.cost, key.cost)));
        let last = match &of.of {
            _ if optional => None,
            Type::List(_) => Some("@items"),
            Type::Map(..) | Type::Dyn => Some("@values"),
            _ => None,
        };
        if let Some(last) = last {
            told.path = base.path.with(&Arc::from(last));
            told.size = base.entry.map(|entry| entry.value);
        }
        told.size = self.size(expr, &mut told);
        told
    }

    /// `of.hasValue() ? optional.of(body with name = of.value()) : optional.none()`.
    fn opt_map(&mut self, of: &Expr, name: &Arc<str>, body: &Expr, flat: bool) -> Told {
        let target = self.cost(of).cost;
        let has = add(target, 1);
        let value = match &of.of {
            Type::Optional(value) if is_scalar(value) => Some(Size::fixed(1)),
            _ => None,
        };
        // The target stands there twice; counting it twice would double with each one around it.
        let bound = add(LIST_COST, add(target, 1));
        self.locals.push(Local { name: Arc::clone(name), path: Path::default(), size: value, entry: None });
        let body = self.cost(body);
        self.locals.pop();
        let bound = add(bound, body.cost);
        let made = if flat { bound } else { add(bound, 1) };
        Told::of(add(has, made.max(1)))
    }

    /// A variable over the items of a range, or its keys.
    fn over(&self, name: &Arc<str>, range: &Expr, told: &Told, of_key: Option<bool>) -> Local {
        let is_list = told.entry.map_or(matches!(range.of, Type::List(_)), |entry| entry.is_list);
        let (size, last) = match of_key.unwrap_or(!is_list) {
            true => (told.entry.map(|entry| entry.key), if is_list { "@indices" } else { "@keys" }),
            false => (told.entry.map(|entry| entry.value), if is_list { "@items" } else { "@values" }),
        };
        Local { name: Arc::clone(name), path: told.path.with(&Arc::from(last)), size, entry: None }
    }

    fn fold(&mut self, fold: &Fold) -> Told {
        use FoldKind::{All, Exists, ExistsOne, Filter, Map, SortBy, TransformList, TransformMap, TransformMapEntry};
        if fold.kind == SortBy {
            return self.sort_by(fold);
        }
        let mut range = self.cost(&fold.over);
        let depth = self.locals.len();
        match &fold.second {
            Some(second) => {
                let key = self.over(&fold.first, &fold.over, &range, Some(true));
                self.locals.push(key);
                let value = self.over(second, &fold.over, &range, Some(false));
                self.locals.push(value);
            }
            None => {
                let item = self.over(&fold.first, &fold.over, &range, None);
                self.locals.push(item);
            }
        }
        let counted = self.body(fold);
        self.locals.truncate(depth);
        let (filter, body, size) = counted;
        let is_list = matches!(fold.kind, Map | Filter | TransformList);
        let is_map = matches!(fold.kind, TransformMap | TransformMapEntry);
        // Of the accumulator: what it begins with, whether the loop goes on, a step, and what comes of it.
        // `accumulator + [body]`, or the pair put in.
        let (own, first) = match fold.kind {
            TransformMap => (3, MAP_COST),
            TransformMapEntry => (2, MAP_COST),
            _ => (12, LIST_COST),
        };
        let appended = add(own, body);
        let (begin, on, step, end) = match fold.kind {
            All => (0, 2, add(1, body), 1),
            Exists => (0, 3, add(1, body), 1),
            ExistsOne => (0, 0, add(body, 2), 2),
            Filter => (LIST_COST, 0, add(body, 13), 1),
            _ => match filter {
                Some(filter) => (first, 0, add(filter, appended), 1),
                None => (first, 0, appended, 1),
            },
        };
        let count = self.known_size(&fold.over, &mut range);
        let all = times(count.max, add(step, on));
        let mut told = Told::of(add(add(range.cost, begin), add(end, all)));
        if is_list {
            told.size = Some(count);
            let value = Size::fixed(0).union(size);
            told.entry = Some(Entry { is_list: true, key: Size::fixed(1), value });
        } else {
            told.size = Some(if is_map { count } else { Size::fixed(1) });
        }
        told
    }

    /// Bound to a variable, the range is sorted by the keys that are made of it.
    fn sort_by(&mut self, fold: &Fold) -> Told {
        let mut range = self.cost(&fold.over);
        let size = self.size(&fold.over, &mut range);
        let name: Arc<str> = Arc::from("@__sortBy_input__");
        let input = Expr { of: fold.over.of.clone(), ..Expr::new(0, Kind::Ident(Arc::clone(&name))) };
        let mut keys = Fold { kind: FoldKind::Map, over: input, ..fold.clone() };
        keys.filter = None;
        self.locals.push(Local { name, path: range.path.clone(), size, entry: range.entry });
        let made = self.fold(&keys);
        self.locals.pop();
        let (cost, size) = calls::sorted_by(made.size.unwrap_or(Size::UNKNOWN), &fold.body.of);
        let before = add(add(LIST_COST, range.cost), add(1, made.cost));
        Told { size: Some(size), ..Told::of(add(before, cost)) }
    }

    /// What filter and body cost, and how large an item is that they make.
    fn body(&mut self, fold: &Fold) -> (Option<u64>, u64, Size) {
        let filter = fold.filter.as_ref().map(|filter| self.cost(filter).cost);
        let mut body = self.cost(&fold.body);
        let size = match fold.kind {
            FoldKind::Filter => {
                let item = Expr { of: item_of(&fold.over.of), ..Expr::new(0, Kind::Ident(Arc::clone(&fold.first))) };
                let mut told = self.cost(&item);
                self.known_size(&item, &mut told)
            }
            _ => self.known_size(&fold.body, &mut body),
        };
        (filter, body.cost, size)
    }
}

fn item_of(range: &Type) -> Type {
    match range {
        Type::List(items) => (**items).clone(),
        Type::Map(keys, _) => (**keys).clone(),
        _ => Type::Dyn,
    }
}
