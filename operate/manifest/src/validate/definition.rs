//! What a server demands of a CustomResourceDefinition itself: names, versions, structural schemas, and of rules that they compile over the types of the
//! schema and that what stands beside them means something. Evaluates nothing.

use lib_cel::{CompileError, Program, Type};
use lib_yaml_edit::{Dialect, Node, Value};

use super::at::At;
use super::bounds::{Bounds, times_below};
use super::budget::Budget;
use super::custom::is_a;
use super::expressions::{compile, field_path, flag, text};
use super::finding::Out;
use super::junctors;
use super::shape::Shape;
use crate::expression::new_at;
use crate::{format, rules};

const REASONS: &[&str] = &["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// All of it.
pub(crate) fn definition(root: &At<'_>, out: &mut Out) {
    let (metadata, spec) = (root.get("metadata"), root.get("spec"));
    let names = spec.get("names");
    let (group, plural, name) = (spec.get("group"), names.get("plural"), metadata.get("name"));
    if !format::dns_subdomain(group.str()) || !group.str().contains('.') {
        out.error(
            &group,
            "custom/definition",
            format!("`{}` is no group", group.str()),
            "a domain of yours, as shop.example.org",
        );
    }
    let wanted = format!("{}.{}", plural.str(), group.str());
    if name.str() != wanted {
        out.error(&name, "custom/definition", format!("the name must be `{wanted}`"), format!("write `{wanted}`"));
    }
    rules::scope(&spec.get("scope"), out);
    let versions = spec.get("versions");
    if versions.len() == 0 {
        out.error(&versions, "custom/definition", "no version is said", "add one to `versions`");
    }
    let stored = versions.items().filter(|version| version.get("storage").bool()).count();
    if stored != 1 && versions.len() > 0 {
        out.error(
            &versions,
            "custom/definition",
            format!("{stored} versions are stored"),
            "one version has `storage: true`",
        );
    }
    for version in versions.items() {
        let schema = version.get("schema");
        let own = schema.get("openAPIV3Schema");
        if !own.is() {
            out.error(&own, "custom/definition", "a version without a schema", "set `schema.openAPIV3Schema`");
        } else if own.get("type").str() != "object" {
            out.error(&own.get("type"), "custom/definition", "an object's schema has `type: object`", "write it so");
        } else {
            structural(&own, out);
            junctors::complete(&own, out);
            of_rules(&own, out);
        }
    }
}

/// What a structural schema says at every place: a type, and of a list its items.
fn structural(at: &At<'_>, out: &mut Out) {
    let kind = at.get("type");
    let open = at.get("x-kubernetes-int-or-string").bool() || at.get("x-kubernetes-preserve-unknown-fields").bool();
    let known = ["object", "array", "string", "integer", "number", "boolean"];
    if kind.str().is_empty() && !open {
        out.error(&kind, "custom/definition", "a schema without a type", "set `type`");
    } else if !kind.str().is_empty() && !known.contains(&kind.str()) {
        out.error(
            &kind,
            "custom/definition",
            format!("`{}` is no type", kind.str()),
            format!("write one of {}", known.join(", ")),
        );
    }
    junctors::check(at, out);
    let items = at.get("items");
    if kind.str() == "array" && !items.is() {
        out.error(&items, "custom/definition", "a list without a schema of its items", "set `items`");
    }
    if items.is() {
        structural(&items, out);
    }
    let properties = at.get("properties");
    for (_, property) in properties.pairs() {
        structural(&property, out);
    }
    let more = at.get("additionalProperties");
    if more.node.is_some_and(|node| matches!(node.value, Value::Map(_))) {
        structural(&more, out);
    }
    let choices = at.get("enum");
    let fallback = at.get("default");
    if let (Some(value), true) = (fallback.node, choices.len() > 0) {
        let value = value.data(Dialect::Kubectl);
        let listed =
            choices.items().filter_map(|choice| choice.node).any(|choice| choice.data(Dialect::Kubectl) == value);
        if !listed {
            out.error(&fallback, "custom/definition", "the default is not among the values", "choose one of `enum`");
        }
    }
    if let (Some(value), Some(_)) = (fallback.node, kind.text())
        && !is_a(value, kind.str())
        && !open
    {
        out.error(
            &fallback,
            "custom/definition",
            format!("the default is no {}", kind.str()),
            "write a value of that type",
        );
    }
    let keys = at.get("x-kubernetes-list-map-keys");
    let own = items.get("properties");
    let required = items.get("required");
    for key in keys.items() {
        let property = own.get(key.str());
        let given = property.get("default").is() || required.items().any(|name| name.str() == key.str());
        if !property.is() || !given {
            out.error(
                &key,
                "custom/definition",
                format!("`{}` must be a required property of the items, or have a default", key.str()),
                "list it in `items.required`",
            );
        }
    }
}

/// Checks the rules of a version's schema.
fn of_rules(schema: &At<'_>, out: &mut Out) {
    let Some(node) = schema.node else { return };
    let shape = Shape::of(node, true);
    if shape.any_rule {
        let mut budget = Budget::default();
        let place = Place { is_root: true, loose: false, times: Some(1) };
        place.check(schema, &shape, &mut budget, out);
        budget.end(schema, out);
    }
}

/// Where in a schema rules stand.
#[derive(Clone, Copy)]
struct Place {
    is_root: bool,
    /// Inside a list whose items cannot be told from one version of an object to the next.
    loose: bool,
    /// How often it may be there in one object; none where nothing bounds it.
    times: Option<u64>,
}

impl Place {
    fn check(self, at: &At<'_>, shape: &Shape, budget: &mut Budget, out: &mut Out) {
        let written = at.get("x-kubernetes-validations");
        let bounds = at.node.filter(|_| written.len() > 0).and_then(|node| Bounds::of(node, self.is_root));
        for rule in written.items() {
            fields(&rule, shape, out);
            match (&shape.kind, &bounds) {
                (Some(kind), Some(bounds)) => {
                    let mut count = |what: &str, at: &At<'_>, program: &Program, out: &mut Out| {
                        budget.count(at, what, program, bounds, self.times, out);
                    };
                    expressions(&rule, kind, self.loose, &mut count, out);
                }
                _ => out.error(
                    &rule,
                    "custom/definition",
                    "rules cannot see values without a declared type",
                    "declare the type, or move the rule up",
                ),
            }
        }
        let times = self.times.zip(at.node.and_then(times_below)).map(|(times, below)| times.saturating_mul(below));
        let below = Place { is_root: false, times, ..self };
        let properties = at.get("properties");
        for (key, property) in properties.pairs() {
            if let Some(field) = shape.field(key)
                && field.shape.any_rule
            {
                below.check(&property, &field.shape, budget, out);
            }
        }
        if let Some(items) = &shape.items
            && items.any_rule
        {
            let told_apart = at.get("x-kubernetes-list-type").str() == "map";
            let below = Place { loose: self.loose || !told_apart, ..below };
            below.check(&at.get("items"), items, budget, out);
        }
        let more = at.get("additionalProperties");
        if let Some(values) = &shape.values
            && values.any_rule
            && more.node.is_some_and(|node| matches!(node.value, Value::Map(_)))
        {
            below.check(&more, values, budget, out);
        }
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

/// Counts what an expression costs.
type Count<'c> = &'c mut dyn FnMut(&str, &At<'_>, &Program, &mut Out);

fn expressions(rule: &At<'_>, kind: &Type, loose: bool, count: Count<'_>, out: &mut Out) {
    let Some(node) = rule.node else { return };
    if text(node, "rule").trim().is_empty() {
        return;
    }
    let optional_old = flag(node, "optionalOldSelf");
    let place = rule.get("rule");
    let Some(program) = compiled(&place, kind, optional_old, "compilation failed", out) else { return };
    if matches!(program.result(), Type::Bool) {
        count("rule", &place, &program, out);
    } else {
        wrong(&place, "cel expression must evaluate to a bool", "compare it with something", out);
    }
    let of_message = rule.get("messageExpression");
    if !of_message.str().trim().is_empty()
        && let Some(program) = compiled(&of_message, kind, optional_old, "messageExpression compilation failed", out)
    {
        if matches!(program.result(), Type::Text) {
            count("messageExpression", &of_message, &program, out);
        } else {
            wrong(&of_message, "messageExpression must evaluate to a string", "write `string(…)` around it", out);
        }
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

fn compiled(at: &At<'_>, kind: &Type, optional_old: bool, failed: &str, out: &mut Out) -> Option<Program> {
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
