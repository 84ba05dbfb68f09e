//! `cargo xtask verdicts`: what our validation says of thousands of objects beside what real API servers of each minor say, by server-side dry-run. It
//! knows no rule; the objects and our verdicts come from an example of `operate-manifest`.

mod server;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::cluster::{self, Wishes};
use crate::{sh, tools};
use server::{Answer, Server};

/// The minor that is built anyway.
const NEWEST: &str = "1.36";
/// What the corpus is made by; the recorded answers are to this.
const SEED: u32 = 1;
const COUNT_RECORDED: u32 = 100;
const BASES: [&str; 2] = ["operate/manifest/corpus/bases.yaml", "operate/manifest/corpus/more.yaml"];
/// Of a hundred objects, so many have the same verdict.
const SAME_MIN: usize = 95;

/// One object: what it is, and what we say.
struct Case {
    base: String,
    name: String,
    object: Value,
    accepts: bool,
    findings: Value,
}

/// Minors, all that can be had unless some are named; `--count N` mutations of each good object; `--record` what the servers say, for the crate's test.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let (mut minors, mut count, mut record) = (Vec::new(), COUNT_RECORDED, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--count" => count = words.next().and_then(|n| n.parse().ok()).ok_or("`--count` needs a number")?,
            "--record" => record = true,
            minor => minors.push(minor),
        }
    }
    if record && count != COUNT_RECORDED {
        return Err(format!("recorded is what servers say of {COUNT_RECORDED} mutations: leave `--count` out"));
    }
    let all = || tools::MINORS.into_iter().chain([NEWEST]).collect();
    compare(&if minors.is_empty() { all() } else { minors }, count, record)
}

/// Every minor that can be had.
pub(crate) fn sweep(count: u32) -> sh::Outcome {
    let all: Vec<&str> = tools::MINORS.into_iter().chain([NEWEST]).collect();
    compare(&all, count, false)
}

fn compare(minors: &[&str], count: u32, record: bool) -> sh::Outcome {
    let judge = judge()?;
    let mut rows =
        vec!["| server | objects | same | taken by us only | refused by us only |\n|---|---|---|---|---|".to_owned()];
    let mut wrong = Vec::new();
    for minor in minors {
        let (number, wishes) = wishes(minor)?;
        let cases = cases(&judge, count, number)?;
        let name = format!("verdicts-{}", std::process::id());
        let (version, answers) = cluster::for_as_long(&name, &wishes, |kubectl, kubeconfig| {
            Server::start(&kubectl, &kubeconfig)?.answers(&cases)
        })?;
        let version = if minor.starts_with("emulated") { format!("{version} as 1.{number}") } else { version };
        if record {
            write(number, &version, &answers)?;
        }
        let verdict = tell(&version, &cases, &answers);
        rows.push(verdict.row);
        wrong.extend(verdict.wrong);
    }
    println!("{}", rows.join("\n"));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// `1.30`, `1.36` or `emulated-1.35`, as a number and a cluster.
fn wishes(word: &str) -> sh::Outcome<(u8, Wishes)> {
    let minor = word.trim_start_matches("emulated-");
    let number = minor.strip_prefix("1.").and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| format!("`{word}` is no minor: say it as `1.30` or `emulated-1.35`"))?;
    let mut wishes = Wishes { control_plane_only: true, ..Wishes::default() };
    match word {
        NEWEST => {}
        _ if word == minor => wishes.minor = Some(minor.into()),
        _ => wishes.emulate = Some(minor.into()),
    }
    Ok((number, wishes))
}

/// The example that makes the objects and judges them.
fn judge() -> sh::Outcome<PathBuf> {
    sh::run(sh::cargo().args(["build", "--quiet", "-p", "operate-manifest", "--example", "corpus"]))?;
    Ok(crate::ci::target_folder()?.join("debug/examples/corpus"))
}

fn cases(judge: &Path, count: u32, minor: u8) -> sh::Outcome<Vec<Case>> {
    let bases: Result<Vec<String>, String> = BASES.iter().map(|path| sh::read(&sh::root().join(path))).collect();
    let mut command = sh::program(judge);
    command.args([SEED.to_string(), count.to_string(), minor.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let wrong = |error: std::io::Error| format!("{}: {error}", judge.display());
    let mut child = command.spawn().map_err(wrong)?;
    let mut input = child.stdin.take().ok_or("a program without its input")?;
    input.write_all(bases?.join("---\n").as_bytes()).map_err(wrong)?;
    drop(input);
    let output = child.wait_with_output().map_err(wrong)?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", judge.display(), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let case = |line: &str| {
        let mut value: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (base, name, accepts) = (text("base"), text("case"), value["accepts"] == true);
        Ok(Case { base, name, accepts, object: value["object"].take(), findings: value["findings"].take() })
    };
    text.lines().map(case).collect()
}

/// The answers in sixteens, four to a digit: a 1 for what was taken.
fn write(minor: u8, version: &str, answers: &[Answer]) -> sh::Outcome {
    let mut text = format!("{SEED} {COUNT_RECORDED} {} of {version}\n", answers.len());
    for line in answers.chunks(512) {
        for four in line.chunks(4) {
            let digit = four.iter().enumerate().map(|(at, answer)| u32::from(answer.taken) << (3 - at)).sum();
            text.extend(char::from_digit(digit, 16));
        }
        text.push('\n');
    }
    sh::write(&sh::root().join(format!("operate/manifest/corpus/server-1.{minor}.txt")), &text)
}

/// A row of the table, and what must not be.
struct Told {
    row: String,
    wrong: Vec<String>,
}

fn tell(version: &str, cases: &[Case], answers: &[Answer]) -> Told {
    let (mut lax, mut strict) = (Vec::new(), Vec::new());
    for (case, answer) in cases.iter().zip(answers) {
        match (case.accepts, answer.taken) {
            (true, false) => lax.push((case, answer)),
            (false, true) => strict.push((case, answer)),
            _ => {}
        }
    }
    let same = cases.len() - lax.len() - strict.len();
    println!("== {version}: {same} of {} the same", cases.len());
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (case, answer) in &lax {
        groups.entry(answer.said.clone()).or_default().push(format!("{}: {}", case.base, case.name));
    }
    for (said, those) in &groups {
        println!("  taken by us only, {}: {said}\n    such as {}", those.len(), those[0]);
    }
    for (case, _) in &strict {
        println!("  REFUSED by us only: {}: {}: {}", case.base, case.name, case.findings);
    }
    let share = same as f64 * 100.0 / cases.len().max(1) as f64;
    let row = format!("| {version} | {} | {same} ({share:.1} %) | {} | {} |", cases.len(), lax.len(), strict.len());
    let mut wrong = Vec::new();
    if !strict.is_empty() {
        wrong.push(format!("{version}: {} objects are refused by us and taken by it", strict.len()));
    }
    if same * 100 < cases.len() * SAME_MIN {
        wrong.push(format!("{version}: only {same} of {} verdicts are the same", cases.len()));
    }
    Told { row, wrong }
}
