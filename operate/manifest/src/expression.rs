//! What rules of CustomResourceDefinitions may use: the language's libraries and Kubernetes' own, each from the minor version that has it. Knows no
//! schema and no object. <https://kubernetes.io/docs/reference/using-api/cel/>

mod address;
mod formats;
mod lists;
mod quantities;
mod regexes;
mod urls;
mod versions;

use std::any::Any;
use std::sync::{Arc, LazyLock};

use lib_cel::{Env, EvalError, Function, Limits, Opaque, Run, Value, standard};

/// For objects: rules that a server has stored may use all that it knows.
pub(crate) const STORED: u16 = u16::MAX;
const TWO_VARIABLES_SINCE: u16 = 32;
const LISTS_SINCE: u16 = 34;

/// What an expression may use that is new to a server of a minor version: what the minor before it has, so that one can go back.
pub(crate) fn new_at(minor: u8) -> u16 {
    u16::from(minor).saturating_sub(1)
}

pub(crate) fn limits(version: u16) -> Limits {
    Limits { version, two_variable_macros_since: TWO_VARIABLES_SINCE, sort_by_since: LISTS_SINCE }
}

const TYPES: &[&str] =
    &["kubernetes.URL", "kubernetes.Quantity", "kubernetes.NamedFormat", "kubernetes.Semver", "net.IP", "net.CIDR"];

/// All functions of all minor versions.
pub(crate) static ENV: LazyLock<Env> = LazyLock::new(|| {
    let since = |library: &str| match library {
        "lists" => LISTS_SINCE,
        "sets" => 29,
        "optionals" => 28,
        _ => 0,
    };
    let mut all = standard(since);
    let own: [(u16, &[(&'static str, Run)]); 8] = [
        (0, lists::FUNCTIONS),
        (0, regexes::FUNCTIONS),
        (0, urls::FUNCTIONS),
        (28, quantities::FUNCTIONS),
        (30, address::IP),
        (30, address::CIDR),
        (31, formats::FUNCTIONS),
        (33, versions::FUNCTIONS),
    ];
    for (since, functions) in own {
        all.extend(functions.iter().map(|(signatures, run)| Function { signatures, since, run: *run }));
    }
    Env::new(all, TYPES)
});

type Out = Result<Value, EvalError>;

fn no(name: &str) -> Out {
    Err(EvalError::NoOverload(name.to_owned()))
}

/// The value of one of our types.
fn own<T: 'static>(value: &Value) -> Option<&T> {
    match value {
        Value::Opaque(value) => value.any().downcast_ref(),
        _ => None,
    }
}

/// A type of ours that is equal when its value is.
macro_rules! opaque {
    ($type:ty, $name:literal) => {
        impl lib_cel::Opaque for $type {
            fn type_name(&self) -> &'static str {
                $name
            }
            fn same(&self, other: &dyn lib_cel::Opaque) -> bool {
                other.any().downcast_ref::<$type>().is_some_and(|other| self == other)
            }
            fn any(&self) -> &dyn std::any::Any {
                self
            }
        }
    };
}
use opaque;

fn wrap(value: impl Opaque + Any) -> Value {
    Value::Opaque(Arc::new(value))
}

#[cfg(test)]
mod tests;
