//! `cargo xtask bless`: rewrites what is kept as a snapshot. It knows no meaning; the diff is for a person to read.

use crate::{arrows, sh, tidy};

/// The edge list and the lengths of long files (only downwards); with words, also the snapshots of `cargo test WORDS`, as `bless -p observe-promql`.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    sh::write(&sh::root().join(arrows::SNAPSHOT), &arrows::snapshot(&arrows::edges()?))?;
    tidy::lengths::lower()?;
    if words.is_empty() {
        return Ok(());
    }
    sh::run(sh::cargo().env("INSTA_UPDATE", "always").env("UPDATE", "1").arg("test").args(words))
}
