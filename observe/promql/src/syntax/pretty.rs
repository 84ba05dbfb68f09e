//! A query laid out for a person: what does not fit a line is broken at its parentheses and operators, two blanks a level.
//! Where the lines break is Prometheus's rule (`promql/parser/prettier.go`), so that both lay out a query alike.

use std::fmt::{self, Write};

use super::ast::{Expr, ExprKind};
use super::print::{aggregate_head, binary_middle, subquery_tail};

/// What is longer is broken, where it can be.
const LINE_BYTES_MAX: usize = 100;

/// The text of the query, laid out.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    put(&mut out, expr, 0);
    out
}

fn put(out: &mut String, expr: &Expr, level: usize) {
    let split = is_long(expr);
    match &expr.kind {
        ExprKind::Aggregate(aggregate) if split => {
            indent(out, level);
            out.push_str(&aggregate_head(aggregate));
            out.push_str("(\n");
            if let Some(param) = &aggregate.param {
                put(out, param, level + 1);
                out.push_str(",\n");
            }
            put(out, &aggregate.expr, level + 1);
            close(out, level);
        }
        ExprKind::Binary(binary) if split => {
            put(out, &binary.left, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(&binary_middle(binary));
            out.push('\n');
            put(out, &binary.right, level + 1);
        }
        ExprKind::Call(call) if split => {
            indent(out, level);
            out.push_str(call.function.name);
            out.push_str("(\n");
            for (i, arg) in call.args.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ",\n" });
                put(out, arg, level + 1);
            }
            close(out, level);
        }
        ExprKind::Paren(inner) if split => {
            indent(out, level);
            out.push_str("(\n");
            put(out, inner, level + 1);
            close(out, level);
        }
        ExprKind::Subquery(subquery) if split => {
            put(out, &subquery.expr, level);
            out.push_str(&subquery_tail(subquery));
        }
        // A short subquery stands at the margin wherever it is: so does Prometheus's.
        ExprKind::Subquery(_) => put_text(out, expr),
        ExprKind::Unary { negative, expr } => {
            indent(out, level);
            out.push(if *negative { '-' } else { '+' });
            let mut inner = String::new();
            put(&mut inner, expr, level);
            out.push_str(inner.trim());
        }
        _ => {
            indent(out, level);
            put_text(out, expr);
        }
    }
}

fn indent(out: &mut String, level: usize) {
    (0..level).for_each(|_| out.push_str("  "));
}

fn close(out: &mut String, level: usize) {
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn put_text(out: &mut String, expr: &Expr) {
    // A `String` takes everything.
    let _ = write!(out, "{expr}");
}

/// Stops printing as soon as it is known, so that a tree of many levels is not printed once for each.
fn is_long(expr: &Expr) -> bool {
    struct Room(usize);
    impl Write for Room {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    write!(Room(LINE_BYTES_MAX), "{expr}").is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    fn check(query: &str, expect: &str) {
        let expr = parse(query).unwrap();
        let laid_out = pretty(&expr);
        assert_eq!(laid_out, expect, "{query}");
        // However it is laid out, it is the same query.
        assert_eq!(parse(&laid_out).unwrap().to_string(), expr.to_string());
    }

    #[test]
    fn short_stays_and_long_breaks() {
        check("sum  by(job)(rate( up [5m]))", "sum by (job) (rate(up[5m]))");
        let long = "http_requests_total{code=\"200\",handler=\"/api/v1/query\",instance=\"localhost:9090\",job=\"prometheus\"}";
        check(&format!("-{long}"), &format!("-{long}"));
        check(
            &format!("topk(3, sum without(job) (rate({long}[5m])) / on(a) group_left(b) {long})"),
            &format!(
                "topk(\n  3,\n    sum without (job) (\n      rate(\n        {long}[5m]\n      )\n    )\n  / on (a) group_left (b)\n    {long}\n)"
            ),
        );
        check(&format!("max_over_time(({long})[1h:5m])"), &format!("max_over_time(\n  ({long})[1h:5m]\n)"));
        check("vector(1)", "vector(1)");
    }
}
