//! The licences of everything that is built in, held against the `allow` list of deny.toml. It knows SPDX expressions, not law.

use std::collections::BTreeSet;

use crate::sh;

/// One sentence for each crate whose licence no allowed one covers.
pub(crate) fn problems() -> sh::Outcome<Vec<String>> {
    let allowed = allowed(&sh::read(&sh::root().join("deny.toml"))?);
    if allowed.is_empty() {
        return Err("deny.toml has no `allow = [` list of licences: bring it back".into());
    }
    let words = ["tree", "--workspace", "-e", "normal,build", "--target", "all", "--prefix", "none", "-f", "{p}\t{l}"];
    let printed = sh::output(sh::cargo().args(words))?;
    let crates: BTreeSet<&str> = printed.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let mut problems = Vec::new();
    for (name, licence) in crates.iter().filter_map(|line| line.split_once('\t')) {
        if !covered(licence, &allowed) {
            problems.push(format!(
                "{name} is under `{licence}`, which deny.toml does not allow: use another crate, or argue for the licence in deny.toml"
            ));
        }
    }
    Ok(problems)
}

/// The quoted words of the first `allow = [ … ]`.
fn allowed(deny: &str) -> BTreeSet<String> {
    let list = deny.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once("\n]")).map(|(list, _)| list);
    let lines = list.unwrap_or_default().lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met by the allowed licences alone. The old `MIT/Apache-2.0` means OR.
fn covered(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words, allowed);
    }
    met
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = single(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= single(words, allowed);
    }
    met
}

fn single(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => {
            let met = either(words, allowed);
            words.next_if_eq(&")").is_some() && met
        }
        Some(name) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            let name = exception.map_or_else(|| name.to_owned(), |exception| format!("{name} WITH {exception}"));
            allowed.contains(&name)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{allowed, covered};

    fn check(expression: &str, expect: bool) {
        let list = allowed(
            "[licenses]\nallow = [\n  \"MIT\", # a remark with \"GPL-3.0\"\n  \"Apache-2.0\",\n  \"ISC\",\n]\n",
        );
        assert_eq!(covered(expression, &list), expect, "{expression}");
    }

    #[test]
    fn expressions_are_met_by_the_list_or_not() {
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0", false);
        check("MIT OR GPL-3.0", true);
        check("MIT AND GPL-3.0", false);
        check("ISC AND (Apache-2.0 OR GPL-3.0)", true);
        check("(GPL-3.0 OR AGPL-3.0) AND MIT", false);
        check("Apache-2.0 WITH LLVM-exception OR MIT", true);
        check("Apache-2.0 WITH LLVM-exception", false);
        check("", false);
    }
}
