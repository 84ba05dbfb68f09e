//! A parsed query as the JSON tree of `/api/v1/parse_query`, which Prometheus's own page draws. It knows the shape of that
//! JSON (`web/api/v1/translate_ast.go`) and nothing of evaluation.

use base_signal::{MatchOp, Matcher};
use observe_promql::syntax::{
    Aggregate, At, Binary, Call, Cardinality, Duration, DurationKind, Expr, ExprKind, Extension, Modifiers, Selector,
    Subquery, ValueType, Variadic,
};
use serde_json::{Value, json};

pub(super) fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => json!({"type": "numberLiteral", "val": number(*value)}),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
        ExprKind::Unary { negative, expr } => {
            json!({"type": "unaryExpr", "op": if *negative { "-" } else { "+" }, "expr": tree(expr)})
        }
        ExprKind::Selector(found) => selector("vectorSelector", found),
        ExprKind::Range(range) => {
            let mut out = selector("matrixSelector", &range.selector);
            out["range"] = length_ms(Some(&range.range)).into();
            out["rangeExpr"] = arithmetic(Some(&range.range));
            out
        }
        ExprKind::Subquery(found) => subquery(found),
        ExprKind::Call(found) => call(found),
        ExprKind::Aggregate(found) => aggregate(found),
        ExprKind::Binary(found) => binary(found),
    }
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.to_string(),
    }
}

/// As Go writes it: without `.0`.
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn selector(kind: &str, selector: &Selector) -> Value {
    let mut out = json!({
        "type": kind,
        "name": selector.name,
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "anchored": selector.extension == Some(Extension::Anchored),
        "smoothed": selector.extension == Some(Extension::Smoothed),
    });
    put_modifiers(&mut out, &selector.modifiers);
    out
}

fn matcher(matcher: &Matcher) -> Value {
    let op = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    json!({"name": matcher.name, "value": matcher.value, "type": op})
}

fn put_modifiers(out: &mut Value, modifiers: &Modifiers) {
    let (time_ms, word) = match modifiers.at {
        Some(At::TimeMs(time_ms)) => (Some(time_ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
        None => (None, None),
    };
    out["timestamp"] = time_ms.into();
    out["startOrEnd"] = word.into();
    out["offset"] = length_ms(modifiers.offset.as_ref()).into();
    out["offsetExpr"] = arithmetic(modifiers.offset.as_ref());
}

fn subquery(subquery: &Subquery) -> Value {
    let mut out = json!({
        "type": "subquery",
        "expr": tree(&subquery.expr),
        "range": length_ms(Some(&subquery.range)),
        "rangeExpr": arithmetic(Some(&subquery.range)),
        "step": length_ms(subquery.step.as_ref()),
        "stepExpr": arithmetic(subquery.step.as_ref()),
    });
    put_modifiers(&mut out, &subquery.modifiers);
    out
}

fn call(call: &Call) -> Value {
    let function = call.function;
    let variadic = match function.variadic {
        Variadic::No => 0,
        Variadic::UpTo(more) => i64::try_from(more).unwrap_or(i64::MAX),
        Variadic::Any => -1,
    };
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": function.args.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
            "variadic": variadic,
            "returnType": function.returns.as_str(),
        },
        "args": call.args.iter().map(tree).collect::<Vec<_>>(),
    })
}

fn aggregate(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "expr": tree(&aggregate.expr),
        "param": aggregate.param.as_ref().map(tree),
        "grouping": aggregate.labels,
        "without": aggregate.without,
    })
}

fn binary(binary: &Binary) -> Value {
    let vectors = [&binary.left, &binary.right].iter().all(|side| side.value_type() == ValueType::Vector);
    let found = &binary.matching;
    let cardinality = match found.cardinality {
        _ if binary.op.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    let matching = json!({
        "card": cardinality,
        "labels": found.labels,
        "on": found.on,
        "include": found.include,
        "fillValues": {"lhs": found.fill_left.map(whole), "rhs": found.fill_right.map(whole)},
    });
    json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "lhs": tree(&binary.left),
        "rhs": tree(&binary.right),
        "matching": vectors.then_some(matching),
        "bool": binary.return_bool,
    })
}

/// A length that is written out; what is computed has 0 here and its tree beside it.
fn length_ms(length: Option<&Duration>) -> i64 {
    match length.map(|length| &length.kind) {
        Some(DurationKind::Seconds { value, .. }) => (value * 1e9).round() as i64 / 1_000_000,
        _ => 0,
    }
}

fn arithmetic(length: Option<&Duration>) -> Value {
    match length {
        Some(Duration { kind: DurationKind::Seconds { .. }, .. }) | None => Value::Null,
        Some(computed) => duration(computed, false),
    }
}

fn duration(found: &Duration, wrapped: bool) -> Value {
    let node = |op: &str, left: Option<&Duration>, right: Option<&Duration>| {
        let side = |side: Option<&Duration>| side.map(|side| duration(side, false));
        json!({"type": "durationExpr", "op": op, "lhs": side(left), "rhs": side(right), "wrapped": wrapped})
    };
    match &found.kind {
        // A number in parentheses is kept as one with a sign, so that the parentheses have a place.
        DurationKind::Seconds { .. } if wrapped => node("+", None, Some(found)),
        DurationKind::Seconds { value, is_duration } => {
            json!({"type": "numberLiteral", "val": number(*value), "duration": is_duration})
        }
        DurationKind::Step => node("step", None, None),
        DurationKind::Range => node("range", None, None),
        DurationKind::MinOf(left, right) => node("min_of", Some(left), Some(right)),
        DurationKind::MaxOf(left, right) => node("max_of", Some(left), Some(right)),
        DurationKind::Negative(inner) => node("-", None, Some(inner)),
        DurationKind::Binary { op, left, right } => node(op.as_str(), Some(left), Some(right)),
        DurationKind::Paren(inner) => duration(inner, true),
    }
}
