//! `apm docker scan`: what is known to be wrong with the packages of an image, printed, and a limit as the exit code. Who looks is decided elsewhere.

use std::path::PathBuf;

use app_build::{DockerError, ScanError, ScanOptions, Scanner};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_scan::Severity;

use crate::args::Global;
use crate::output::{self, Failure};

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 nothing is as bad as the limit, 1 something is, 2 the words are wrong, 3 it could not be looked at."
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
    Info,
    Warning,
    High,
    Critical,
}

pub(crate) fn scan(global: &Global, args: &ScanArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let world = World::real();
    let options = ScanOptions {
        image: args.image.clone(),
        advisories: args.advisories.clone(),
        with: args.with.map(|who| match who {
            Who::Trivy => Scanner::Trivy,
            Who::Grype => Scanner::Grype,
            Who::Snyk => Scanner::Snyk,
            Who::Packages => Scanner::Packages,
        }),
    };
    let engine = super::build::engine(&world)?;
    let scan = runtime.block_on(app_build::scan(&engine, &world, &options));
    runtime.shutdown_background();
    let scan = scan.map_err(|error| failure(&error))?;
    let limit = match args.fail_on {
        Limit::Info => Severity::Info,
        Limit::Warning => Severity::Warning,
        Limit::High => Severity::High,
        Limit::Critical => Severity::Critical,
    };
    let form = if args.sarif { super::OutputForm::Sarif } else { args.output };
    let answer = match form {
        super::OutputForm::Text if global.quiet && !scan.fails(limit) => String::new(),
        super::OutputForm::Text => operate_scan::text(&scan, Some(limit)),
        super::OutputForm::Json => format!("{:#}\n", operate_scan::json(&scan, Some(limit))),
        super::OutputForm::Sarif => format!("{:#}\n", operate_scan::sarif(&scan, env!("CARGO_PKG_VERSION"))),
    };
    output::print(&answer);
    Ok(u8::from(scan.fails(limit)))
}

fn failure(error: &ScanError) -> Failure {
    let report = Report::of(error);
    Failure::Broken(match error {
        ScanError::NothingToAsk { .. } => report.hint("`--advisories FILE` names advisories in the form of OSV (osv.dev has them by system); or install a scanner"),
        ScanError::Engine(DockerError::ImageMissing { .. } | DockerError::NotFound { .. }) => report.hint("pull or build it first"),
        _ => report,
    })
}
