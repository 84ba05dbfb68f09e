//! Words and lines that have no place in the repository. It knows lines, not languages.

use super::files::File;

/// A text that must not stand in some files, and what to do instead. The texts are in two halves, so that this file holds to them itself.
struct Ban {
    halves: (&'static str, &'static str),
    /// Endings it counts in; empty for every text file.
    endings: &'static [&'static str],
    /// Files made by a tool are looked at too.
    generated_too: bool,
    remedy: &'static str,
}

const CODE: &[&str] = &[".rs", ".ts", ".svelte", ".sh", ".py", ".mjs", ".cjs", ".js"];
const RUST: &[&str] = &[".rs"];
const LOCKS: &[&str] =
    &["package-lock.json", "requirements.txt", "/lock/python-flask.txt", "/lock/python-sdk.txt", ".npmrc", "pip.conf"];

const UNFINISHED: &str = "finish it, or cut it and write what is missing into the room's doc comment";
const MACHINE: &str =
    "a path of one machine: take it from the environment, a temporary folder or the repository's top folder";
const HOST: &str = "a lock names packages and hashes, and leaves the host to the reader's own settings: for npm write it with \
                    `--omit-lockfile-registry-resolved`";
const PROCESS: &str = "speaks of how the work was organised: say what the code does and why";

const BANS: &[Ban] = &[
    Ban { halves: ("todo", "!("), endings: RUST, generated_too: false, remedy: UNFINISHED },
    Ban { halves: ("unimpl", "emented!("), endings: RUST, generated_too: false, remedy: UNFINISHED },
    Ban { halves: ("FIX", "ME"), endings: CODE, generated_too: false, remedy: UNFINISHED },
    Ban { halves: ("XX", "X:"), endings: CODE, generated_too: false, remedy: UNFINISHED },
    Ban { halves: ("// XX", "X"), endings: CODE, generated_too: false, remedy: UNFINISHED },
    Ban { halves: ("dbg", "!("), endings: RUST, generated_too: false, remedy: "use `tracing::debug!`, or take it out" },
    Ban { halves: ("/wo", "rk/"), endings: &[], generated_too: true, remedy: MACHINE },
    Ban { halves: ("/ro", "ot/"), endings: &[], generated_too: true, remedy: MACHINE },
    Ban { halves: ("registry.npm", "js.org"), endings: LOCKS, generated_too: true, remedy: HOST },
    Ban { halves: ("--index", "-url"), endings: LOCKS, generated_too: true, remedy: HOST },
    Ban { halves: ("files.python", "hosted.org"), endings: LOCKS, generated_too: true, remedy: HOST },
    Ban { halves: ("previous ", "session"), endings: &[], generated_too: false, remedy: PROCESS },
    Ban { halves: ("the fou", "nder"), endings: &[], generated_too: false, remedy: PROCESS },
    Ban { halves: ("sub", "agent"), endings: &[], generated_too: false, remedy: PROCESS },
    Ban { halves: ("as an AI", " "), endings: &[], generated_too: false, remedy: PROCESS },
    Ban { halves: ("(issue", " #"), endings: &[], generated_too: false, remedy: PROCESS },
    Ban { halves: ("see issue", " #"), endings: &[], generated_too: false, remedy: PROCESS },
];

/// Module docs and banned words.
pub(crate) fn problems(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        if file.is(".rs") && !file.text.starts_with("//!") {
            problems.push(format!("{}: open it with `//!`: what it does, and what it does not know", file.path));
        }
        for (number, line) in file.text.lines().enumerate() {
            for ban in BANS.iter().filter(|ban| ban.counts_in(file)) {
                if ban.found_in(line) {
                    let (first, second) = ban.halves;
                    problems.push(format!("{}:{}: `{first}{second}`: {}", file.path, number + 1, ban.remedy));
                }
            }
        }
    }
    problems
}

impl Ban {
    fn counts_in(&self, file: &File) -> bool {
        (self.generated_too || !file.is_generated())
            && (self.endings.is_empty() || self.endings.iter().any(|ending| file.is(ending)))
    }

    /// A word that goes on to the left is another word: `my/work/` is no machine path, `subtodo!(` no unfinished line.
    fn found_in(&self, line: &str) -> bool {
        let (first, second) = self.halves;
        line.match_indices(first).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let goes_on = before.is_some_and(|letter| letter.is_alphanumeric() || "_-.}".contains(letter));
            !goes_on && line[at + first.len()..].starts_with(second)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{File, problems};

    fn check(path: &str, text: &str, expect: usize) {
        let found = problems(&[File { path: path.into(), text: text.into(), size: 0 }]);
        assert_eq!(found.len(), expect, "{path} {text:?}: {found:?}");
    }

    #[test]
    fn each_ban_is_seen_where_it_counts() {
        check("a.rs", "//! Doc.\n", 0);
        check("a.rs", "// no doc\n", 1);
        check("a.rs", concat!("//! Doc.\nto", "do!()"), 1);
        check("a.md", concat!("to", "do!() in prose"), 0);
        check("a.md", concat!("cd /wo", "rk/x"), 1);
        check("a.md", concat!("https://example.org/my/wo", "rk/x"), 0);
        check("a/dist/a.js", concat!("\"/ro", "ot/.x\""), 1);
        check("package-lock.json", concat!("\"resolved\": \"https://registry.npm", "js.org/x\""), 1);
        check("docs/npm.md", concat!("from registry.npm", "js.org"), 0);
        check("a.md", concat!("fixed (issue", " #12)"), 1);
    }
}
