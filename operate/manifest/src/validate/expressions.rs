//! The rules of a CustomResourceDefinition, compiled once and evaluated on objects as a server does when they are made. What a server would refuse is an
//! error; what cannot be told is named. Knows no schema but its shape.

use lib_cel::{CompileError, EvalError, Key, Program, Type, Value};
use lib_yaml_edit::{Dialect, Node, Step, Word};

use super::at::At;
use super::finding::Out;
use super::shape::{Form, Shape};
use crate::expression::{ENV, STORED, limits};

/// What one evaluation may cost, and all of an object. <https://kubernetes.io/docs/reference/using-api/cel/#runtime-cost-budget>
const CALL_COST_MAX: u64 = 1_000_000;
const OBJECT_COST_MAX: u64 = 10_000_000;
/// Of a message that an expression makes.
const MESSAGE_MAX_BYTES: usize = 5 * 1024;

/// A rule, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rule {
    /// As it is written, in one line.
    pub(crate) text: String,
    message: String,
    message_expression: Option<Program>,
    reason: String,
    /// Below the place of the rule.
    field: Vec<Step>,
    optional_old_self: bool,
    program: Result<Program, CompileError>,
}

/// The rules of a place and of those below it, in the order of its shape.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    here: Vec<Rule>,
    fields: Vec<Option<Rules>>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

pub(crate) fn text<'n>(rule: &'n Node, key: &str) -> &'n str {
    rule.get(key).and_then(Node::text).unwrap_or("")
}

pub(crate) fn flag(rule: &Node, key: &str) -> bool {
    rule.get(key).and_then(|node| node.word(Dialect::Kubectl)) == Some(Word::Bool(true))
}

/// Compiles an expression over `self` of this type.
pub(crate) fn compile(text: &str, kind: &Type, optional_old: bool, version: u16) -> Result<Program, CompileError> {
    let old = if optional_old { Type::optional(kind.clone()) } else { kind.clone() };
    Program::compile(text, &ENV, &[("self", kind.clone()), ("oldSelf", old)], limits(version))
}

impl Rules {
    pub(crate) fn of(shape: &Shape) -> Rules {
        if !shape.any_rule {
            return Rules::default();
        }
        let rule = |node: &Node, kind: &Type| {
            let optional_old_self = flag(node, "optionalOldSelf");
            let program = compile(text(node, "rule"), kind, optional_old_self, STORED);
            let of_message = text(node, "messageExpression");
            let message_expression =
                (!of_message.is_empty()).then(|| compile(of_message, kind, optional_old_self, STORED).ok()).flatten();
            Rule {
                text: text(node, "rule").split_whitespace().collect::<Vec<_>>().join(" "),
                message: text(node, "message").trim().to_owned(),
                message_expression,
                reason: text(node, "reason").to_owned(),
                field: field_path(text(node, "fieldPath"), shape).unwrap_or_default(),
                optional_old_self,
                program,
            }
        };
        let written = shape.rules.iter().filter(|node| !text(node, "rule").trim().is_empty());
        let below = |shape: &Option<Box<Shape>>| shape.as_ref().map(|shape| Box::new(Rules::of(shape)));
        Rules {
            here: shape.kind.as_ref().map(|kind| written.map(|node| rule(node, kind)).collect()).unwrap_or_default(),
            fields: shape.fields.iter().map(|f| f.shape.any_rule.then(|| Rules::of(&f.shape))).collect(),
            items: below(&shape.items),
            values: below(&shape.values),
        }
    }
}

/// One object's evaluation.
struct Judge<'o> {
    out: &'o mut Out,
    fuel: u64,
}

/// Evaluates all rules on an object whose fields and types are as the schema wants them.
pub(crate) fn check(rules: &Rules, shape: &Shape, root: &At<'_>, out: &mut Out) {
    let Some(node) = root.node else { return };
    match shape.value(node) {
        Ok(value) => Judge { out, fuel: OBJECT_COST_MAX }.place(rules, shape, root, &value),
        Err(what) => out.not_checked.push(format!("the rules in CEL, because {what}")),
    }
}

impl Judge<'_> {
    fn place(&mut self, rules: &Rules, shape: &Shape, at: &At<'_>, value: &Value) {
        // A null is none of its rules' business, but of those around it.
        if !shape.any_rule || matches!(value, Value::Null) {
            return;
        }
        for rule in &rules.here {
            self.rule(rule, shape, at, value);
        }
        match value {
            Value::List(list) => {
                let (Some(inner), Some(items)) = (&rules.items, &shape.items) else { return };
                let nodes = at.node.map(Node::items).unwrap_or_default();
                for (index, item) in list.items.iter().enumerate() {
                    match nodes.get(index) {
                        Some(node) => self.place(inner, items, &at.item(index, node), item),
                        // It comes of a default.
                        None => self.place(inner, items, at, item),
                    }
                }
            }
            Value::Map(map) => {
                for (field, inner) in shape.fields.iter().zip(&rules.fields) {
                    if let (Some(inner), Some(value)) = (inner, map.get(&field.key())) {
                        self.place(inner, &field.shape, &at.get(&field.name), value);
                    }
                }
                if let (Some(inner), Some(values)) = (&rules.values, &shape.values) {
                    for (key, value) in map.iter() {
                        if let Key::Text(key) = key {
                            self.place(inner, values, &at.get(key), value);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn unchecked(&mut self, rule: &Rule, at: &At<'_>, why: &str) {
        self.out.not_checked.push(format!("{}: the rule `{}` in CEL: {why}", at.path(), rule.text));
    }

    fn evaluate(&mut self, program: &Program, rule: &Rule, value: &Value) -> Result<Value, EvalError> {
        let given = self.fuel.min(CALL_COST_MAX);
        let mut fuel = given;
        let mut variables = vec![("self", value.clone())];
        if rule.optional_old_self {
            variables.push(("oldSelf", Value::Optional(None)));
        }
        let result = program.evaluate(&variables, &mut fuel);
        self.fuel -= given - fuel;
        result
    }

    fn rule(&mut self, rule: &Rule, shape: &Shape, at: &At<'_>, value: &Value) {
        let program = match &rule.program {
            Ok(program) => program,
            Err(error) => return self.unchecked(rule, at, &error.to_string()),
        };
        // Rules about a change say nothing of what is new.
        if program.uses("oldSelf") && !rule.optional_old_self {
            return;
        }
        let place = |rule: &Rule| rule.field.clone();
        match self.evaluate(program, rule, value) {
            Ok(Value::Bool(true)) => {}
            Ok(Value::Bool(false)) => {
                let message = self.message(rule, value);
                let what = match rule.reason.as_str() {
                    "FieldValueForbidden" => format!("Forbidden: {message}"),
                    "FieldValueRequired" => format!("Required value: {message}"),
                    "FieldValueDuplicate" => format!("Duplicate value{}", shown(shape, at)),
                    _ => format!("Invalid value{}: {message}", shown(shape, at)),
                };
                self.refuse(rule, at, &place(rule), what);
            }
            Ok(other) => self.unchecked(rule, at, &format!("it is {} instead of true or false", other.type_name())),
            Err(EvalError::Fails(what)) => {
                let what = format!("Invalid value: \"{}\": {what} evaluating rule: {}", type_word(shape), rule.named());
                self.refuse(rule, at, &[], what);
            }
            Err(EvalError::NoOverload(_)) => {
                let what = format!(
                    "Invalid value: \"{}\": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: {}",
                    type_word(shape),
                    rule.named()
                );
                self.refuse(rule, at, &[], what);
            }
            Err(error) => self.unchecked(rule, at, &error.to_string()),
        }
    }

    fn refuse(&mut self, rule: &Rule, at: &At<'_>, field: &[Step], what: String) {
        let fix = format!("make it so that `{}`", rule.text);
        below(at, field, &mut |at| self.out.error(at, "custom/rule", what.clone(), fix.clone()));
    }

    /// The message that an expression makes, the one that is written, or the rule.
    fn message(&mut self, rule: &Rule, value: &Value) -> String {
        if let Some(program) = &rule.message_expression
            && let Ok(Value::Text(text)) = self.evaluate(program, rule, value)
        {
            let text = text.trim();
            if !text.is_empty() && text.len() <= MESSAGE_MAX_BYTES && !text.contains('\n') {
                return text.to_owned();
            }
        }
        if rule.message.is_empty() { format!("failed rule: {}", rule.text) } else { rule.message.clone() }
    }
}

impl Rule {
    /// By its message, else by itself.
    fn named(&self) -> &str {
        if self.message.is_empty() { &self.text } else { &self.message }
    }
}

/// The schema's type, which the server shows where an evaluation failed.
fn type_word(shape: &Shape) -> &'static str {
    match shape.form {
        Form::Object => "object",
        Form::List => "array",
        Form::Text | Form::Bytes | Form::Duration | Form::Date | Form::DateTime => "string",
        Form::Int => "integer",
        Form::Double => "number",
        Form::Bool => "boolean",
        Form::IntOrText | Form::Kept => "",
    }
}

/// As the server shows what is wrong: objects and lists are left out.
fn shown(shape: &Shape, at: &At<'_>) -> String {
    match (shape.form, at.word()) {
        (Form::Object | Form::List, _) | (_, None) => String::new(),
        (_, Some(Word::Text(text))) => format!(": {:?}", text.chars().take(200).collect::<String>()),
        _ => format!(": {}", at.shown()),
    }
}

/// Goes down a path, and on from the place where it ends.
fn below(at: &At<'_>, path: &[Step], then: &mut dyn FnMut(&At<'_>)) {
    match path.split_first() {
        Some((Step::Key(key), rest)) => below(&at.get(key), rest, then),
        _ => then(at),
    }
}

/// `.a.b['c']`, as steps below a place of the schema; none if it leads nowhere.
pub(crate) fn field_path(path: &str, shape: &Shape) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let (mut rest, mut here) = (path.trim(), shape);
    while !rest.is_empty() {
        let (name, tail) = if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            (tail.get(..end)?.to_owned(), tail.get(end..)?)
        } else {
            quoted(rest.strip_prefix("['")?)?
        };
        here = match (here.field(&name), &here.values) {
            (Some(field), _) => &field.shape,
            (None, Some(values)) if here.fields.is_empty() => values,
            _ => return None,
        };
        steps.push(Step::from(name.as_str()));
        rest = tail;
    }
    Some(steps)
}

/// Up to `']`, escapes taken away.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?.1),
            '\'' => return Some((name, text.get(at..)?.strip_prefix("']")?)),
            c => name.push(c),
        }
    }
    None
}
