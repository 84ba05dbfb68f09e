//! Kubernetes' library of quantities: `quantity('1Gi')` and what is asked of one. In billionths, as [`crate::format::quantity`] reads them.

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no, opaque, own, wrap};
use crate::format;

const BILLION: i128 = 1_000_000_000;

#[derive(Debug, PartialEq)]
struct Quantity(i128);
opaque!(Quantity, "kubernetes.Quantity");

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("quantity(string) -> kubernetes.Quantity", quantity),
    ("isQuantity(string) -> bool", is_quantity),
    ("sign(kubernetes.Quantity) -> int", |_, args| one(args, "sign", |q| Ok(Value::Int(signum(q))))),
    ("kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) -> bool", |_, args| {
        two(args, "isGreaterThan", |a, b| Value::Bool(a > b))
    }),
    ("kubernetes.Quantity.isLessThan(kubernetes.Quantity) -> bool", |_, args| {
        two(args, "isLessThan", |a, b| Value::Bool(a < b))
    }),
    ("kubernetes.Quantity.compareTo(kubernetes.Quantity) -> int", |_, args| {
        two(args, "compareTo", |a, b| Value::Int(signum(a.saturating_sub(b))))
    }),
    ("kubernetes.Quantity.asApproximateFloat() -> double", |_, args| one(args, "asApproximateFloat", |q| Ok(float(q)))),
    ("kubernetes.Quantity.asInteger() -> int", |_, args| {
        one(args, "asInteger", |q| {
            whole(q).map(Value::Int).ok_or_else(|| EvalError::fails("cannot convert value to integer"))
        })
    }),
    ("kubernetes.Quantity.isInteger() -> bool", |_, args| {
        one(args, "isInteger", |q| Ok(Value::Bool(whole(q).is_some())))
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
    format::quantity(text).map(|q| wrap(Quantity(q))).ok_or_else(|| {
        EvalError::fails("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    })
}

fn is_quantity(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(text)] = args else { return no("isQuantity") };
    Ok(Value::Bool(format::quantity(text).is_some()))
}

fn one(args: &[Value], name: &str, f: impl Fn(i128) -> Out) -> Out {
    match args {
        [a] => own::<Quantity>(a).map_or_else(|| no(name), |a| f(a.0)),
        _ => no(name),
    }
}

fn two(args: &[Value], name: &str, f: impl Fn(i128, i128) -> Value) -> Out {
    match args {
        [a, b] => match (own::<Quantity>(a), own::<Quantity>(b)) {
            (Some(a), Some(b)) => Ok(f(a.0, b.0)),
            _ => no(name),
        },
        _ => no(name),
    }
}

fn signum(value: i128) -> i64 {
    i64::from(value > 0) - i64::from(value < 0)
}

fn whole(value: i128) -> Option<i64> {
    (value % BILLION == 0).then(|| i64::try_from(value / BILLION).ok())?
}

#[expect(clippy::cast_precision_loss, reason = "the approximation is what is asked for")]
fn float(value: i128) -> Value {
    Value::Double(value as f64 / BILLION as f64)
}

fn sum(args: &[Value], f: fn(i128, i128) -> Option<i128>) -> Out {
    let (a, b) = match args {
        [a, Value::Int(b)] => (own::<Quantity>(a), Some(i128::from(*b) * BILLION)),
        [a, b] => (own::<Quantity>(a), own::<Quantity>(b).map(|b| b.0)),
        _ => (None, None),
    };
    let (Some(a), Some(b)) = (a, b) else { return no("add") };
    f(a.0, b)
        .map(|sum| wrap(Quantity(sum)))
        .ok_or_else(|| EvalError::Unknown("a quantity is larger than can be told here".to_owned()))
}
