//! The lock of the Python agent: exact versions with hashes, and who needs whom. Reads the text that ships with the crate;
//! does not know which packages a program has.
//!
//! Format: pip's requirements file as `uv pip compile --annotation-style=split` writes it. An entry is a line
//! `name==version [; marker] \`, its `--hash=` lines, and `# via` comments naming the packages that asked for it.

use std::collections::BTreeSet;

use crate::Requirement;

const TEXT: &str = include_str!("../../lock/python.txt");

struct Entry {
    requirement: Requirement,
    asked_by: Vec<String>,
}

/// The named packages and everything they need, in the lock's order. Unknown names are left out.
pub(super) fn closure(roots: &[&str]) -> Vec<Requirement> {
    let entries = parse(TEXT);
    let mut wanted: BTreeSet<&str> = roots.iter().copied().collect();
    loop {
        let more = |entry: &&Entry| entry.asked_by.iter().any(|by| wanted.contains(by.as_str()));
        let found: Vec<&str> = entries.iter().filter(more).map(|entry| entry.requirement.name.as_str()).collect();
        let before = wanted.len();
        wanted.extend(found);
        if wanted.len() == before {
            break;
        }
    }
    entries
        .iter()
        .filter(|entry| wanted.contains(entry.requirement.name.as_str()))
        .map(|entry| entry.requirement.clone())
        .collect()
}

/// Whether the lock holds a package at this very version.
pub(super) fn has(name: &str, version: &str) -> bool {
    parse(TEXT).iter().any(|entry| entry.requirement.name == name && entry.requirement.version == version)
}

/// A key for caches: FNV-1a over the whole lock. Not for trust, that is what the hashes inside are for.
pub fn digest() -> String {
    format!("{:016x}", crate::python::fnv1a(TEXT.as_bytes()))
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let inner = line.trim();
        if let Some(comment) = inner.strip_prefix('#') {
            let name = comment.trim().trim_start_matches("via").trim();
            // The head of the file has comments too, before the first entry.
            if let Some(entry) = entries.last_mut()
                && !name.is_empty()
            {
                entry.asked_by.push(name.to_owned());
            }
        } else if inner.starts_with("--hash=") {
            if let Some(entry) = entries.last_mut() {
                entry.requirement.pinned.push_str("\n    ");
                entry.requirement.pinned.push_str(inner);
            }
        } else if let Some((name, rest)) = inner.split_once("==") {
            let version = rest.split([' ', ';', '\\']).next().unwrap_or(rest).to_owned();
            let requirement = Requirement { name: name.to_owned(), version, pinned: inner.to_owned() };
            entries.push(Entry { requirement, asked_by: Vec::new() });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_pinned_with_hashes() {
        let entries = parse(TEXT);
        assert!(entries.len() > 50, "{} entries", entries.len());
        for entry in &entries {
            assert!(entry.requirement.pinned.contains("--hash=sha256:"), "{} has no hash", entry.requirement.name);
            assert!(!entry.asked_by.is_empty(), "{} is asked for by nobody", entry.requirement.name);
            assert!(!entry.requirement.pinned.ends_with('\\'), "{} ends in a continuation", entry.requirement.name);
        }
    }

    #[test]
    fn no_release_candidates_but_opentelemetry_s_betas() {
        for entry in parse(TEXT) {
            let Requirement { name, version, .. } = entry.requirement;
            let is_plain = version.chars().all(|c| c.is_ascii_digit() || c == '.');
            assert!(is_plain || name.starts_with("opentelemetry-"), "{name} {version}");
        }
    }

    #[test]
    fn one_release_of_opentelemetry() {
        let mut versions: BTreeSet<String> = BTreeSet::new();
        for entry in parse(TEXT) {
            if entry.requirement.name.starts_with("opentelemetry-instrumentation") {
                versions.insert(entry.requirement.version);
            }
        }
        assert_eq!(versions.len(), 1, "{versions:?}");
    }
}
