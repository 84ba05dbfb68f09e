//! `cargo xtask bench manifests`: `apm k8s check` beside the real kubeconform on the same made resources, with schemas of the same release, in pairs. It
//! judges nothing: ours also lints, and both must have looked at every resource.

mod made;
mod schemas;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::spine;
use crate::{sh, tools};

/// How much.
pub(super) struct Size {
    resources: usize,
    pairs: usize,
}

pub(super) const FULL: Size = Size { resources: 5_000, pairs: 5 };
/// Only shows that both answer.
pub(super) const SMOKE: Size = Size { resources: 200, pairs: 1 };

/// The release whose schemas both have.
const RELEASE: &str = "1.36.3";

/// What a run of a program took.
#[derive(Clone, Copy)]
struct Cost {
    cpu_s: f64,
    wall_s: f64,
    memory_mb: f64,
}

/// Makes the resources, runs both in turn, and prints the medians.
pub(super) fn run(size: &Size) -> sh::Outcome {
    let (program, profile) = spine::program()?;
    let peer = tools::folder()?.join("bin/kubeconform");
    if !peer.is_file() {
        return Err("no kubeconform to measure beside: run `cargo xtask tools --only kubeconform`".into());
    }
    let home = spine::folder()?;
    let (manifests, schema) = (home.path().join("manifests"), home.path().join("schemas"));
    let made = made::write(&manifests, size.resources)?;
    schemas::write(&schema, RELEASE)?;
    println!("machine: {}; profile: {profile}", spine::machine());
    println!(
        "{} resources of {} kinds in {} files of {} folders\n",
        made.resources, made.kinds, made.files, made.folders
    );
    let location = format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", schema.display());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (our_answer, their_answer) = (home.path().join("ours.txt"), home.path().join("theirs.txt"));
    for _ in 0..size.pairs {
        let mut command = Command::new(&program);
        ours.push(measured(command.args(["k8s", "check", "--minor", "1.36"]).arg(&manifests), &our_answer)?);
        let mut command = Command::new(&peer);
        command.args(["-strict", "-summary", "-schema-location", &location]).arg(&manifests);
        theirs.push(measured(&mut command, &their_answer)?);
    }
    // The one flaw is found by both, or one of them did not look.
    let (found, said) = (sh::read(&our_answer)?, sh::read(&their_answer)?);
    let summary = format!(
        "{} resources found in {} files - Valid: {}, Invalid: 1, Errors: 0, Skipped: 0",
        made.resources,
        made.files,
        made.resources - 1
    );
    if !said.contains(&summary) {
        return Err(format!("kubeconform should have said `{summary}`: {}", said.trim()));
    }
    if found.matches("field/unknown").count() != 1 || !found.contains(made::FLAW) {
        return Err(format!("`{}` should have been found once: {}", made::FLAW, start_of(&found)));
    }
    println!("| what | apm k8s check | kubeconform | unit |\n|---|---|---|---|");
    row("processor time", &ours, &theirs, |cost| cost.cpu_s, "s");
    row("from start to end", &ours, &theirs, |cost| cost.wall_s, "s");
    row("memory at its highest", &ours, &theirs, |cost| cost.memory_mb, "MB");
    Ok(())
}

/// Runs a program to its end; 1 is how both say that they found something.
fn measured(command: &mut Command, answer: &Path) -> sh::Outcome<Cost> {
    let wrong = |error: std::io::Error| format!("{}: {error}", answer.display());
    let file = File::create(answer).map_err(wrong)?;
    let errors = file.try_clone().map_err(wrong)?;
    let (before_s, start) = (sh::children_cpu_s()?, Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().map_err(wrong)?;
    // proc(5): the highest resident size so far. It is asked until the process has gone.
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut memory_kib = 0.0_f64;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let highest = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let highest = highest.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        memory_kib = memory_kib.max(highest.unwrap_or(0.0));
        if let Some(ended) = child.try_wait().map_err(wrong)? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (wall_s, cpu_s) = (start.elapsed().as_secs_f64(), sh::children_cpu_s()? - before_s);
    match ended.code() {
        Some(0 | 1) => Ok(Cost { cpu_s, wall_s, memory_mb: memory_kib * 1024.0 / 1e6 }),
        _ => Err(format!("{command:?} ended with {ended}: {}", start_of(&sh::read(answer)?))),
    }
}

fn start_of(text: &str) -> String {
    text.chars().take(400).collect()
}

fn row(what: &str, ours: &[Cost], theirs: &[Cost], of: fn(&Cost) -> f64, unit: &str) {
    let median = |costs: &[Cost]| spine::median(&mut costs.iter().map(of).collect::<Vec<f64>>()).unwrap_or(f64::NAN);
    println!("| {what}, median of {} | {:.2} | {:.2} | {unit} |", ours.len(), median(ours), median(theirs));
}
