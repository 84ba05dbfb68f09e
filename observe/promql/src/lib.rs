//! PromQL: syntax, plan, evaluation; sees source, never a store.

pub mod syntax;

pub use syntax::{Expr, ParseError, Span, parse, parse_selector};
