//! What calls of functions cost, by their names and by which overloads may be meant. Knows no loop.

use super::size::{add, factor, times};
use super::{Coster, Entry, LIST_COST, Size, TEXT_FACTOR, Told};
use crate::ast::{Call, Expr, Kind};
use crate::env::Overload;
use crate::types::Type;
use crate::value::Value;

const REGEX_FACTOR: f64 = 0.25;
/// Of a named format's pattern, and of what two of them are compared by (Kubernetes, `pkg/cel/limits.go`).
const FORMAT_PATTERN: f64 = 128.0;
const FORMAT_SIZE: u64 = 64;
/// The bytes of an address.
const ADDRESS_SIZE: u64 = 16;

/// An argument, or the target, when the call is counted.
struct Node<'e> {
    expr: &'e Expr,
    told: Told,
    size: Option<Size>,
}

impl Node<'_> {
    fn size(&self) -> Size {
        self.size.unwrap_or(Size::UNKNOWN)
    }
}

/// Without its arguments' own costs.
struct Counted {
    cost: u64,
    size: Option<Size>,
}

fn counted(cost: u64) -> Option<Counted> {
    Some(Counted { cost, size: None })
}

fn sized(cost: u64, size: Size) -> Option<Counted> {
    Some(Counted { cost, size: Some(size) })
}

fn text(size: Size) -> u64 {
    factor(size.max, TEXT_FACTOR)
}

impl Coster<'_> {
    fn node<'e>(&mut self, expr: &'e Expr) -> Node<'e> {
        let mut told = self.cost(expr);
        let size = self.size(expr, &mut told);
        Node { expr, told, size }
    }

    pub(super) fn call(&mut self, expr: &Expr, call: &Call) -> Told {
        let name = &*call.name;
        if let ("dyn", [arg]) = (name, call.args.as_slice()) {
            let node = self.node(arg);
            return Told { size: node.size, entry: node.told.entry, ..Told::of(add(1, node.told.cost)) };
        }
        let mut args = Vec::new();
        for arg in &call.args {
            args.push(self.node(arg));
        }
        let target = call.target.as_ref().map(|target| self.node(target));
        let of_args = args.iter().fold(0, |sum, arg| add(sum, arg.told.cost));
        let before = add(of_args, target.as_ref().map_or(0, |target| target.told.cost));
        let mut told = Told::default();
        let overloads = call.overloads.as_ref().map(|all| all.0.as_slice()).unwrap_or_default();
        let mut most = 0;
        for overload in overloads {
            let own = listed(name, overload, target.as_ref(), &args);
            let own = own.or_else(|| self.kubernetes(name, overload, target.as_ref(), &args));
            let own = own.or_else(|| standard(name, overload, target.as_ref(), &args, &mut told.entry));
            let own = own.unwrap_or(Counted { cost: 1, size: None });
            most = most.max(own.cost);
            told.size = match (told.size, own.size) {
                (Some(one), Some(other)) => Some(one.union(other)),
                (one, other) => one.or(other),
            };
            if told.size.is_none() {
                told.size = self.size(expr, &mut Told::default());
            }
        }
        told.cost = add(before, most);
        told
    }

    /// Of a list's items, as far as its path tells.
    fn items(&self, list: &Node<'_>) -> Option<(Type, Size)> {
        let kind = match &list.expr.of {
            Type::List(items) | Type::Optional(items) => (**items).clone(),
            Type::Map(keys, _) => (**keys).clone(),
            _ => return None,
        };
        let path = &list.told.path;
        let size = if path.names().is_empty() { None } else { self.at(&path.apart_with("@items")) };
        Some((kind, size.unwrap_or(Size::UNKNOWN)))
    }

    /// As the API server counts it by itself.
    fn kubernetes(
        &self,
        name: &str,
        overload: &Overload,
        target: Option<&Node<'_>>,
        args: &[Node<'_>],
    ) -> Option<Counted> {
        let first = args.first();
        match name {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                let target = target?;
                let Some((kind, size)) = self.items(target) else { return counted(text(target.size())) };
                let each = match kind {
                    Type::Text | Type::Bytes => add(1, text(size)),
                    _ => 1,
                };
                counted(times(target.size().max, each))
            }
            "url" | "jsonpatch.escapeKey" if args.len() == 1 => sized(text(first?.size()), first?.size()),
            "lowerAscii" | "upperAscii" | "substring" | "trim" => sized(text(target?.size()), target?.size()),
            "replace" if args.len() >= 2 => {
                let (size, old, new) = (target?.size(), first?.size(), args.get(1)?.size());
                sized(factor(size.max, 2.0 * TEXT_FACTOR), replaced(size, old, new))
            }
            "split" => {
                let size = target?.size();
                let most = match args.get(1).map(|arg| &arg.expr.kind) {
                    // A negative number is a great one there.
                    Some(Kind::Literal(Value::Int(most))) => most.cast_unsigned(),
                    _ => size.max,
                };
                sized(factor(size.max, 2.0 * TEXT_FACTOR), Size::up_to(most))
            }
            "join" => {
                let list = target?;
                let count = list.size();
                let mut size = self.items(list).map_or(Size::fixed(0), |(_, item)| count.product(item));
                if let Some(separator) = first {
                    let times = Size { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                    size = size.plus(separator.size().product(times));
                }
                sized(text(size), size)
            }
            "find" | "findAll" => {
                let size = target?.size();
                let pattern = factor(first?.size().max, REGEX_FACTOR);
                sized(times(text(size.plus(Size::fixed(1))), pattern), Size::up_to(size.max))
            }
            "ip" if overload.member => counted(1),
            "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
                counted(text(first?.size()))
            }
            "ip.isCanonical" => counted(factor(first?.size().max, 2.0 * TEXT_FACTOR)),
            "containsIP" | "containsCIDR" => {
                let own = factor(2 * ADDRESS_SIZE, TEXT_FACTOR);
                let own = if name == "containsCIDR" { own + factor(ADDRESS_SIZE, TEXT_FACTOR) + 1 } else { own };
                let is_text = matches!(overload.params.get(1), Some(Type::Text));
                counted(add(own, if is_text { text(first?.size()) } else { 0 }))
            }
            "validate" => counted(factor(text(first?.size()), FORMAT_PATTERN * REGEX_FACTOR)),
            "_==_" => {
                let [one, other] = args else { return None };
                let (Type::Opaque(kind), Type::Opaque(same)) = (&one.expr.of, &other.expr.of) else { return None };
                match *kind {
                    _ if kind != same => None,
                    "kubernetes.NamedFormat" => counted(factor(FORMAT_SIZE, TEXT_FACTOR)),
                    "kubernetes.URL" => counted(factor(other.size.map_or(1, |size| size.max), TEXT_FACTOR)),
                    _ => counted(1),
                }
            }
            _ => None,
        }
    }
}

/// How long a text is in which `old` was replaced by `new`.
fn replaced(size: Size, old: Size, new: Size) -> Size {
    let (mut count, mut kept) = (Size::fixed(0), Size::fixed(0));
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = parts(size.max, old.min);
    }
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = parts(size.min, old.max);
    }
    count.product(new).plus(kept)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is computed so by the server, and a cast stops at both ends"
)]
fn parts(size: u64, of: u64) -> u64 {
    (size as f64 / of as f64).ceil() as u64
}

/// As cel-go's libraries of sets and lists count it.
fn listed(name: &str, overload: &Overload, target: Option<&Node<'_>>, args: &[Node<'_>]) -> Option<Counted> {
    let number = |node: &Node<'_>, usual: u64| match node.expr.kind {
        Kind::Literal(Value::Int(number)) => u64::try_from(number).unwrap_or(0),
        _ => usual,
    };
    let of_lists = |each: f64| {
        let [one, other] = args else { return None };
        counted(add(factor(one.size().product(other.size()).max, each), 1))
    };
    #[expect(clippy::cast_precision_loss, reason = "the server computes it so")]
    let as_factor = |depth: u64| depth as f64;
    match name {
        "sets.contains" | "sets.intersects" => of_lists(1.0),
        "sets.equivalent" => of_lists(2.0),
        "slice" => {
            let (Some(start), Some(end)) = (args.first(), args.get(1)) else { return None };
            let end = number(end, target?.size().max);
            Some(made_list(1.0, Size::fixed(end.wrapping_sub(number(start, 0)))))
        }
        "lists.range" => Some(made_list(1.0, Size::fixed(number(args.first()?, u64::MAX)))),
        "reverse" => Some(made_list(1.0, target?.size())),
        "flatten" => {
            let depth = args.first().map_or(1, |depth| number(depth, u64::MAX));
            Some(made_list(as_factor(depth), target?.size()))
        }
        "distinct" => Some(made_list(2.0, target?.size().product(target?.size()))),
        "sort" => {
            let is_text =
                matches!(overload.params.first(), Some(Type::List(of)) if matches!(**of, Type::Text | Type::Bytes));
            Some(sorted(target?.size(), is_text))
        }
        _ => None,
    }
}

fn made_list(each: f64, size: Size) -> Counted {
    Counted { cost: add(factor(size.max, each), 1 + LIST_COST), size: Some(size) }
}

/// Each is compared with each.
fn sorted(keys: Size, is_text: bool) -> Counted {
    made_list(if is_text { 2.0 + TEXT_FACTOR } else { 2.0 }, keys.product(keys))
}

/// `sortBy` when its input is bound to a variable: what comes of these keys.
pub(super) fn sorted_by(keys: Size, of: &Type) -> (u64, Size) {
    let all = sorted(keys, matches!(of, Type::Text | Type::Bytes));
    (all.cost, all.size.unwrap_or(Size::UNKNOWN))
}

/// As cel-go counts it.
fn standard(
    name: &str,
    overload: &Overload,
    target: Option<&Node<'_>>,
    args: &[Node<'_>],
    entry: &mut Option<Entry>,
) -> Option<Counted> {
    let (first, of) = (args.first(), overload.params.first());
    match name {
        "format" => counted(text(target?.size())),
        "bytes" if matches!(of, Some(Type::Text)) => {
            let size = first?.size();
            sized(text(size), Size { max: size.max.wrapping_mul(4), ..size })
        }
        "string" if matches!(of, Some(Type::Bytes)) => {
            let size = first?.size();
            sized(text(size), Size { min: size.min / 4, ..size })
        }
        "strings.quote" => {
            let size = first?.size();
            let max = size.max.wrapping_mul(2).wrapping_add(2);
            sized(text(size), Size { min: size.min.wrapping_add(2), max })
        }
        "startsWith" | "endsWith" => counted(text(first?.size())),
        "@in" if matches!(overload.params.get(1), Some(Type::List(_))) => counted(args.get(1)?.size().max),
        "matches" if overload.member => {
            let pattern = factor(first?.size().max, REGEX_FACTOR);
            counted(times(text(target?.size().plus(Size::fixed(1))), pattern))
        }
        "contains" => counted(times(text(target?.size()), text(first?.size()))),
        "_+_" if matches!(of, Some(Type::Text | Type::Bytes | Type::List(_))) => {
            let [one, other] = args else { return None };
            let size = one.size().plus(other.size());
            *entry = Entry::union(one.told.entry, other.told.entry).or(*entry);
            sized(if matches!(of, Some(Type::List(_))) { 1 } else { text(size) }, size)
        }
        "_<_" | "_>_" | "_<=_" | "_>=_" if matches!(of, Some(Type::Text | Type::Bytes)) => compared(args),
        "_==_" | "_!=_" => compared(args),
        _ => None,
    }
}

fn compared(args: &[Node<'_>]) -> Option<Counted> {
    let [one, other] = args else { return None };
    counted(factor(one.size().max.min(other.size().max), TEXT_FACTOR))
}
