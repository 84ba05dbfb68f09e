//! One line on its way through the stages, with its labels of three origins: stream, structured metadata, parsed.
//!
//! The stream's labels are borrowed until something changes them, for most lines are dropped before that.

use std::borrow::Cow;

use base_signal::{Labels, LabelsBuilder};

use crate::syntax::Grouping;

pub(crate) const ERROR: &str = "__error__";
pub(crate) const ERROR_DETAILS: &str = "__error_details__";
/// What a name gets when the stream has a label of that name already.
const EXTRACTED: &str = "_extracted";

pub(crate) struct Row<'a> {
    pub(crate) line: Cow<'a, str>,
    stream: &'a Labels,
    /// Names of stream labels that are gone.
    gone: Vec<String>,
    extra: Vec<Extra<'a>>,
    error: Option<(&'static str, String)>,
}

struct Extra<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    parsed: bool,
}

impl<'a> Row<'a> {
    pub(crate) fn new(line: &'a str, stream: &'a Labels, metadata: &'a [(String, String)]) -> Self {
        let mut extra = Vec::with_capacity(metadata.len());
        for (name, value) in metadata.iter().filter(|(_, value)| !value.is_empty()) {
            let name = match stream.get(name) {
                Some(_) => Cow::Owned(format!("{name}{EXTRACTED}")),
                None => Cow::Borrowed(name.as_str()),
            };
            extra.push(Extra { name, value: Cow::Borrowed(value.as_str()), parsed: false });
        }
        Row { line: Cow::Borrowed(line), stream, gone: Vec::new(), extra, error: None }
    }

    /// An absent label has the empty value.
    pub(crate) fn get(&self, name: &str) -> &str {
        if let Some(extra) = self.extra.iter().find(|e| e.name == name) {
            return &extra.value;
        }
        match (name, &self.error) {
            (ERROR, Some((error, _))) => return error,
            (ERROR_DETAILS, Some((_, details))) => return details,
            _ => {}
        }
        if self.gone.iter().any(|gone| gone == name) { "" } else { self.stream.get(name).unwrap_or_default() }
    }

    /// A label found in the line: it wins over structured metadata, never over the stream's, and of two the first stays.
    pub(crate) fn set_parsed(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let name = match self.stream.get(&name) {
            Some(_) => Cow::Owned(format!("{name}{EXTRACTED}")),
            None => name,
        };
        if self.extra.iter().any(|e| e.parsed && e.name == name) {
            return;
        }
        self.extra.retain(|e| e.name != name);
        if !value.is_empty() {
            self.extra.push(Extra { name, value, parsed: true });
        }
    }

    /// A label that the query itself sets: it wins over all others.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.remove(name);
        if !value.is_empty() {
            self.extra.push(Extra { name: Cow::Owned(name.to_owned()), value: Cow::Owned(value), parsed: true });
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.extra.retain(|e| e.name != name);
        if name == ERROR {
            self.error = None;
        }
        if self.stream.get(name).is_some() && !self.gone.iter().any(|gone| gone == name) {
            self.gone.push(name.to_owned());
        }
    }

    /// Removes all labels but those for which `keep` is true. Errors stay: they are about the answer, not part of it.
    pub(crate) fn keep_only(&mut self, keep: impl Fn(&str, &str) -> bool) {
        self.extra.retain(|e| keep(&e.name, &e.value));
        for (name, value) in self.stream.iter() {
            if !keep(name, value) && !self.gone.iter().any(|gone| gone == name) {
                self.gone.push(name.to_owned());
            }
        }
    }

    pub(crate) fn fail(&mut self, error: &'static str, details: impl Into<String>) {
        self.error.get_or_insert((error, details.into()));
    }

    pub(crate) fn error(&self) -> Option<&'static str> {
        self.error.as_ref().map(|(error, _)| *error)
    }

    /// The stream's labels, less what was removed.
    pub(crate) fn stream(&self) -> Labels {
        if self.gone.is_empty() {
            return self.stream.clone();
        }
        self.stream.without(|name| self.gone.iter().any(|gone| gone == name))
    }

    /// All labels merged.
    pub(crate) fn labels(&self) -> Labels {
        if self.extra.is_empty() && self.gone.is_empty() && self.error.is_none() {
            return self.stream.clone();
        }
        let mut builder = self.stream().to_builder();
        self.add_extra(&mut builder, |_| true);
        builder.build()
    }

    /// The labels that a grouping leaves.
    pub(crate) fn grouped(&self, grouping: &Grouping) -> Labels {
        if !grouping.without {
            return Labels::from_pairs(grouping.labels.iter().map(|name| (name.as_str(), self.get(name))));
        }
        let kept = |name: &str| !grouping.labels.iter().any(|label| label == name);
        let mut builder = self.stream().without(|name| !kept(name)).to_builder();
        self.add_extra(&mut builder, kept);
        builder.build()
    }

    fn add_extra(&self, builder: &mut LabelsBuilder, kept: impl Fn(&str) -> bool) {
        for extra in self.extra.iter().filter(|e| kept(&e.name)) {
            builder.set(extra.name.as_ref(), extra.value.as_ref());
        }
        if let Some((error, details)) = &self.error {
            builder.set(ERROR, *error).set(ERROR_DETAILS, details.as_str());
        }
    }

    /// Structured metadata or parsed labels, sorted by name.
    pub(crate) fn pairs(&self, parsed: bool) -> Vec<(String, String)> {
        let of = self.extra.iter().filter(|e| e.parsed == parsed);
        let mut pairs: Vec<_> = of.map(|e| (e.name.to_string(), e.value.to_string())).collect();
        if let Some((error, details)) = self.error.as_ref().filter(|_| parsed) {
            pairs.push((ERROR.to_owned(), (*error).to_owned()));
            pairs.extend((!details.is_empty()).then(|| (ERROR_DETAILS.to_owned(), details.clone())));
        }
        pairs.sort();
        pairs
    }
}
