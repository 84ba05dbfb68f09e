//! Many sorted parts as one sorted run, each part loaded only when its turn may have come. Knows nothing of what is merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use observe_source::Reservation;

/// Items sort by `Ord`, and `rank` is the first thing that `Ord` looks at.
pub(crate) trait Ranked: Ord {
    fn rank(&self) -> i64;
}

/// A part in memory, sorted.
pub(crate) struct Loaded<I> {
    pub(crate) items: Vec<I>,
    pub(crate) held: Option<Reservation>,
}

struct Cursor<I> {
    head: I,
    rest: std::vec::IntoIter<I>,
    /// Given back with the last item.
    _held: Option<Reservation>,
}

/// `P` is a part not yet loaded, with a rank that none of its items is below.
pub(crate) struct Merge<P, I: Ranked> {
    /// The nearest part is the last.
    pending: Vec<(i64, P)>,
    open: BinaryHeap<Cursor<I>>,
}

impl<P, I: Ranked> Merge<P, I> {
    pub(crate) fn new(mut parts: Vec<(i64, P)>) -> Self {
        parts.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        Merge { pending: parts, open: BinaryHeap::new() }
    }

    /// The next item; `load` is asked for the parts that may hold it.
    pub(crate) fn next<E>(&mut self, load: &mut impl FnMut(P) -> Result<Loaded<I>, E>) -> Result<Option<I>, E> {
        loop {
            let due = match (self.pending.last(), self.open.peek()) {
                (Some((rank, _)), Some(cursor)) => *rank <= cursor.head.rank(),
                (Some(_), None) => true,
                (None, _) => false,
            };
            if !due {
                break;
            }
            let Some((_, part)) = self.pending.pop() else { break };
            let loaded = load(part)?;
            let mut rest = loaded.items.into_iter();
            if let Some(head) = rest.next() {
                self.open.push(Cursor { head, rest, _held: loaded.held });
            }
        }
        let Some(mut cursor) = self.open.pop() else { return Ok(None) };
        match cursor.rest.next() {
            Some(next) => {
                let item = std::mem::replace(&mut cursor.head, next);
                self.open.push(cursor);
                Ok(Some(item))
            }
            None => Ok(Some(cursor.head)),
        }
    }
}

/// The heap gives the greatest first; we want the least.
impl<I: Ord> Ord for Cursor<I> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.head.cmp(&self.head)
    }
}

impl<I: Ord> PartialOrd for Cursor<I> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<I: Ord> PartialEq for Cursor<I> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<I: Ord> Eq for Cursor<I> {}
