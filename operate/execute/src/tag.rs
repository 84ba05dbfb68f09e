//! A name that people give a run, to find it again, to go back to it, and to keep it. It does not know where runs are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{RunRow, Status};

/// Longer ones are sentences.
const TAG_CHARS_MAX: usize = 64;
/// Tags of one run.
pub const TAGS_MAX: usize = 20;

/// Letters, digits, `.`, `_` and `-`, the first a letter or a digit: `golden`, `before-black-friday`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTag {
    #[error(
        "`{0}` is no tag: a tag has 1 to {TAG_CHARS_MAX} letters, digits, `.`, `_` and `-`, and begins with a letter or a digit"
    )]
    Name(String),
}

impl Tag {
    pub fn new(name: &str) -> Result<Tag, BadTag> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        match begins_well && name.len() <= TAG_CHARS_MAX && name.bytes().all(plain) {
            true => Ok(Tag(name.to_owned())),
            false => Err(BadTag::Name(name.chars().take(TAG_CHARS_MAX).filter(|c| !c.is_control()).collect())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Fewer signs of a digest name nobody in particular.
const DIGEST_CHARS_MIN: usize = 12;

/// Which run is meant by where to go back to. A version that is known is the version, whatever is called so too; else it is the complete run of that name,
/// the newest whose image has that digest (`sha256:` and twelve signs or more), the newest with that tag, or, where there is none, a version nobody
/// here has heard of.
pub fn run_to_go_back_to<'a>(to: &str, known: &'a [RunRow], tagged: &'a [RunRow]) -> Option<&'a RunRow> {
    let version = |row: &RunRow| row.labels.get("version").cloned();
    if known.iter().any(|row| version(row).as_deref() == Some(to)) {
        return None;
    }
    let stayed = |row: &&RunRow| row.status == Status::Complete && version(row).is_some();
    let known = || known.iter().filter(stayed);
    let digest = to.rsplit('@').next().filter(|digest| {
        digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() >= DIGEST_CHARS_MIN && hex.chars().all(is_hex))
    });
    let is_image = |row: &&RunRow| {
        let exact = row.labels.get("image_exact").and_then(|exact| exact.rsplit('@').next());
        digest.zip(exact).is_some_and(|(digest, exact)| exact.starts_with(digest))
    };
    known().find(|row| row.run.0 == to).or_else(|| known().find(is_image)).or_else(|| tagged.iter().find(stayed))
}

fn is_hex(sign: char) -> bool {
    sign.is_ascii_hexdigit() && !sign.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::{Tag, run_to_go_back_to};
    use crate::{RunId, RunRow, Status};

    fn row(version: &str, status: Status) -> RunRow {
        RunRow {
            run: RunId(format!("cart-{version}")),
            title: String::new(),
            target: String::new(),
            labels: [("version".to_owned(), version.to_owned())].into(),
            status,
            created_ms: 0,
            ended_ms: None,
            sentence: String::new(),
            tags: Vec::new(),
        }
    }

    #[test]
    fn a_version_that_is_known_wins_over_a_tag() {
        let known = [row("3", Status::Complete), row("2", Status::Complete)];
        let tagged = [row("9", Status::RolledBack), row("7", Status::Complete)];
        let check = |to: &str, tagged: &[RunRow], expect: Option<&str>| {
            let found = run_to_go_back_to(to, &known, tagged).map(|row| row.run.0.as_str());
            assert_eq!(found, expect, "{to}");
        };
        check("golden", &tagged, Some("cart-7"));
        check("2", &tagged, None);
        check("1.0", &[], None);
        check("golden", &tagged[..1], None);
    }

    #[test]
    fn a_run_is_meant_by_its_name_or_by_what_its_image_was() {
        let with = |run: &str, image: &str| {
            let mut row = row("2", Status::Complete);
            row.run = RunId(run.to_owned());
            row.labels.insert("image_exact".to_owned(), image.to_owned());
            row
        };
        let (new, old) = (format!("r/cart@sha256:{}", "b".repeat(64)), format!("sha256:{}", "a".repeat(64)));
        let mut known = vec![with("cart-2-new", &new), with("cart-2-old", &old), with("cart-2-older", &old)];
        known.push(row("9", Status::RolledBack));
        let tagged = [row("7", Status::Complete)];
        let check = |to: &str, expect: &str| {
            let found = run_to_go_back_to(to, &known, &tagged).map(|row| row.run.0.as_str());
            assert_eq!(found, Some(expect), "{to}");
        };
        check("cart-2-old", "cart-2-old");
        check(&new, "cart-2-new");
        check("sha256:aaaaaaaaaaaa", "cart-2-old");
        // Too short, no digest, or a run that was undone: a tag, if anything.
        check("sha256:aaaa", "cart-7");
        check("aaaaaaaaaaaaaaaa", "cart-7");
        check("cart-9", "cart-7");
    }

    #[test]
    fn a_tag_is_one_word_that_can_stand_in_a_shell_and_a_url() {
        for good in ["golden", "v1.2", "before-black-friday", "2026_11", "A", &"x".repeat(64)] {
            assert_eq!(Tag::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "-x", ".x", "a b", "a/b", "kind=scan", "ü", "a\u{1b}[2J", &"x".repeat(65)] {
            let told = Tag::new(bad).expect_err(bad).to_string();
            assert!(told.contains("is no tag") && !told.contains('\u{1b}'), "{told}");
        }
    }
}
