//! `cargo xtask coverage`: how many lines of our own code the README's tests run, by cargo-tarpaulin, and the bar it must not fall under. It knows lines,
//! not meaning. Programs that tests start are counted too, when they end by themselves: each then writes down what it ran, and tarpaulin gathers the files
//! of the whole family.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sh;

/// `llvm` is its engine that works with the pinned compiler.
const VERSION: &str = "0.37.5";
/// The bar, in whole per cent; it is raised by hand, to what is true.
const BAR: &str = "xtask/coverage-bar.txt";

/// The same beside other work and without being in its way.
pub(crate) fn beside() -> sh::Outcome<sh::Beside> {
    let cargo = sh::cargo().get_program().to_owned();
    let mut command = sh::program("nice");
    command.args(["-n", "19"]).arg(cargo).args(["xtask", "coverage"]);
    sh::Beside::start(&mut command, &artefacts().join("coverage/output.txt"))
}

/// Measures and holds the result against the bar.
pub(crate) fn run(_: &[String]) -> sh::Outcome {
    let cache = cache()?;
    let tarpaulin = installed(&cache)?;
    let report = artefacts().join("coverage");
    std::fs::create_dir_all(&report).map_err(|error| format!("cannot create {}: {error}", report.display()))?;
    let target = cache.join("coverage-target");
    forget_other_checkouts(&target)?;
    let mut command = sh::program(tarpaulin);
    command.args([
        "tarpaulin",
        "--engine",
        "llvm",
        "--skip-clean",
        "--out",
        "json",
        "--out",
        "html",
        "--timeout",
        "600",
    ]);
    command.args([
        "--exclude-files",
        "xtask/*",
        "--exclude-files",
        "tests/*",
        "--exclude-files",
        "*/tests/*",
        "--exclude-files",
        "*tests.rs",
    ]);
    command.arg("--output-dir").arg(&report).arg("--target-dir").arg(&target);
    let measured = sh::run(&mut command);
    // Some megabytes for each program that a test started; nobody reads them twice.
    let _ = std::fs::remove_dir_all(target.join("tarpaulin/profraws"));
    measured?;

    let text = sh::read(&report.join("tarpaulin-report.json"))?;
    let found: Value =
        serde_json::from_str(&text).map_err(|error| format!("tarpaulin's report is no JSON: {error}"))?;
    let (covered, lines) = totals(&found);
    let percent = 100.0 * covered as f64 / lines.max(1) as f64;
    sh::write(&report.join("summary.txt"), &format!("{covered} of {lines} lines, {percent:.1} %\n"))?;
    println!("coverage: {covered} of {lines} lines of our own code, {percent:.1} %; {}", report.display());
    let bar = sh::read(&sh::root().join(BAR))?;
    let bar: f64 = bar.trim().parse().map_err(|error| format!("{BAR}: `{}`: {error}", bar.trim()))?;
    if percent < bar {
        return Err(format!(
            "{percent:.1} % of the lines are covered, the bar in {BAR} is {bar} %: write the missing tests; the bar only rises"
        ));
    }
    Ok(())
}

/// Cargo takes what another checkout built for its own when the sources are alike, but lines of that are counted at that checkout's paths, which is
/// nowhere.
fn forget_other_checkouts(target: &Path) -> sh::Outcome {
    let built_for = target.join("built-for.txt");
    let root = sh::root().display().to_string();
    if target.is_dir() && std::fs::read_to_string(&built_for).unwrap_or_default() != root {
        sh::run(sh::cargo().args(["clean", "--workspace", "--target-dir"]).arg(target))?;
    }
    sh::write(&built_for, &root)
}

/// Lines run and lines that could, summed over files.
fn totals(report: &Value) -> (u64, u64) {
    let files = report["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |key: &str| files.iter().filter_map(|file| file[key].as_u64()).sum();
    (sum("covered"), sum("coverable"))
}

fn installed(cache: &Path) -> sh::Outcome<PathBuf> {
    let root = cache.join(format!("cargo-tarpaulin-{VERSION}"));
    let program = root.join("bin/cargo-tarpaulin");
    if !program.is_file() {
        let words = ["install", "cargo-tarpaulin", "--locked", "--version", VERSION, "--root"];
        sh::run(sh::cargo().args(words).arg(&root).env("CARGO_TARGET_DIR", cache.join("coverage-target")))?;
    }
    Ok(program)
}

fn cache() -> sh::Outcome<PathBuf> {
    crate::tools::folder()
}

/// Where results go that are kept after a run.
fn artefacts() -> PathBuf {
    let folder = std::env::var_os("CI_ARTEFACTS").map(PathBuf::from);
    folder
        .or_else(|| Some(crate::ci::target_folder().ok()?.join("artefacts")))
        .unwrap_or_else(|| sh::root().join("target/artefacts"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_are_summed() {
        let report = serde_json::json!({"files": [{"covered": 3, "coverable": 4}, {"covered": 0, "coverable": 6}]});
        assert_eq!(super::totals(&report), (3, 10));
    }
}
