//! PromQL as Prometheus 3 speaks it: syntax, plan, evaluation. Sees `source`, never a store, a file or a clock.

mod answer;
mod engine;
mod eval;
mod pinned;
mod plan;
mod select;
pub mod syntax;

pub use answer::{Answer, PointValue, Query, QueryError, SeriesPoints, Value, VectorPoint};
pub use engine::Engine;
pub use pinned::pinned;
pub use select::selectors;
pub use syntax::{Expr, ParseError, Span, parse, parse_selector};
