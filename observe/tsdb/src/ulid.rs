//! Names of blocks: ULIDs, 48 bits of Unix milliseconds and 80 random ones in Crockford's base 32 (github.com/ulid/spec).

use base_world::Random;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LEN: usize = 26;

pub(crate) fn new(now_ms: i64, random: &dyn Random) -> String {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let low = bytes.iter().fold(0u128, |all, byte| (all << 8) | u128::from(*byte));
    let value = (u128::from(now_ms.max(0) as u64 & ((1 << 48) - 1)) << 80) | low;
    let digit = |i: usize| char::from(DIGITS[((value >> (5 * (LEN - 1 - i))) & 31) as usize]);
    (0..LEN).map(digit).collect()
}

/// Whether a folder of this name is a block.
pub(crate) fn is_ulid(name: &str) -> bool {
    let known = |byte: u8| DIGITS.contains(&byte.to_ascii_uppercase());
    // The first digit has three bits.
    name.len() == LEN && name.bytes().all(known) && name.bytes().next().is_some_and(|first| first <= b'7')
}

#[cfg(test)]
mod tests {
    use base_world::sim::SimWorld;

    use super::*;

    #[test]
    fn names_sort_by_time_and_are_known() {
        let world = SimWorld::new(1).world();
        let (a, b) = (new(1_469_918_176_385, &*world.random), new(1_469_918_176_386, &*world.random));
        // The example of the specification.
        assert!(a.starts_with("01ARYZ6S41") && a < b && is_ulid(&a) && is_ulid(&b), "{a} {b}");
        for other in
            ["", "wal", "01ARYZ6S41TSV4RRFFQ69G5FA", "01ARYZ6S41TSV4RRFFQ69G5FAU", "81ARYZ6S41TSV4RRFFQ69G5FAV"]
        {
            assert!(!is_ulid(other), "{other}");
        }
    }
}
