//! zstd with a context a thread that is used again: making one costs more than unpacking a page. It knows no format of ours.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// Fast enough for a flush; compaction gains little more from higher ones.
const LEVEL: i32 = 3;

thread_local! {
    static PACKS: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKS: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// `None` where zstd refuses: whoever asks keeps the bytes as they are.
pub fn pack(raw: &[u8]) -> Option<Vec<u8>> {
    PACKS.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Compressor::new(LEVEL).ok();
        }
        context.as_mut()?.compress(raw).ok()
    })
}

/// At most so many bytes. `None` where it is no zstd, or more.
pub fn unpack(packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    UNPACKS.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Decompressor::new().ok();
        }
        context.as_mut()?.decompress(packed, bytes_max).ok()
    })
}
