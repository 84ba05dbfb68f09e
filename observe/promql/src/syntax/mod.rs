//! The language itself: text to tree and back. Knows nothing of time series.

mod ast;
mod check;
mod error;
mod function;
mod lex;
mod parse;
mod pretty;
mod print;
mod selector;
mod text;
mod token;

pub use ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, Duration, DurationKind, Expr, ExprKind, Extension,
    Matching, Modifiers, RangeSelector, Selector, Subquery, ValueType,
};
pub use error::{ParseError, Span};
pub use function::{FUNCTIONS, Function, Variadic, find_function};
pub use parse::{parse, parse_selector};
pub use pretty::pretty;
pub use text::{format_duration_ms, parse_duration_ms, quote};

pub(crate) use error::line_column;
pub(crate) use selector::NAME;
pub(crate) use text::{format_number, format_number_short, is_plain_label};
