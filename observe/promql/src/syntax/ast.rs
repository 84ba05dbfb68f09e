//! The tree of a query. Every node knows its place in the text. Knows nothing of time series or of how it is evaluated.

use base_signal::Matcher;

use super::error::Span;
use super::function::Function;

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `is_duration` when it was written as `5m`; the value is then in seconds.
    Number {
        value: f64,
        is_duration: bool,
    },
    String(String),
    Selector(Box<Selector>),
    /// `selector[range]`
    Range(Box<RangeSelector>),
    Subquery(Box<Subquery>),
    Call(Call),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    /// Only minus and plus.
    Unary {
        negative: bool,
        expr: Box<Expr>,
    },
    Paren(Box<Expr>),
}

/// `@`: the time a selector or subquery is read at, whatever the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    TimeMs(i64),
    Start,
    End,
}

/// What may follow a selector or a subquery.
#[derive(Clone, Debug, Default)]
pub struct Modifiers {
    pub at: Option<At>,
    pub offset: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    Anchored,
    Smoothed,
}

#[derive(Clone, Debug)]
pub struct Selector {
    /// The name in front of the braces; empty when there is none.
    pub name: String,
    /// In the order written; the name in front comes last, as a matcher.
    pub matchers: Vec<Matcher>,
    pub modifiers: Modifiers,
    pub extension: Option<Extension>,
}

#[derive(Clone, Debug)]
pub struct RangeSelector {
    /// Carries the modifiers of the whole.
    pub selector: Selector,
    pub selector_span: Span,
    pub range: Duration,
}

#[derive(Clone, Debug)]
pub struct Subquery {
    pub expr: Expr,
    pub range: Duration,
    /// `None`: the engine's default step.
    pub step: Option<Duration>,
    pub modifiers: Modifiers,
}

/// A length of time, which may be arithmetic over the step and range of the query.
#[derive(Clone, Debug)]
pub struct Duration {
    pub kind: DurationKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum DurationKind {
    Seconds { value: f64, is_duration: bool },
    Step,
    Range,
    MinOf(Box<Duration>, Box<Duration>),
    MaxOf(Box<Duration>, Box<Duration>),
    Negative(Box<Duration>),
    Binary { op: BinaryOp, left: Box<Duration>, right: Box<Duration> },
    Paren(Box<Duration>),
}

#[derive(Clone, Debug)]
pub struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

#[derive(Clone, Debug)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Expr>,
    pub expr: Expr,
    pub without: bool,
    pub labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `</`: a histogram without what is above.
    TrimUpper,
    /// `>/`: a histogram without what is below.
    TrimLower,
    And,
    Or,
    Unless,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Clone, Debug, Default)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// `on`; otherwise `ignoring`.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels taken from the "one" side.
    pub include: Vec<String>,
    /// What stands in for a series that is missing on the left, on the right.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Binary {
    pub op: BinaryOp,
    pub op_span: Span,
    pub left: Expr,
    pub right: Expr,
    pub return_bool: bool,
    /// Without meaning unless both sides are vectors.
    pub matching: Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl ValueType {
    /// The word of the HTTP API.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
        }
    }

    /// The word of the documentation and of errors.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

impl Expr {
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number { .. } => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => expr.value_type(),
            ExprKind::Binary(b) => match (b.left.value_type(), b.right.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }

    /// Without the parentheses around it.
    pub fn unwrapped(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// Children from left to right.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Range(_) => Vec::new(),
            ExprKind::Subquery(s) => vec![&s.expr],
            ExprKind::Call(c) => c.args.iter().collect(),
            ExprKind::Aggregate(a) => a.param.iter().chain([&a.expr]).collect(),
            ExprKind::Binary(b) => vec![&b.left, &b.right],
            ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => vec![expr],
        }
    }
}

impl AggregateOp {
    pub const ALL: [AggregateOp; 14] = [
        AggregateOp::Sum,
        AggregateOp::Avg,
        AggregateOp::Count,
        AggregateOp::Min,
        AggregateOp::Max,
        AggregateOp::Group,
        AggregateOp::Stddev,
        AggregateOp::Stdvar,
        AggregateOp::Topk,
        AggregateOp::Bottomk,
        AggregateOp::CountValues,
        AggregateOp::Quantile,
        AggregateOp::Limitk,
        AggregateOp::LimitRatio,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Count => "count",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Group => "group",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// In any case of letters.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(word))
    }

    pub fn has_param(self) -> bool {
        use AggregateOp::*;
        matches!(self, Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio)
    }
}

impl BinaryOp {
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            "/" => BinaryOp::Div,
            "%" => BinaryOp::Mod,
            "^" => BinaryOp::Pow,
            "atan2" => BinaryOp::Atan2,
            "==" => BinaryOp::Equal,
            "!=" => BinaryOp::NotEqual,
            "<" => BinaryOp::Less,
            "<=" => BinaryOp::LessEqual,
            ">" => BinaryOp::Greater,
            ">=" => BinaryOp::GreaterEqual,
            "</" => BinaryOp::TrimUpper,
            ">/" => BinaryOp::TrimLower,
            "and" => BinaryOp::And,
            "or" => BinaryOp::Or,
            "unless" => BinaryOp::Unless,
            _ => return None,
        })
    }

    /// Higher binds tighter.
    pub(crate) fn precedence(self) -> u8 {
        use BinaryOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | TrimUpper | TrimLower => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => UNARY_PRECEDENCE,
            Pow => 6,
        }
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

/// A sign binds like a multiplication: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`.
pub(crate) const UNARY_PRECEDENCE: u8 = 5;
