//! `apm k8s check`: finds manifests, has charts and kustomizations rendered, shows all to the check, prints what it found, and writes mended files back.
//! Knows no rule.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use app_deploy::{ManifestSource, Rendering, manifest_sources, render_manifests};
use base_explain::finding::{File, Safety, json, sarif, text};
use base_explain::{Report, Severity, nearest};
use base_world::World;
use clap::Args as ClapArgs;
use operate_manifest::{
    Checked, Limits, LintOptions, MINOR_NEWEST, MINOR_OLDEST, Manifests, lint_named, lint_rules, mend,
};

use crate::args::Global;
use crate::docker::{FixHow, OutputForm, replace};
use crate::output::{self, Failure};

const AFTER_HELP: &str =
    "Exit codes: 0 nothing is as bad as --fail-on, 1 something is, 2 the words are wrong, 3 it could not be checked.

Examples:
  apm k8s check deploy/
  apm k8s check deploy/ --minor 1.34 --fail-on high
  apm k8s check deploy/ --rule run-as-non-root --fix=suggested
  helm template shop charts/shop | apm k8s check - --output sarif";

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CheckArgs {
    /// Manifests, folders that are searched for them, charts, kustomizations, or `-` for standard input [default: this folder]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The version of Kubernetes [default: the newest that is known]
    #[arg(long, value_name = "1.N", value_parser = minor)]
    minor: Option<u8>,
    /// Look for all rules, also for those that are a matter of taste
    #[arg(long, conflicts_with = "rule")]
    all: bool,
    /// Look for this rule alone: its id, its name, or kube-linter's or kube-score's name; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    rule: Vec<String>,
    /// Do not look for this rule; may be given several times
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Mend: `safe` leaves the meaning as it is, `suggested` does what the rules ask for
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "safe")]
    fix: Option<FixHow>,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: OutputForm,
    /// Fail when a finding is as bad as this, or worse
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = ["info", "warning", "high", "critical"])]
    fail_on: String,
}

/// `1.34` or `34`, of those that are known.
fn minor(text: &str) -> Result<u8, String> {
    let digits = text.trim_start_matches('v');
    let digits = digits.strip_prefix("1.").unwrap_or(digits);
    match digits.parse::<u8>() {
        Ok(minor) if (MINOR_OLDEST..=MINOR_NEWEST).contains(&minor) => Ok(minor),
        _ => Err(format!("versions from 1.{MINOR_OLDEST} to 1.{MINOR_NEWEST} are known, written as 1.{MINOR_NEWEST}")),
    }
}

pub(crate) fn check(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    let options = LintOptions {
        minor: args.minor.unwrap_or(MINOR_NEWEST),
        all: args.all,
        rules: ids(&args.rule)?,
        skip: ids(&args.skip)?,
        edits: args.fix.is_some() || args.output != OutputForm::Text,
    };
    let sets = read(global, args)?;
    let mut checked: Vec<(Manifests, Vec<Checked>)> = Vec::with_capacity(sets.len());
    for set in sets {
        checked.push(one(global, args, set, &options)?);
    }
    let files: Vec<File<'_>> = checked.iter().flat_map(|(manifests, checked)| manifests.lend(checked)).collect();
    let answer = match args.output {
        OutputForm::Text => text(&files, output::colors(global) && std::io::stdout().is_terminal()),
        OutputForm::Json => format!("{:#}\n", json(&files)),
        OutputForm::Sarif => {
            format!("{:#}\n", sarif("apm k8s check", env!("CARGO_PKG_VERSION"), lint_rules(), &files))
        }
    };
    output::print(&answer);
    if args.output == OutputForm::Text && !global.quiet {
        let unknown = checked.iter().flat_map(|(_, checked)| checked).flat_map(|checked| &checked.not_checked);
        unknown.for_each(|what| output::note(&format!("not checked: {what}")));
    }
    let limit = Severity::of(&args.fail_on).unwrap_or(Severity::Warning);
    let fails = |file: &File<'_>| file.findings.iter().any(|f| f.suppressed.is_none() && f.severity >= limit);
    Ok(u8::from(files.iter().any(fails)))
}

/// Rules by whatever name they were given.
fn ids(names: &[String]) -> Result<Vec<&'static str>, Failure> {
    let mut ids = Vec::new();
    for name in names {
        let known: Vec<&'static str> = lint_named(name).map(|rule| rule.id).collect();
        if known.is_empty() {
            let all = lint_rules().iter().flat_map(|rule| [rule.id, rule.name]).filter(|name| !name.is_empty());
            let hint = match nearest(name, all) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "rules are listed in docs/guides/check-manifests.md".to_owned(),
            };
            return Err(Failure::Usage(Report::new(format!("there is no rule `{name}`")).hint(hint)));
        }
        ids.extend(known);
    }
    Ok(ids)
}

/// What is checked together: all files, and by itself each folder that another program renders.
struct Set {
    manifests: Manifests,
    /// Where each text stands; nothing for what was rendered.
    paths: Vec<PathBuf>,
}

fn read(global: &Global, args: &CheckArgs) -> Result<Vec<Set>, Failure> {
    let world = World::real();
    let here = [PathBuf::from(".")];
    let given = if args.paths.is_empty() { &here[..] } else { &args.paths };
    let (mut files, mut sets) = (Set { manifests: Manifests::default(), paths: Vec::new() }, Vec::new());
    let mut paths = Vec::new();
    for path in given {
        if path == Path::new("-") {
            files.manifests.add("<stdin>", stdin()?, &Limits::default());
            files.paths.push(path.clone());
        } else {
            paths.push(path.clone());
        }
    }
    let sources = manifest_sources(&paths, world.disk.as_ref()).map_err(Failure::Broken)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    for source in sources {
        match source {
            ManifestSource::File { path, text, file } => {
                files.manifests.add_read(&path.display().to_string(), text, file);
                files.paths.push(path);
            }
            // One that was named is meant; in a folder it is somebody else's.
            ManifestSource::Template(path) if !given.contains(&path) => {
                if !global.quiet {
                    output::note(&format!("passed over: {} is a template, and no chart is around it", path.display()));
                }
            }
            rendered => {
                let text = runtime.block_on(render_manifests(&rendered, &Rendering::default()));
                let (name, text) = text.map_err(Failure::Broken)?;
                let mut manifests = Manifests::default();
                manifests.add(&name, text, &Limits { bytes_max: RENDERED_BYTES_MAX, ..Limits::default() });
                sets.push(Set { manifests, paths: Vec::new() });
            }
        }
    }
    if !files.paths.is_empty() {
        sets.insert(0, files);
    }
    if sets.is_empty() {
        let hint = "name a file, or a folder with manifests, a chart or a kustomization";
        return Err(Failure::Usage(Report::new("no manifests found").hint(hint)));
    }
    Ok(sets)
}

const RENDERED_BYTES_MAX: usize = 50 << 20;

pub(crate) fn stdin() -> Result<String, Failure> {
    let broken = |why: String| Failure::Broken(Report::new("cannot read standard input").because(why));
    let limit = Limits::default().bytes_max as u64;
    let mut bytes = Vec::new();
    std::io::stdin().take(limit + 1).read_to_end(&mut bytes).map_err(|error| broken(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(broken(format!("it has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| broken(format!("byte {} is no UTF-8", error.utf8_error().valid_up_to())))
}

/// Checks a set, and mends it where that was asked for.
fn one(
    global: &Global,
    args: &CheckArgs,
    set: Set,
    options: &LintOptions,
) -> Result<(Manifests, Vec<Checked>), Failure> {
    let Some(how) = args.fix else {
        let checked = operate_manifest::check(&set.manifests, options);
        return Ok((set.manifests, checked));
    };
    let safety = if how == FixHow::Safe { Safety::Safe } else { Safety::Suggested };
    let mended = mend(&set.manifests, options, safety, &Limits::default());
    let world = World::real();
    for ((at, (name, text)), made) in mended.manifests.texts().enumerate().zip(&mended.made) {
        if *made == 0 {
            continue;
        }
        match set.paths.get(at) {
            Some(path) if path != Path::new("-") => replace(world.disk.as_ref(), path, text)?,
            _ => {
                let report = Report::new(format!("{name} cannot be mended: it is no file"));
                return Err(Failure::Usage(report.hint("mend the files that it is made of")));
            }
        }
        if !global.quiet {
            output::note(&format!("{name}: mended {made}"));
        }
    }
    Ok((mended.manifests, mended.left))
}
