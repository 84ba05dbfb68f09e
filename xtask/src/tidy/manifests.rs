//! Rules on our own Cargo.toml files.

use super::files::File;

/// Lints shared, name as the folder, no doc tests where nobody reads the docs.
pub(crate) fn problems(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let Some(room) = file.path.strip_suffix("/Cargo.toml") else { continue };
        // A crate with a workspace of its own (a fuzz folder) is not linted with ours.
        if file.text.contains("\n[workspace]") || file.text.starts_with("[workspace]") {
            continue;
        }
        let name = room.replace('/', "-");
        if !file.text.contains(&format!("name = \"{name}\"")) {
            problems.push(format!(
                "{}: the package of {room} is called `{name}`: rename it, or move the folder",
                file.path
            ));
        }
        if section(&file.text, "[lints]").is_none_or(|lints| !lints.contains("workspace = true")) {
            problems.push(format!(
                "{}: add `[lints]` with `workspace = true`, so that the house's lints bind it",
                file.path
            ));
        }
        let has_lib = files.iter().any(|other| other.path == format!("{room}/src/lib.rs"));
        let quiet = section(&file.text, "[lib]").is_some_and(|lib| lib.contains("doctest = false"));
        if has_lib && !room.starts_with("lib/") && !quiet {
            problems.push(format!(
                "{}: add `[lib]` with `doctest = false`: each doc test is a program to link, and an internal crate's examples belong in its tests",
                file.path
            ));
        }
    }
    problems
}

/// The lines from a header up to the next one.
fn section<'a>(text: &'a str, header: &str) -> Option<&'a str> {
    let start = text.find(&format!("{header}\n"))? + header.len();
    let rest = &text[start..];
    Some(rest.find("\n[").map_or(rest, |end| &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::{File, problems};

    fn check(manifest: &str, expect: &[&str]) {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into(), size: 0 };
        let found = problems(&[file("base/signal/Cargo.toml", manifest), file("base/signal/src/lib.rs", "")]);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found} should speak of {expect}");
        }
    }

    #[test]
    fn each_rule_is_seen() {
        let good = "[package]\nname = \"base-signal\"\n\n[lib]\ndoctest = false\n\n[lints]\nworkspace = true\n";
        check(good, &[]);
        check(&good.replace("base-signal", "signal"), &["is called `base-signal`"]);
        check(&good.replace("doctest = false", ""), &["doctest = false"]);
        check(&good.replace("[lints]", "[lint]"), &["add `[lints]`"]);
        // `workspace = true` under another header does not count.
        check(
            &good.replace("[lints]\nworkspace = true", "[lints]\n[dependencies.x]\nworkspace = true"),
            &["add `[lints]`"],
        );
    }
}
