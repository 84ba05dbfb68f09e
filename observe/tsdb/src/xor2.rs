//! A chunk of floats of the newer kind (encoding 4, `XOR2`), read only: one control prefix tells whether distance or value
//! changed, and the end of a series takes five bits. Also the start timestamps that chunks of the newer kinds may carry:
//! they are passed over.

use base_signal::STALE_NAN_BITS;

use crate::bits::BitReader;
use crate::bytes::{Malformed, unzigzag};
use crate::varbit::{Xor, take_int};

type Result<T> = std::result::Result<T, Malformed>;

/// Which samples of a chunk have a start timestamp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Starts {
    first: bool,
    /// From this place on, when it is not 0.
    from: u64,
}

impl Starts {
    pub(crate) const NONE: Starts = Starts { first: false, from: 0 };

    pub(crate) fn of(header: u8) -> Self {
        Starts { first: header & 0x80 != 0, from: u64::from(header & 0x7f) }
    }

    /// Passes over that of the sample at this place, which stands behind its value.
    pub(crate) fn skip(self, from: &mut BitReader<'_>, place: u64) -> Result<()> {
        if place == 0 && self.first {
            from.uvarint()?;
        } else if place > 0 && self.from > 0 && place >= self.from {
            take_int(from)?;
        }
        Ok(())
    }
}

/// Calls `each` with time and bits of every sample.
pub(crate) fn read(data: &[u8], mut each: impl FnMut(i64, u64)) -> Result<()> {
    let mut from = BitReader::new(data);
    let count = from.bits(16)?;
    let starts = Starts::of(from.bits(8)? as u8);
    if count > from.remaining() {
        return Err(from.malformed("more samples than there are bytes for"));
    }
    let (mut time, mut delta) = (0i64, 0i64);
    // Of the last value that was no stale marker.
    let mut value = Xor::default();
    for place in 0..count {
        let bits = match place {
            0 => {
                time = unzigzag(from.uvarint()?);
                let bits = from.bits(64)?;
                if bits != STALE_NAN_BITS {
                    value = Xor::starting(bits);
                }
                bits
            }
            1 => {
                delta = from.uvarint()? as i64;
                time = time.wrapping_add(delta);
                changed(&mut from, &mut value)?
            }
            _ => {
                let (change, bits) = joint(&mut from, &mut value)?;
                delta = delta.wrapping_add(change);
                time = time.wrapping_add(delta);
                bits
            }
        };
        starts.skip(&mut from, place)?;
        each(time, bits);
    }
    Ok(())
}

/// The change of the distance, and the value.
fn joint(from: &mut BitReader<'_>, value: &mut Xor) -> Result<(i64, u64)> {
    if !from.bit()? {
        return Ok((0, value.bits));
    }
    if !from.bit()? {
        // A value that is known to be another.
        let bits = if from.bit()? { value.take_window(from)? } else { value.take_within(from)? };
        return Ok((0, bits));
    }
    let width = if !from.bit()? {
        13
    } else if !from.bit()? {
        20
    } else if !from.bit()? {
        64
    } else {
        return Ok((0, STALE_NAN_BITS));
    };
    // Two's complement, unlike the change of the older kind.
    let change = ((from.bits(width)? << (64 - width)) as i64) >> (64 - width);
    Ok((change, changed(from, value)?))
}

/// The value that stands behind a time.
fn changed(from: &mut BitReader<'_>, value: &mut Xor) -> Result<u64> {
    if !from.bit()? {
        return Ok(value.bits);
    }
    if !from.bit()? {
        return value.take_within(from);
    }
    if from.bit()? { Ok(STALE_NAN_BITS) } else { value.take_window(from) }
}
