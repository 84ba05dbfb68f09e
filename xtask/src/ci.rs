//! `cargo xtask ci`: everything a merge must pass beside the README's `cargo test`, in order from cheap to dear, the minutes of each printed. A stage
//! is one of the other commands, so that a failure can be repeated alone. It does not know which machine it runs on.

use std::time::Instant;

use crate::{arrows, check, connectors, coverage, journeys, sh, test, tidy, tools, verdicts};

/// A newcomer's first release build on two cores must not take longer.
const COLD_BUILD_MINUTES_MAX: f64 = 12.0;
/// How many of two cores a cold build keeps busy (9 min 14 s of processor time in 5 min 8 s); by it the bound is held in processor time, which does not
/// depend on what else the machine does.
const CORES_BUSY: f64 = 1.8;

/// Runs the stages and stops at the first that fails.
pub(crate) fn run(_: &[String]) -> sh::Outcome {
    sh::timed("tools", || tools::run(&[]))?;
    sh::timed("check", || check::run(&[]))?;
    sh::timed("tidy", || tidy::run(&[]))?;
    sh::timed("arrows", || arrows::run(&[]))?;
    sh::timed("tests of our tooling", test::own)?;
    sh::timed("release build", release_build)?;
    sh::timed("journeys", journeys::all)?;
    sh::timed("cluster", journeys::cluster)?;
    // It computes while those wait for engines and clusters most of the time; at the lowest priority, so that they do not wait for it.
    let coverage = coverage::beside()?;
    sh::timed("connectors", || connectors::run(&[]))?;
    // Older minors are built for `soak minors` alone: 20 minutes of processor time each. What they said is recorded, and a test of the crate.
    sh::timed("verdicts", || verdicts::run(&["1.36".into(), "emulated-1.35".into()]))?;
    sh::timed("coverage, begun beside the connectors", || coverage.end())?;
    sh::timed("bench smoke", bench_smoke)
}

/// The bench on the release build: that it runs matters here, not what it prints.
fn bench_smoke() -> sh::Outcome {
    let binary = target_folder()?.join("release/apm");
    sh::run(sh::cargo().env("APM_BIN", binary).args(["xtask", "bench", "spine", "--smoke"]))
}

/// Builds the binary as the README says; the bound holds only when nothing was built before.
pub(crate) fn release_build() -> sh::Outcome {
    let folder = target_folder()?.join("release/.fingerprint");
    let cold = !folder.is_dir();
    let (start, before_s) = (Instant::now(), sh::children_cpu_s()?);
    sh::run(sh::cargo().args(["build", "--release", "-p", "app-cli"]))?;
    let wall_min = start.elapsed().as_secs_f64() / 60.0;
    let cpu_min = (sh::children_cpu_s()? - before_s) / 60.0;
    let how = if cold { "cold" } else { "with an earlier build at hand" };
    println!("release build: {wall_min:.1} min, {cpu_min:.1} min of processor time, {how}");
    let minutes = cpu_min / CORES_BUSY;
    if cold && minutes > COLD_BUILD_MINUTES_MAX {
        return Err(format!(
            "the cold release build takes {minutes:.1} min of two cores, at most {COLD_BUILD_MINUTES_MAX}: see `cargo build --timings`, and which dependency is new"
        ));
    }
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> sh::Outcome<std::path::PathBuf> {
    let mut command = cargo_metadata::MetadataCommand::new();
    command.current_dir(sh::root()).no_deps();
    let metadata = command.exec().map_err(|error| format!("cargo metadata failed: {error}"))?;
    Ok(metadata.target_directory.into())
}
