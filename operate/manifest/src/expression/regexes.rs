//! Kubernetes' library of regular expressions: `find` and `findAll`; `matches` is the language's.

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no};

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("string.find(string) -> string", find),
    ("string.findAll(string) -> list<string>\nstring.findAll(string, int) -> list<string>", find_all),
];

fn pay(cx: &mut Cx<'_>, text: &str, pattern: &str) -> Result<(), EvalError> {
    cx.pay((text.len() as u64 / 10 + 1).saturating_mul(pattern.len() as u64 / 4 + 1))
}

fn find(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(text), Value::Text(pattern)] = args else { return no("find") };
    pay(cx, text, pattern)?;
    let found = cx.regex(pattern)?;
    Ok(Value::from(found.find(text).map_or("", |found| found.as_str())))
}

fn find_all(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, pattern, most) = match args {
        [Value::Text(text), Value::Text(pattern)] => (text, pattern, -1),
        [Value::Text(text), Value::Text(pattern), Value::Int(most)] => (text, pattern, *most),
        _ => return no("findAll"),
    };
    pay(cx, text, pattern)?;
    // A negative number is all of them.
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let regex = cx.regex(pattern)?;
    let all: Vec<Value> = regex.find_iter(text).take(most).map(|found| Value::from(found.as_str())).collect();
    Ok(all.into())
}
