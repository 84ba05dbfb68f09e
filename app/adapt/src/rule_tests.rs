//! Unit tests of rules for a person's `apm test rules`: the file and the rule files that it names are read from the disk, and what `observe/rules` finds is
//! handed back. How a case is judged it does not know.

use std::path::{Path, PathBuf};

use base_explain::{Place, Report};
use base_world::World;
use observe_rules::unit::{Failure, Rules, TestFile};
use observe_rules::{Fault, RuleFile};

use crate::paths::{expand, not_understood};

const FILE_BYTES_MAX: u64 = 16 << 20;

/// One case that did not come out as expected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedRule {
    /// From 1.
    pub line: usize,
    /// The test's name; empty if it has none.
    pub test: String,
    /// Which alert, expression or rule, and when.
    pub about: String,
    pub want: String,
    pub got: String,
}

/// What became of one file of unit tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleTests {
    pub passed: usize,
    pub failed: Vec<FailedRule>,
    /// Patterns that no file matches, as promtool warns of them.
    pub missing: Vec<String>,
}

/// Runs the unit tests of one file.
pub fn rule_tests(world: &World, path: &Path) -> Result<RuleTests, Report> {
    let text = read(world, path)?;
    let tests = TestFile::parse(&text).map_err(|faults| faults_told(path, &text, &faults))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (mut files, mut missing) = (Vec::<(PathBuf, RuleFile)>::new(), Vec::new());
    for pattern in &tests.rule_files {
        if let Some(hint) = not_understood(pattern) {
            let report = Report::new(format!("the pattern `{pattern}` in {} is not understood", path.display()));
            return Err(report.hint(hint));
        }
        let mut found = expand(world, &folder.join(pattern));
        found.retain(|path| world.disk.exists(path).unwrap_or(false));
        if found.is_empty() {
            missing.push(pattern.clone());
        }
        for path in found {
            let text = read(world, &path)?;
            let file = RuleFile::parse(&text).map_err(|faults| faults_told(&path, &text, &faults))?;
            files.push((path, file));
        }
    }
    let paths: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    let rules: Vec<Rules<'_>> = files.iter().zip(&paths).map(|((_, file), path)| Rules { path, file }).collect();
    let report = tests.run(&rules);
    let case = |Failure { line, test, about, want, got }| FailedRule { line, test, about, want, got };
    Ok(RuleTests { passed: report.passed, failed: report.failures.into_iter().map(case).collect(), missing })
}

fn read(world: &World, path: &Path) -> Result<String, Report> {
    let bytes = world.disk.read(path, FILE_BYTES_MAX).map_err(|error| Report::of(&error))?;
    String::from_utf8(bytes).map_err(|_| Report::new(format!("{} is not UTF-8 text", path.display())))
}

/// The first fault of a file with its place, and where the others are.
pub fn faults_told(path: &Path, text: &str, faults: &[Fault]) -> Report {
    let named = path.display().to_string();
    let Some(first) = faults.first() else { return Report::new(format!("{named} cannot be read")) };
    let mut report = Report::new(&first.message).at(Place::new(&named, first.line, first.column).in_text(text, 1));
    for more in faults.iter().skip(1).take(9) {
        report = report.because(format!("also at {named}:{more}"));
    }
    match &first.hint {
        Some(hint) => report.hint(hint),
        None => report,
    }
}
