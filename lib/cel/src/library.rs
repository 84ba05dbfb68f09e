//! The functions of the language and of its common libraries, a file for each; and what they share. Knows no product.

mod convert;
mod format;
mod lists;
mod operators;
mod optionals;
mod text;
mod times;

pub(crate) use convert::double_text;

use crate::env::Function;
use crate::error::EvalError;
use crate::value::Value;

fn no(name: &str) -> Result<Value, EvalError> {
    Err(EvalError::NoOverload(name.to_owned()))
}

/// All of them. Since which version each may be used is the embedder's to say, by the library's name: `strings`, `sets`, `lists`, `optionals`; what
/// belongs to the language itself is always there.
pub fn standard(since: impl Fn(&str) -> u16) -> Vec<Function> {
    let mut all = Vec::new();
    let libraries: [(&str, &[(&'static str, crate::env::Run)]); 9] = [
        ("", operators::FUNCTIONS),
        ("", convert::FUNCTIONS),
        ("", text::LANGUAGE),
        ("", times::FUNCTIONS),
        ("optionals", optionals::FUNCTIONS),
        ("strings", text::FUNCTIONS),
        ("strings", format::FUNCTIONS),
        ("sets", lists::SETS),
        ("lists", lists::FUNCTIONS),
    ];
    for (library, functions) in libraries {
        let since = if library.is_empty() { 0 } else { since(library) };
        all.extend(functions.iter().map(|(signatures, run)| Function { signatures, since, run: *run }));
    }
    all
}
