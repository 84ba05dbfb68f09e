//! Mends a file by the edits of its findings, again and again until nothing more changes. Does not decide which edits are
//! safe: each finding says so.

use crate::check::{Checked, Options, Refused, check};
use crate::finding::{Edit, Finding, Safety};

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

/// The edits that can be made together, by place; a finding whose edits touch another's waits for the next round.
pub fn chosen(findings: &[Finding], up_to: Safety) -> (Vec<Edit>, usize) {
    let mut edits: Vec<Edit> = Vec::new();
    let mut count = 0;
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.safety <= up_to) {
        let touches = |a: &Edit, b: &Edit| a.span.start <= b.span.end && b.span.start <= a.span.end;
        let clashes = fix.edits.iter().any(|new| edits.iter().any(|old| touches(new, old) && old != new));
        if clashes {
            continue;
        }
        count += 1;
        for edit in &fix.edits {
            if !edits.contains(edit) {
                edits.push(edit.clone());
            }
        }
    }
    edits.sort_by_key(|edit| edit.span);
    (edits, count)
}

/// The text with its edits made; they are sorted and do not overlap.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let Some(between) = text.get(at..edit.span.start) else { continue };
        out.push_str(between);
        out.push_str(&edit.with);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}
