//! What can go wrong with a text and with its evaluation. Knows no rule of either.

use thiserror::Error;

/// Why a text is no program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompileError {
    /// The text is wrong: any implementation of the language refuses it. Line and column count from 1, in characters.
    #[error("{line}:{column}: {what}")]
    Wrong { line: usize, column: usize, what: String },
    /// The text is larger or deeper than is taken here; others may take it.
    #[error("the expression is beyond a limit: {0}")]
    Limit(String),
}

/// Why an evaluation has no value. Only [`EvalError::Fails`] and [`EvalError::NoOverload`] say that the expression is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvalError {
    /// As `no such key: a`, in cel-go's words.
    #[error("{0}")]
    Fails(String),
    /// Arguments of types that the operator or function does not take.
    #[error("no such overload: {0}")]
    NoOverload(String),
    /// It would cost more than was allowed.
    #[error("its cost is over the limit of {0}")]
    Cost(u64),
    /// What is asked for cannot be told here.
    #[error("{0}")]
    Unknown(String),
}

impl EvalError {
    /// In words.
    pub fn fails(what: impl Into<String>) -> Self {
        EvalError::Fails(what.into())
    }
}
