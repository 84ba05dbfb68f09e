//! Every distinct pair of name and value once, by a number, with the series that have it. Knows nothing of what a whole label set is.

use std::cmp::Ordering;
use std::sync::OnceLock;

use base_signal::{MatchOp, Matcher};
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;

/// What a new pair costs beside its text: itself, its place in the table and in its name's list.
const PAIR_BYTES: usize = size_of::<Pair>() + size_of::<Series>() + 12;
const NAME_BYTES: usize = 160;
/// Most values have few series: up to so many need no bitmap.
const FEW: usize = 4;

#[derive(Default)]
pub(super) struct Pairs {
    names: Vec<Name>,
    numbers: HashMap<Box<str>, u32, ahash::RandomState>,
    pairs: Vec<Pair>,
    series: Vec<Series>,
    by_text: HashTable<u32>,
    hasher: ahash::RandomState,
    /// All values back to back.
    text: String,
    bytes: usize,
}

struct Name {
    text: Box<str>,
    /// In the order they came.
    pairs: Vec<u32>,
    /// By value, once somebody asked.
    sorted: OnceLock<Box<[u32]>>,
}

struct Pair {
    start: usize,
    len: u32,
    name: u32,
}

/// Numbers of series, ascending.
enum Series {
    Few(u8, [u32; FEW]),
    Many(Box<RoaringBitmap>),
}

impl Series {
    fn add(&mut self, id: u32) {
        match self {
            Self::Few(len, ids) => match ids.get_mut(usize::from(*len)) {
                Some(free) => (*free, *len) = (id, *len + 1),
                None => *self = Self::Many(Box::new(ids.iter().copied().chain([id]).collect())),
            },
            Self::Many(ids) => {
                ids.insert(id);
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(len, _) => usize::from(*len),
            Self::Many(ids) => usize::try_from(ids.len()).unwrap_or(usize::MAX),
        }
    }

    fn add_to(&self, all: &mut RoaringBitmap) {
        match self {
            Self::Few(len, ids) => all.extend(ids.iter().take(usize::from(*len)).copied()),
            Self::Many(ids) => *all |= &**ids,
        }
    }
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Estimated heap bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The pair's number; it is made if need be.
    pub(super) fn intern(&mut self, name: &str, value: &str) -> u32 {
        let name = self.name(name);
        let hash = self.hasher.hash_one((name, value));
        if let Some(number) = self.find(hash, name, value) {
            return number;
        }
        let number = self.pairs.len() as u32;
        self.pairs.push(Pair { start: self.text.len(), len: value.len() as u32, name });
        self.series.push(Series::Few(0, [0; FEW]));
        self.text.push_str(value);
        let Self { by_text, pairs, text, hasher, .. } = self;
        let rehash =
            |number: &u32| pairs.get(*number as usize).map_or(0, |pair| hasher.hash_one((pair.name, pair.value(text))));
        by_text.insert_unique(hash, number, rehash);
        if let Some(name) = self.names.get_mut(name as usize) {
            name.pairs.push(number);
            name.sorted.take();
        }
        self.bytes += PAIR_BYTES + value.len();
        number
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(Name { text: text.into(), pairs: Vec::new(), sorted: OnceLock::new() });
        self.numbers.insert(text.into(), number);
        self.bytes += NAME_BYTES + 2 * text.len();
        number
    }

    fn find(&self, hash: u64, name: u32, value: &str) -> Option<u32> {
        let same = |number: &u32| {
            let pair = self.pairs.get(*number as usize);
            pair.is_some_and(|pair| pair.name == name && pair.value(&self.text) == value)
        };
        self.by_text.find(hash, same).copied()
    }

    /// Notes that the series has the pair; series come in ascending order.
    pub(super) fn add(&mut self, number: u32, id: u32) {
        if let Some(series) = self.series.get_mut(number as usize) {
            series.add(id);
            self.bytes += if matches!(series, Series::Many(_)) { 2 } else { 0 };
        }
    }

    /// How many series have it.
    pub(super) fn count(&self, name: &str, value: &str) -> usize {
        let Some(name) = self.numbers.get(name).copied() else { return 0 };
        let found = self.find(self.hasher.hash_one((name, value)), name, value);
        found.and_then(|number| self.series.get(number as usize)).map_or(0, Series::len)
    }

    /// Name and value.
    pub(super) fn get(&self, number: u32) -> (&str, &str) {
        let Some(pair) = self.pairs.get(number as usize) else { return ("", "") };
        let name = self.names.get(pair.name as usize).map_or("", |name| &name.text);
        (name, pair.value(&self.text))
    }

    /// By name, then by value.
    pub(super) fn cmp(&self, a: u32, b: u32) -> Ordering {
        match (self.pairs.get(a as usize), self.pairs.get(b as usize)) {
            // Most that are compared differ in a value only.
            (Some(a), Some(b)) if a.name == b.name => a.value(&self.text).cmp(b.value(&self.text)),
            _ => self.get(a).cmp(&self.get(b)),
        }
    }

    /// Series whose value of the label matches, for a matcher that does not take the empty value.
    pub(super) fn with(&self, matcher: &Matcher) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        self.each(matcher, |series| series.add_to(&mut found));
        found
    }

    /// Series that have the label with a value that does not match.
    pub(super) fn against(&self, matcher: &Matcher) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        let Some(name) = self.known(&matcher.name) else { return found };
        for number in &name.pairs {
            if !matcher.matches(self.get(*number).1) {
                self.series.get(*number as usize).into_iter().for_each(|series| series.add_to(&mut found));
            }
        }
        found
    }

    fn known(&self, name: &str) -> Option<&Name> {
        self.names.get(*self.numbers.get(name)? as usize)
    }

    fn each(&self, matcher: &Matcher, mut take: impl FnMut(&Series)) {
        let Some(number) = self.numbers.get(matcher.name.as_str()).copied() else { return };
        let mut one = |value: &str| {
            let found = self.find(self.hasher.hash_one((number, value)), number, value);
            found.and_then(|number| self.series.get(number as usize)).into_iter().for_each(&mut take);
        };
        let pattern = matcher.pattern().filter(|_| matcher.op == MatchOp::Regex);
        if matcher.op == MatchOp::Equal {
            return one(&matcher.value);
        }
        if let Some(literals) = pattern.and_then(|pattern| pattern.literals()) {
            return literals.iter().for_each(|literal| one(literal));
        }
        let Some(name) = self.names.get(number as usize) else { return };
        let prefix = pattern.map_or("", |pattern| pattern.prefix());
        let sorted = name.sorted.get_or_init(|| {
            let mut numbers: Box<[u32]> = name.pairs.as_slice().into();
            numbers.sort_unstable_by(|a, b| self.get(*a).1.cmp(self.get(*b).1));
            numbers
        });
        let from = sorted.partition_point(|number| self.get(*number).1 < prefix);
        let rest = sorted.get(from..).unwrap_or_default().iter();
        for number in rest.take_while(|number| self.get(**number).1.starts_with(prefix)) {
            if matcher.matches(self.get(*number).1) {
                self.series.get(*number as usize).into_iter().for_each(&mut take);
            }
        }
    }
}

impl Pair {
    fn value<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.start + self.len as usize).unwrap_or_default()
    }
}
