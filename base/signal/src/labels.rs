//! A label set as one byte string.
//!
//! Layout: for each pair, sorted by name, `varint(len(name)) name varint(len(value)) value`; varints are LEB128.
//! Equal sets have equal bytes, so a set is hashed and compared for equality without looking inside, and cloning is one
//! reference count. The idea is Prometheus's `stringlabels`. A pair with an empty value is the same as no pair and is
//! never stored. Knows nothing of matching or of who owns the set.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An owned, cheaply cloned label set.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<[u8]>);

/// A borrowed label set; the bytes are the ones `Labels` would hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LabelsRef<'a>(pub(crate) &'a [u8]);

/// Collects pairs in any order; a later value of a name replaces the earlier one.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl Labels {
    /// The set with no labels.
    pub fn empty() -> Self {
        Labels(Arc::from(&[][..]))
    }

    /// From pairs in any order; empty values are left out, a repeated name keeps its last value.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// From the encoded form; `None` when the bytes are not a well-formed, strictly sorted set.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        LabelsRef::from_bytes(bytes).map(LabelsRef::to_labels)
    }

    pub fn as_ref(&self) -> LabelsRef<'_> {
        LabelsRef(&self.0)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.as_ref().get(name)
    }

    /// Pairs sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.as_ref().iter()
    }

    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set without the names for which `drop` is true.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        LabelsRef::collect(self.iter().filter(|(name, _)| !drop(name)))
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        self.as_ref().to_builder()
    }
}

impl<'a> LabelsRef<'a> {
    /// Checks that the bytes are a well-formed, strictly sorted set of valid UTF-8.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut previous: Option<&str> = None;
        while !rest.is_empty() {
            let name = std::str::from_utf8(take(&mut rest)?).ok()?;
            let value = std::str::from_utf8(take(&mut rest)?).ok()?;
            if value.is_empty() || previous.is_some_and(|p| p >= name) {
                return None;
            }
            previous = Some(name);
        }
        Some(LabelsRef(bytes))
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn to_labels(self) -> Labels {
        Labels(Arc::from(self.0))
    }

    pub fn get(self, name: &str) -> Option<&'a str> {
        // Names are sorted, so the search may stop early.
        self.iter().take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = take(&mut rest)?;
            let value = take(&mut rest)?;
            // Checked when the set was made; a broken one ends the iteration instead of the process.
            Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
        })
    }

    pub fn len(self) -> usize {
        self.texts().count() / 2
    }

    /// Names and values in turn, as bytes: comparing and counting need not look whether they are UTF-8.
    fn texts(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || take(&mut rest))
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn to_builder(self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// From pairs that are already sorted by name and unique.
    fn collect<'b>(pairs: impl Iterator<Item = (&'b str, &'b str)>) -> Labels {
        let mut bytes = Vec::new();
        for (name, value) in pairs {
            put(&mut bytes, name, value);
        }
        Labels(Arc::from(bytes))
    }
}

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        self.pairs.retain(|(n, _)| *n != name);
        if !value.is_empty() {
            self.pairs.push((name, value));
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn build(mut self) -> Labels {
        self.pairs.sort();
        LabelsRef::collect(self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

impl Borrow<[u8]> for Labels {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// By the pairs in turn, as Prometheus sorts series: first name, then value, then the shorter set first.
impl Ord for LabelsRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.texts().cmp(other.texts())
    }
}

impl PartialOrd for LabelsRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{name="value", other="x"}`, with the metric name inside, as Prometheus prints a bare label set.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for LabelsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_labels(), f)
    }
}

pub(crate) fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    put_varint(bytes, name.len());
    bytes.extend_from_slice(name.as_bytes());
    put_varint(bytes, value.len());
    bytes.extend_from_slice(value.as_bytes());
}

pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        bytes.push((n as u8) | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut len = 0usize;
    let mut shift = 0u32;
    loop {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabelArena;

    #[test]
    fn equal_sets_have_equal_bytes_whatever_the_order() {
        let a = Labels::from_pairs([("job", "x"), ("__name__", "up"), ("empty", "")]);
        let b = Labels::from_pairs([("__name__", "up"), ("job", "old"), ("job", "x")]);
        assert_eq!(a, b);
        let mut arena = LabelArena::default();
        let i = arena.push(&mut vec![("job", "first"), ("__name__", "up"), ("job", "x"), ("empty", "")]);
        assert_eq!(arena.get(i), a.as_ref());
        assert_eq!(a.to_string(), r#"{__name__="up", job="x"}"#);
        assert_eq!((a.get("job"), a.get("nope"), a.len()), (Some("x"), None, 2));
    }

    #[test]
    fn long_values_and_broken_bytes() {
        let long = "v".repeat(300);
        let a = Labels::from_pairs([("name", long.as_str())]);
        assert_eq!(Labels::from_bytes(a.as_bytes()).as_ref(), Some(&a));
        for cut in 1..a.as_bytes().len() {
            assert_eq!(Labels::from_bytes(&a.as_bytes()[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Labels::from_bytes(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01, b'a']), None);
        assert_eq!(Labels::from_bytes(&[1, b'b', 1, b'x', 1, b'a', 1, b'x']), None, "not sorted");
    }

    #[test]
    fn sorts_by_pairs_not_by_bytes() {
        let mut sets = [
            Labels::from_pairs([("a", "1"), ("b", "2")]),
            Labels::from_pairs([("a", "1")]),
            Labels::from_pairs([("aa", "0")]),
            Labels::from_pairs([("a", "01")]),
        ];
        sets.sort();
        let shown: Vec<_> = sets.iter().map(Labels::to_string).collect();
        assert_eq!(shown, [r#"{a="01"}"#, r#"{a="1"}"#, r#"{a="1", b="2"}"#, r#"{aa="0"}"#]);
    }

    #[test]
    fn emptiness_builders_and_arenas() {
        assert!(Labels::empty().is_empty() && !Labels::from_pairs([("a", "1")]).is_empty());
        let mut arena = LabelArena::default();
        assert!(arena.is_empty() && arena.size_bytes() == 0);
        let first = Labels::from_pairs([("a", "1"), ("b", "2")]);
        arena.push_set(first.as_ref());
        arena.push(&mut vec![]);
        assert_eq!((arena.len(), arena.is_empty(), arena.size_bytes()), (2, false, first.as_bytes().len() + 8));
        assert_eq!(arena.iter().map(|set| set.len()).collect::<Vec<_>>(), [2, 0]);
        assert!(arena.get(1).is_empty());
        let mut builder = first.to_builder();
        assert_eq!((builder.get("a"), builder.get("c")), (Some("1"), None));
        builder.remove("a").set("c", "3").set("b", "");
        assert_eq!(builder.build().to_string(), r#"{c="3"}"#);
        assert_eq!(first.without(|name| name == "a").to_string(), r#"{b="2"}"#);
        let (small, large) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "2")]));
        assert!(small < large && small.as_ref() < large.as_ref());
        assert_eq!(format!("{:?} {:?}", small, large.as_ref()), r#"{a="1"} {a="2"}"#);
    }
}
