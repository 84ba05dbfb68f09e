//! Reading frames back while the log grows: for a log that is a queue, whose frames live nowhere else until they are truncated.
//!
//! Only durable frames are given. One that is not may be lost in a crash and its number given to another frame, which whoever had already
//! read that number would never see. It does not know what a frame means.

use std::sync::Arc;

use base_world::File;

use super::{Lsn, Result, Wal};
use crate::codec::Reader;
use crate::error::BlockError;
use crate::frame::{FRAME_HEADER_BYTES, Frame, frame_crc};
use crate::wal_scan::FILE_HEADER_BYTES;

/// A place in the log. Cheap to clone: a reader that may have to go back keeps one.
#[derive(Clone)]
pub struct WalCursor {
    /// The frame that is due.
    next: Lsn,
    place: Option<Place>,
}

#[derive(Clone)]
struct Place {
    file: Arc<dyn File>,
    number: u64,
    offset: u64,
}

impl WalCursor {
    /// Before the first frame after `lsn`.
    pub fn after(lsn: Lsn) -> Self {
        WalCursor { next: lsn + 1, place: None }
    }

    /// The last frame that was read.
    pub fn position(&self) -> Lsn {
        self.next - 1
    }
}

impl Wal {
    /// The next durable frame, `None` when there is none yet. An error that is damage names the file; the cursor then stands behind what
    /// cannot be read.
    pub fn read_next(&self, cursor: &mut WalCursor) -> Result<Option<Frame>> {
        loop {
            if cursor.next > self.durable_lsn() {
                return Ok(None);
            }
            // Which file holds it; its last frame and where its frames end.
            let closed = self.closed.iter().find(|closed| closed.last >= cursor.next);
            let (number, last) = match (closed, &self.current) {
                (Some(closed), _) => (closed.number, closed.last),
                (None, Some(current)) => (current.number, self.durable_lsn()),
                (None, None) => return Ok(None),
            };
            let place = match cursor.place.take().filter(|place| place.number == number) {
                Some(place) => place,
                None => {
                    let file = match (closed, &self.current) {
                        (Some(closed), _) => self.world.disk.open(&closed.path)?,
                        (None, Some(current)) => Arc::clone(&current.file),
                        (None, None) => return Ok(None),
                    };
                    Place { file, number, offset: FILE_HEADER_BYTES as u64 }
                }
            };
            match read_frame(&place)? {
                Some(frame) => {
                    let offset = place.offset + (FRAME_HEADER_BYTES + frame.records.len()) as u64;
                    cursor.place = Some(Place { offset, ..place });
                    // Earlier ones stand before it in its file, later ones follow what damage took.
                    if frame.seq >= cursor.next {
                        cursor.next = frame.seq + 1;
                        return Ok(Some(frame));
                    }
                }
                None => {
                    let due = cursor.next;
                    cursor.next = last + 1;
                    let why = format!("the writes {due} to {last} cannot be read");
                    return Err(BlockError::corrupt(place.file.path(), format!("byte {}", place.offset), why));
                }
            }
        }
    }
}

/// The frame at the place, `None` where there is no whole one.
fn read_frame(place: &Place) -> Result<Option<Frame>> {
    let mut header = [0; FRAME_HEADER_BYTES];
    if place.file.read_at(place.offset, &mut header)? < FRAME_HEADER_BYTES {
        return Ok(None);
    }
    let mut reader = Reader::new(&header);
    let (Ok(len), Ok(crc), Ok(seq)) = (reader.u32("len"), reader.u32("crc"), reader.u64("seq")) else {
        return Ok(None);
    };
    let start = place.offset + FRAME_HEADER_BYTES as u64;
    // A length that rotted must not cost memory.
    if len == 0 || start + u64::from(len) > place.file.len()? {
        return Ok(None);
    }
    let mut records = vec![0; len as usize];
    place.file.read_exact_at(start, &mut records)?;
    Ok((frame_crc(place.number, len, seq, &records) == crc).then_some(Frame { seq, records }))
}
