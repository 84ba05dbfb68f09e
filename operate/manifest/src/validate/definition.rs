//! What a server demands of the rules in a CustomResourceDefinition: that they compile over the types of the schema, and that what stands beside them
//! means something. Evaluates nothing.

use lib_cel::{CompileError, Type};
use lib_yaml_edit::{Node, Value};

use super::at::At;
use super::expressions::{compile, field_path, flag, text};
use super::finding::Out;
use super::shape::Shape;
use crate::expression::new_at;

const REASONS: &[&str] = &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Checks the rules of a version's schema.
pub(crate) fn check(schema: &At<'_>, out: &mut Out) {
    let Some(node) = schema.node else { return };
    let shape = Shape::of(node, true);
    if shape.any_rule {
        place(schema, &shape, false, out);
    }
}

/// `loose` is inside a list whose items cannot be told from one version of an object to the next.
fn place(at: &At<'_>, shape: &Shape, loose: bool, out: &mut Out) {
    for rule in at.get("x-kubernetes-validations").items() {
        fields(&rule, shape, out);
        match &shape.kind {
            Some(kind) => expressions(&rule, kind, loose, out),
            None => out.error(
                &rule,
                "custom/definition",
                "rules cannot see values without a declared type",
                "declare the type, or move the rule up",
            ),
        }
    }
    let properties = at.get("properties");
    for (key, property) in properties.pairs() {
        if let Some(field) = shape.field(key)
            && field.shape.any_rule
        {
            place(&property, &field.shape, loose, out);
        }
    }
    if let Some(items) = &shape.items
        && items.any_rule
    {
        let told_apart = at.get("x-kubernetes-list-type").str() == "map";
        place(&at.get("items"), items, loose || !told_apart, out);
    }
    let more = at.get("additionalProperties");
    if let Some(values) = &shape.values
        && values.any_rule
        && more.node.is_some_and(|node| matches!(node.value, Value::Map(_)))
    {
        place(&more, values, loose, out);
    }
}

fn wrong(at: &At<'_>, what: impl Into<String>, fix: impl Into<String>, out: &mut Out) {
    out.error(at, "custom/definition", what, fix);
}

fn fields(rule: &At<'_>, shape: &Shape, out: &mut Out) {
    let Some(node) = rule.node else { return };
    let (of_rule, message) = (rule.get("rule"), rule.get("message"));
    let lines = |key: &str| text(node, key).trim().contains(['\n', '\r']);
    if text(node, "rule").trim().is_empty() {
        wrong(&of_rule, "Required value: rule is not specified", "write the expression", out);
    } else if message.is() && !text(node, "message").is_empty() && text(node, "message").trim().is_empty() {
        wrong(&message, "must be non-empty if specified", "say what is wrong", out);
    } else if lines("message") {
        wrong(&message, "must not contain line breaks", "write it in one line", out);
    } else if lines("rule") && text(node, "message").trim().is_empty() {
        wrong(
            &message,
            "Required value: message must be specified if rule contains line breaks",
            "add `message:`",
            out,
        );
    }
    let of_message = rule.get("messageExpression");
    if !of_message.str().is_empty() && of_message.str().trim().is_empty() {
        wrong(&of_message, "Required value: messageExpression must be non-empty if specified", "take it out", out);
    }
    let reason = rule.get("reason");
    if reason.is() && !REASONS.contains(&reason.str()) {
        let what = format!("Unsupported value: \"{}\"", reason.str());
        wrong(&reason, what, format!("write one of {}", REASONS.join(", ")), out);
    }
    let path = rule.get("fieldPath");
    if !path.str().is_empty() && field_path(path.str(), shape).is_none_or(|steps| steps.is_empty()) {
        wrong(&path, "must be a valid path", "write it as `.spec.field`, below the place of the rule", out);
    }
}

fn expressions(rule: &At<'_>, kind: &Type, loose: bool, out: &mut Out) {
    let Some(node) = rule.node else { return };
    if text(node, "rule").trim().is_empty() {
        return;
    }
    let optional_old = flag(node, "optionalOldSelf");
    let place = rule.get("rule");
    let Some(program) = compiled(&place, kind, optional_old, "compilation failed", out) else { return };
    if !matches!(program.result(), Type::Bool) {
        wrong(&place, "cel expression must evaluate to a bool", "compare it with something", out);
    }
    let of_message = rule.get("messageExpression");
    if !of_message.str().trim().is_empty()
        && let Some(program) = compiled(&of_message, kind, optional_old, "messageExpression compilation failed", out)
        && !matches!(program.result(), Type::Text)
    {
        wrong(&of_message, "messageExpression must evaluate to a string", "write `string(…)` around it", out);
    }
    if program.uses("oldSelf") {
        if loose {
            let what = "oldSelf cannot be used on the uncorrelatable portion of the schema";
            wrong(&place, what, "make the list one of `x-kubernetes-list-type: map`, or move the rule up", out);
        }
    } else if rule.get("optionalOldSelf").is() {
        wrong(&rule.get("optionalOldSelf"), "may not be set if oldSelf is not used in rule", "take it out", out);
    }
}

fn compiled(at: &At<'_>, kind: &Type, optional_old: bool, failed: &str, out: &mut Out) -> Option<lib_cel::Program> {
    let source = at.node.and_then(Node::text).unwrap_or("");
    match compile(source, kind, optional_old, new_at(out.minor)) {
        Ok(program) => Some(program),
        Err(CompileError::Wrong { line, column, what }) => {
            let unknown = out.newer && what.starts_with("undeclared reference");
            if unknown {
                out.not_checked.push(format!("{}: {what}, which a newer Kubernetes may know", at.path()));
            } else {
                let what = format!("{failed}: {line}:{column}: {what}");
                wrong(at, what, "mend the expression at that line and column of its text", out);
            }
            None
        }
        Err(error @ CompileError::Limit(_)) => {
            out.not_checked.push(format!("{}: {error}", at.path()));
            None
        }
    }
}
