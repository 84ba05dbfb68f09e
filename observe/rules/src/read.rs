//! A YAML tree as the types of a file: every wrong kind of value and every unknown key is a fault with its place. Knows no key of its own.

use std::collections::BTreeMap;

use lib_yaml_edit::{Dialect, Limits, Node, Value, Word, parse};
use observe_promql::syntax::parse_duration_ms;

use crate::fault::Fault;

/// Gathers faults, so that all are told at once.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) faults: Vec<Fault>,
}

/// The first document of a text; `None` of an empty one. As Prometheus, what comes behind the first is not read.
pub(crate) fn root(text: &str) -> Result<Option<Node>, Fault> {
    let mut documents = parse(text, &Limits::default())?.into_iter();
    Ok(documents.next().map(|document| document.root).filter(|root| !is_null(root)))
}

pub(crate) fn is_null(node: &Node) -> bool {
    matches!(node.word(Dialect::Core), Some(Word::Null))
}

impl Reader {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// A map with none but these keys.
    pub(crate) fn keys(&mut self, node: &Node, of: &str, known: &[&str]) -> bool {
        if !matches!(node.value, Value::Map(_)) {
            self.fault(
                Fault::at(node, format!("{of} must be a map of keys")).hint(format!("known are {}", known.join(", "))),
            );
            return false;
        }
        for pair in node.pairs().iter().filter(|pair| !known.contains(&&*pair.key)) {
            let fault =
                Fault::new((pair.line as usize, pair.column as usize), format!("unknown key `{}` in {of}", pair.key));
            self.fault(fault.hint(format!("known are {}", known.join(", "))));
        }
        true
    }

    pub(crate) fn items<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Node] {
        let Some(list) = node.get(key).filter(|list| !is_null(list)) else { return &[] };
        if !matches!(list.value, Value::List(_)) {
            self.fault(Fault::at(list, format!("`{key}` must be a list")));
        }
        list.items()
    }

    /// A text; nothing is the empty one.
    pub(crate) fn text(&mut self, node: &Node, key: &str) -> String {
        let Some(value) = node.get(key).filter(|value| !is_null(value)) else { return String::new() };
        self.scalar(value, key)
    }

    pub(crate) fn scalar(&mut self, value: &Node, key: &str) -> String {
        let text = value.text().map(str::to_owned);
        text.unwrap_or_else(|| {
            self.fault(Fault::at(value, format!("`{key}` must be a text")));
            String::new()
        })
    }

    /// Milliseconds.
    pub(crate) fn duration(&mut self, node: &Node, key: &str) -> Option<i64> {
        let value = node.get(key).filter(|value| !is_null(value))?;
        let text = self.scalar(value, key);
        let read = match text.as_str() {
            "0" => Ok(0),
            "" => Err("empty duration string".to_owned()),
            text => parse_duration_ms(text),
        };
        let read = read.map_err(|why| Fault::at(value, format!("`{key}`: {why}")).hint("such as 30s, 5m or 1h30m"));
        read.map_err(|fault| self.fault(fault)).ok()
    }

    pub(crate) fn flag(&mut self, node: &Node, key: &str) -> bool {
        let Some(value) = node.get(key) else { return false };
        match value.word(Dialect::Core) {
            Some(Word::Bool(flag)) => flag,
            Some(Word::Null) => false,
            _ => {
                self.fault(Fault::at(value, format!("`{key}` must be true or false")));
                false
            }
        }
    }

    pub(crate) fn whole(&mut self, node: &Node, key: &str) -> i64 {
        let Some(value) = node.get(key).filter(|value| !is_null(value)) else { return 0 };
        let number = match value.word(Dialect::Core) {
            Some(Word::Number(number)) => number.as_i64(),
            _ => None,
        };
        number.unwrap_or_else(|| {
            self.fault(Fault::at(value, format!("`{key}` must be a whole number")));
            0
        })
    }

    /// Names and texts.
    pub(crate) fn texts(&mut self, node: &Node, key: &str) -> BTreeMap<String, String> {
        let Some(map) = node.get(key).filter(|map| !is_null(map)) else { return BTreeMap::new() };
        if !matches!(map.value, Value::Map(_)) {
            self.fault(Fault::at(map, format!("`{key}` must be a map of texts")));
        }
        let pair = |pair: &lib_yaml_edit::Pair| {
            let value = if is_null(&pair.node) { String::new() } else { self.scalar(&pair.node, &pair.key) };
            (pair.key.to_string(), value)
        };
        map.pairs().iter().map(pair).collect()
    }
}
