//! The selectors of a query, for whoever wants to know what it reads without running it.

use crate::syntax::{Expr, ExprKind, Selector};

/// All selectors from left to right, those of ranges and subqueries included.
pub fn selectors(expr: &Expr) -> Vec<&Selector> {
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e Selector>) {
    match &expr.kind {
        ExprKind::Selector(selector) => found.push(selector),
        ExprKind::Range(range) => found.push(&range.selector),
        _ => expr.children().into_iter().for_each(|child| collect(child, found)),
    }
}
