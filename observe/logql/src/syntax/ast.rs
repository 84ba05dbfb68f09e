//! The tree of a query. Two trees are equal when they mean the same: spans are left out of the comparison.

use base_signal::{Matcher, Pattern};

/// From `start` (included) to `end` (excluded), in bytes of the query. All spans compare equal, so that `==` on trees
/// asks for meaning and not for white space.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Span {
    pub(crate) fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// Lines.
    Log(LogExpr),
    /// `rate({…}[5m])`
    Range(RangeAggregation),
    /// `sum by (level) (…)`
    Aggregate(Box<Aggregation>),
    Binary(Box<Binary>),
    Number(f64),
    /// `vector(1)`
    Vector(f64),
    LabelReplace(Box<LabelReplace>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogExpr {
    pub span: Span,
    pub selector: Selector,
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    pub span: Span,
    pub matchers: Vec<Matcher>,
    pub matcher_spans: Vec<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub span: Span,
    pub kind: StageKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    Line(LineFilter),
    Label(LabelFilter),
    /// `| json` or `| json a="b.c[0]"`
    Json(Vec<Extract>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
        extracts: Vec<Extract>,
    },
    Regexp(String),
    Pattern(String),
    Unpack,
    LineFormat(String),
    LabelFormat(Vec<(String, FormatValue)>),
    Decolorize,
    Drop(Vec<Pick>),
    Keep(Vec<Pick>),
}

/// `name="expression"`; a bare name extracts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    pub name: String,
    pub expression: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatValue {
    Label(String),
    Template(String),
}

/// One item of `drop` or `keep`.
#[derive(Clone, Debug, PartialEq)]
pub enum Pick {
    Name(String),
    Match(Matcher),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Regex,
    /// `!~`
    NotRegex,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    pub fn is_negative(self) -> bool {
        matches!(self, LineOp::NotContains | LineOp::NotRegex | LineOp::NotPattern)
    }
}

/// `|= "a" or "b"`: any of them; a negative operator wants none of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFilter {
    pub op: LineOp,
    pub any: Vec<FilterText>,
}

#[derive(Clone, Debug)]
pub enum FilterText {
    Text(String),
    Regex(Pattern),
    /// `ip("10.0.0.0/8")`
    Ip(String),
}

impl PartialEq for FilterText {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (FilterText::Text(a), FilterText::Text(b)) | (FilterText::Ip(a), FilterText::Ip(b)) => a == b,
            (FilterText::Regex(a), FilterText::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct LabelFilter {
    pub span: Span,
    pub kind: LabelFilterKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilterKind {
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
    Match(Matcher),
    Number { name: String, op: BinaryOp, value: f64 },
    Duration { name: String, op: BinaryOp, value_ns: i64 },
    Bytes { name: String, op: BinaryOp, value_bytes: u64 },
    Ip { name: String, negative: bool, range: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeOp {
    Count,
    Rate,
    Bytes,
    BytesRate,
    Absent,
    Sum,
    Avg,
    Min,
    Max,
    StdVar,
    StdDev,
    Quantile,
    First,
    Last,
    RateCounter,
}

impl RangeOp {
    pub(crate) const NAMES: [(&'static str, RangeOp); 15] = [
        ("count_over_time", RangeOp::Count),
        ("rate", RangeOp::Rate),
        ("bytes_over_time", RangeOp::Bytes),
        ("bytes_rate", RangeOp::BytesRate),
        ("absent_over_time", RangeOp::Absent),
        ("sum_over_time", RangeOp::Sum),
        ("avg_over_time", RangeOp::Avg),
        ("min_over_time", RangeOp::Min),
        ("max_over_time", RangeOp::Max),
        ("stdvar_over_time", RangeOp::StdVar),
        ("stddev_over_time", RangeOp::StdDev),
        ("quantile_over_time", RangeOp::Quantile),
        ("first_over_time", RangeOp::First),
        ("last_over_time", RangeOp::Last),
        ("rate_counter", RangeOp::RateCounter),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    None,
    /// Also written `duration_seconds`.
    Duration,
    Bytes,
}

/// `| unwrap duration(latency) | __error__=""`
#[derive(Clone, Debug, PartialEq)]
pub struct Unwrap {
    pub span: Span,
    pub label: String,
    pub conversion: Conversion,
    pub filters: Vec<LabelFilter>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RangeAggregation {
    pub op: RangeOp,
    pub parameter: Option<f64>,
    pub log: LogExpr,
    pub range_ns: i64,
    pub offset_ns: i64,
    pub unwrap: Option<Unwrap>,
    pub grouping: Option<Grouping>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    StdDev,
    StdVar,
    TopK,
    BottomK,
    ApproxTopK,
    Sort,
    SortDesc,
}

impl AggregateOp {
    pub(crate) const NAMES: [(&'static str, AggregateOp); 12] = [
        ("sum", AggregateOp::Sum),
        ("avg", AggregateOp::Avg),
        ("min", AggregateOp::Min),
        ("max", AggregateOp::Max),
        ("count", AggregateOp::Count),
        ("stddev", AggregateOp::StdDev),
        ("stdvar", AggregateOp::StdVar),
        ("topk", AggregateOp::TopK),
        ("bottomk", AggregateOp::BottomK),
        ("approx_topk", AggregateOp::ApproxTopK),
        ("sort", AggregateOp::Sort),
        ("sort_desc", AggregateOp::SortDesc),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn takes_parameter(self) -> bool {
        matches!(self, AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::ApproxTopK)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    pub op: AggregateOp,
    /// The `k` of `topk`.
    pub parameter: Option<usize>,
    pub grouping: Option<Grouping>,
    pub of: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl BinaryOp {
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Greater | GreaterEqual | Less | LessEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless)
    }

    /// Higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        use BinaryOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Greater | GreaterEqual | Less | LessEqual => 3,
            Add | Subtract => 4,
            Multiply | Divide | Modulo => 5,
            Power => 6,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    /// `bool`: a comparison answers 0 or 1 instead of filtering.
    pub bool_result: bool,
    pub matching: Option<Matching>,
    pub left: Expr,
    pub right: Expr,
}

/// `on (a) group_left (b)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    pub on: bool,
    pub labels: Vec<String>,
    /// `Some((left, include))` for `group_left` (true) or `group_right` (false).
    pub group: Option<(bool, Vec<String>)>,
}

/// `label_replace(of, "dst", "replacement", "src", "regex")`
#[derive(Clone, Debug, PartialEq)]
pub struct LabelReplace {
    pub of: Expr,
    pub target: String,
    pub replacement: String,
    pub source: String,
    pub regex: String,
}
