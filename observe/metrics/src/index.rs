//! Which series have which labels: a key to find a known set in one look, the pairs of each, and who has a pair. Used by the head and, read-only, by
//! segments. Knows nothing of samples.

mod pairs;

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use base_signal::{LabelArena, Labels, LabelsRef, Matcher};
use hashbrown::HashTable;
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use pairs::Pairs;

/// Label sets by number, in the order they were added.
#[derive(Default)]
pub(crate) struct SeriesIndex {
    pairs: Pairs,
    /// Numbers of the pairs of all series back to back.
    sets: Vec<u32>,
    ends: Vec<u32>,
    keys: Vec<Key>,
    by_key: HashTable<u32>,
    /// Sorted by labels, of the series there were when somebody asked last.
    order: Mutex<Vec<u32>>,
}

/// What a series takes beside the numbers of its pairs.
const SERIES_BYTES: usize = size_of::<Key>() + 2 * size_of::<u32>() + 8;

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
        self.pairs.size_bytes() + self.len() * SERIES_BYTES + self.sets.len() * size_of::<u32>()
    }

    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.by_key.find(key.0, |id| self.keys.get(*id as usize) == Some(&key)).copied()
    }

    /// Adds a set that is not there yet.
    pub(crate) fn insert(&mut self, labels: LabelsRef<'_>, key: Key) -> u32 {
        let id = self.ends.len() as u32;
        for (name, value) in labels.iter() {
            let pair = self.pairs.intern(name, value);
            self.pairs.add(pair, id);
            self.sets.push(pair);
        }
        self.close(key);
        id
    }

    /// The pairs that were pushed last are a series.
    fn close(&mut self, key: Key) {
        let id = self.ends.len() as u32;
        self.ends.push(self.sets.len() as u32);
        self.keys.push(key);
        let keys = &self.keys;
        self.by_key.insert_unique(key.0, id, |id| keys.get(*id as usize).map_or(0, |key| key.0));
    }

    /// Name and value of a pair.
    pub(crate) fn pair(&self, number: u32) -> (&str, &str) {
        self.pairs.get(number)
    }

    /// Adds a series of another index; `known` has by the pairs' numbers there those here, as far as they came already.
    pub(crate) fn adopt(&mut self, other: &SeriesIndex, id: u32, known: &mut Vec<Option<u32>>) {
        let Some(key) = other.keys.get(id as usize) else { return };
        let own = self.ends.len() as u32;
        known.resize(known.len().max(other.pairs.len()), None);
        for pair in other.set(id) {
            let Some(slot) = known.get_mut(*pair as usize) else { continue };
            let number = *slot.get_or_insert_with(|| {
                let (name, value) = other.pairs.get(*pair);
                self.pairs.intern(name, value)
            });
            self.pairs.add(number, own);
            self.sets.push(number);
        }
        self.close(*key);
    }

    /// Numbers of the pairs of a series, sorted by name.
    pub(crate) fn set(&self, id: u32) -> &[u32] {
        let i = id as usize;
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        let end = self.ends.get(i).map_or(start, |end| *end as usize);
        self.sets.get(start..end).unwrap_or_default()
    }

    fn iter(&self, id: u32) -> impl Iterator<Item = (&str, &str)> {
        self.set(id).iter().map(|pair| self.pairs.get(*pair))
    }

    pub(crate) fn labels(&self, id: u32) -> Labels {
        let mut arena = LabelArena::default();
        let mut set = arena.open();
        for (name, value) in self.iter(id) {
            set.pair(name, value);
        }
        let set = set.close();
        arena.get(set).to_labels()
    }

    pub(crate) fn value(&self, id: u32, name: &str) -> Option<&str> {
        self.iter(id).find(|(there, _)| *there == name).map(|(_, value)| value)
    }

    pub(crate) fn names(&self, id: u32) -> impl Iterator<Item = &str> {
        self.iter(id).map(|(name, _)| name)
    }

    /// All series sorted by labels. What was sorted before is not sorted again.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        let mut order = self.order.lock();
        let known = order.len();
        if known < self.len() {
            order.extend(known as u32..self.len() as u32);
            let by_labels = |a: &u32, b: &u32| self.cmp(*a, *b);
            if let Some(fresh) = order.get_mut(known..) {
                fresh.sort_unstable_by(by_labels);
            }
            // Two ascending runs: this sort finds them and merges.
            order.sort_by(by_labels);
        }
        order.clone()
    }

    /// The same of some of them.
    pub(crate) fn sorted_of(&self, some: &RoaringBitmap) -> Vec<u32> {
        // What is in order already need not be sorted, if it is not most of the work to look through it.
        if some.len() > self.len() as u64 / 8 {
            return self.sorted().into_iter().filter(|id| some.contains(*id)).collect();
        }
        let mut order: Vec<u32> = some.iter().collect();
        order.sort_unstable_by(|a, b| self.cmp(*a, *b));
        order
    }

    /// As label sets are compared; pairs that both have need no look at their texts.
    fn cmp(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.set(a), self.set(b));
        let differ = a.iter().zip(b).find(|(a, b)| a != b);
        differ.map_or(a.len().cmp(&b.len()), |(a, b)| self.pairs.cmp(*a, *b))
    }

    /// How many series have the pair.
    pub(crate) fn count(&self, name: &str, value: &str) -> usize {
        self.pairs.count(name, value)
    }

    /// The series that all matchers take.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for matcher in matchers.iter().filter(|matcher| !matcher.matches_empty()) {
            let with = self.pairs.with(matcher);
            found = Some(found.map_or_else(|| with.clone(), |found| found & &with));
        }
        let mut found = found.unwrap_or_else(|| (0..self.len() as u32).collect());
        // A series without the label passes; one with a value that does not match fails.
        for matcher in matchers.iter().filter(|matcher| matcher.matches_empty()) {
            found -= self.pairs.against(matcher);
        }
        found
    }
}
