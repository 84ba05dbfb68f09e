//! Mends a file by the edits of its findings, again and again until nothing more changes. Does not decide which edits are
//! safe: each finding says so.

use base_explain::finding::{Safety, apply, chosen};

use crate::check::{Checked, Options, Refused, check};

/// A mended edit may uncover another; in practice two rounds are enough.
const ROUNDS_MAX: usize = 10;

/// A file after mending.
#[derive(Debug, Clone)]
pub struct Mended {
    pub text: String,
    /// Findings whose edits were made.
    pub made: usize,
    /// What is left, found in the mended text.
    pub left: Checked,
}

/// Makes the edits up to a safety: `Safe` only the safe ones, `Suggested` all.
pub fn mend(text: &str, options: &Options, up_to: Safety) -> Result<Mended, Refused> {
    let mut text = text.to_owned();
    let mut made = 0;
    let mut left = check(&text, options)?;
    for _ in 0..ROUNDS_MAX {
        let (edits, findings) = chosen(&left.findings, up_to);
        let after = apply(&text, &edits);
        if after == text {
            break;
        }
        let checked = check(&after, options)?;
        made += findings;
        text = after;
        left = checked;
    }
    Ok(Mended { text, made, left })
}
