//! The form in which every sender writes a series, read without detours: labels first, sorted, each a name and a value shorter than 128 bytes. Whatever is
//! different in any way is left to the general reader, which also finds the words for what is wrong; this knows no error.

use base_signal::LabelArena;

/// Keys of fields of `TimeSeries`, `Label` and `Sample`: number and wire type in one byte.
const LABEL: u8 = 1 << 3 | 2;
const NAME: u8 = 1 << 3 | 2;
const TEXT: u8 = 2 << 3 | 2;
/// Samples, exemplars, histograms.
const ITEMS: [u8; 3] = [2 << 3 | 2, 3 << 3 | 2, 4 << 3 | 2];
const SAMPLE_VALUE: u8 = 1 << 3 | 1;
const SAMPLE_TIME: u8 = 2 << 3;

/// Adds the label set to `arena`; its index there, and where the items behind the labels begin. `None` if it is not of the plain form; nothing is added then.
pub(super) fn labels(bytes: &[u8], arena: &mut LabelArena) -> Option<(u32, usize)> {
    let mut end = 0;
    while let Some([LABEL, length]) = bytes.get(end..end + 2) {
        end += 2 + usize::from(*length);
    }
    // A label behind an item would belong to the set too.
    let mut item = end;
    while let Some([key, length]) = bytes.get(item..item + 2) {
        if !ITEMS.contains(key) || *length >= 128 {
            return None;
        }
        item += 2 + usize::from(*length);
    }
    if item != bytes.len() {
        return None;
    }
    // Once for all texts; keys and lengths below 128 are ASCII themselves, so a longer label shows here too.
    let region = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let raw = region.as_bytes();
    let mut set = arena.open();
    let (mut at, mut named) = (0, false);
    while at < end {
        let (name_from, name_to) = text(raw, at + 2, NAME)?;
        let (value_from, value_to) = text(raw, name_to, TEXT)?;
        if value_to != at + 2 + usize::from(*raw.get(at + 1)?) {
            return None;
        }
        let (name, value) = (region.get(name_from..name_to)?, region.get(value_from..value_to)?);
        if name.is_empty() || !set.pair(name, value) {
            return None;
        }
        named |= name == "__name__";
        at = value_to;
    }
    named.then(|| (set.close(), end))
}

/// Begin and end of a text field of this key.
fn text(raw: &[u8], at: usize, key: u8) -> Option<(usize, usize)> {
    match raw.get(at..at + 2)? {
        [found, length] if *found == key && *length < 128 => Some((at + 2, at + 2 + usize::from(*length))),
        _ => None,
    }
}

/// A sample of value and time, and of nothing else.
pub(super) fn sample(bytes: &[u8]) -> Option<(i64, f64)> {
    let (value, rest) = bytes.strip_prefix(&[SAMPLE_VALUE])?.split_first_chunk::<8>()?;
    let rest = rest.strip_prefix(&[SAMPLE_TIME])?;
    let mut time_ms = 0u64;
    for (place, byte) in rest.iter().enumerate() {
        time_ms |= u64::from(byte & 0x7f).checked_shl(place as u32 * 7)?;
        if *byte < 0x80 {
            return (place + 1 == rest.len()).then_some((time_ms as i64, f64::from_le_bytes(*value)));
        }
    }
    None
}
