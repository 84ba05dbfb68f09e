//! Long files and large ones. A ratchet: what is listed may only shrink, what is not listed stays within the bound.

use std::collections::BTreeMap;

use super::files::{self, File};
use crate::sh;

/// A file tells one story; past this many lines it rarely does.
const LINES_MAX: usize = 400;
/// What a clone should not carry without being asked.
const BYTES_MAX: u64 = 256 * 1024;

const LONG: &str = "xtask/long-files.txt";
const LARGE: &str = "xtask/large-files.txt";

/// Files that grew past their bound.
pub(crate) fn problems(files: &[File]) -> sh::Outcome<Vec<String>> {
    let long = listed(LONG)?;
    let large = listed(LARGE)?;
    let mut problems = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let bound = long.get(&file.path).copied().unwrap_or(LINES_MAX);
        if counts_lines(file) && lines > bound {
            problems.push(format!(
                "{}: {lines} lines, at most {bound}: split it by story; if it truly tells one, write `{} {lines}` into {LONG} in a commit that says why",
                file.path, file.path
            ));
        }
        if file.size > BYTES_MAX && !file.is_generated() && !large.contains_key(&file.path) {
            problems.push(format!(
                "{}: {} bytes, at most {BYTES_MAX}: fetch or generate it in the test, or list it in {LARGE} with its bytes",
                file.path, file.size
            ));
        }
    }
    for path in long.keys().chain(large.keys()).filter(|path| !files.iter().any(|file| &file.path == *path)) {
        problems.push(format!(
            "{path} is listed as long or large and does not exist: take its line out of {LONG} or {LARGE}"
        ));
    }
    Ok(problems)
}

/// Writes today's lengths into the list: lower ones only, and a file that became short leaves it.
pub(crate) fn lower() -> sh::Outcome {
    let list = listed(LONG)?;
    let files = files::all()?;
    let now = |path: &str| files.iter().find(|file| file.path == path).map_or(0, |file| file.text.lines().count());
    let kept = list.iter().map(|(path, &bound)| (path, bound.min(now(path)))).filter(|(_, lines)| *lines > LINES_MAX);
    let text: String = kept.map(|(path, lines)| format!("{path} {lines}\n")).collect();
    sh::write(&sh::root().join(LONG), &text)
}

fn counts_lines(file: &File) -> bool {
    [".rs", ".ts", ".svelte", ".py", ".mjs", ".cjs"].iter().any(|ending| file.is(ending)) && !file.is_generated()
}

/// `PATH NUMBER` a line.
fn listed(list: &str) -> sh::Outcome<BTreeMap<String, usize>> {
    let text = sh::read(&sh::root().join(list))?;
    let one = |line: &str| {
        let (path, number) = line.rsplit_once(' ').ok_or_else(|| format!("{list}: `{line}` is not `PATH NUMBER`"))?;
        let number = number.parse().map_err(|error| format!("{list}: `{line}`: {error}"))?;
        Ok((path.to_owned(), number))
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(one).collect()
}
