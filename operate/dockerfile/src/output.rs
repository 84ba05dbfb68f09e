//! The answer as a person, a program or a code host reads it, in the forms that all checks share. Prints nothing itself.

use base_explain::finding;
use serde_json::Value;

use crate::check::Checked;

/// One file and what was found in it.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub text: String,
    pub checked: Checked,
}

fn lent(files: &[File]) -> Vec<finding::File<'_>> {
    files.iter().map(lend).collect()
}

fn lend(file: &File) -> finding::File<'_> {
    let Checked { findings, ignored, beyond } = &file.checked;
    finding::File { path: &file.path, text: Some(&file.text), findings, ignored: *ignored, beyond: *beyond }
}

/// All findings, then one line with their number. Colours are ANSI's.
pub fn text(files: &[File], color: bool) -> String {
    finding::text(&lent(files), color)
}

/// One object: `files` with their `findings`, and `counts`. Offsets are bytes; lines and columns count from 1.
pub fn json(files: &[File]) -> Value {
    finding::json(&lent(files))
}

/// A SARIF log with one run, which lists the whole catalogue.
pub fn sarif(files: &[File], version: &str) -> Value {
    finding::sarif("apm docker check", version, crate::rule::rules(), &lent(files))
}
