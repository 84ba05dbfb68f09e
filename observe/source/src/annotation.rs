//! Warnings and infos that travel beside a result, as Prometheus sends them.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Warning,
    Info,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    pub level: Level,
    /// The whole text, position included: `… (1:5)`.
    pub text: String,
}

/// A set: the same text twice is said once. Sorted, so that answers are the same byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(BTreeSet<Annotation>);

impl Annotations {
    pub fn warn(&mut self, text: impl Into<String>) {
        self.0.insert(Annotation { level: Level::Warning, text: text.into() });
    }

    pub fn info(&mut self, text: impl Into<String>) {
        self.0.insert(Annotation { level: Level::Info, text: text.into() });
    }

    pub fn merge(&mut self, other: Annotations) {
        self.0.extend(other.0);
    }

    pub fn of(&self, level: Level) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |a| a.level == level).map(|a| a.text.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
