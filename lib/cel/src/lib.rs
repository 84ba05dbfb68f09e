//! The Common Expression Language: text is parsed, checked against declared types, and evaluated under limits of cost, depth and size.
//!
//! It knows the language and the libraries that are not about any product: strings, lists, sets, optionals, regular expressions, times. Whoever embeds
//! it declares variables, types and further functions in an [`Env`]. It opens no file, asks no clock and draws no randomness: the same program and the same
//! values give the same answer. No text makes it panic or run without end.
//!
//! Sources: the language definition (<https://github.com/google/cel-spec/blob/master/doc/langdef.md>), and where it is silent, what cel-go answers.

mod ast;
mod calendar;
mod check;
mod cost;
mod env;
mod error;
mod eval;
mod fold;
mod library;
mod literal;
mod macros;
mod parse;
mod pattern;
mod program;
mod token;
mod types;
mod value;

pub use calendar::{duration, timestamp};
pub use cost::{Size, Sizes};
pub use env::{Cx, Env, Function, Run};
pub use error::{CompileError, EvalError};
pub use library::standard;
pub use pattern::pattern;
pub use program::{Limits, Program};
pub use types::{Record, Type};
pub use value::{Keep, Key, List, Opaque, Value};

#[cfg(test)]
mod tests;
