//! The shapes of all minor versions as one text: what is alike in all stands once, what came or went says when. Knows the form, not OpenAPI.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::shape::Shapes;

/// What was seen in which minor versions.
#[derive(Default)]
pub(super) struct Merged {
    /// Definition, field, type: the minors.
    fields: BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<u8>>>>,
    /// Kind, then definition and scope: the minors.
    kinds: BTreeMap<String, BTreeMap<(String, char), Vec<u8>>>,
}

impl Merged {
    pub(super) fn add(&mut self, minor: u8, shapes: Shapes) {
        for (definition, fields) in shapes.definitions {
            let known = self.fields.entry(definition).or_default();
            for (field, word) in fields {
                known.entry(field).or_default().entry(word).or_default().push(minor);
            }
        }
        for (kind, target) in shapes.kinds {
            self.kinds.entry(kind).or_default().entry(target).or_default().push(minor);
        }
    }

    pub(super) fn text(&self, releases: &[(u8, &str)]) -> String {
        let all: Vec<u8> = releases.iter().map(|(minor, _)| *minor).collect();
        let names: Vec<&str> = releases.iter().map(|(_, release)| *release).collect();
        let mut out = format!("kubernetes-schemas 1\nof {}\n", names.join(" "));
        for (kind, targets) in &self.kinds {
            for ((definition, scope), minors) in targets {
                for range in ranges(minors, &all) {
                    let _ = writeln!(out, "k {kind} {definition} {scope}{range}");
                }
            }
        }
        for (definition, fields) in &self.fields {
            let _ = writeln!(out, "d {definition}");
            for (field, words) in fields {
                for (word, minors) in words {
                    for range in ranges(minors, &all) {
                        let _ = writeln!(out, " {field} {word}{range}");
                    }
                }
            }
        }
        out
    }
}

/// Runs of minors as ` FROM-TO`; nothing where it is all of them.
fn ranges(minors: &[u8], all: &[u8]) -> Vec<String> {
    if minors == all {
        return vec![String::new()];
    }
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for &minor in minors {
        match runs.last_mut() {
            Some((_, to)) if *to + 1 == minor => *to = minor,
            _ => runs.push((minor, minor)),
        }
    }
    runs.into_iter().map(|(from, to)| format!(" {from}-{to}")).collect()
}
