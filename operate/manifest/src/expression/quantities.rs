//! Kubernetes' library of quantities: `quantity('1Gi')` and what is asked of one. In billionths, as [`crate::format::quantity`] reads them.

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no, opaque, own, wrap};
use crate::format;

const BILLION: i128 = 1_000_000_000;

#[derive(Debug)]
struct Quantity {
    /// In billionths.
    value: i128,
    /// Whether it is kept as a whole number: `7` and `0.007k` are, `7000m` is not; none where that cannot be told.
    whole: Option<bool>,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
opaque!(Quantity, "kubernetes.Quantity");

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("quantity(string) -> kubernetes.Quantity", quantity),
    ("isQuantity(string) -> bool", is_quantity),
    ("sign(kubernetes.Quantity) -> int", |_, args| one(args, "sign", |q| Ok(Value::Int(signum(q.value))))),
    ("kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) -> bool", |_, args| {
        two(args, "isGreaterThan", |a, b| Value::Bool(a > b))
    }),
    ("kubernetes.Quantity.isLessThan(kubernetes.Quantity) -> bool", |_, args| {
        two(args, "isLessThan", |a, b| Value::Bool(a < b))
    }),
    ("kubernetes.Quantity.compareTo(kubernetes.Quantity) -> int", |_, args| {
        two(args, "compareTo", |a, b| Value::Int(signum(a.saturating_sub(b))))
    }),
    ("kubernetes.Quantity.asApproximateFloat() -> double", |_, args| {
        one(args, "asApproximateFloat", |q| Ok(float(q.value)))
    }),
    ("kubernetes.Quantity.asInteger() -> int", |_, args| {
        one(args, "asInteger", |q| {
            whole(q)?.map(Value::Int).ok_or_else(|| EvalError::fails("cannot convert value to integer"))
        })
    }),
    ("kubernetes.Quantity.isInteger() -> bool", |_, args| {
        one(args, "isInteger", |q| Ok(Value::Bool(whole(q)?.is_some())))
    }),
    (
        "kubernetes.Quantity.add(kubernetes.Quantity) -> kubernetes.Quantity\nkubernetes.Quantity.add(int) -> kubernetes.Quantity",
        |_, args| sum(args, i128::checked_add),
    ),
    (
        "kubernetes.Quantity.sub(kubernetes.Quantity) -> kubernetes.Quantity\nkubernetes.Quantity.sub(int) -> kubernetes.Quantity",
        |_, args| sum(args, i128::checked_sub),
    ),
];

fn quantity(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(text)] = args else { return no("quantity") };
    format::quantity(text).map(|value| wrap(Quantity { value, whole: kept_whole(text) })).ok_or_else(|| {
        EvalError::fails("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    })
}

fn is_quantity(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(text)] = args else { return no("isQuantity") };
    Ok(Value::Bool(format::quantity(text).is_some()))
}

/// As the server's own reading keeps it: a number and a power of ten, which is whole where the power is none below 0.
fn kept_whole(text: &str) -> Option<bool> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let places = number.split_once('.').map_or(0, |(_, part)| part.len());
    let power = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ if suffix.ends_with('i') => return Some(places == 0),
        _ => suffix.trim_start_matches(['e', 'E']).parse::<i64>().ok()?,
    };
    // Longer ones are kept in another form.
    (number.len() < 18).then(|| power - i64::try_from(places).unwrap_or(i64::MAX) >= 0)
}

fn one(args: &[Value], name: &str, f: impl Fn(&Quantity) -> Out) -> Out {
    match args {
        [a] => own::<Quantity>(a).map_or_else(|| no(name), f),
        _ => no(name),
    }
}

fn two(args: &[Value], name: &str, f: impl Fn(i128, i128) -> Value) -> Out {
    match args {
        [a, b] => match (own::<Quantity>(a), own::<Quantity>(b)) {
            (Some(a), Some(b)) => Ok(f(a.value, b.value)),
            _ => no(name),
        },
        _ => no(name),
    }
}

fn signum(value: i128) -> i64 {
    i64::from(value > 0) - i64::from(value < 0)
}

/// The whole number that it is.
fn whole(quantity: &Quantity) -> Result<Option<i64>, EvalError> {
    let number = (quantity.value % BILLION == 0).then(|| i64::try_from(quantity.value / BILLION).ok()).flatten();
    match (quantity.whole, number) {
        (Some(true), number) => Ok(number),
        (Some(false), _) | (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(EvalError::Unknown("whether the server keeps this quantity as a whole number".to_owned()))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the approximation is what is asked for")]
fn float(value: i128) -> Value {
    Value::Double(value as f64 / BILLION as f64)
}

fn sum(args: &[Value], f: fn(i128, i128) -> Option<i128>) -> Out {
    let (a, b) = match args {
        [a, Value::Int(b)] => (own::<Quantity>(a), Some((i128::from(*b) * BILLION, Some(true)))),
        [a, b] => (own::<Quantity>(a), own::<Quantity>(b).map(|b| (b.value, b.whole))),
        _ => (None, None),
    };
    let (Some(a), Some((b, b_whole))) = (a, b) else { return no("add") };
    let whole = (a.whole == Some(true) && b_whole == Some(true)).then_some(true);
    f(a.value, b)
        .map(|value| wrap(Quantity { value, whole }))
        .ok_or_else(|| EvalError::Unknown("a quantity is larger than can be told here".to_owned()))
}
