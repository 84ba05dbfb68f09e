//! `apm docker scan`: what is known to be wrong with the packages of an image, printed, and a limit as the exit code. Who looks is decided elsewhere.

use std::path::PathBuf;

use app_adapt::ScanError;
use app_build::DockerError;
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_scan::{Ignore, Reasoned, ScanSettings, Scanner, Severity, Unknown, Verdict};

use crate::args::Global;
use crate::output::{self, Failure};

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 nothing is as bad as the limit, 1 something is, 2 the words are wrong, 3 it could not be looked at, or not into."
)]
pub(crate) struct ScanArgs {
    /// The image, by name or id; the engine must have it
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// A file of advisories in the form of OSV, compared with the image's package lists
    #[arg(long, value_name = "FILE")]
    pub(crate) advisories: Option<PathBuf>,
    /// Who looks [default: the first of trivy, grype and snyk that is installed; `packages` with --advisories]
    #[arg(long, value_name = "WHO")]
    pub(crate) with: Option<Who>,
    /// Fail when a finding is as bad as this, or worse
    #[arg(long, value_name = "SEVERITY", default_value = "high")]
    pub(crate) fail_on: Limit,
    /// Accept a weakness, of all packages or of one
    #[arg(long, value_name = "ID[=PACKAGE]", value_parser = ignore)]
    pub(crate) ignore: Vec<Ignore>,
    /// Do not count what nobody has mended yet
    #[arg(long)]
    pub(crate) ignore_unfixed: bool,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: super::OutputForm,
    /// The same as `--output sarif`
    #[arg(long, conflicts_with = "output")]
    pub(crate) sarif: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    Trivy,
    Grype,
    Snyk,
    Packages,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Limit {
    #[value(alias = "low")]
    Info,
    #[value(alias = "medium")]
    Warning,
    High,
    Critical,
}

pub(crate) fn scan(global: &Global, args: &ScanArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let world = World::real();
    let settings = ScanSettings {
        fail_on: match args.fail_on {
            Limit::Info => Severity::Info,
            Limit::Warning => Severity::Warning,
            Limit::High => Severity::High,
            Limit::Critical => Severity::Critical,
        },
        with: args.with.map(|who| match who {
            Who::Trivy => Scanner::Trivy,
            Who::Grype => Scanner::Grype,
            Who::Snyk => Scanner::Snyk,
            Who::Packages => Scanner::Packages,
        }),
        advisories: args.advisories.clone(),
        ignore: args.ignore.clone(),
        ignore_unfixed: args.ignore_unfixed,
        unknown: Unknown::Warn,
    };
    let engine = super::build::engine(&world)?;
    let scan = runtime.block_on(app_adapt::scan(&engine, &world, &args.image, &settings, None));
    runtime.shutdown_background();
    let scan = scan.map_err(|error| failure(&error))?;
    let limit = settings.fail_on;
    let verdict = scan.verdict(limit);
    let form = if args.sarif { super::OutputForm::Sarif } else { args.output };
    let answer = match form {
        super::OutputForm::Text if global.quiet && matches!(verdict, Verdict::Pass(_)) => String::new(),
        super::OutputForm::Text => operate_scan::text(&scan, Some(limit)),
        super::OutputForm::Json => format!("{:#}\n", operate_scan::json(&scan, Some(limit))),
        super::OutputForm::Sarif => format!("{:#}\n", operate_scan::sarif(&scan, env!("CARGO_PKG_VERSION"))),
    };
    output::print(&answer);
    Ok(match verdict {
        Verdict::Pass(_) => 0,
        Verdict::Fail(_) => 1,
        Verdict::Unknown(_) => 3,
    })
}

fn ignore(text: &str) -> Result<Ignore, String> {
    match text.split_once('=') {
        None if text.is_empty() => Err("name a weakness, such as CVE-2026-1".to_owned()),
        None => Ok(Ignore::Id(text.to_owned())),
        Some((id, package)) if !id.is_empty() && !package.is_empty() => {
            let reason = "the command line says so".to_owned();
            Ok(Ignore::Reasoned(Reasoned { id: id.to_owned(), package: Some(package.to_owned()), reason }))
        }
        Some(_) => Err("write it as CVE-2026-1=zlib".to_owned()),
    }
}

fn failure(error: &ScanError) -> Failure {
    let report = Report::of(error);
    Failure::Broken(match error {
        ScanError::NothingToAsk { .. } => report.hint("`--advisories FILE` names advisories in the form of OSV (osv.dev has them by system); or install a scanner"),
        ScanError::Engine(DockerError::ImageMissing { .. } | DockerError::NotFound { .. }) => report.hint("pull or build it first"),
        _ => report,
    })
}
