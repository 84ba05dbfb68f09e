//! Many label sets as one piece of memory: the shape in which writes travel. Each set has the bytes that `Labels` would hold.

use std::ops::Range;

use crate::LabelsRef;
use crate::labels::{put, put_varint};

/// Many label sets back to back: the shape in which writes travel, one allocation for all.
#[derive(Clone, Debug, Default)]
pub struct LabelArena {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl LabelArena {
    /// Makes room for so many bytes of label sets.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Adds a set from pairs in any order (sorted here) and returns its index. Empty values are left out; of a
    /// repeated name the last wins.
    pub fn push(&mut self, pairs: &mut Vec<(&str, &str)>) -> u32 {
        // Senders nearly always sort; a stable sort of a sorted slice is one pass.
        pairs.sort_by(|a, b| a.0.cmp(b.0));
        for (i, (name, value)) in pairs.iter().enumerate() {
            let repeated = pairs.get(i + 1).is_some_and(|next| next.0 == *name);
            if !repeated && !value.is_empty() {
                put(&mut self.bytes, name, value);
            }
        }
        self.close()
    }

    /// Begins a set whose pairs are given one by one, sorted by name; nothing of it is kept unless it is closed.
    pub fn open(&mut self) -> OpenSet<'_> {
        let start = self.bytes.len();
        OpenSet { arena: self, start, last: None }
    }

    /// Adds a finished set.
    pub fn push_set(&mut self, set: LabelsRef<'_>) -> u32 {
        self.bytes.extend_from_slice(set.0);
        self.close()
    }

    fn close(&mut self) -> u32 {
        let index = self.ends.len() as u32;
        self.ends.push(self.bytes.len() as u32);
        index
    }

    /// The set at an index that `push` returned; an unknown index is the empty set.
    pub fn get(&self, index: u32) -> LabelsRef<'_> {
        let i = index as usize;
        let start = if i == 0 { 0 } else { self.ends.get(i - 1).copied().unwrap_or(0) as usize };
        let end = self.ends.get(i).copied().unwrap_or(0) as usize;
        LabelsRef(self.bytes.get(start..end).unwrap_or(&[]))
    }

    pub fn iter(&self) -> impl Iterator<Item = LabelsRef<'_>> {
        (0..self.ends.len() as u32).map(|i| self.get(i))
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes held, for budgets.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

/// A set on its way into an arena.
#[derive(Debug)]
pub struct OpenSet<'a> {
    arena: &'a mut LabelArena,
    start: usize,
    /// Where the name before lies.
    last: Option<Range<usize>>,
}

impl OpenSet<'_> {
    /// Adds a pair; false, and nothing is added, when the name does not come after the one before or either text is empty.
    pub fn pair(&mut self, name: &str, value: &str) -> bool {
        let before = self.last.clone().and_then(|last| self.arena.bytes.get(last));
        if value.is_empty() || before.is_some_and(|before| !comes_after(name.as_bytes(), before)) {
            return false;
        }
        let bytes = &mut self.arena.bytes;
        put_varint(bytes, name.len());
        self.last = Some(bytes.len()..bytes.len() + name.len());
        bytes.extend_from_slice(name.as_bytes());
        put_varint(bytes, value.len());
        bytes.extend_from_slice(value.as_bytes());
        true
    }

    /// Keeps the set and returns its index.
    pub fn close(self) -> u32 {
        let mut this = self;
        this.start = this.arena.bytes.len();
        this.arena.close()
    }
}

impl Drop for OpenSet<'_> {
    fn drop(&mut self) {
        self.arena.bytes.truncate(self.start);
    }
}

/// As `after > before`; names mostly differ in their first byte, and that needs no call.
fn comes_after(after: &[u8], before: &[u8]) -> bool {
    match (after.first(), before.first()) {
        (Some(after), Some(before)) if after != before => after > before,
        _ => after > before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    #[test]
    fn a_set_is_kept_whole_or_not_at_all() {
        let mut arena = LabelArena::default();
        let set = |arena: &mut LabelArena, pairs: &[(&str, &str)]| {
            let mut open = arena.open();
            let taken = pairs.iter().all(|(name, value)| open.pair(name, value));
            taken.then(|| open.close())
        };
        assert_eq!(set(&mut arena, &[("a", "1"), ("ab", "2"), ("b", "3")]), Some(0));
        for refused in
            [&[("b", "1"), ("a", "2")][..], &[("ab", "1"), ("a", "2")], &[("a", "1"), ("a", "2")], &[("a", "")]]
        {
            assert_eq!(set(&mut arena, refused), None, "{refused:?}");
        }
        assert_eq!(set(&mut arena, &[("c", "4")]), Some(1));
        let found: Vec<Labels> = arena.iter().map(crate::LabelsRef::to_labels).collect();
        let expect = [Labels::from_pairs([("b", "3"), ("ab", "2"), ("a", "1")]), Labels::from_pairs([("c", "4")])];
        assert_eq!(found, expect);
    }
}
