//! From text to a tree and back. Knows nothing of lines, stores or time.

mod ast;
mod error;
mod lex;
mod parse;
mod parse_label;
mod parse_log;
mod print;
mod units;

pub use ast::{
    AggregateOp, Aggregation, Binary, BinaryOp, Conversion, Expr, ExprKind, Extract, FilterText, FormatValue, Grouping,
    LabelFilter, LabelFilterKind, LabelReplace, LineFilter, LineOp, LogExpr, Matching, Pick, RangeAggregation, RangeOp,
    Selector, Span, Stage, StageKind, Unwrap,
};
pub use error::ParseError;
pub use lex::{BINARY_SIGNS, sign_text};
pub use parse::parse;
pub(crate) use units::{parse_bytes, parse_duration_ns};
