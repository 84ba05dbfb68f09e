//! A place in an object with the way that led there, on the stack: a path is written only where something is found. Also where nothing stands.

use lib_yaml_edit::{Dialect, Node, Step, Value, Word, path_text};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Seg<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) node: Option<&'a Node>,
    /// The nearest place that is there.
    near: &'a Node,
    up: Option<&'a At<'a>>,
    seg: Seg<'a>,
}

impl<'a> At<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        At { node: Some(node), near: node, up: None, seg: Seg::Root }
    }

    /// The value under a key; a null is as good as nothing.
    pub(crate) fn get(&'a self, key: &'a str) -> At<'a> {
        let node = self.node.and_then(|node| node.get(key)).filter(|node| !is_null(node));
        At { node, near: node.unwrap_or(self.near), up: Some(self), seg: Seg::Key(key) }
    }

    pub(crate) fn item(&'a self, index: usize, node: &'a Node) -> At<'a> {
        At { node: Some(node), near: node, up: Some(self), seg: Seg::Index(index) }
    }

    pub(crate) fn items(&'a self) -> impl Iterator<Item = At<'a>> + Clone {
        let items = self.node.map(Node::items).unwrap_or_default();
        items.iter().enumerate().map(move |(index, node)| self.item(index, node))
    }

    pub(crate) fn pairs(&'a self) -> impl Iterator<Item = (&'a str, At<'a>)> + Clone {
        let pairs = self.node.map(Node::pairs).unwrap_or_default();
        pairs.iter().map(move |pair| {
            (&*pair.key, At { node: Some(&pair.node), near: &pair.node, up: Some(self), seg: Seg::Key(&pair.key) })
        })
    }

    /// Something stands here.
    pub(crate) fn is(&self) -> bool {
        self.node.is_some()
    }

    /// How many items or pairs.
    pub(crate) fn len(&self) -> usize {
        self.node.map_or(0, |node| node.items().len() + node.pairs().len())
    }

    pub(crate) fn word(&self) -> Option<Word<'a>> {
        self.node?.word(Dialect::Kubectl)
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.word()? {
            Word::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, or the empty one.
    pub(crate) fn str(&self) -> &'a str {
        self.text().unwrap_or("")
    }

    pub(crate) fn int(&self) -> Option<i64> {
        match self.word()? {
            Word::Number(number) => whole(&number),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> bool {
        self.word() == Some(Word::Bool(true))
    }

    /// As it is written, for messages.
    pub(crate) fn shown(&self) -> String {
        let text = self.node.and_then(Node::text).unwrap_or("…");
        if text.chars().count() > 60 {
            format!("{}…", text.chars().take(60).collect::<String>())
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn place(&self) -> &'a Node {
        self.near
    }

    pub(crate) fn path(&self) -> String {
        path_text(&self.steps())
    }

    /// The way from the root.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(here) = at {
            match here.seg {
                Seg::Root => {}
                Seg::Key(key) => steps.push(Step::from(key)),
                Seg::Index(index) => steps.push(Step::from(index)),
            }
            at = here.up;
        }
        steps.reverse();
        steps
    }
}

pub(crate) fn is_null(node: &Node) -> bool {
    matches!(node.value, Value::Scalar(_)) && matches!(node.word(Dialect::Kubectl), Some(Word::Null))
}

/// A whole number, also where it was written with a point.
pub(crate) fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.2e18)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        let whole = float as i64;
        Some(whole)
    })
}
