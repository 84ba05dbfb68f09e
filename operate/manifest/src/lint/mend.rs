//! From changes of objects to edits of a text's bytes, and a text mended by them, again and again until nothing more changes. Does not decide which
//! edits are safe: each finding says so.

use std::collections::BTreeMap;

use base_explain::Span;
use base_explain::finding::{Edit, Safety, apply, chosen};
use lib_yaml_edit::{Dialect, Editor, Limits, Options, Step, parse};

use super::found::{Mend, Raw};
use super::run::{Checked, LintOptions, Manifests, check};
use crate::object::Object;

/// Edits that touch each other wait for the next round; a container has some that do.
const ROUNDS_MAX: usize = 20;

/// Gives findings their edits. A change that cannot be made leaves its finding without one.
pub(crate) fn edits(text: &str, list: &mut [Raw], objects: &[Object]) {
    if list.iter().all(|raw| raw.mend.is_none()) {
        return;
    }
    let documents = parse(text, &Limits::default()).unwrap_or_default();
    let mut editors: BTreeMap<usize, Option<Editor>> = BTreeMap::new();
    for raw in list {
        let (Some(mend), Some(object)) = (&raw.mend, objects.get(raw.object)) else { continue };
        let edit = documents.get(object.document).and_then(|document| {
            let from = document.start as usize;
            let part = text.get(from..document.end as usize)?;
            let options = Options { dialect: Dialect::Kubectl, ..Options::default() };
            let editor = editors.entry(object.document).or_insert_with(|| Editor::new(part, options).ok());
            let after = changed(editor.clone()?, mend, &object.prefix)?;
            Some(difference(part, &after, from))
        });
        match (edit, &mut raw.finding.fix) {
            (Some(edit), Some(fix)) => fix.edits = vec![edit],
            (_, fix) => *fix = None,
        }
    }
}

fn changed(mut editor: Editor, mend: &Mend, prefix: &[Step]) -> Option<String> {
    let whole = |path: &[Step]| prefix.iter().chain(path).cloned().collect::<Vec<Step>>();
    let made = match mend {
        Mend::Set(path, value) => editor.set(&whole(path), value.clone()).map(drop),
        Mend::Remove(path) => editor.remove(&whole(path)).map(drop),
        Mend::Rename(path, key) => editor.rename(&whole(path), key).map(drop),
    };
    made.ok().map(|()| editor.into_text())
}

/// The one edit that makes one text of the other.
fn difference(before: &str, after: &str, from: usize) -> Edit {
    let front = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let front = (0..=front).rev().find(|at| before.is_char_boundary(*at) && after.is_char_boundary(*at)).unwrap_or(0);
    let most = before.len().min(after.len()) - front;
    let back = before.bytes().rev().zip(after.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
    let fits = |n: &usize| before.is_char_boundary(before.len() - n) && after.is_char_boundary(after.len() - n);
    let back = (0..=back).rev().find(fits).unwrap_or(0);
    let with = after.get(front..after.len() - back).unwrap_or("");
    Edit::new(Span::new(from + front, from + before.len() - back), with)
}

/// Texts after mending.
#[derive(Debug, Clone)]
pub struct Mended {
    pub manifests: Manifests,
    /// Of each text, how many findings' edits were made.
    pub made: Vec<usize>,
    /// What is left, found in the mended texts.
    pub left: Vec<Checked>,
}

/// Makes the edits up to a safety: `Safe` only the safe ones, `Suggested` all. What is suppressed stays.
pub fn mend(manifests: &Manifests, options: &LintOptions, up_to: Safety, limits: &Limits) -> Mended {
    let options = LintOptions { edits: true, ..options.clone() };
    let mut manifests = manifests.clone();
    let mut left = check(&manifests, &options);
    let mut made = vec![0; left.len()];
    for _ in 0..ROUNDS_MAX {
        let mut next = Manifests::default();
        let mut moved = false;
        for (((name, text), checked), made) in manifests.texts().zip(&left).zip(&mut made) {
            let open: Vec<_> = checked.findings.iter().filter(|f| f.suppressed.is_none()).cloned().collect();
            let (edits, count) = chosen(&open, up_to);
            let after = apply(text, &edits);
            if after != text {
                moved = true;
                *made += count;
            }
            next.add(name, after, limits);
        }
        if !moved {
            break;
        }
        manifests = next;
        left = check(&manifests, &options);
    }
    Mended { manifests, made, left }
}
