//! Macros that go over a list or a map, evaluated. Knows no function.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Fold, FoldKind};
use crate::error::EvalError;
use crate::eval::{Evaluated, Evaluation, truth};
use crate::value::{Key, List, Value};

/// One step: what the variables are.
struct Step {
    first: Value,
    second: Option<Value>,
    /// The item, or the key of a map.
    item: Value,
}

fn steps(over: &Value, two: bool) -> Result<Vec<Step>, EvalError> {
    match over {
        Value::List(list) => Ok(list
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| Step {
                first: if two { Value::count(at) } else { item.clone() },
                second: two.then(|| item.clone()),
                item: item.clone(),
            })
            .collect()),
        Value::Map(map) => Ok(map
            .iter()
            .map(|(key, value)| Step { first: key.value(), second: two.then(|| value.clone()), item: key.value() })
            .collect()),
        other => Err(EvalError::NoOverload(format!("{} has no items", other.type_name()))),
    }
}

/// What was gathered so far.
#[derive(Default)]
struct Gathered {
    count: usize,
    items: Vec<Value>,
    keys: Vec<Value>,
    map: BTreeMap<Key, Value>,
    wrong: Option<EvalError>,
}

impl Evaluation<'_> {
    pub(crate) fn fold(&mut self, fold: &Fold) -> Evaluated {
        let over = self.value(&fold.over)?;
        let depth = self.scope.len();
        let mut gathered = Gathered::default();
        for step in steps(&over, fold.second.is_some())? {
            self.pay(1)?;
            self.scope.push((Arc::clone(&fold.first), step.first.clone()));
            if let (Some(name), Some(value)) = (&fold.second, &step.second) {
                self.scope.push((Arc::clone(name), value.clone()));
            }
            let done = self.step(fold, step, &mut gathered);
            self.scope.truncate(depth);
            if let Some(value) = done? {
                return Ok(value);
            }
        }
        if let Some(wrong) = gathered.wrong {
            return Err(wrong);
        }
        Ok(match fold.kind {
            FoldKind::All => Value::Bool(true),
            FoldKind::Exists => Value::Bool(false),
            FoldKind::ExistsOne => Value::Bool(gathered.count == 1),
            FoldKind::SortBy => sorted(gathered)?,
            FoldKind::Map | FoldKind::Filter | FoldKind::TransformList => gathered.items.into(),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => Value::Map(Arc::new(gathered.map)),
        })
    }

    /// A value if the whole is decided.
    fn step(&mut self, fold: &Fold, step: Step, gathered: &mut Gathered) -> Result<Option<Value>, EvalError> {
        if let Some(filter) = &fold.filter
            && !truth(self.value(filter))?
        {
            return Ok(None);
        }
        let body = self.value(&fold.body);
        match fold.kind {
            FoldKind::All | FoldKind::Exists => {
                let decides = fold.kind == FoldKind::Exists;
                match truth(body) {
                    Ok(value) if value == decides => return Ok(Some(Value::Bool(decides))),
                    Ok(_) => {}
                    Err(error @ EvalError::Cost(_)) => return Err(error),
                    Err(error @ EvalError::Unknown(_)) => gathered.wrong = Some(error),
                    Err(error) => gathered.wrong = gathered.wrong.take().or(Some(error)),
                }
            }
            FoldKind::ExistsOne => gathered.count += usize::from(truth(body)?),
            FoldKind::Filter => {
                if truth(body)? {
                    self.pay(1)?;
                    gathered.items.push(step.item);
                }
            }
            FoldKind::Map | FoldKind::TransformList => {
                self.pay(1)?;
                gathered.items.push(body?);
            }
            FoldKind::SortBy => {
                gathered.keys.push(body?);
                gathered.items.push(step.item);
            }
            FoldKind::TransformMap => {
                if let Some(key) = step.first.key() {
                    gathered.map.insert(key, body?);
                }
            }
            FoldKind::TransformMapEntry => {
                let Value::Map(entry) = body? else {
                    return Err(EvalError::NoOverload("transformMapEntry".to_owned()));
                };
                for (key, value) in entry.iter() {
                    if gathered.map.insert(key.clone(), value.clone()).is_some() {
                        return Err(EvalError::fails("insert failed: key already exists"));
                    }
                }
            }
        }
        Ok(None)
    }
}

fn sorted(gathered: Gathered) -> Evaluated {
    let Some(first) = gathered.keys.first() else { return Ok(Vec::new().into()) };
    if gathered.keys.iter().any(|key| key.order(first).is_none() || key.type_name() != first.type_name()) {
        return Err(EvalError::fails("list elements must be comparable"));
    }
    let mut pairs: Vec<(Value, Value)> = gathered.keys.into_iter().zip(gathered.items).collect();
    pairs.sort_by(|a, b| a.0.order(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let items = pairs.into_iter().map(|(_, item)| item).collect();
    Ok(Value::List(List { items: Arc::new(items), keep: crate::value::Keep::Order }))
}
