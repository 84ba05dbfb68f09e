//! MD5 (RFC 1321), only because `hashmod` is defined by it. Not for anything that must be secret.

/// Rotations of the four rounds.
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The last 8 of the 16 bytes as a big-endian number: what Prometheus takes the modulus of.
pub(super) fn last_half(text: &[u8]) -> u64 {
    let [_, _, c, d] = digest(text);
    // The digest is little-endian words; their bytes in order are read big-endian.
    u64::from(c.swap_bytes()) << 32 | u64::from(d.swap_bytes())
}

fn digest(text: &[u8]) -> [u32; 4] {
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - text.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded.truncate(end);
    padded.extend_from_slice(&((text.len() as u64) << 3).to_le_bytes());
    for block in padded.as_chunks::<64>().0 {
        let (words, _) = block.as_chunks::<4>();
        round(&mut state, words);
    }
    state
}

fn round(state: &mut [u32; 4], words: &[[u8; 4]]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..64usize {
        let (mix, word) = match i / 16 {
            0 => ((b & c) | (!b & d), i),
            1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
            2 => (b ^ c ^ d, (3 * i + 5) % 16),
            _ => (c ^ (b | !d), (7 * i) % 16),
        };
        // The table of the RFC: the whole part of 2^32 |sin(i + 1)|.
        let constant = (((i + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
        let sum = a.wrapping_add(mix).wrapping_add(constant).wrapping_add(u32::from_le_bytes(words[word]));
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(ROTATIONS[i / 16][i % 4]));
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let bytes: String =
            digest(text.as_bytes()).iter().flat_map(|w| w.to_le_bytes()).map(|b| format!("{b:02x}")).collect();
        assert_eq!(bytes, expect, "{text}");
        assert_eq!(format!("{:016x}", last_half(text.as_bytes())), expect[16..]);
    }

    #[test]
    fn the_test_suite_of_the_rfc() {
        check("", "d41d8cd98f00b204e9800998ecf8427e");
        check("a", "0cc175b9c0f1b6a831c399e269772661");
        check("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
        check("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b");
        check(
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        );
    }
}
