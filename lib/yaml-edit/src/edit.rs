//! The door to edits: each one is made, read again, and handed out only if the text then says exactly what was asked for.

use crate::build::{Limits, parse, parse_written};
use crate::data::Data;
use crate::fault::Fault;
use crate::node::{Step, path_text};
use crate::render::Layout;
use crate::scalar::Dialect;
use crate::splice::{Splice, Tree};

/// Why an edit was not made. The text is as it was.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EditError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("there is no document {index} here, only {documents}")]
    Document { index: usize, documents: usize },
    #[error("there is nothing at `{path}`")]
    Missing { path: String },
    #[error("`{path}` cannot be renamed: `{key}` stands beside it already")]
    Exists { path: String, key: String },
    #[error("`{path}` (line {line}) is no {wanted}")]
    Kind { path: String, wanted: &'static str, line: u32 },
    #[error(
        "`{path}` (line {line}) is an alias: what it names would change for all who use it; edit the anchor, or write the value out"
    )]
    Aliased { path: String, line: u32 },
    #[error(
        "`{path}` cannot be changed without changing more than was asked for (an anchor used elsewhere, or an unusual notation); edit it by hand"
    )]
    Refused { path: String },
}

/// How a text is read for edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub limits: Limits,
    /// By which two values are the same: with `Kubectl`, setting `true` where `yes` stands changes nothing.
    pub dialect: Dialect,
}

/// A text that is being edited. Paths are of one document, the first if nothing else is said.
#[derive(Debug, Clone)]
pub struct Editor {
    text: String,
    options: Options,
    document: usize,
}

enum Op {
    Set(Vec<Step>, Data),
    InsertPair(Vec<Step>, String, Data),
    InsertItem(Vec<Step>, usize, Data),
    Remove(Vec<Step>),
    Rename(Vec<Step>, String),
}

impl Editor {
    pub fn new(text: impl Into<String>, options: Options) -> Result<Self, Fault> {
        let text = text.into();
        parse(&text, &options.limits)?;
        Ok(Editor { text, options, document: 0 })
    }

    /// Which document of the text the next edits mean, from 0.
    pub fn document(&mut self, index: usize) -> &mut Self {
        self.document = index;
        self
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// Makes the value at a path this one. What is equal keeps its bytes: of a map only the keys that differ are touched, of a list only the items.
    /// Maps on the way there are made.
    pub fn set(&mut self, path: &[Step], value: impl Into<Data>) -> Result<&mut Self, EditError> {
        let value = value.into();
        let before = self.data()?;
        let mut there = 0;
        while there < path.len() && get(&before, path.get(..=there).unwrap_or(path)).is_some() {
            there += 1;
        }
        let (known, missing) = path.split_at(there);
        let mut missing = missing.iter().rev().peekable();
        let mut value = value;
        let mut ops = Vec::new();
        while let Some(step) = missing.next() {
            let here = get(&before, known);
            match (step, missing.peek().is_none(), here) {
                (Step::Key(key), true, Some(Data::Map(_))) => {
                    ops.push(Op::InsertPair(known.to_vec(), key.to_string(), value.clone()));
                }
                (Step::Index(index), true, Some(Data::List(items))) if *index == items.len() => {
                    ops.push(Op::InsertItem(known.to_vec(), *index, value.clone()));
                }
                (Step::Key(key), last, here) if !last || matches!(here, Some(Data::Null)) => {
                    value = Data::Map(vec![(key.to_string(), value)]);
                    if last {
                        ops.push(Op::Set(known.to_vec(), value.clone()));
                    }
                }
                (Step::Index(0), last, here) if !last || matches!(here, Some(Data::Null)) => {
                    value = Data::List(vec![value]);
                    if last {
                        ops.push(Op::Set(known.to_vec(), value.clone()));
                    }
                }
                _ => return Err(EditError::Missing { path: path_text(path) }),
            }
        }
        if there == path.len() {
            let Some(old) = get(&before, path) else { return Err(EditError::Missing { path: path_text(path) }) };
            differences(old, &value, &mut path.to_vec(), &mut ops);
        }
        self.run(path, before, ops)
    }

    /// A new key at the end of a map. Refused if it is there.
    pub fn insert(&mut self, map: &[Step], key: &str, value: impl Into<Data>) -> Result<&mut Self, EditError> {
        let before = self.data()?;
        if let Some(Data::Map(pairs)) = get(&before, map)
            && pairs.iter().any(|(known, _)| known == key)
        {
            return Err(EditError::Exists { path: path_text(map), key: key.to_owned() });
        }
        self.run(map, before, vec![Op::InsertPair(map.to_vec(), key.to_owned(), value.into())])
    }

    /// A new item before the one at `index`, or at the end if `index` is the length.
    pub fn insert_item(&mut self, list: &[Step], index: usize, value: impl Into<Data>) -> Result<&mut Self, EditError> {
        let before = self.data()?;
        self.run(list, before, vec![Op::InsertItem(list.to_vec(), index, value.into())])
    }

    /// A new item at the end of a list.
    pub fn append(&mut self, list: &[Step], value: impl Into<Data>) -> Result<&mut Self, EditError> {
        let before = self.data()?;
        let Some(Data::List(items)) = get(&before, list) else {
            return Err(EditError::Missing { path: path_text(list) });
        };
        let op = Op::InsertItem(list.to_vec(), items.len(), value.into());
        self.run(list, before, vec![op])
    }

    /// Takes out a key or an item; a comment behind it on its line goes with it, one on the line above stays.
    pub fn remove(&mut self, path: &[Step]) -> Result<&mut Self, EditError> {
        let before = self.data()?;
        self.run(path, before, vec![Op::Remove(path.to_vec())])
    }

    /// Another name for the key at a path.
    pub fn rename(&mut self, path: &[Step], key: &str) -> Result<&mut Self, EditError> {
        let before = self.data()?;
        self.run(path, before, vec![Op::Rename(path.to_vec(), key.to_owned())])
    }

    /// What the document says now; nothing, if the text has no document at all.
    pub fn data(&self) -> Result<Data, EditError> {
        let documents = parse(&self.text, &self.options.limits)?;
        match documents.get(self.document) {
            Some(document) => Ok(document.root.data(self.options.dialect)),
            None if documents.is_empty() && self.document == 0 => Ok(Data::Null),
            None => Err(EditError::Document { index: self.document, documents: documents.len() }),
        }
    }

    fn run(&mut self, path: &[Step], before: Data, ops: Vec<Op>) -> Result<&mut Self, EditError> {
        if ops.is_empty() {
            return Ok(self);
        }
        let refused = || EditError::Refused { path: path_text(path) };
        let mut wanted = before;
        let mut text = self.text.clone();
        for op in &ops {
            op.apply_to(&mut wanted).ok_or_else(|| EditError::Missing { path: path_text(path) })?;
            text = self.one(&text, op)?;
        }
        // The other documents, and this one but for what was asked, say what they said.
        let old = parse(&self.text, &self.options.limits)?;
        let new = parse(&text, &self.options.limits).map_err(|_| refused())?;
        let dialect = self.options.dialect;
        let same = new.len() == old.len().max(1)
            && new.iter().enumerate().all(|(at, document)| match old.get(at) {
                Some(old) if at != self.document => old.root.data(dialect) == document.root.data(dialect),
                _ => document.root.data(dialect) == wanted,
            });
        if !same {
            return Err(refused());
        }
        self.text = text;
        Ok(self)
    }

    fn one(&self, text: &str, op: &Op) -> Result<String, EditError> {
        let documents = parse_written(text, &self.options.limits)?;
        let layout = Layout::of(text, &documents);
        let Some(document) = documents.get(self.document) else {
            let Op::Set(_, data) = op else { return Err(EditError::Missing { path: String::new() }) };
            let lines = layout.lines(data, 0);
            let value = if lines.is_empty() { layout.inline(data, None, false) } else { lines.join(layout.newline) };
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { layout.newline };
            return Ok(format!("{text}{gap}{value}{}", layout.newline));
        };
        let tree = Tree { text, root: &document.root, layout: &layout };
        let splices = match op {
            Op::Set(path, data) => match (tree.replace(path, data), path.split_last()) {
                // It came by a merge key: said here, it goes before that.
                (Err(EditError::Missing { .. }), Some((Step::Key(key), parent))) => {
                    tree.insert_pair(parent, key, data)?
                }
                (splices, _) => splices?,
            },
            Op::InsertPair(path, key, data) => tree.insert_pair(path, key, data)?,
            Op::InsertItem(path, index, data) => tree.insert_item(path, *index, data)?,
            Op::Remove(path) => tree.remove(path)?,
            Op::Rename(path, key) => tree.rename(path, key)?,
        };
        Ok(apply(text, splices))
    }
}

impl Op {
    /// The same on the value alone: what the text must say afterwards.
    fn apply_to(&self, data: &mut Data) -> Option<()> {
        match self {
            Op::Set(path, value) => *data.at_mut(path)? = value.clone(),
            Op::InsertPair(path, key, value) => match data.at_mut(path)? {
                Data::Map(pairs) => pairs.push((key.clone(), value.clone())),
                _ => return None,
            },
            Op::InsertItem(path, index, value) => match data.at_mut(path)? {
                Data::List(items) if *index <= items.len() => items.insert(*index, value.clone()),
                _ => return None,
            },
            Op::Remove(path) => {
                let (last, parent) = path.split_last()?;
                match (data.at_mut(parent)?, last) {
                    (Data::Map(pairs), Step::Key(key)) => {
                        let at = pairs.iter().position(|(known, _)| **known == **key)?;
                        pairs.remove(at);
                    }
                    (Data::List(items), Step::Index(index)) if *index < items.len() => {
                        items.remove(*index);
                    }
                    _ => return None,
                }
            }
            Op::Rename(path, to) => {
                let (Step::Key(key), parent) = path.split_last()? else { return None };
                let Data::Map(pairs) = data.at_mut(parent)? else { return None };
                pairs.iter_mut().find(|(known, _)| **known == **key)?.0.clone_from(to);
            }
        }
        Some(())
    }
}

fn get<'d>(data: &'d Data, path: &[Step]) -> Option<&'d Data> {
    path.iter().try_fold(data, |data, step| match (data, step) {
        (Data::Map(pairs), Step::Key(key)) => pairs.iter().find(|(k, _)| **k == **key).map(|(_, value)| value),
        (Data::List(items), Step::Index(index)) => items.get(*index),
        _ => None,
    })
}

/// The fewest edits from one value to another.
fn differences(old: &Data, new: &Data, path: &mut Vec<Step>, ops: &mut Vec<Op>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Data::Map(old), Data::Map(new))
            if !old.is_empty() && new.iter().any(|(key, _)| old.iter().any(|(k, _)| k == key)) =>
        {
            for (key, _) in old.iter().filter(|(key, _)| !new.iter().any(|(k, _)| k == key)) {
                ops.push(Op::Remove(with(path, key.as_str().into())));
            }
            for (key, value) in new {
                match old.iter().find(|(known, _)| known == key) {
                    Some((_, old)) => {
                        path.push(key.as_str().into());
                        differences(old, value, path, ops);
                        path.pop();
                    }
                    None => ops.push(Op::InsertPair(path.clone(), key.clone(), value.clone())),
                }
            }
        }
        (Data::List(old), Data::List(new)) if !old.is_empty() && !new.is_empty() => {
            for at in (new.len()..old.len()).rev() {
                ops.push(Op::Remove(with(path, at.into())));
            }
            for (at, value) in new.iter().enumerate() {
                match old.get(at) {
                    Some(old) => {
                        path.push(at.into());
                        differences(old, value, path, ops);
                        path.pop();
                    }
                    None => ops.push(Op::InsertItem(path.clone(), at, value.clone())),
                }
            }
        }
        _ => ops.push(Op::Set(path.clone(), new.clone())),
    }
}

fn with(path: &[Step], step: Step) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(step);
    path
}

/// Splices are of one text and do not overlap.
fn apply(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.from);
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for splice in splices {
        out.push_str(text.get(at..splice.from).unwrap_or(""));
        out.push_str(&splice.with);
        at = splice.to.max(at);
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}
