//! Tests of the whole check: the corpus, edits, the guide, the forms of the answer.
//!
//! A corpus file has cases: a line `===== name | option …`, one file of manifests, a line `-----`, and the expected findings as `ID line:column`, with
//! `+safe` or `+suggested` where there is an edit and `ignored` where a person allows it. Options: `rules=ID,…` looks for these alone, `all`, `minor=N`.
//! `APM_BLESS=1` writes what is found; read it before you keep it.

mod faults;
mod guide;
mod output;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base_explain::finding::Safety;
use lib_yaml_edit::Limits;

use super::*;

struct Case {
    header: String,
    text: String,
    expect: Vec<String>,
}

fn corpus_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/lint");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[expect(clippy::disallowed_methods, reason = "a test reads its corpus")]
fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let case = |part: &str| {
        let (header, rest) = part.split_once('\n').unwrap();
        let (text, expect) = rest.split_once("-----\n").unwrap_or((rest, ""));
        let expect = expect.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Case { header: header.trim().to_owned(), text: text.to_owned(), expect }
    };
    text.split("===== ").skip(1).map(case).collect()
}

fn options(header: &str) -> LintOptions {
    let mut options = LintOptions { minor: 34, edits: true, ..LintOptions::default() };
    for word in header.split_once('|').map_or("", |(_, words)| words).split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("all", _) => options.all = true,
            ("minor", minor) => options.minor = minor.parse().unwrap(),
            ("rules", names) => {
                let ids = |name: &str| lint_named(name).map(|rule| rule.id).collect::<Vec<_>>();
                options.rules = names.split(',').flat_map(ids).collect();
                assert!(!options.rules.is_empty(), "{header}");
            }
            other => panic!("no option `{other:?}`"),
        }
    }
    options
}

fn manifests(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add("f.yaml", text.to_owned(), &Limits::default());
    manifests
}

fn told(checked: &Checked) -> Vec<String> {
    let line = |finding: &LintFinding| {
        let edit = match finding.fix.as_ref().map(|fix| fix.safety) {
            Some(Safety::Safe) => " +safe",
            Some(Safety::Suggested) => " +suggested",
            None => "",
        };
        let ignored = if finding.suppressed.is_some() { " ignored" } else { "" };
        format!("{} {}:{}{edit}{ignored}", finding.rule.id, finding.at.line, finding.at.column)
    };
    checked.findings.iter().map(line).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a blessed corpus is written")]
fn the_corpus_is_found_as_expected() {
    let bless = std::env::var_os("APM_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in corpus_files() {
        let mut blessed = String::new();
        for case in cases(&path) {
            let found = told(&check(&manifests(&case.text), &options(&case.header))[0]);
            if found != case.expect {
                let place = path.display();
                wrong.push(format!("{place}: {}\n  expected {:?}\n  found    {found:?}", case.header, case.expect));
            }
            blessed.push_str(&format!("===== {}\n{}-----\n", case.header, case.text));
            found.iter().for_each(|line| blessed.push_str(&format!("{line}\n")));
            blessed.push('\n');
        }
        if bless {
            std::fs::write(&path, format!("{}\n", blessed.trim_end())).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each rule that is ours is found somewhere, and a case that looks for it finds nothing somewhere else.
#[test]
fn every_rule_is_found_in_the_corpus_and_every_rule_is_silent_there() {
    let (mut found, mut silent): (BTreeSet<String>, BTreeSet<&str>) = Default::default();
    for case in corpus_files().iter().flat_map(|path| cases(path)) {
        let here: BTreeSet<String> =
            case.expect.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        let options = options(&case.header);
        let looked = |rule: &&LintRule| options.all || options.rules.contains(&rule.id) || options.rules.is_empty();
        let of_case = lint_rules().iter().filter(looked).filter(|rule| !here.contains(rule.id)).map(|rule| rule.id);
        silent.extend(of_case);
        found.extend(here);
    }
    let ours = || lint_rules().iter().map(|rule| rule.id).filter(|id| id.starts_with("AK"));
    let never: Vec<&str> = ours().filter(|id| !found.contains(*id)).collect();
    let always: Vec<&str> = ours().filter(|id| !silent.contains(id)).collect();
    assert_eq!((never, always), (vec![], vec![]));
}

/// After mending nothing is left that could be mended, what is mended is still good YAML, and the server would take what it took.
#[test]
fn what_can_be_mended_is_gone_after_mending() {
    let mut count = 0;
    for case in corpus_files().iter().flat_map(|path| cases(path)) {
        let options = options(&case.header);
        let before = manifests(&case.text);
        let mended = mend(&before, &options, Safety::Suggested, &Limits::default());
        count += mended.made[0];
        let left: Vec<_> =
            mended.left[0].findings.iter().filter(|f| f.fix.is_some() && f.suppressed.is_none()).collect();
        assert!(left.is_empty(), "{}: {left:?}\n{:?}", case.header, mended.manifests);
        let refused = |checked: &Checked| {
            checked.findings.iter().filter(|f| f.rule.area == "manifest" || f.rule.id == "AK0001").count()
        };
        let was = check(&before, &LintOptions { minor: options.minor, ..LintOptions::default() });
        let is = check(&mended.manifests, &LintOptions { minor: options.minor, ..LintOptions::default() });
        assert!(refused(&is[0]) <= refused(&was[0]), "{}: {:#?}", case.header, told(&is[0]));
    }
    assert!(count >= 40, "{count} findings of the corpus were mended");
}
