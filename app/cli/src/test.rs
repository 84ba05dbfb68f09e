//! `apm test`: runs the tests that a team keeps beside its rules and dashboards. `apm test query`: files of query tests in the
//! form of Prometheus. `apm test rules`: promtool's unit tests of rules. How a case is judged is known elsewhere.

use std::path::{Path, PathBuf};

use app_adapt::{QueryTests, RuleTests, query_tests, rule_tests};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::json;

use crate::args::Global;
use crate::output::{self, Failure, say};

#[derive(Debug, ClapArgs)]
#[command(after_help = "Exit codes: 0 all passed, 1 some did not, 2 the words or a file are wrong.")]
pub(crate) struct TestArgs {
    #[command(subcommand)]
    pub(crate) command: TestCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Run PromQL tests: series that are loaded, queries, and what must come of them
    #[command(after_help = "A file holds cases in the form of Prometheus' own query tests:

  load 1m
    requests_total{job=\"api\"} 0+60x10

  eval instant at 10m sum(rate(requests_total[5m]))
    {} 1

  eval instant at 10m rate(nothing[5m])
    expect no_warn

Exit codes: 0 all passed, 1 some did not, 2 the words or a file are wrong.")]
    Query(FilesArgs),
    /// Run promtool's unit tests of rules: series that are loaded, and which alerts and samples must come
    #[command(after_help = "A file names rule files and says what they must come to:

  rule_files: [shop-rules.yml]
  evaluation_interval: 1m
  tests:
    - interval: 1m
      input_series:
        - {series: 'up{job=\"api\"}', values: '1 0x10'}
      alert_rule_test:
        - eval_time: 10m
          alertname: Down
          exp_alerts: [{exp_labels: {job: api, severity: page}}]

Exit codes: 0 all passed, 1 some did not, 2 the words or a file are wrong.")]
    Rules(FilesArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FilesArgs {
    /// Files of tests
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
}

const FILE_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn test(global: &Global, args: &TestArgs) -> Result<u8, Failure> {
    match &args.command {
        TestCommand::Query(args) => query(global, args),
        TestCommand::Rules(args) => rules(global, args),
    }
}

fn query(global: &Global, args: &FilesArgs) -> Result<u8, Failure> {
    let world = World::real();
    let mut done = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let script = read(&world, path)?;
        let tests = query_tests(&script).map_err(|error| {
            let report = Report::new(format!("{}:{}: {}", path.display(), error.line, error.message));
            Failure::Usage(
                report.hint("the form: https://github.com/prometheus/prometheus/tree/main/promql/promqltest"),
            )
        })?;
        done.push((path, tests));
    }
    let passed: usize = done.iter().map(|(_, tests)| tests.passed).sum();
    let failed: usize = done.iter().map(|(_, tests)| tests.failed.len()).sum();
    match args.output {
        Form::Json => output::print(&format!("{:#}\n", as_json(passed, &done))),
        Form::Text => {
            for (path, tests) in &done {
                output::print(&as_text(path, tests));
            }
            say(global, &format!("{passed} passed, {failed} failed"));
        }
    }
    Ok(u8::from(failed > 0))
}

fn rules(global: &Global, args: &FilesArgs) -> Result<u8, Failure> {
    let world = World::real();
    let mut done: Vec<(&PathBuf, RuleTests)> = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let tests = rule_tests(&world, path).map_err(Failure::Usage)?;
        for pattern in &tests.missing {
            say(global, &format!("{}: no file matches `{pattern}`", path.display()));
        }
        done.push((path, tests));
    }
    let passed: usize = done.iter().map(|(_, tests)| tests.passed).sum();
    let failed: usize = done.iter().map(|(_, tests)| tests.failed.len()).sum();
    match args.output {
        Form::Json => output::print(&format!("{:#}\n", rules_as_json(passed, &done))),
        Form::Text => {
            for (path, tests) in &done {
                output::print(&rules_as_text(path, tests));
            }
            say(global, &format!("{passed} passed, {failed} failed"));
        }
    }
    Ok(u8::from(failed > 0))
}

fn rules_as_json(passed: usize, done: &[(&PathBuf, RuleTests)]) -> serde_json::Value {
    let failures = done.iter().flat_map(|(path, tests)| {
        tests.failed.iter().map(move |case| {
            let mut shown = json!(case);
            shown["file"] = path.display().to_string().into();
            shown
        })
    });
    let failures: Vec<_> = failures.collect();
    json!({ "passed": passed, "failed": failures.len(), "failures": failures })
}

fn rules_as_text(path: &Path, tests: &RuleTests) -> String {
    let indented = |text: &str| text.replace('\n', "\n        ");
    let case = |case: &app_adapt::FailedRule| {
        let test = if case.test.is_empty() { String::new() } else { format!("{}: ", case.test) };
        let want = if case.want.is_empty() { String::new() } else { format!("  want: {}\n", indented(&case.want)) };
        format!("{}:{}: {test}{}\n{want}  got:  {}\n", path.display(), case.line, case.about, indented(&case.got))
    };
    tests.failed.iter().map(case).collect()
}

fn read(world: &World, path: &Path) -> Result<String, Failure> {
    let bytes = world.disk.read(path, FILE_BYTES_MAX).map_err(|error| Failure::Usage(Report::of(&error)))?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage(Report::new(format!("{} is not UTF-8 text", path.display()))))
}

fn as_json(passed: usize, done: &[(&PathBuf, QueryTests)]) -> serde_json::Value {
    let failures = done.iter().flat_map(|(path, tests)| {
        tests.failed.iter().map(move |case| {
            json!({
                "file": path.display().to_string(),
                "line": case.line,
                "query": case.query,
                "want": case.want,
                "got": case.got,
            })
        })
    });
    let failures: Vec<_> = failures.collect();
    json!({ "passed": passed, "failed": failures.len(), "failures": failures })
}

fn as_text(path: &Path, tests: &QueryTests) -> String {
    let indented = |text: &str| text.replace('\n', "\n        ");
    let case = |case: &app_adapt::FailedCase| {
        format!(
            "{}:{}: {}\n  want: {}\n  got:  {}\n",
            path.display(),
            case.line,
            case.query,
            indented(&case.want),
            indented(&case.got)
        )
    };
    tests.failed.iter().map(case).collect()
}
