//! Text to objects: documents of a file, lists unfolded, each object with its place. What an object means is read as kubectl reads it. Knows no schema.

use std::fmt;
use std::sync::Arc;

use lib_yaml_edit::{Data, Dialect, Document, Fault, Node, Step, Value, Word, parse};

pub use lib_yaml_edit::Limits;

/// Who an object is in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Group and version, as `apps/v1`.
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    /// Empty where the server makes the name (`generateName`).
    pub name: String,
}

impl Identity {
    /// The group; empty for the core.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    pub fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or("")
    }
}

impl fmt::Display for Identity {
    /// `Deployment shop/cart`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One object of a file.
#[derive(Debug, Clone)]
pub struct Object {
    pub identity: Identity,
    /// As the file was named by whoever read it.
    pub file: Arc<str>,
    /// Which document of the file, from 0.
    pub document: usize,
    /// Where in the document: empty, or an item of a list.
    pub prefix: Vec<Step>,
    /// The whole object; its places are those of the file.
    pub node: Node,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct File {
    pub name: Arc<str>,
    pub objects: Vec<Object>,
    /// Documents that are empty or comments only.
    pub empty: usize,
}

/// A file that holds something else than objects, or is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("{file}:{fault}; {}", fault.hint)]
    Fault { file: Arc<str>, fault: Fault },
    #[error("{file}:{line}:{column}: {what}; {hint}")]
    NoObject { file: Arc<str>, line: u32, column: u32, what: String, hint: &'static str },
}

/// Kinds whose items are objects of their own: `List`, and what `kubectl get -o yaml` writes for typed lists.
fn is_list(api_version: &str, kind: &str, node: &Node) -> bool {
    let items = node.get("items").is_some_and(|items| matches!(items.value, Value::List(_)));
    items && kind.ends_with("List") && (api_version == "v1" && kind == "List" || node.get("spec").is_none())
}

/// Reads a file: YAML or JSON, one document or many, `List`s unfolded.
pub fn read(name: &str, text: &str, limits: &Limits) -> Result<File, ReadError> {
    of_documents(name, parse(text, limits))
}

/// The objects of what was read already.
pub(crate) fn of_documents(name: &str, documents: Result<Vec<Document>, Fault>) -> Result<File, ReadError> {
    let file: Arc<str> = name.into();
    let documents = documents.map_err(|fault| ReadError::Fault { file: Arc::clone(&file), fault })?;
    let mut read = File { name: Arc::clone(&file), objects: Vec::with_capacity(documents.len()), empty: 0 };
    for (at, Document { root, .. }) in documents.into_iter().enumerate() {
        if matches!(root.word(Dialect::Kubectl), Some(Word::Null)) {
            read.empty += 1;
            continue;
        }
        unfold(&mut read, at, Vec::new(), root, 0)?;
    }
    Ok(read)
}

fn unfold(into: &mut File, document: usize, prefix: Vec<Step>, mut node: Node, depth: usize) -> Result<(), ReadError> {
    let no_object = |node: &Node, what: String, hint| ReadError::NoObject {
        file: Arc::clone(&into.name),
        line: node.line,
        column: node.column,
        what,
        hint,
    };
    if !matches!(node.value, Value::Map(_)) {
        return Err(no_object(
            &node,
            "a manifest is a map of keys".to_owned(),
            "start it with `apiVersion:` and `kind:`",
        ));
    }
    let field = |key: &str| match node.get(key).map(|value| (value, value.word(Dialect::Kubectl))) {
        None | Some((_, Some(Word::Null))) => Ok(None),
        Some((_, Some(Word::Text(text)))) => Ok(Some(text.to_owned())),
        Some((value, _)) => Err(no_object(value, format!("`{key}` must be text"), "put it in quotes")),
    };
    let missing =
        |key: &str| no_object(&node, format!("`{key}` is missing"), "every object says its `apiVersion` and `kind`");
    let api_version = field("apiVersion")?.filter(|text| !text.is_empty()).ok_or_else(|| missing("apiVersion"))?;
    let kind = field("kind")?.filter(|text| !text.is_empty()).ok_or_else(|| missing("kind"))?;
    if depth < 4 && is_list(&api_version, &kind, &node) {
        let items = match &mut node.value {
            Value::Map(pairs) => pairs
                .iter_mut()
                .find(|pair| &*pair.key == "items")
                .map(|pair| std::mem::replace(&mut pair.node.value, Value::List(Vec::new()))),
            _ => None,
        };
        let Some(Value::List(items)) = items else { return Ok(()) };
        for (index, item) in items.into_iter().enumerate() {
            let prefix = prefix.iter().cloned().chain([Step::from("items"), Step::from(index)]).collect();
            unfold(into, document, prefix, item, depth + 1)?;
        }
        return Ok(());
    }
    let word = |key: &str| match node.get("metadata")?.get(key)?.word(Dialect::Kubectl)? {
        Word::Text(text) if !text.is_empty() => Some(text.to_owned()),
        _ => None,
    };
    let identity = Identity { namespace: word("namespace"), name: word("name").unwrap_or_default(), api_version, kind };
    into.objects.push(Object { identity, file: Arc::clone(&into.name), document, prefix, node });
    Ok(())
}

impl Object {
    /// Its line in the file, from 1.
    pub fn line(&self) -> u32 {
        self.node.line
    }

    /// The object as JSON, as kubectl would send it.
    pub fn json(&self) -> serde_json::Value {
        self.node.data(Dialect::Kubectl).into()
    }

    /// The object's value, its keys in the file's order.
    pub fn data(&self) -> Data {
        self.node.data(Dialect::Kubectl)
    }

    /// Text at a path of keys, if it is text.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let node = path.iter().try_fold(&self.node, |node, key| node.get(key))?;
        match node.word(Dialect::Kubectl)? {
            Word::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The keys that lead to its pod's `metadata` and `spec`; nothing if the kind makes no pods.
    pub fn pod_path(&self) -> Option<&'static [&'static str]> {
        pod_path(self.identity.group(), &self.identity.kind)
    }
}

/// Where a kind keeps the pod it makes.
pub fn pod_path(group: &str, kind: &str) -> Option<&'static [&'static str]> {
    match (group, kind) {
        ("", "Pod") => Some(&[]),
        ("", "PodTemplate") => Some(&["template"]),
        ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => Some(&["spec", "template"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}
