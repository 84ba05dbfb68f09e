//! Injection of files: every object of a text, comments and order kept. Before a text is handed out it is put back on trial, and whether that gives the very
//! bytes it came from is told. Opens no file.

use lib_yaml_edit::{Limits, Node, Style};

use super::{InjectError, InjectSettings, Op, Outcome, Skipped, inject_written, uninject};
use crate::change::{ChangeError, Edit, edit};
use crate::object::{Identity, Object, ReadError, read};

/// What became of one object of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct InjectedObject {
    pub identity: Identity,
    /// In the text as it was given, from 1.
    pub line: u32,
    /// How many operations; nothing to do is 0.
    pub result: Result<usize, Skipped>,
}

/// A text after injection.
#[derive(Debug, Clone, PartialEq)]
pub struct InjectedText {
    pub text: String,
    /// Those that make pods.
    pub objects: Vec<InjectedObject>,
    /// Put back, it is the same to the byte; else it means the same, in another notation.
    pub is_exact: bool,
}

/// Why a text was left as it is, as a whole.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{file}:{line}: {object} cannot be injected: {cause}")]
    Inject { file: String, line: u32, object: String, cause: InjectError },
    #[error("{file}: {cause}")]
    Change { file: String, cause: ChangeError },
}

/// Injects every object of a text that makes pods.
pub fn inject_text(
    name: &str,
    text: &str,
    settings: &InjectSettings,
    limits: &Limits,
) -> Result<InjectedText, TextError> {
    let mut objects = Vec::new();
    let after = every(name, text, limits, |object| {
        let outcome =
            inject_written(&object.json(), settings, &|container, variable| is_plain(object, container, variable))?;
        let (ops, result) = match outcome {
            Outcome::Ops(ops) => (ops.clone(), Ok(ops.len())),
            Outcome::Skipped(Skipped::NoPod) => return Ok(Vec::new()),
            Outcome::Skipped(why) => (Vec::new(), Err(why)),
        };
        objects.push(InjectedObject { identity: object.identity.clone(), line: object.line(), result });
        Ok(ops)
    })?;
    let (back, before) = (uninject_text(name, &after, limits)?.text, uninject_text(name, text, limits)?.text);
    Ok(InjectedText { text: after, objects, is_exact: back == before })
}

/// Puts every object of a text back.
pub fn uninject_text(name: &str, text: &str, limits: &Limits) -> Result<InjectedText, TextError> {
    let mut objects = Vec::new();
    let text = every(name, text, limits, |object| {
        let ops = uninject(&object.json())?;
        if !ops.is_empty() {
            let (identity, line) = (object.identity.clone(), object.line());
            objects.push(InjectedObject { identity, line, result: Ok(ops.len()) });
        }
        Ok(ops)
    })?;
    Ok(InjectedText { text, objects, is_exact: true })
}

fn is_plain(object: &Object, container: &str, variable: &str) -> bool {
    let find = || {
        let pod = object.pod_path()?.iter().try_fold(&object.node, |node, key| node.get(key))?;
        let container = named(pod.get("spec")?.get("containers")?, container)?;
        named(container.get("env")?, variable)?.get("value")
    };
    find().is_some_and(|value| value.style == Style::Plain)
}

fn named<'n>(list: &'n Node, name: &str) -> Option<&'n Node> {
    list.items().iter().find(|one| one.get("name").and_then(Node::text) == Some(name))
}

fn every(
    name: &str,
    text: &str,
    limits: &Limits,
    mut ops: impl FnMut(&Object) -> Result<Vec<Op>, InjectError>,
) -> Result<String, TextError> {
    let file = read(name, text, limits)?;
    let mut edits = Vec::new();
    for object in &file.objects {
        let made = ops(object).map_err(|cause| TextError::Inject {
            file: name.to_owned(),
            line: object.line(),
            object: object.identity.to_string(),
            cause,
        })?;
        edits.extend(made.iter().map(|op| Edit { object, change: op.change() }));
    }
    if edits.is_empty() {
        return Ok(text.to_owned());
    }
    edit(text, &edits, limits).map_err(|cause| TextError::Change { file: name.to_owned(), cause })
}
