//! Types and the rules that a grammar cannot hold. The first finding is returned, in the order in which Prometheus looks.

use super::ast::{Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Selector, ValueType};
use super::error::{ParseError, Span};
use super::function::Variadic;
use super::selector::NAME;
use super::text::quote;

pub(super) fn check(query: &str, expr: &Expr) -> Result<(), ParseError> {
    Checker { query }.expr(expr).map(|_| ())
}

struct Checker<'q> {
    query: &'q str,
}

impl Checker<'_> {
    fn refuse<T>(&self, span: Span, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.query, span, message))
    }

    fn expr(&self, expr: &Expr) -> Result<ValueType, ParseError> {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Selector(selector) => self.selector(selector, expr.span)?,
            ExprKind::Range(range) => self.selector(&range.selector, range.selector_span)?,
            ExprKind::Subquery(subquery) => {
                let inner = self.expr(&subquery.expr)?;
                if inner != ValueType::Vector {
                    let message = format!("subquery is only allowed on instant vector, got {} instead", inner.as_str());
                    return self.refuse(expr.span, message);
                }
            }
            ExprKind::Call(call) => self.call(call, expr.span)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate)?,
            ExprKind::Binary(binary) => self.binary(binary, expr.span)?,
            ExprKind::Unary { expr: inner, .. } => {
                let inner = self.expr(inner)?;
                if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(inner.documented())
                    );
                    return self.refuse(expr.span, message);
                }
            }
            ExprKind::Paren(inner) => {
                self.expr(inner)?;
            }
        }
        Ok(expr.value_type())
    }

    fn expect_type(&self, expr: &Expr, wanted: ValueType, context: &str) -> Result<(), ParseError> {
        let got = self.expr(expr)?;
        if got == wanted {
            return Ok(());
        }
        let (wanted, got) = (wanted.documented(), got.documented());
        self.refuse(expr.span, format!("expected type {wanted} in {context}, got {got}"))
    }

    fn selector(&self, selector: &Selector, span: Span) -> Result<(), ParseError> {
        if !selector.name.is_empty() {
            let written = selector.matchers.split_last().map_or(&[][..], |(_, rest)| rest);
            if let Some(second) = written.iter().find(|m| m.name == NAME) {
                let (first, second) = (quote(&selector.name), quote(&second.value));
                return self.refuse(span, format!("metric name must not be set twice: {first} or {second}"));
            }
            return Ok(());
        }
        if selector.matchers.iter().all(|m| m.matches_empty()) {
            return self.refuse(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<(), ParseError> {
        self.expect_type(&aggregate.expr, ValueType::Vector, "aggregation expression")?;
        let Some(param) = &aggregate.param else { return Ok(()) };
        let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
        self.expect_type(param, wanted, "aggregation parameter")
    }

    fn call(&self, call: &Call, span: Span) -> Result<(), ParseError> {
        let function = call.function;
        let (name, got, wanted) = (quote(function.name), call.args.len(), function.args.len());
        let least = wanted.saturating_sub(1);
        let most = match function.variadic {
            Variadic::No if got != wanted => {
                return self.refuse(span, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
            }
            Variadic::No | Variadic::Any => usize::MAX,
            Variadic::UpTo(extra) => least + extra,
        };
        if function.variadic != Variadic::No && got < least {
            return self.refuse(span, format!("expected at least {least} argument(s) in call to {name}, got {got}"));
        }
        if got > most {
            return self.refuse(span, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
        }
        for (i, arg) in call.args.iter().enumerate() {
            if function.name == "info" && i == 1 {
                self.info_labels(arg, span)?;
                continue;
            }
            let Some(wanted) = function.args.get(i).or(function.args.last()) else { continue };
            let got = self.expr(arg)?;
            if got != *wanted {
                let (wanted, got) = (wanted.documented(), got.documented());
                return self.refuse(arg.span, format!("expected type {wanted} in call to function {name}, got {got}"));
            }
        }
        Ok(())
    }

    /// The second argument of `info` looks like a selector but only says which labels are wanted.
    fn info_labels(&self, arg: &Expr, span: Span) -> Result<(), ParseError> {
        if arg.value_type() != ValueType::Vector {
            let got = arg.value_type().documented();
            return self.refuse(span, format!("expected type instant vector in call to function \"info\", got {got}"));
        }
        match &arg.kind {
            ExprKind::Selector(selector) if selector.name.is_empty() => Ok(()),
            ExprKind::Selector(_) => {
                self.refuse(arg.span, "expected label selectors only, got vector selector instead")
            }
            _ => self.refuse(arg.span, "expected label selectors only"),
        }
    }

    fn binary(&self, binary: &Binary, span: Span) -> Result<(), ParseError> {
        let left = self.expr(&binary.left)?;
        let right = self.expr(&binary.right)?;
        let (op, matching) = (binary.op, &binary.matching);
        if binary.return_bool && !op.is_comparison() {
            return self.refuse(binary.op_span, "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !binary.return_bool && scalars {
            return self.refuse(binary.op_span, "comparisons between scalars must use BOOL modifier");
        }
        if matching.on
            && let Some(label) = matching.labels.iter().find(|l| matching.include.contains(l))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            return self.refuse(binary.op_span, message);
        }
        for (side, side_type) in [(&binary.left, left), (&binary.right, right)] {
            if !matches!(side_type, ValueType::Scalar | ValueType::Vector) {
                return self.refuse(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        let grouped = matching.cardinality != Cardinality::OneToOne;
        let op_name = quote(op.as_str());
        if left == ValueType::Vector && right == ValueType::Vector {
            if op.is_set() && grouped {
                return self.refuse(span, format!("no grouping allowed for {op_name} operation"));
            }
            if op.is_set() && filled {
                return self.refuse(span, "filling in missing series not allowed for set operators");
            }
            return Ok(());
        }
        if !matching.labels.is_empty() {
            return self.refuse(span, "vector matching only allowed between instant vectors");
        }
        if filled {
            return self.refuse(span, "filling in missing series only allowed between instant vectors");
        }
        if op.is_set() {
            return self.refuse(span, format!("set operator {op_name} not allowed in binary scalar expression"));
        }
        Ok(())
    }
}
