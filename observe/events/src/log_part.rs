//! The parts that an answer of lines is merged from: chunks of a head and blocks of segments, and which of their rows are
//! wanted.

use std::sync::Arc;

use ahash::AHashSet;
use base_signal::RangeNs;
use memchr::memmem::Finder;
use observe_source::{Annotations, Budget, Direction, LineHint, SelectLogs, SourceError};

use crate::columns::LogColumns;
use crate::filter::{pair_hash, text_hashes};
use crate::log_segment::LogSegment;
use crate::merge::{Loaded, Merge, Ranked};
use crate::store::source_error;

/// In a segment's table: not asked for.
pub(crate) const UNWANTED: u32 = u32::MAX;
/// What an item costs while it waits.
const ITEM_BYTES: u64 = 40;

/// Something that holds lines and is not opened yet.
pub(crate) enum Part {
    Chunk { columns: Arc<LogColumns>, stream: u32 },
    Block { segment: Arc<LogSegment>, block: usize, numbers: Numbers },
}

/// The answer's numbers of a segment's streams.
pub(crate) enum Numbers {
    /// By the segment's number; [`UNWANTED`] for those not asked for.
    Map(Arc<Vec<u32>>),
    /// Of a block that holds but one stream.
    One(u32),
}

impl Numbers {
    fn of(&self, stream: u32) -> Option<u32> {
        match self {
            Numbers::Map(map) => map.get(stream as usize).copied().filter(|number| *number != UNWANTED),
            Numbers::One(number) => Some(*number),
        }
    }
}

/// A line in the merge. For backward reading the three numbers are inverted, so that less is always first.
pub(crate) struct Item {
    pub(crate) rank: i64,
    pub(crate) stream: u32,
    arrival: u64,
    pub(crate) columns: Arc<LogColumns>,
    pub(crate) row: u32,
}

impl Item {
    fn key(&self) -> (i64, u32, u64) {
        (self.rank, self.stream, self.arrival)
    }

    fn same_moment(&self, other: &Item) -> bool {
        (self.rank, self.stream) == (other.rank, other.stream)
    }

    pub(crate) fn content(&self) -> (&str, &[(String, String)]) {
        (self.columns.line(self.row as usize), self.columns.metadata(self.row as usize))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Item {}

impl Ranked for Item {
    fn rank(&self) -> i64 {
        self.rank
    }
}

/// Which rows are wanted.
pub(crate) struct Wanted {
    pub(crate) range: RangeNs,
    pub(crate) backward: bool,
    texts: Vec<Finder<'static>>,
    pairs: Vec<(String, String)>,
    hashes: Vec<u64>,
}

impl Wanted {
    pub(crate) fn all(range: RangeNs, backward: bool) -> Self {
        Wanted { range, backward, texts: Vec::new(), pairs: Vec::new(), hashes: Vec::new() }
    }

    pub(crate) fn new(request: &SelectLogs<'_>, range: RangeNs) -> Self {
        let mut wanted = Wanted::all(range, request.direction == Direction::Backward);
        for hint in request.hints {
            match hint {
                LineHint::Contains(text) => {
                    wanted.hashes.extend(text_hashes(text));
                    wanted.texts.push(Finder::new(text).into_owned());
                }
                LineHint::Metadata { name, value } => {
                    wanted.hashes.push(pair_hash(name, value));
                    wanted.pairs.push((name.clone(), value.clone()));
                }
            }
        }
        wanted
    }

    /// A rank that nothing in the range comes before.
    pub(crate) fn first_rank(&self, range: RangeNs) -> i64 {
        if self.backward { !range.end_ns } else { range.start_ns }
    }

    fn passes(&self, columns: &LogColumns, row: usize) -> bool {
        let line = columns.line(row).as_bytes();
        let metadata = columns.metadata(row);
        self.texts.iter().all(|finder| finder.find(line).is_some())
            && self.pairs.iter().all(|(name, value)| metadata.iter().any(|(n, v)| n == name && v == value))
    }

    /// The wanted rows, sorted. `number` maps the owner's number of a stream to the answer's.
    pub(crate) fn items(&self, columns: &Arc<LogColumns>, number: impl Fn(u32) -> Option<u32>) -> Vec<Item> {
        let mut items = Vec::new();
        for (row, (time_ns, stream)) in columns.times_ns.iter().zip(&columns.streams).enumerate() {
            let Some(stream) = number(*stream) else { continue };
            if !self.range.contains(*time_ns) || !self.passes(columns, row) {
                continue;
            }
            let arrival = columns.arrivals.get(row).copied().unwrap_or(0);
            let (rank, stream, arrival) =
                if self.backward { (!*time_ns, !stream, !arrival) } else { (*time_ns, stream, arrival) };
            items.push(Item { rank, stream, arrival, columns: Arc::clone(columns), row: row as u32 });
        }
        // Chunks come nearly sorted, blocks sorted by stream.
        items.sort();
        items
    }

    /// Opens a part. A damaged block is left out and named.
    pub(crate) fn load(
        &self,
        part: Part,
        budget: &Budget,
        annotations: &mut Annotations,
    ) -> Result<Loaded<Item>, SourceError> {
        match part {
            Part::Chunk { columns, stream } => {
                let held = budget.reserve(columns.len() as u64 * ITEM_BYTES)?;
                Ok(Loaded { items: self.items(&columns, |_| Some(stream)), held: Some(held) })
            }
            Part::Block { segment, block, numbers } => {
                let nothing = Ok(Loaded { items: Vec::new(), held: None });
                let Some(meta) = segment.blocks.get(block) else { return nothing };
                // A filter that cannot be read excludes nothing.
                match segment.may_hold(meta, &self.hashes) {
                    Ok(false) => return nothing,
                    Err(error) if !error.is_corrupt() => return Err(source_error(error)),
                    _ => {}
                }
                let held = budget.reserve(meta.raw_bytes() * 2)?;
                match segment.read(meta) {
                    Ok(columns) => {
                        Ok(Loaded { items: self.items(&columns, |stream| numbers.of(stream)), held: Some(held) })
                    }
                    Err(error) if error.is_corrupt() => {
                        annotations.warn(format!("some lines are missing from this answer: {error}"));
                        nothing
                    }
                    Err(error) => Err(source_error(error)),
                }
            }
        }
    }
}

/// The next lines of one stream at one time, each once, in the merge's order.
pub(crate) fn next_moment<E>(
    merge: &mut Merge<Part, Item>,
    ahead: &mut Option<Item>,
    mut load: impl FnMut(Part) -> Result<Loaded<Item>, E>,
    backward: bool,
) -> Result<Vec<Item>, E> {
    let first = match ahead.take() {
        Some(item) => Some(item),
        None => merge.next(&mut load)?,
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    let mut moment = vec![first];
    while let Some(item) = merge.next(&mut load)? {
        if !moment.first().is_some_and(|first| first.same_moment(&item)) {
            *ahead = Some(item);
            break;
        }
        moment.push(item);
    }
    if moment.len() > 1 {
        // Of equal lines the first to arrive stays, whichever way they are read.
        if backward {
            moment.reverse();
        }
        let keep: Vec<bool> = {
            let mut seen: AHashSet<(&str, &[(String, String)])> = AHashSet::new();
            moment.iter().map(|item| seen.insert(item.content())).collect()
        };
        let mut keep = keep.into_iter();
        moment.retain(|_| keep.next().unwrap_or(true));
        if backward {
            moment.reverse();
        }
    }
    Ok(moment)
}
