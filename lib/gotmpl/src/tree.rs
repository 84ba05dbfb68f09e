//! A template as a tree. Knows neither how it is written nor what it does.

use std::collections::HashMap;

use crate::value::Value;

/// The template itself and those it defines.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) nodes: Vec<Node>,
    pub(crate) defined: HashMap<String, Vec<Node>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Print(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: String, data: Option<Pipeline>, line: usize },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) pipeline: Pipeline,
    pub(crate) then: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    /// From 1.
    pub(crate) line: usize,
    /// As it is written, for errors.
    pub(crate) text: String,
    /// Variables that take what comes of it, with their `$`.
    pub(crate) variables: Vec<String>,
    /// Whether these are new: `:=`, not `=`.
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Vec<Term>>,
}

/// An operand and the fields taken of it.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) operand: Operand,
    pub(crate) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Dot,
    Nil,
    Literal(Value),
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
}
