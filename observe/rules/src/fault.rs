//! What is wrong in a file, and where. Knows no file name: the caller has it.

use lib_yaml_edit::Node;

/// Lines and columns count from 1; columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Fault {
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// What to do, where there is something to say.
    pub hint: Option<String>,
}

impl Fault {
    pub(crate) fn at(node: &Node, message: impl Into<String>) -> Self {
        Fault::new((node.line as usize, node.column as usize), message)
    }

    pub(crate) fn new((line, column): (usize, usize), message: impl Into<String>) -> Self {
        Fault { line, column, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<lib_yaml_edit::Fault> for Fault {
    fn from(fault: lib_yaml_edit::Fault) -> Self {
        Fault::new((fault.line, fault.column), fault.message).hint(fault.hint)
    }
}
