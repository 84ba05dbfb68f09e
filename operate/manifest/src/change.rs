//! Edits of objects in their files, comments and order kept: names of the metadata, images, any value at a path. Knows not why.

use std::ops::Range;

use lib_yaml_edit::{Data, Dialect, EditError, Editor, Limits, Options, Step, parse};

use crate::object::Object;

/// One thing to change in an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A label of the object; `None` takes it away.
    Label {
        key: String,
        value: Option<String>,
    },
    /// An annotation of the object; `None` takes it away.
    Annotation {
        key: String,
        value: Option<String>,
    },
    /// A label of the pods that the object makes.
    PodLabel {
        key: String,
        value: Option<String>,
    },
    /// An annotation of the pods that the object makes.
    PodAnnotation {
        key: String,
        value: Option<String>,
    },
    Namespace(Option<String>),
    /// The image of a container, by the container's name, init containers too.
    Image {
        container: String,
        image: String,
    },
    /// Any value, made with the maps on the way to it.
    Set {
        path: Vec<Step>,
        value: Data,
    },
    /// A new item of a list, before the one at `index`, or at its end.
    Insert {
        list: Vec<Step>,
        index: usize,
        value: Data,
    },
    /// Any value; it need not be there.
    Remove {
        path: Vec<Step>,
    },
}

/// A change of one object.
#[derive(Debug, Clone)]
pub struct Edit<'o> {
    pub object: &'o Object,
    pub change: Change,
}

/// Why a file was not changed. Nothing of it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChangeError {
    #[error("{object}, line {line}: {cause}")]
    Edit { object: String, line: u32, cause: EditError },
    #[error("{object}, line {line}: it makes no pods")]
    NoPods { object: String, line: u32 },
    #[error("{object}, line {line}: it has no container `{container}`")]
    NoContainer { object: String, line: u32, container: String },
    #[error("{object}: the file is not the one it was read from")]
    OtherText { object: String },
}

/// The file's text with all changes made, in their order; objects are of this very text.
pub fn edit(text: &str, edits: &[Edit<'_>], limits: &Limits) -> Result<String, ChangeError> {
    let spans: Vec<Range<usize>> = parse(text, limits)
        .map(|documents| documents.iter().map(|d| d.start as usize..d.end as usize).collect())
        .unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for (index, span) in spans.iter().enumerate() {
        let mine: Vec<&Edit<'_>> = edits.iter().filter(|edit| edit.object.document == index).collect();
        let Some((first, part)) = mine.first().zip(text.get(span.clone())) else { continue };
        let fault = |cause: EditError| failed(first.object, cause);
        // A document by itself: a file of thousands is not read again for each change.
        let options = Options { limits: *limits, dialect: Dialect::Kubectl };
        let mut editor = Editor::new(part, options).map_err(|cause| fault(cause.into()))?;
        for edit in mine {
            one(&mut editor, edit)?;
        }
        out.push_str(text.get(at..span.start).unwrap_or(""));
        out.push_str(editor.text());
        at = span.end;
    }
    if let Some(lost) = edits.iter().find(|edit| edit.object.document >= spans.len()) {
        return Err(ChangeError::OtherText { object: lost.object.identity.to_string() });
    }
    out.push_str(text.get(at..).unwrap_or(""));
    Ok(out)
}

fn failed(object: &Object, cause: EditError) -> ChangeError {
    ChangeError::Edit { object: object.identity.to_string(), line: object.line(), cause }
}

fn one(editor: &mut Editor, edit: &Edit<'_>) -> Result<(), ChangeError> {
    let object = edit.object;
    let pod = || {
        object
            .pod_path()
            .ok_or_else(|| ChangeError::NoPods { object: object.identity.to_string(), line: object.line() })
    };
    let at = |keys: &[&str]| {
        object.prefix.iter().cloned().chain(keys.iter().map(|key| Step::from(*key))).collect::<Vec<Step>>()
    };
    let named = |before: &[&str], map: &str, key: &str| at(&[before, &["metadata", map, key]].concat());
    if let Change::Insert { list, index, value } = &edit.change {
        let list: Vec<Step> = object.prefix.iter().chain(list).cloned().collect();
        return editor.insert_item(&list, *index, value.clone()).map(drop).map_err(|cause| failed(object, cause));
    }
    let (path, value): (Vec<Step>, Option<Data>) = match &edit.change {
        Change::Insert { .. } => return Ok(()),
        Change::Label { key, value } => (named(&[], "labels", key), value.as_deref().map(Data::from)),
        Change::Annotation { key, value } => (named(&[], "annotations", key), value.as_deref().map(Data::from)),
        Change::PodLabel { key, value } => (named(pod()?, "labels", key), value.as_deref().map(Data::from)),
        Change::PodAnnotation { key, value } => (named(pod()?, "annotations", key), value.as_deref().map(Data::from)),
        Change::Namespace(value) => (at(&["metadata", "namespace"]), value.as_deref().map(Data::from)),
        Change::Set { path, value } => (object.prefix.iter().chain(path).cloned().collect(), Some(value.clone())),
        Change::Remove { path } => (object.prefix.iter().chain(path).cloned().collect(), None),
        Change::Image { container, image } => {
            let lists = ["containers", "initContainers", "ephemeralContainers"];
            let base = pod()?;
            let found = lists.iter().find_map(|list| {
                let keys = [base, &["spec", list]].concat();
                let items = keys.iter().try_fold(&object.node, |node, key| node.get(key))?.items();
                let index = items.iter().position(|item| item.get("name").and_then(|n| n.text()) == Some(container))?;
                let mut path = at(&keys);
                path.extend([Step::from(index), Step::from("image")]);
                Some(path)
            });
            let missing = || ChangeError::NoContainer {
                object: object.identity.to_string(),
                line: object.line(),
                container: container.clone(),
            };
            (found.ok_or_else(missing)?, Some(Data::from(image.as_str())))
        }
    };
    let done = match value {
        Some(value) => editor.set(&path, value).map(drop),
        None => match editor.remove(&path).map(drop) {
            Err(EditError::Missing { .. }) => Ok(()),
            done => done,
        },
    };
    done.map_err(|cause| failed(object, cause))
}
