//! Carries a template out, within limits. Knows no grammar.

use crate::Functions;
use crate::builtin;
use crate::tree::{Branch, Node, Operand, Pipeline, Term, Whole};
use crate::value::Value;

/// What one rendering may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of what it prints.
    pub bytes_max: usize,
    /// Nodes and commands that are carried out.
    pub steps_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: 1 << 20, steps_max: 1_000_000 }
    }
}

/// A template that came to nothing, told as Go tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: executing {name:?} at <{text}>: {message}")]
pub struct RenderError {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// The action at fault, as it is written.
    pub text: String,
    pub message: String,
}

/// Templates that call each other.
const CALLS_MAX: usize = 100;

pub(crate) fn render(
    name: &str,
    whole: &Whole,
    data: &Value,
    variables: &[(&str, Value)],
    functions: &dyn Functions,
    limits: Limits,
) -> Result<String, RenderError> {
    let mut known = vec![("$".to_owned(), data.clone())];
    known.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let mut state = State { name, whole, functions, limits, out: String::new(), variables: known, steps: 0, calls: 0 };
    state.list(&whole.nodes, data)?;
    Ok(state.out)
}

struct State<'t> {
    name: &'t str,
    whole: &'t Whole,
    functions: &'t dyn Functions,
    limits: Limits,
    out: String,
    variables: Vec<(String, Value)>,
    steps: usize,
    calls: usize,
}

/// How a list of nodes was left.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl<'t> State<'t> {
    fn error(&self, line: usize, text: &str, message: impl Into<String>) -> RenderError {
        RenderError { name: self.name.to_owned(), line, text: text.to_owned(), message: message.into() }
    }

    fn step(&mut self, line: usize, text: &str) -> Result<(), RenderError> {
        self.steps += 1;
        if self.steps > self.limits.steps_max {
            let limit = self.limits.steps_max;
            return Err(self.error(line, text, format!("it takes more than {limit} steps")));
        }
        if self.out.len() > self.limits.bytes_max {
            let limit = self.limits.bytes_max;
            return Err(self.error(line, text, format!("it prints more than {limit} bytes")));
        }
        Ok(())
    }

    fn list(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow, RenderError> {
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Result<Flow, RenderError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.out.push_str(&value.show());
                }
            }
            Node::If(branch) => return self.chosen(branch, dot, false),
            Node::With(branch) => return self.chosen(branch, dot, true),
            Node::Range(branch) => self.range(branch, dot)?,
            Node::Template { name, data, line } => self.template(name, data.as_ref(), *line, dot)?,
        }
        Ok(Flow::On)
    }

    fn chosen(&mut self, branch: &'t Branch, dot: &Value, with: bool) -> Result<Flow, RenderError> {
        let known = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = match value.is_true() {
            true => self.list(&branch.then, if with { &value } else { dot }),
            false => self.list(&branch.otherwise, dot),
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Result<(), RenderError> {
        let pipeline = &branch.pipeline;
        let known = self.variables.len();
        let value = self.commands(pipeline, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(items) => items.into_iter().enumerate().map(|(i, item)| (index(i), item)).collect(),
            Value::Texts(map) => map.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
            Value::Map(map) => map.iter().map(|(k, v)| (k.as_str().into(), v.clone())).collect(),
            Value::Int(count) if usize::try_from(count).is_ok_and(|count| count > self.limits.steps_max) => {
                return Err(self.error(pipeline.line, &pipeline.text, "it goes round too often"));
            }
            Value::Int(count) => (0..count.max(0)).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::Nil => Vec::new(),
            other => {
                let message = format!("range can't iterate over {}", other.show());
                return Err(self.error(pipeline.line, &pipeline.text, message));
            }
        };
        if items.is_empty() {
            self.list(&branch.otherwise, dot)?;
        }
        for (key, item) in items {
            self.step(pipeline.line, &pipeline.text)?;
            let values = match pipeline.variables.as_slice() {
                [] => Vec::new(),
                [one] => vec![(one, item.clone())],
                [first, second, ..] => vec![(first, key), (second, item.clone())],
            };
            for (name, value) in values {
                self.set(name, value, pipeline.declares);
            }
            let flow = self.list(&branch.then, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn template(
        &mut self,
        name: &str,
        data: Option<&'t Pipeline>,
        line: usize,
        dot: &Value,
    ) -> Result<(), RenderError> {
        let text = format!("{{{{template {name:?}}}}}");
        let whole: &'t Whole = self.whole;
        let Some(nodes) = whole.defined.get(name) else {
            return Err(self.error(line, &text, format!("template {name:?} not defined")));
        };
        let data = data.map(|data| self.pipeline(data, dot)).transpose()?.unwrap_or(Value::Nil);
        self.calls += 1;
        if self.calls > CALLS_MAX {
            return Err(self.error(line, &text, format!("more than {CALLS_MAX} templates within each other")));
        }
        let outside = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let done = self.list(nodes, &data);
        self.variables = outside;
        self.calls -= 1;
        done.map(drop)
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name).filter(|_| !declares) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, RenderError> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, RenderError> {
        let mut last = None;
        for command in &pipeline.commands {
            self.step(pipeline.line, &pipeline.text)?;
            last = Some(self.command(pipeline, command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    /// `last` is what came of the command before, the last argument of this one.
    fn command(
        &mut self,
        pipeline: &'t Pipeline,
        command: &'t [Term],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, RenderError> {
        let error = |state: &Self, message: String| state.error(pipeline.line, &pipeline.text, message);
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nil) };
        let Operand::Function(name) = &first.operand else {
            if !rest.is_empty() || last.is_some() {
                let message = match first.fields.last() {
                    Some(field) => format!("{field} has arguments but cannot be invoked as function"),
                    None => "can't give argument to non-function".to_owned(),
                };
                return Err(error(self, message));
            }
            if matches!(first.operand, Operand::Nil) {
                return Err(error(self, "nil is not a command".to_owned()));
            }
            return self.term(pipeline, first, dot);
        };
        if !first.fields.is_empty() {
            return self.term(pipeline, first, dot);
        }
        let mut args = Vec::with_capacity(rest.len() + 1);
        if matches!(name.as_str(), "and" | "or") {
            // Only as far as needed.
            for term in rest {
                let value = self.term(pipeline, term, dot)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
                args.push(value);
            }
            let value = last.or_else(|| args.pop());
            return value.ok_or_else(|| error(self, format!("wrong number of args for {name}: want at least 1 got 0")));
        }
        for term in rest {
            args.push(self.term(pipeline, term, dot)?);
        }
        args.extend(last);
        self.call(name, &args).map_err(|why| error(self, format!("error calling {name}: {why}")))
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, String> {
        match builtin::NAMES.contains(&name) && !self.functions.knows(name) {
            true => builtin::call(name, args),
            false => self.functions.call(name, args),
        }
    }

    fn term(&mut self, pipeline: &'t Pipeline, term: &'t Term, dot: &Value) -> Result<Value, RenderError> {
        let error = |state: &Self, message: String| state.error(pipeline.line, &pipeline.text, message);
        let mut value = match &term.operand {
            Operand::Dot => dot.clone(),
            Operand::Nil => Value::Nil,
            Operand::Literal(value) => value.clone(),
            Operand::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| error(self, format!("undefined variable: {name}")))?
            }
            Operand::Function(name) => {
                self.call(name, &[]).map_err(|why| error(self, format!("error calling {name}: {why}")))?
            }
            Operand::Pipeline(inner) => self.commands(inner, dot)?,
        };
        for field in &term.fields {
            value = value.field(field).map_err(|why| error(self, why))?;
        }
        Ok(value)
    }
}

fn index(at: usize) -> Value {
    Value::Int(i64::try_from(at).unwrap_or(i64::MAX))
}
