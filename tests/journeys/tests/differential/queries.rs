//! Queries by the grammar: every function, aggregation, operator and modifier, as trees, so that one that differs can be made
//! smaller. Now and then a text is spoiled, for errors are answers too.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
}

/// A part of a query: texts between smaller parts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(super) of: Type,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    /// A name or number, which the shape leaves out.
    Leaf(String),
    Node(Node),
}

impl Node {
    pub(crate) fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) | Part::Leaf(text) => text.clone(),
            Part::Node(node) => node.text(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The query without names and numbers.
    pub(crate) fn shape(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Leaf(_) => "_".to_owned(),
            Part::Node(node) => node.shape(),
        };
        self.parts.iter().map(part).collect()
    }

    fn inner(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        for part in &self.parts {
            if let Part::Node(node) = part {
                out.push(node);
                out.extend(node.inner());
            }
        }
        out
    }

    /// Queries with something left out, the smallest first.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut out: Vec<Node> = self.inner().into_iter().filter(|node| node.of != Type::Matrix).cloned().collect();
        for (place, part) in self.parts.iter().enumerate() {
            let Part::Node(node) = part else { continue };
            let same = node.inner().into_iter().filter(|inner| inner.of == node.of).cloned();
            for candidate in same.chain(node.smaller().into_iter().filter(|smaller| smaller.of == node.of)) {
                let mut copy = self.clone();
                copy.parts[place] = Part::Node(candidate);
                out.push(copy);
            }
        }
        out.sort_by_key(|node| node.text().len());
        out
    }
}

pub(super) fn leaf(text: impl Into<String>) -> Part {
    Part::Leaf(text.into())
}

pub(super) fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

pub(super) fn node(of: Type, parts: Vec<Part>) -> Node {
    Node { of, parts }
}
