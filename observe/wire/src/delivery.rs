//! Which part of a sender's queue a request is, so that one that is sent again is known: the header of a request, and the answer where the receiver
//! has some of it already. See `docs/formats/delivery.md`. It knows no queue and keeps nothing.

use std::fmt;

/// The header of a request. Who does not know it takes the request as any other.
pub const DELIVERY_HEADER: &str = "x-apm-delivery";
/// The content type of an answer with status 409 whose body is a [`Mark`].
pub const MARK_CONTENT_TYPE: &str = "application/vnd.apm.delivered";

/// Names a queue: drawn once, and again when its history turns out to be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub [u8; 16]);

/// Which messages of which queue a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub queue: QueueId,
    /// Numbers of its first and last message; those of a queue only go up.
    pub first: u64,
    pub last: Mark,
}

/// How far a queue was stored: the number of its last message there, and a checksum of that message, by which a queue that was set back is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub through: u64,
    pub stamp: u32,
}

/// Both are exact as float64, the form in which a receiver may keep them.
const NUMBER_MAX: u64 = 1 << 53;

impl QueueId {
    /// 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (mut id, digit) = ([0; 16], |byte: u8| char::from(byte).to_digit(16));
        if bytes.len() != 32 {
            return None;
        }
        for (to, pair) in id.iter_mut().zip(bytes.chunks_exact(2)) {
            *to = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(QueueId(id))
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Delivery {
    /// The header's value: `QUEUE FIRST LAST STAMP`. `None` for what no sender of ours writes; it then counts as not there.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let queue = QueueId::parse(words.next()?)?;
        let first = words.next()?.parse().ok()?;
        let last = Mark::of_words(&mut words)?;
        (words.next().is_none() && (1..=last.through).contains(&first)).then_some(Delivery { queue, first, last })
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.queue, self.first, self.last)
    }
}

impl Mark {
    /// The body of the answer: `LAST STAMP`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim_end().split(' ');
        let mark = Mark::of_words(&mut words)?;
        words.next().is_none().then_some(mark)
    }

    fn of_words<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        let through = words.next()?.parse().ok().filter(|number| *number < NUMBER_MAX)?;
        let stamp = words.next().filter(|stamp| stamp.len() == 8)?;
        Some(Mark { through, stamp: u32::from_str_radix(stamp, 16).ok()? })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:08x}", self.through, self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00ff102030405060708090a0b0c0d0e0";

    fn check(text: &str, good: bool) {
        let read = Delivery::parse(text);
        assert_eq!(read.map(|delivery| delivery.to_string()), good.then(|| text.to_owned()), "{text}");
    }

    #[test]
    fn a_header_is_read_as_it_was_written_or_not_at_all() {
        check(&format!("{ID} 1 1 00000000"), true);
        check(&format!("{ID} 7 90071992547409 deadbeef"), true);
        for wrong in ["", ID, "x 1 1 00000000", &ID[1..]] {
            check(wrong, false);
        }
        // Backwards, nothing, too large, a stamp too short, more than there should be, not ASCII.
        for rest in
            ["2 1 00000000", "0 1 00000000", "1 9007199254740992 00000000", "1 1 0", "1 1 00000000 1", "1 1 ééééé"]
        {
            check(&format!("{ID} {rest}"), false);
        }
        assert_eq!(Mark::parse("9 0000002a\n"), Some(Mark { through: 9, stamp: 42 }));
        assert_eq!(Mark::parse("conflict"), None);
    }
}
