//! Which series have which labels: interned strings, a hash to find a known set in one look, and postings by label and
//! value. Used by the head and, read-only, by segments. Knows nothing of samples.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use base_signal::{LabelArena, Labels, LabelsRef, MatchOp, Matcher};
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;

/// Every distinct string once.
#[derive(Default)]
struct Symbols {
    strings: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32, ahash::RandomState>,
}

impl Symbols {
    fn intern(&mut self, text: &str) -> (u32, Arc<str>) {
        if let Some((string, number)) = self.numbers.get_key_value(text) {
            return (*number, Arc::clone(string));
        }
        let number = self.strings.len() as u32;
        let string: Arc<str> = Arc::from(text);
        self.strings.push(Arc::clone(&string));
        self.numbers.insert(Arc::clone(&string), number);
        (number, string)
    }

    fn get(&self, number: u32) -> &str {
        self.strings.get(number as usize).map_or("", |string| string)
    }
}

/// Label sets by number, in the order they were added.
#[derive(Default)]
pub(crate) struct SeriesIndex {
    symbols: Symbols,
    /// (name, value) of all series back to back.
    pairs: Vec<(u32, u32)>,
    ends: Vec<u32>,
    by_key: HashTable<(Key, u32)>,
    postings: BTreeMap<Arc<str>, BTreeMap<Arc<str>, RoaringBitmap>>,
    bytes: usize,
}

/// Rough cost of a series, a pair and a fresh value, measured on the shapes above.
const SERIES_BYTES: usize = 40;
const PAIR_BYTES: usize = 12;
const VALUE_BYTES: usize = 160;

/// Stands for a label set: two hashes of its bytes, each by secret random keys of this process. Two of a thousand million sets have the same one with a
/// chance of 10^-21, so equal keys are equal sets, and nobody looks at the strings to find a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64, u64);

impl Key {
    pub(crate) fn of(labels: LabelsRef<'_>) -> Self {
        static SECRETS: LazyLock<[ahash::RandomState; 2]> = LazyLock::new(|| {
            let random = std::hash::RandomState::new();
            let state = |number: u64| {
                let [a, b, c, d] = [0, 1, 2, 3].map(|part| random.hash_one((number, part)));
                ahash::RandomState::with_seeds(a, b, c, d)
            };
            [state(0), state(1)]
        });
        let [first, second] = &*SECRETS;
        Self(first.hash_one(labels.as_bytes()), second.hash_one(labels.as_bytes()))
    }
}

impl SeriesIndex {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Estimated heap bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.by_key.find(key.0, |(there, _)| *there == key).map(|(_, id)| *id)
    }

    /// Adds a set that is not there yet.
    pub(crate) fn insert(&mut self, labels: LabelsRef<'_>, key: Key) -> u32 {
        let id = self.ends.len() as u32;
        self.bytes += SERIES_BYTES;
        for (name, value) in labels.iter() {
            let (name_number, name) = self.symbols.intern(name);
            let (value_number, value_string) = self.symbols.intern(value);
            self.pairs.push((name_number, value_number));
            let values = self.postings.entry(name).or_default();
            let before = values.len();
            values.entry(value_string).or_default().insert(id);
            self.bytes += PAIR_BYTES + if values.len() > before { VALUE_BYTES + value.len() } else { 0 };
        }
        self.ends.push(self.pairs.len() as u32);
        self.by_key.insert_unique(key.0, (key, id), |(key, _)| key.0);
        id
    }

    fn pairs_of(&self, id: u32) -> &[(u32, u32)] {
        let i = id as usize;
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        let end = self.ends.get(i).map_or(start, |end| *end as usize);
        self.pairs.get(start..end).unwrap_or_default()
    }

    pub(crate) fn labels(&self, id: u32) -> Labels {
        let pairs = self.pairs_of(id).iter();
        let mut arena = LabelArena::default();
        let mut pairs = pairs.map(|(name, value)| (self.symbols.get(*name), self.symbols.get(*value))).collect();
        let set = arena.push(&mut pairs);
        arena.get(set).to_labels()
    }

    pub(crate) fn value(&self, id: u32, name: &str) -> Option<&str> {
        let pair = self.pairs_of(id).iter().find(|(n, _)| self.symbols.get(*n) == name);
        pair.map(|(_, value)| self.symbols.get(*value))
    }

    pub(crate) fn names(&self, id: u32) -> impl Iterator<Item = &str> {
        self.pairs_of(id).iter().map(|(name, _)| self.symbols.get(*name))
    }

    /// The series that all matchers take.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for matcher in matchers.iter().filter(|matcher| !matcher.matches_empty()) {
            let with = self.with_value(matcher);
            found = Some(found.map_or_else(|| with.clone(), |found| found & &with));
        }
        let mut found = found.unwrap_or_else(|| (0..self.len() as u32).collect());
        for matcher in matchers.iter().filter(|matcher| matcher.matches_empty()) {
            // A series without the label passes; one with a value that does not match fails.
            if let Some(values) = self.postings.get(matcher.name.as_str()) {
                for (_, postings) in values.iter().filter(|(value, _)| !matcher.matches(value)) {
                    found -= postings;
                }
            }
        }
        found
    }

    /// Series whose value of the label matches, for a matcher that does not take the empty value.
    fn with_value(&self, matcher: &Matcher) -> RoaringBitmap {
        let Some(values) = self.postings.get(matcher.name.as_str()) else { return RoaringBitmap::new() };
        let one = |value: &str| values.get(value).cloned().unwrap_or_default();
        let pattern = matcher.pattern().filter(|_| matcher.op == MatchOp::Regex);
        if matcher.op == MatchOp::Equal {
            return one(&matcher.value);
        }
        if let Some(literals) = pattern.and_then(|pattern| pattern.literals()) {
            return literals.iter().fold(RoaringBitmap::new(), |found, literal| found | one(literal));
        }
        let prefix = pattern.map_or("", |pattern| pattern.prefix());
        values
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(value, _)| value.starts_with(prefix))
            .filter(|(value, _)| matcher.matches(value))
            .fold(RoaringBitmap::new(), |found, (_, postings)| found | postings)
    }
}
