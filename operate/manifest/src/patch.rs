//! Operations on an object as a list: made on a working copy one by one, then written as RFC 6902 or carried out in a text with its comments kept.
//! Knows nothing of pods.

use lib_yaml_edit::{Data, Step};
use serde_json::{Value, json};

use crate::change::Change;

/// One operation; paths are of the whole object. A later one sees what an earlier one did.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A key that is not there, or a new item before the one at the index.
    Add {
        path: Vec<Step>,
        value: Value,
    },
    Replace {
        path: Vec<Step>,
        value: Value,
    },
    Remove {
        path: Vec<Step>,
    },
}

impl Op {
    /// The same as a change of a manifest's text.
    pub fn change(&self) -> Change {
        match self {
            Op::Add { path, value } => match path.split_last() {
                Some((Step::Index(index), list)) => {
                    Change::Insert { list: list.to_vec(), index: *index, value: written(value) }
                }
                _ => Change::Set { path: path.clone(), value: written(value) },
            },
            Op::Replace { path, value } => Change::Set { path: path.clone(), value: written(value) },
            Op::Remove { path } => Change::Remove { path: path.clone() },
        }
    }

    fn json(&self) -> Value {
        match self {
            Op::Add { path, value } => json!({"op": "add", "path": pointer(path), "value": value}),
            Op::Replace { path, value } => json!({"op": "replace", "path": pointer(path), "value": value}),
            Op::Remove { path } => json!({"op": "remove", "path": pointer(path)}),
        }
    }
}

/// As a person would write it: the name first.
fn written(value: &Value) -> Data {
    let mut data = Data::from(value.clone());
    name_first(&mut data);
    data
}

fn name_first(data: &mut Data) {
    match data {
        Data::Map(pairs) => {
            let rank = |key: &str| ["name", "image"].iter().position(|first| *first == key).unwrap_or(2);
            pairs.sort_by_key(|(key, _)| rank(key));
            pairs.iter_mut().for_each(|(_, value)| name_first(value));
        }
        Data::List(items) => items.iter_mut().for_each(name_first),
        _ => {}
    }
}

/// The operations as a JSON patch (RFC 6902).
pub fn json_patch(ops: &[Op]) -> Value {
    Value::Array(ops.iter().map(Op::json).collect())
}

/// RFC 6901.
fn pointer(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        out.push('/');
        match step {
            Step::Key(key) => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => out.push_str(&index.to_string()),
        }
    }
    out
}

/// A copy of an object that remembers what was done to it. An operation that does not fit is not made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The object as it is by now.
    pub value: Value,
    /// What was done, in its order.
    pub ops: Vec<Op>,
    /// Maps and lists that were not there before.
    pub(crate) made: Vec<Vec<Step>>,
}

impl Draft {
    /// Nothing was done yet.
    pub fn new(value: Value) -> Draft {
        Draft { value, ops: Vec::new(), made: Vec::new() }
    }

    /// What is at a path.
    pub fn at(&self, path: &[Step]) -> Option<&Value> {
        walk(&self.value, path)
    }

    /// The items of a list; none where there is no list.
    pub fn items(&self, path: &[Step]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A key's value, with the maps on the way to it.
    pub fn set(&mut self, path: &[Step], value: Value) {
        let Some((last, parent)) = path.split_last() else { return };
        let known = (0..=parent.len())
            .rev()
            .find(|n| self.at(path.get(..*n).unwrap_or(path)).is_some_and(|value| !value.is_null()))
            .unwrap_or(0);
        if known == parent.len() {
            let exists = self.at(path).is_some();
            let path = path.to_vec();
            let op = if exists { Op::Replace { path, value } } else { Op::Add { path, value } };
            return self.push(op);
        }
        for n in known + 1..=parent.len() {
            self.made.extend(path.get(..n).map(<[Step]>::to_vec));
        }
        let mut value = match last {
            Step::Key(key) => json!({ &**key: value }),
            Step::Index(_) => json!([value]),
        };
        for step in parent.get(known + 1..).unwrap_or(&[]).iter().rev() {
            if let Step::Key(key) = step {
                value = json!({ &**key: value });
            }
        }
        let path = path.get(..=known).unwrap_or(path).to_vec();
        self.push(Op::Add { path, value });
    }

    /// New items of a list, before the one at `index`; the list is made if it is not there.
    pub fn insert(&mut self, list: &[Step], index: usize, items: Vec<Value>) {
        if items.is_empty() {
            return;
        }
        if self.at(list).is_none_or(|value| value.as_array().is_none_or(Vec::is_empty)) {
            // An empty list, in brackets, is as good as none for whoever writes it out.
            if self.at(list).is_none_or(Value::is_null) {
                self.made.push(list.to_vec());
            }
            return self.set(list, Value::Array(items));
        }
        for (at, value) in items.into_iter().enumerate() {
            let path = list.iter().cloned().chain([Step::from(index + at)]).collect();
            self.push(Op::Add { path, value });
        }
    }

    /// Takes a value away.
    pub fn remove(&mut self, path: &[Step]) {
        self.push(Op::Remove { path: path.to_vec() });
    }

    /// Removes a child; with it its parent if that would be empty and `made` says that it was ours.
    pub(crate) fn remove_with(&mut self, path: &[Step], made: &dyn Fn(&[Step]) -> bool) {
        let Some((_, parent)) = path.split_last() else { return };
        let alone = match self.at(parent) {
            Some(Value::Object(map)) => map.len() == 1,
            Some(Value::Array(items)) => items.len() == 1,
            _ => false,
        };
        if alone && made(parent) { self.remove_with(parent, made) } else { self.remove(path) }
    }

    /// Carries operations out that were made of this very object.
    pub fn take(&mut self, ops: Vec<Op>) {
        ops.into_iter().for_each(|op| self.push(op));
    }

    fn push(&mut self, op: Op) {
        if apply(&mut self.value, &op).is_some() {
            self.ops.push(op);
        }
    }
}

pub(crate) fn walk<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(&**key),
        Step::Index(index) => value.get(index),
    })
}

/// Carries one operation out; nothing if it does not fit.
pub fn apply(value: &mut Value, op: &Op) -> Option<()> {
    let (Op::Add { path, .. } | Op::Replace { path, .. } | Op::Remove { path }) = op;
    let (last, parent) = path.split_last()?;
    let parent = parent.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(&**key),
        Step::Index(index) => value.get_mut(index),
    })?;
    match (op, parent, last) {
        (Op::Add { value, .. }, Value::Object(map), Step::Key(key)) => drop(map.insert(key.to_string(), value.clone())),
        (Op::Add { value, .. }, Value::Array(items), Step::Index(index)) if *index <= items.len() => {
            items.insert(*index, value.clone());
        }
        (Op::Replace { value, .. }, Value::Object(map), Step::Key(key)) => *map.get_mut(&**key)? = value.clone(),
        (Op::Replace { value, .. }, Value::Array(items), Step::Index(index)) => *items.get_mut(*index)? = value.clone(),
        (Op::Remove { .. }, Value::Object(map), Step::Key(key)) => drop(map.remove(&**key)?),
        (Op::Remove { .. }, Value::Array(items), Step::Index(index)) if *index < items.len() => {
            drop(items.remove(*index));
        }
        _ => return None,
    }
    Some(())
}
