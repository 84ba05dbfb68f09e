//! Every error code that a run can show stands in the catalogue for people. It knows codes by their form, not what they mean.

use std::collections::BTreeSet;

use super::files::File;

const CATALOGUE: &str = "docs/guides/errors.md";
/// What a code begins with, and the folders whose code may show it.
const FAMILIES: [&str; 7] = ["docker.", "step.", "lease.", "judge.", "seal.", "undo.", "inventory."];
const FOLDERS: [&str; 3] = ["operate/", "app/adapt/", "app/deploy/"];

/// A sentence for each code that is missing in the catalogue.
pub(crate) fn problems(files: &[File]) -> Vec<String> {
    let catalogue = files.iter().find(|file| file.path == CATALOGUE).map_or("", |file| file.text.as_str());
    let shown =
        files.iter().filter(|file| file.is(".rs") && FOLDERS.iter().any(|folder| file.path.starts_with(folder)));
    let mut missing = BTreeSet::new();
    for file in shown.filter(|file| !file.path.contains("test")) {
        // Texts between quotes; a code is two words with a dot and nothing else.
        for text in file.text.split('"').skip(1).step_by(2).filter(|text| is_code(text)) {
            if !catalogue.contains(text) {
                missing.insert(format!(
                    "{}: the code `{text}` is not in {CATALOGUE}: say there what to do about it",
                    file.path
                ));
            }
        }
    }
    missing.into_iter().collect()
}

fn is_code(text: &str) -> bool {
    let rest = FAMILIES.iter().find_map(|family| text.strip_prefix(family));
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_code_is_two_words_with_a_dot() {
        assert!(super::is_code("docker.port-taken"));
        assert!(!super::is_code("docker.sock is there") && !super::is_code("docker.") && !super::is_code("seal.Key"));
    }
}
